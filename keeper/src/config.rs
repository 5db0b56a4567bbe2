//! What an operator writes down: one TOML file, overridden by flags. Unknown keys are refused, and keys are never in it,
//! only where to find them.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use serde::Deserialize;

use crate::{
    chain::{ChainError, Nodes},
    sender::FeeModel,
    store::StoreConfig,
};

/// The whole configuration of `tandem-keeper run`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// HTTP endpoint of the chain's node.
    pub rpc: String,
    /// Endpoints of further nodes of the same chain, of other operators if possible.
    #[serde(default)]
    pub rpc_more: Vec<String>,
    /// How many nodes must say the same before it is believed; the majority if left out.
    pub rpc_quorum: Option<usize>,
    /// Manifest of the deployment, `deployments/<chainId>.json`.
    pub manifest: PathBuf,
    /// Folder for database, guard and bundles; created if missing, used by one keeper only.
    pub data_dir: PathBuf,
    /// Where the HTTP API listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// What counts as final.
    #[serde(default)]
    pub finality: Finality,
    /// Milliseconds between two looks at the chain.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// Signing keys.
    pub keys: Keys,
    /// Audits.
    #[serde(default)]
    pub jobs: JobsConfig,
    /// Agreement with the other keepers.
    #[serde(default)]
    pub agreement: AgreementConfig,
    /// The other keepers.
    #[serde(default)]
    pub peers: PeersConfig,
    /// Transactions.
    #[serde(default)]
    pub sender: SenderConfig,
    /// Database.
    #[serde(default)]
    pub store: StoreConfig,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// `--accept-missing-guard`: a flag alone, so that nobody leaves it in a file.
    #[serde(skip)]
    pub accept_missing_guard: bool,
}

/// Which block is taken as final: `"finalized"` (the node's tag) or `"latest-N"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Finality {
    /// The node's `finalized` block.
    #[default]
    Finalized,
    /// So many blocks behind the head.
    Behind(u64),
}

impl TryFrom<String> for Finality {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Finality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "finalized" {
            return Ok(Self::Finalized);
        }
        text.strip_prefix("latest-")
            .and_then(|blocks| blocks.parse().ok())
            .map(Self::Behind)
            .ok_or_else(|| format!("finality {text:?} is neither \"finalized\" nor \"latest-N\""))
    }
}

/// Where the keys are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Signs receipts, lists and reports; its address is the keeper in KeeperSet.
    pub attest: SecretRef,
    /// Pays for transactions; the attest key if left out.
    pub gas: Option<SecretRef>,
}

/// A private key as hex, or a database's URL, in a file that only its owner can read, or in an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// Path of the file.
    File(PathBuf),
    /// Name of the variable.
    Env(String),
}

/// How audits are handed out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Audits of each contributor by each validator and epoch.
    pub rounds: u32,
    /// Seconds that a worker holds a job without extending it.
    pub lease_s: u64,
    /// Seconds before the commit deadline from which on no job is handed out; a twentieth of an epoch if left out.
    pub margin_s: Option<u64>,
    /// A job that was leased so often without a result is given up.
    pub max_attempts: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { rounds: 2, lease_s: 10, margin_s: None, max_attempts: 5 }
    }
}

/// Times of the agreement between keepers, in seconds of chain time. All keepers of a set must use the same
/// `proposer_timeout_s`. What is left out follows from the length of an epoch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgreementConfig {
    /// After so long without an acceptable list the next keeper proposes; a fortieth of an epoch, at least 3.
    pub proposer_timeout_s: Option<u64>,
    /// Keepers send one transaction after the other, so far apart; a hundred-and-twentieth of an epoch, at least 3.
    pub stagger_s: Option<u64>,
    /// No report is signed or posted so shortly before the next epoch's turn; a twentieth of an epoch, at least 2.
    pub margin_s: Option<u64>,
}

/// How other keepers are reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeersConfig {
    /// Base URLs that replace those of KeeperSet.
    pub endpoints: BTreeMap<Address, String>,
    /// Milliseconds to wait for an answer.
    pub timeout_ms: u64,
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self { endpoints: BTreeMap::new(), timeout_ms: 3_000 }
    }
}

/// How transactions are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SenderConfig {
    /// Seconds without inclusion after which the fees are raised.
    pub bump_after_s: u64,
    /// Ceiling of the fee per gas, in wei.
    pub max_fee_wei: u64,
    /// Floor of the fee per gas that is offered, in wei: what is signed in a cheap moment must not get stuck in the next.
    pub min_fee_wei: u64,
    /// Floor of the tip per gas, in wei.
    pub min_tip_wei: u64,
    /// Gas limit in per cent of the estimate.
    pub gas_percent: u64,
    /// Most gas of one transaction.
    pub max_gas: u64,
    /// How the chain charges; found out from its predeployed contracts if left out.
    pub fee_model: Option<FeeModel>,
    /// Subnet steps of one `settle`.
    pub settle_batch: u64,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            bump_after_s: 15,
            max_fee_wei: 200_000_000_000,
            min_fee_wei: 100_000_000,
            min_tip_wei: 1_000_000,
            gas_percent: 140,
            // What EIP-7825 allows.
            max_gas: 1 << 24,
            fee_model: None,
            settle_batch: 64,
        }
    }
}

/// What is logged, and how. Logs go to standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Text or JSON.
    pub format: LogFormat,
    /// Directives as `tracing_subscriber::EnvFilter` reads them.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What flags of `run` replace in the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--rpc`.
    pub rpc: Option<String>,
    /// `--manifest`.
    pub manifest: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("[K-CONFIG-1] cannot read {}: {reason}", path.display())]
    Unreadable {
        /// File.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Not TOML, a key that does not exist, or a value of the wrong kind.
    #[error("[K-CONFIG-2] {}: {reason}", path.display())]
    Malformed {
        /// File.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A key cannot be had.
    #[error("[K-CONFIG-3] key {name}: {reason}")]
    Key {
        /// `attest` or `gas`.
        name: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A value out of range.
    #[error("[K-CONFIG-4] {name}: {reason}")]
    OutOfRange {
        /// Key in the file.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Reads the file, lays `overrides` over it and checks the ranges.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        Self::parse(&text, overrides).map_err(|error| match error {
            ConfigError::Malformed { reason, .. } => ConfigError::Malformed { path: path.to_owned(), reason },
            other => other,
        })
    }

    /// As [`Self::load`], from text.
    pub fn parse(text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let malformed =
            |error: toml::de::Error| ConfigError::Malformed { path: "configuration".into(), reason: error.to_string() };
        let mut table: toml::Table = toml::from_str(text).map_err(malformed)?;
        let mut replace = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), value.into());
            }
        };
        replace("rpc", overrides.rpc.clone());
        replace("manifest", overrides.manifest.as_ref().map(|path| path.display().to_string()));
        replace("data_dir", overrides.data_dir.as_ref().map(|path| path.display().to_string()));
        replace("listen", overrides.listen.map(|address| address.to_string()));
        let config: Self = table.try_into().map_err(malformed)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bound = |name, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { name, reason: format!("{value} is not between {low} and {high}") })
        };
        bound("poll_ms", self.poll_ms, 50, 60_000)?;
        bound("jobs.rounds", u64::from(self.jobs.rounds), 1, 1_000)?;
        bound("jobs.lease_s", self.jobs.lease_s, 1, 3_600)?;
        bound("jobs.max_attempts", u64::from(self.jobs.max_attempts), 1, 100)?;
        bound("peers.timeout_ms", self.peers.timeout_ms, 50, 60_000)?;
        bound("store.max_connections", u64::from(self.store.max_connections), 2, 1_000)?;
        bound("store.lease_s", self.store.lease_s, 3, 600)?;
        bound("store.max_pending", self.store.max_pending, 1, 1 << 32)?;
        bound("store.keep_epochs", self.store.keep_epochs, 8, 1 << 32)?;
        bound("sender.bump_after_s", self.sender.bump_after_s, 1, 3_600)?;
        bound("sender.min_fee_wei", self.sender.min_fee_wei, 0, self.sender.max_fee_wei)?;
        bound("sender.max_gas", self.sender.max_gas, 100_000, 1 << 30)?;
        if let Some(quorum) = self.rpc_quorum {
            bound("rpc_quorum", quorum as u64, 1, 1 + self.rpc_more.len() as u64)?;
        }
        bound("sender.gas_percent", self.sender.gas_percent, 100, 1_000)?;
        bound("sender.settle_batch", self.sender.settle_batch, 1, 1_024)
    }
}

impl Config {
    /// The nodes to ask.
    pub fn nodes(&self) -> Result<Nodes, ChainError> {
        let urls = std::iter::once(&self.rpc).chain(&self.rpc_more);
        Nodes::connect(urls.map(String::as_str), self.rpc_quorum)
    }
}

impl Keys {
    /// Reads both keys: (attest, gas).
    pub fn load(&self) -> Result<(PrivateKeySigner, PrivateKeySigner), ConfigError> {
        let attest = self.attest.load("attest")?;
        let gas = match &self.gas {
            Some(gas) => gas.load("gas")?,
            None => attest.clone(),
        };
        Ok((attest, gas))
    }
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
        Ok(text.trim().to_owned())
    }

    fn load(&self, name: &'static str) -> Result<PrivateKeySigner, ConfigError> {
        let fault = |reason: String| ConfigError::Key { name, reason };
        let text = self.read().map_err(fault)?;
        // The key's text must not reach a message.
        text.parse().map_err(|_| fault("not a private key of 32 bytes in hex".to_owned()))
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

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9_400))
}

fn default_poll_ms() -> u64 {
    1_000
}
