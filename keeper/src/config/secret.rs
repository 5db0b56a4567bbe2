//! Where secrets are found. None is ever in the configuration itself.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use serde::Deserialize;

/// Where the keys are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Signs receipts, lists and reports; its address is the keeper in KeeperSet.
    pub attest: KeyRef,
    /// Pays for transactions; the attest key if left out.
    pub gas: Option<KeyRef>,
}

/// Where a signing key is and how it is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyRef {
    /// Hex in a file that only its owner can read.
    File(PathBuf),
    /// Hex in the environment variable of this name.
    Env(String),
    /// An encrypted JSON keystore, version 3.
    Keystore {
        /// File.
        path: PathBuf,
        /// Its password.
        password: SecretRef,
    },
    /// A Web3Signer or anything with its `POST /api/v1/eth1/sign/{identifier}`.
    Web3signer {
        /// Base URL.
        url: String,
        /// What it calls the key: the address, or the public key.
        identifier: Option<String>,
        /// Address of the key; whatever it signs is checked against this.
        address: Address,
    },
    /// A key in AWS KMS (`ECC_SECG_P256K1`, `SIGN_VERIFY`); region and credentials as the AWS tools find them.
    AwsKms {
        /// Key id, alias or ARN.
        key: String,
    },
    /// A key in Google Cloud KMS (`EC_SIGN_SECP256K1_SHA256`); credentials as Google's tools find them.
    GcpKms {
        /// Project.
        project: String,
        /// Location, for example `europe-west4`.
        location: String,
        /// Key ring.
        key_ring: String,
        /// Key.
        key: String,
        /// Version of the key.
        version: u64,
    },
    /// A Ledger device on this machine's USB.
    Ledger {
        /// Account in Ledger Live's order, from 0.
        account: usize,
    },
}

impl Keys {
    /// Whether reaching a key asks somebody else.
    pub fn are_elsewhere(&self) -> bool {
        let local = |key: &KeyRef| matches!(key, KeyRef::File(_) | KeyRef::Env(_) | KeyRef::Keystore { .. });
        !local(&self.attest) || self.gas.as_ref().is_some_and(|gas| !local(gas))
    }
}

/// A secret text, in a file that only its owner can read, or in an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// Path of the file; a line break at its end does not count.
    File(PathBuf),
    /// Name of the variable.
    Env(String),
}

impl SecretRef {
    /// The secret, or in words why it cannot be had. The words never hold it.
    pub fn read(&self) -> Result<String, String> {
        let text = match self {
            Self::Env(variable) => env::var(variable).map_err(|_| format!("the environment has no {variable}"))?,
            Self::File(path) => {
                refuse_if_shared(path)?;
                fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(unix)]
fn refuse_if_shared(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("others can read {0}; run `chmod 600 {0}`", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_shared(_path: &Path) -> Result<(), String> {
    Ok(())
}
