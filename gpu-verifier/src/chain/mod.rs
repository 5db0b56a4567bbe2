//! What node and worker need of the chain, behind one trait, so that tests can bring their own.

mod batch;
mod manifest;
mod rpc;

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use tandem_protocol::payment::{Rate, Tokens};
use thiserror::Error;

pub use batch::Batch;
pub use manifest::{ManifestError, Network};
pub use rpc::RpcChain;

/// Why the chain did not answer. None of these says anything about a contributor or a client.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The endpoint is unreachable or answered nonsense.
    #[error("chain: {0}")]
    Rpc(String),
    /// A transaction reverted or would revert.
    #[error("{what} reverts: {reason}")]
    Reverted {
        /// What was tried.
        what: &'static str,
        /// The contract's reason.
        reason: String,
    },
    /// A transaction was sent and not mined in time. It may still be.
    #[error("transaction {0} was not mined in time")]
    NotMined(B256),
    /// Nothing was configured to send transactions with.
    #[error("no key to send transactions with")]
    NoKey,
    /// The endpoint serves another chain, or a contract is not there.
    #[error("{0}")]
    WrongNetwork(String),
}

/// The newest block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Number.
    pub number: u64,
    /// Timestamp, seconds since 1970.
    pub time: u64,
}

/// A registered neuron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neuron {
    /// Earns.
    pub owner: Address,
    /// Signs commitments.
    pub hotkey: Address,
    /// Where it serves, as it says; anything up to 256 bytes.
    pub endpoint: String,
}

/// A payment channel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Channel {
    /// Whose credits these are.
    pub payer: Address,
    /// Who earns.
    pub contributor: Address,
    /// Whose vouchers count.
    pub session_key: Address,
    /// Subnet.
    pub netuid: u16,
    /// Neuron.
    pub uid: u16,
    /// End of the channel's life, seconds.
    pub expiry: u64,
    /// Credits that it was opened with, base units.
    #[serde(with = "tandem_protocol::api::decimal")]
    pub capacity: u128,
    /// Credits settled so far.
    #[serde(with = "tandem_protocol::api::decimal")]
    pub settled: u128,
}

/// A channel to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewChannel {
    /// Subnet.
    pub netuid: u16,
    /// Neuron.
    pub uid: u16,
    /// Credits, base units.
    pub amount: u128,
    /// End of its life, seconds.
    pub expiry: u64,
    /// Who signs vouchers.
    pub session_key: Address,
}

/// The chain as node and worker see it. Reads are of the newest block.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The newest block.
    async fn head(&self) -> Result<Head, ChainError>;

    /// Hash of the last block before `time` (seconds); `None` if even the first block is not. An error as long as the newest
    /// block is before `time`, since another one may follow.
    async fn last_block_before(&self, time: u64) -> Result<Option<B256>, ChainError>;

    /// The newest version of a model's rate that may be used now; `None` for a model that has none.
    async fn rate(&self, model: B256) -> Result<Option<Rate>, ChainError>;

    /// A neuron; `None` if there is none.
    async fn neuron(&self, netuid: u16, uid: u16) -> Result<Option<Neuron>, ChainError>;

    /// The uid of a hotkey in a subnet.
    async fn uid_of(&self, netuid: u16, hotkey: Address) -> Result<Option<u16>, ChainError>;

    /// Whether a hotkey had a uid in a subnet as of the epoch's start. One that was evicted since still counts in that epoch.
    async fn had_uid(&self, netuid: u16, hotkey: Address, epoch: u64) -> Result<bool, ChainError>;

    /// The keepers of an epoch, ascending.
    async fn keepers(&self, epoch: u64) -> Result<Vec<Address>, ChainError>;

    /// A channel; `None` if there is none.
    async fn channel(&self, id: U256) -> Result<Option<Channel>, ChainError>;

    /// Channels that `payer` opened to `contributor`, newest first, as far back as is quick to search.
    async fn channels_between(&self, payer: Address, contributor: Address) -> Result<Vec<U256>, ChainError>;

    /// Opens a channel with the sending key's credits; returns its id.
    async fn open_channel(&self, channel: NewChannel) -> Result<U256, ChainError>;

    /// Tokens that the voucher named which a channel was settled with last; none before the first. An error if that is too long ago to
    /// be found quickly.
    async fn settled_tokens(&self, id: U256) -> Result<Tokens, ChainError>;

    /// Settles vouchers in one transaction, and returns its hash. Those that do not settle are skipped by the contract.
    async fn settle(&self, batch: Batch<'_>) -> Result<B256, ChainError>;
}
