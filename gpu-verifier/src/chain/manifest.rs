//! Which network this is: the few lines of a deployment's manifest that services need.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use alloy_sol_types::Eip712Domain;
use tandem_protocol::clock::EpochClock;
use tandem_protocol::manifest::{self, NetworkManifest};
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
    /// Not a manifest, or one without what services need.
    #[error("{}: {error}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: manifest::ManifestError,
    },
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
        let text =
            std::fs::read_to_string(path).map_err(|error| ManifestError::Read { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|error| ManifestError::Unusable { path: path.to_owned(), error })
    }

    fn parse(text: &str) -> Result<Self, manifest::ManifestError> {
        let manifest = NetworkManifest::parse(text)?;
        Ok(Self {
            chain_id: manifest.chain_id,
            clock: manifest.clock()?,
            oracle: manifest.address("EpochOracle")?,
            settlement: manifest.address("Settlement")?,
            registry: manifest.address("SubnetRegistry")?,
            rate_card: manifest.address("RateCard")?,
            keeper_set: manifest.address("KeeperSet")?,
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
