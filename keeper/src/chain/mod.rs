//! What the keeper reads from the chain, as plain values behind one trait, so that everything above it can be driven by a
//! chain in memory.

mod blocks;
mod logs;
mod nodes;
mod outages;
mod rpc;
mod schedule;

use std::{collections::BTreeMap, ops::RangeInclusive};

use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use tandem_protocol::{
    bundle::{Hyperparameters, NeuronInput},
    reveal::Reveal,
};

pub use logs::is_committed;
pub use nodes::{Nodes, is_execution_error};
pub use rpc::RpcChain;
pub use schedule::{Deadlines, Schedule};

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Timestamp, seconds since 1970.
    pub time: u64,
}

/// The newest block and the newest final one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Newest.
    pub latest: BlockRef,
    /// Newest that counts as final.
    pub last_final: BlockRef,
}

/// Two consecutive blocks so far apart that deadlines between them move by the time between them, once that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last block before.
    pub earlier: BlockRef,
    /// The first one after.
    pub later: BlockRef,
}

/// What shows a [`Gap`] to the contract that records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapProof {
    /// `Outages`.
    pub contract: Address,
    /// RLP of the header of the last block before.
    pub earlier: Bytes,
    /// RLP of the header of the first one after.
    pub later: Bytes,
}

/// The keeper set of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperSetFacts {
    /// Keepers, ascending.
    pub keepers: Vec<Address>,
    /// Their base URLs, beside them; possibly empty.
    pub endpoints: Vec<String>,
    /// Signatures that a report and receipts that a commit needs.
    pub threshold: usize,
    /// Digest of the set.
    pub config_digest: B256,
}

/// A neuron with what only audits need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeuronFacts {
    /// Keys, time of registration and weight as of the epoch's start.
    pub input: NeuronInput,
    /// Where it serves; empty if it does not.
    pub endpoint: String,
}

/// A subnet as of an epoch's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetFacts {
    /// Subnet.
    pub netuid: u16,
    /// Owner.
    pub owner: Address,
    /// Parameters.
    pub hyperparameters: Hyperparameters,
    /// Neurons by uid as of the epoch's start.
    pub neurons: Vec<NeuronFacts>,
}

impl SubnetFacts {
    /// Hotkeys by uid.
    pub fn hotkeys(&self) -> Vec<Address> {
        self.neurons.iter().map(|neuron| neuron.input.hotkey).collect()
    }

    /// Neurons with stake, by uid.
    pub fn validators(&self) -> impl Iterator<Item = (u16, &NeuronFacts)> {
        (0..=u16::MAX).zip(&self.neurons).filter(|(_, neuron)| neuron.input.stake > 0)
    }

    /// The validators that may hold a permit: those of the `max_validators` largest stakes, the higher uid first among
    /// equals, as [`tandem_protocol::outcome`] chooses them.
    pub fn permitted(&self) -> Vec<(u16, &NeuronFacts)> {
        let mut validators: Vec<_> = self.validators().collect();
        validators.sort_unstable_by_key(|(uid, neuron)| std::cmp::Reverse((neuron.input.stake, *uid)));
        validators.truncate(usize::from(self.hyperparameters.max_validators));
        validators
    }
}

/// Everything that holds for an epoch from its start on `[SN-2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochFacts {
    /// Epoch.
    pub epoch: u64,
    /// The block at which this was read; while it is canonical, so is this.
    pub read_at: BlockRef,
    /// The epoch's randomness, see [`tandem_protocol::jobs::beacon`].
    pub beacon: B256,
    /// Keepers.
    pub keeper_set: KeeperSetFacts,
    /// Seconds for which a new registration cannot be evicted.
    pub neuron_immunity: u64,
    /// Subnets, ascending by netuid.
    pub subnets: Vec<SubnetFacts>,
    /// Commits that the chain holds, which count without receipts. Complete only if asked for after the commit deadline,
    /// by [`ChainReader::on_chain`]; [`ChainReader::facts`] leaves it empty.
    pub committed: CommittedRows,
}

/// By subnet and validator, sequence number and hash of its last commit on chain.
pub type CommittedRows = BTreeMap<(u16, Address), (u32, B256)>;

/// What validators put on chain in an epoch because keepers would not take it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnChain {
    /// Hashes of all commits, by subnet, validator and sequence number.
    pub commits: BTreeMap<(u16, Address, u32), B256>,
    /// Rows that open them, ascending by subnet and validator; without signature and receipts, which the chain stands for.
    pub reveals: Vec<Reveal>,
}

impl OnChain {
    /// The last commit of each validator in each subnet, which alone counts.
    pub fn committed(&self) -> CommittedRows {
        self.commits.iter().map(|(&(netuid, validator, seq), &hash)| ((netuid, validator), (seq, hash))).collect()
    }
}

impl EpochFacts {
    /// The subnet, if it exists in this epoch.
    pub fn subnet(&self, netuid: u16) -> Option<&SubnetFacts> {
        self.subnets.iter().find(|subnet| subnet.netuid == netuid)
    }
}

/// A report that the oracle's chain of reports names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRef {
    /// Epoch.
    pub epoch: u64,
    /// Struct hash of the report.
    pub hash: B256,
}

/// Where a report stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportStatus {
    /// Never posted.
    #[default]
    None,
    /// Posted, waiting.
    Pending,
    /// Its root pays.
    Active,
    /// Vetoed or disproved.
    Void,
}

/// Oracle, controller and desk at one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OracleState {
    /// First epoch that is not settled.
    pub settled_through: u64,
    /// Last posted report that is not void.
    pub last_posted: Option<ReportRef>,
    /// Last active report.
    pub last_active: Option<ReportRef>,
    /// The pending report that is next in turn, and from when on it can become active.
    pub next_activation: Option<(u64, u64)>,
    /// Subnets whose margin of the first epoch that is not settled still waits at the desk.
    pub held_margin: Vec<u16>,
}

/// What the oracle holds for one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredReport {
    /// Number that the next report of this epoch must carry.
    pub attempt: u32,
    /// State of the last one.
    pub status: ReportStatus,
    /// Its struct hash; zero if there is none.
    pub hash: B256,
    /// Chain time of its posting; zero if there is none.
    pub posted_at: u64,
}

/// What posting a report left in the chain's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostedReport {
    /// Name of the bundle.
    pub bundle_hash: B256,
    /// Root of the rewards.
    pub rewards_root: B256,
}

/// What a settled span of epochs granted to a subnet, base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Alpha, 18 decimals.
    pub alpha: u128,
    /// USDC, 6 decimals.
    pub usdc: u128,
}

/// Why the chain could not be read. Always worth another try.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The node did not answer, or answered with an error.
    #[error("[K-CHAIN-2] {what}: {reason}")]
    Rpc {
        /// Which read.
        what: &'static str,
        /// The node's words.
        reason: String,
    },
    /// The node has no such block: pruned, dropped by a reorganisation, or not there yet.
    #[error("[K-CHAIN-3] the node does not know block {0}")]
    NoBlock(String),
    /// A value that the contracts cannot hold.
    #[error("[K-CHAIN-4] {0}")]
    Impossible(String),
    /// No quorum of nodes says the same.
    #[error("[K-CHAIN-5] {0}")]
    Disagreement(String),
}

/// Reads of one network. Every method asks the chain anew.
#[async_trait]
pub trait ChainReader: Send + Sync {
    /// The heads of the chain.
    async fn heads(&self) -> Result<Heads, ChainError>;

    /// Whether the block is part of the chain as the node sees it now.
    async fn is_canonical(&self, block: &BlockRef) -> Result<bool, ChainError>;

    /// The last block with a timestamp before `time`, no later than `head`; `None` if all blocks are later.
    async fn last_block_before(&self, time: u64, head: &BlockRef) -> Result<Option<BlockRef>, ChainError>;

    /// What holds for `epoch`, read at block `at` (by hash). Endpoints are those of the last block before the epoch.
    async fn facts(&self, epoch: u64, at: &BlockRef) -> Result<EpochFacts, ChainError>;

    /// Deadlines of `epoch` as recorded gaps of blocks have moved them by block `at` (by hash); `None` on a chain that does
    /// not move any, which is the default.
    async fn deadlines(&self, _epoch: u64, _at: &BlockRef) -> Result<Option<Deadlines>, ChainError> {
        Ok(None)
    }

    /// Gaps between consecutive blocks from block number `after` on up to `head` that are long enough to be recorded, whether
    /// they are or not, ascending. On a chain that moves no deadlines, none, which is the default.
    async fn gaps(&self, _after: u64, _head: &BlockRef) -> Result<Vec<Gap>, ChainError> {
        Ok(Vec::new())
    }

    /// Whether a gap is recorded at block `at` (by hash).
    async fn is_recorded(&self, _gap: &Gap, _at: &BlockRef) -> Result<bool, ChainError> {
        Ok(true)
    }

    /// What shows a gap to the contract.
    async fn proof_of(&self, _gap: &Gap) -> Result<GapProof, ChainError> {
        Err(ChainError::Impossible("no deadline of this network moves".to_owned()))
    }

    /// What was committed and revealed for `epoch` on chain up to block `at`. On a chain without that way, nothing, which is
    /// the default.
    async fn on_chain(&self, _epoch: u64, _at: &BlockRef) -> Result<OnChain, ChainError> {
        Ok(OnChain::default())
    }

    /// Those among the last `count` epochs whose posted report bears a signature of `keeper`, ascending, as far as the node
    /// still has the transactions. On a chain that cannot tell, none, which is the default.
    async fn signed_epochs(&self, _keeper: Address, _count: u64) -> Result<Vec<u64>, ChainError> {
        Ok(Vec::new())
    }

    /// State of oracle and controller at block `at` (by hash).
    async fn oracle_state(&self, at: &BlockRef) -> Result<OracleState, ChainError>;

    /// What the oracle holds for `epoch` at block `at` (by hash).
    async fn stored_report(&self, epoch: u64, at: &BlockRef) -> Result<StoredReport, ChainError>;

    /// The log of a report's posting.
    async fn posted_report(
        &self,
        epoch: u64,
        stored: &StoredReport,
        head: &BlockRef,
    ) -> Result<Option<PostedReport>, ChainError>;

    /// Sums of the grants of settled epochs by netuid; they are written once, so any block at which they are settled will do.
    async fn granted(&self, epochs: RangeInclusive<u64>, netuids: &[u16])
    -> Result<BTreeMap<u16, Granted>, ChainError>;
}

/// The words of an error without any URL in them: that of a node usually holds an API key, which no log may show.
pub fn without_urls(error: &impl std::fmt::Display) -> String {
    let words = error.to_string();
    let mut shown = String::with_capacity(words.len());
    let mut rest = words.as_str();
    while let Some(at) = rest.find("://") {
        let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let ends_url =
            |letter: char| letter.is_whitespace() || matches!(letter, ')' | '"' | '\'' | '`' | '>' | ']' | '}');
        let start = rest[..at].trim_end_matches(is_scheme).len();
        shown.push_str(&rest[..start]);
        shown.push_str("[url]");
        rest = rest[at..].find(ends_url).map_or("", |length| &rest[at + length..]);
    }
    shown.push_str(rest);
    shown
}
