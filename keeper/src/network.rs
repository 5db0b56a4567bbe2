//! Which network the keeper serves: the part of a deployment's manifest that it needs.

use std::{fs, path::Path};

use alloy_primitives::Address;
use alloy_sol_types::Eip712Domain;
use tandem_protocol::{
    clock::EpochClock,
    manifest::{self, NetworkManifest},
    messages::oracle_domain,
};

/// Chain, time and contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Chain.
    pub chain_id: u64,
    /// Epochs.
    pub clock: EpochClock,
    /// EpochOracle.
    pub oracle: Address,
    /// KeeperSet.
    pub keeper_set: Address,
    /// SubnetRegistry.
    pub registry: Address,
    /// Staking.
    pub staking: Address,
    /// EmissionController.
    pub controller: Address,
    /// RewardDistributor.
    pub distributor: Address,
    /// CreditDesk.
    pub desk: Address,
    /// WeightCommits; without it deadlines are never moved.
    pub weight_commits: Option<Address>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not readable or not JSON of this shape.
    #[error("[K-MANIFEST-1] {path}: {reason}")]
    Malformed {
        /// File.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A contract is missing.
    #[error("[K-MANIFEST-2] the manifest names no {0}")]
    NoContract(&'static str),
    /// An epoch of zero seconds.
    #[error("[K-MANIFEST-3] epochLength is zero")]
    ZeroLength,
}

impl From<manifest::ManifestError> for ManifestError {
    fn from(error: manifest::ManifestError) -> Self {
        match error {
            manifest::ManifestError::Malformed(reason) => Self::Malformed { path: "manifest".to_owned(), reason },
            manifest::ManifestError::NoContract(name) => Self::NoContract(name),
            manifest::ManifestError::ZeroLength => Self::ZeroLength,
        }
    }
}

impl Network {
    /// Reads a manifest file.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let malformed = |reason: String| ManifestError::Malformed { path: path.display().to_string(), reason };
        let text = fs::read_to_string(path).map_err(|error| malformed(error.to_string()))?;
        let manifest = NetworkManifest::parse(&text).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            chain_id: manifest.chain_id,
            clock: manifest.clock()?,
            oracle: manifest.address("EpochOracle")?,
            keeper_set: manifest.address("KeeperSet")?,
            registry: manifest.address("SubnetRegistry")?,
            staking: manifest.address("Staking")?,
            controller: manifest.address("EmissionController")?,
            distributor: manifest.address("RewardDistributor")?,
            desk: manifest.address("CreditDesk")?,
            weight_commits: manifest.address("WeightCommits").ok(),
        })
    }

    /// Domain of everything that keepers and validators sign.
    pub fn domain(&self) -> Eip712Domain {
        oracle_domain(self.chain_id, self.oracle)
    }

    /// Name and address of every contract, to check that code stands there.
    pub fn contracts(&self) -> Vec<(&'static str, Address)> {
        let mut all = vec![
            ("EpochOracle", self.oracle),
            ("KeeperSet", self.keeper_set),
            ("SubnetRegistry", self.registry),
            ("Staking", self.staking),
            ("EmissionController", self.controller),
            ("RewardDistributor", self.distributor),
            ("CreditDesk", self.desk),
        ];
        all.extend(self.weight_commits.map(|address| ("WeightCommits", address)));
        all
    }
}
