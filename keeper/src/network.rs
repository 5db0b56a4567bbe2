//! Which network the keeper serves: the part of a deployment's manifest that it needs.

use std::{collections::BTreeMap, fs, path::Path};

use alloy_primitives::Address;
use alloy_sol_types::Eip712Domain;
use serde::Deserialize;
use tandem_protocol::{clock::EpochClock, messages::oracle_domain};

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    chain_id: u64,
    genesis: u64,
    epoch_length: u64,
    contracts: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    address: Address,
}

impl Network {
    /// Reads a manifest file.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let malformed = |reason: String| ManifestError::Malformed { path: path.display().to_string(), reason };
        let text = fs::read_to_string(path).map_err(|error| malformed(error.to_string()))?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let contract = |name: &'static str| {
            manifest.contracts.get(name).map(|entry| entry.address).ok_or(ManifestError::NoContract(name))
        };
        Ok(Self {
            chain_id: manifest.chain_id,
            clock: EpochClock::new(manifest.genesis, manifest.epoch_length).ok_or(ManifestError::ZeroLength)?,
            oracle: contract("EpochOracle")?,
            keeper_set: contract("KeeperSet")?,
            registry: contract("SubnetRegistry")?,
            staking: contract("Staking")?,
            controller: contract("EmissionController")?,
            distributor: contract("RewardDistributor")?,
        })
    }

    /// Domain of everything that keepers and validators sign.
    pub fn domain(&self) -> Eip712Domain {
        oracle_domain(self.chain_id, self.oracle)
    }

    /// Name and address of every contract, to check that code stands there.
    pub fn contracts(&self) -> [(&'static str, Address); 6] {
        [
            ("EpochOracle", self.oracle),
            ("KeeperSet", self.keeper_set),
            ("SubnetRegistry", self.registry),
            ("Staking", self.staking),
            ("EmissionController", self.controller),
            ("RewardDistributor", self.distributor),
        ]
    }
}
