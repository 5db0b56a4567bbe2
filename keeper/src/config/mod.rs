//! What an operator writes down: one TOML file, over it environment variables, over them flags. Unknown keys are refused in
//! all three, and secrets are in none of them, only where to find them.

mod layers;
mod secret;
mod shape;

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use alloy_primitives::Address;
use serde::Deserialize;

use crate::{
    api::ApiConfig,
    chain::{ChainError, Nodes},
    sender::FeeModel,
    store::StoreConfig,
};

pub use layers::{ENVIRONMENT, keys};
pub use secret::{KeyRef, Keys, SecretRef};
pub use shape::Shape;

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
    /// Where bundles are kept, and how long.
    #[serde(default)]
    pub bundles: BundlesConfig,
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
    /// The HTTP API.
    #[serde(default)]
    pub api: ApiConfig,
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
    /// Whether questions are signed with the attest key, so that peers do not take this keeper for a stranger; if left out,
    /// they are where that key is in this process.
    pub sign: Option<bool>,
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self { endpoints: BTreeMap::new(), timeout_ms: 3_000, sign: None }
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

/// Where epoch bundles are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BundlesConfig {
    /// `file:///…`, with the feature `s3` `s3://bucket/prefix`, with `gcs` `gs://bucket/prefix`; the folder `bundles` in `data_dir` if left out.
    pub url: Option<String>,
    /// Bundles so many epochs before the last active report are forgotten. They must outlive every window in which a report
    /// can be disputed or claimed from, and the time in which its signers can be slashed for it.
    pub keep_epochs: u64,
}

impl Default for BundlesConfig {
    fn default() -> Self {
        // 90 days of an hour: beyond the 14 days of unbonding, and the 24 epochs that a pot is carried, many times.
        Self { url: None, keep_epochs: 2_160 }
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

/// What flags replace in file and environment.
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
    /// `--set`: dotted keys with their values.
    pub set: Vec<(String, String)>,
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
    /// A variable or a flag names a key that does not exist, or holds a value of the wrong kind.
    #[error("[K-CONFIG-5] {place}: {reason}")]
    Layer {
        /// Variable or flag.
        place: String,
        /// What is wrong.
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
    /// Reads the file, lays the environment's `TANDEM_KEEPER__…` and `overrides` over it and checks the ranges.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
        // Variables that are not text are none of ours.
        let environment =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        layers::load(path, &text, environment, overrides)
    }

    /// As [`Self::load`], from text and without an environment.
    pub fn parse(text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::parse_in(text, &[], overrides)
    }

    /// As [`Self::load`], from text and with this environment.
    pub fn parse_in(text: &str, environment: &[(&str, &str)], overrides: &Overrides) -> Result<Self, ConfigError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers::load(Path::new("configuration"), text, environment, overrides)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bound = |name, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::OutOfRange { name, reason: format!("{value} is not between {low} and {high}") })
        };
        for (name, value, low, high) in self.api.ranges() {
            bound(name, value, low, high)?;
        }
        bound("poll_ms", self.poll_ms, 50, 60_000)?;
        bound("jobs.rounds", u64::from(self.jobs.rounds), 1, 1_000)?;
        bound("jobs.lease_s", self.jobs.lease_s, 1, 3_600)?;
        bound("jobs.max_attempts", u64::from(self.jobs.max_attempts), 1, 100)?;
        bound("bundles.keep_epochs", self.bundles.keep_epochs, 48, 1_000_000)?;
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

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9_400))
}

fn default_poll_ms() -> u64 {
    1_000
}
