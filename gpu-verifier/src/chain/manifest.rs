//! Which network this is: the few lines of a deployment's manifest that services need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use alloy_sol_types::Eip712Domain;
use serde::Deserialize;
use tandem_protocol::clock::EpochClock;
use tandem_protocol::messages::{oracle_domain, settlement_domain};
use thiserror::Error;

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Missing or unreadable.
    #[error("cannot read the manifest {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not a manifest.
    #[error("{}: {error}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// A contract is not named, or an epoch has no length.
    #[error("the manifest names no {0}")]
    Missing(&'static str),
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

/// A network: its chain, its clock and the contracts that services speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Chain.
    pub chain_id: u64,
    /// Epochs.
    pub clock: EpochClock,
    /// EpochOracle, whose domain everything but vouchers is signed in.
    pub oracle: Address,
    /// Settlement, whose domain vouchers are signed in.
    pub settlement: Address,
    /// SubnetRegistry.
    pub registry: Address,
    /// RateCard.
    pub rate_card: Address,
    /// KeeperSet.
    pub keeper_set: Address,
}

impl Network {
    /// Reads a manifest; keys that services do not need are ignored.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read(path).map_err(|error| ManifestError::Read { path: path.to_owned(), error })?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| ManifestError::Json { path: path.to_owned(), error })?;
        let contract =
            |name: &'static str| manifest.contracts.get(name).map(|c| c.address).ok_or(ManifestError::Missing(name));
        Ok(Self {
            chain_id: manifest.chain_id,
            clock: EpochClock::new(manifest.genesis, manifest.epoch_length)
                .ok_or(ManifestError::Missing("epochLength above 0"))?,
            oracle: contract("EpochOracle")?,
            settlement: contract("Settlement")?,
            registry: contract("SubnetRegistry")?,
            rate_card: contract("RateCard")?,
            keeper_set: contract("KeeperSet")?,
        })
    }

    /// Whether this is a chain for tests, on which cheating for demonstration is allowed.
    pub const fn is_local(&self) -> bool {
        matches!(self.chain_id, 1337 | 31337)
    }

    /// The domain of commitments, weights and requests.
    pub fn oracle_domain(&self) -> Eip712Domain {
        oracle_domain(self.chain_id, self.oracle)
    }

    /// The domain of vouchers.
    pub fn settlement_domain(&self) -> Eip712Domain {
        settlement_domain(self.chain_id, self.settlement)
    }
}
