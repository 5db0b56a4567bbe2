//! What services read of a deployment's manifest, `deployments/<chainId>.json`. Whoever deploys writes more into it; other
//! keys are ignored here.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::Deserialize;

use crate::clock::EpochClock;

/// Chain, time and addresses of one network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkManifest {
    /// Chain.
    pub chain_id: u64,
    genesis: u64,
    epoch_length: u64,
    contracts: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Entry {
    address: Address,
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Not JSON of this shape.
    #[error("not a manifest: {0}")]
    Malformed(String),
    /// A contract is missing.
    #[error("the manifest names no {0}")]
    NoContract(&'static str),
    /// An epoch of zero seconds.
    #[error("the manifest's epochLength is zero")]
    ZeroLength,
}

impl NetworkManifest {
    /// Reads the JSON of a manifest.
    ///
    /// ```
    /// use tandem_protocol::manifest::{ManifestError, NetworkManifest};
    ///
    /// let text = r#"{"chainId":1,"genesis":5,"epochLength":60,
    ///     "contracts":{"Staking":{"address":"0x00000000000000000000000000000000000000aa"}}}"#;
    /// let manifest = NetworkManifest::parse(text)?;
    /// assert_eq!(manifest.clock()?.end_of(0), 65);
    /// assert!(manifest.address("Staking").is_ok());
    /// assert_eq!(manifest.address("KeeperSet"), Err(ManifestError::NoContract("KeeperSet")));
    /// # Ok::<(), ManifestError>(())
    /// ```
    ///
    /// # Errors
    /// [`ManifestError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        serde_json::from_str(text).map_err(|error| ManifestError::Malformed(error.to_string()))
    }

    /// The address of a contract.
    ///
    /// # Errors
    /// [`ManifestError::NoContract`].
    pub fn address(&self, contract: &'static str) -> Result<Address, ManifestError> {
        self.contracts.get(contract).map(|entry| entry.address).ok_or(ManifestError::NoContract(contract))
    }

    /// The network's epochs.
    ///
    /// # Errors
    /// [`ManifestError::ZeroLength`].
    pub fn clock(&self) -> Result<EpochClock, ManifestError> {
        EpochClock::new(self.genesis, self.epoch_length).ok_or(ManifestError::ZeroLength)
    }
}
