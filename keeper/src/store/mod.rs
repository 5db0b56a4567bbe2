//! What the keeper remembers, behind one trait. The chain is the truth: everything here is either signed by somebody or
//! can be derived again, but what was receipted, decided or signed must not be forgotten.
//!
//! [`SqliteStore`] is one machine's file, [`PostgresStore`] serves several processes of one operator, [`MemoryStore`]
//! forgets with its process and serves simulations. One suite of tests holds for all. What the first two tell their databases
//! alike is in `sql/`, which each of them compiles.

mod ballots;
mod bounded;
mod config;
mod error;
mod jobs;
mod lease;
mod memory;
mod outbox;
mod postgres;
mod sqlite;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use serde::Serialize;
use tandem_protocol::{
    api::{Attestation, Proposal},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

pub use ballots::Ballots;
pub use bounded::Bounded;
pub use config::{Opened, StoreConfig, migrate, open};
pub use error::StoreError;
pub use jobs::{DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, MAX_PENDING};
pub use lease::{Fence, Lease, Leases};
pub use memory::MemoryStore;
pub use outbox::{NewTx, Outbox, OutboxTx, TxAttempt, TxState};
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Stored, or stored before: a receipt may be given.
    Stored,
    /// A later one is held.
    Stale {
        /// Its sequence number.
        last: u32,
    },
    /// Another commit with this number is held; both are kept as evidence.
    Equivocation,
    /// The validator has sent too many.
    TooMany,
}

/// Commits of one validator, subnet and epoch beyond which no more are taken.
pub const MAX_COMMITS: i64 = 64;

/// Evidence of one kind against one party in one epoch beyond which no more is kept: enough to prove the fault.
const MAX_EVIDENCE: i64 = 16;

/// A stored reveal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReveal {
    /// The row.
    pub reveal: Reveal,
    /// Why it does not count, if it does not.
    pub fault: Option<String>,
}

/// Two contradicting statements by one party, or one that came too late.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// `double_commit`, `commit_against_chain`, `double_proposal`, `double_vote`, `double_attestation` or `late_result`.
    pub kind: String,
    /// Who.
    pub subject: Address,
    /// Epoch.
    pub epoch: u64,
    /// The statements as JSON.
    pub statements: String,
}

/// What may be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Commits, reveals, proposals, decisions, attestations and evidence of epochs before this one.
    pub before_epoch: u64,
    /// Transactions that are done and whose newest form was signed before, milliseconds of the keeper's clock.
    pub signed_before_ms: u64,
    /// At most so many rows of each kind at a time.
    pub limit: u32,
}

/// The keeper's memory: what validators and keepers said and what was decided. Its jobs are [`Jobs`]', its transactions
/// [`Outbox`]'s, and who may write is [`Leases`]' to say.
#[async_trait]
pub trait Store: Ballots + Jobs + Outbox + Leases + Send + Sync {
    /// Takes a commit whose signature was checked.
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError>;

    /// Notes a commit that stands on chain. If its validator has sent another one of that number here, the two are evidence;
    /// answers whether that is so.
    async fn put_commit_on_chain(&self, on_chain: &WeightsCommit) -> Result<bool, StoreError>;

    /// Takes a reveal that its validator signed; a better one replaces the one that is there.
    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError>;

    /// Reveals of an epoch, ascending by (netuid, validator).
    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError>;

    /// Takes a checked proposal. A second one by the same keeper for the same round with other rows is evidence. Fenced.
    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError>;

    /// Proposals for an epoch and attempt, ascending by round.
    async fn proposals(&self, epoch: u64, attempt: u32) -> Result<Vec<Proposal>, StoreError>;

    /// Decides for a list's content; the first decision stands and is answered. Fenced.
    async fn choose(&self, epoch: u64, attempt: u32, content: B256) -> Result<B256, StoreError>;

    /// What was decided for.
    async fn chosen(&self, epoch: u64, attempt: u32) -> Result<Option<B256>, StoreError>;

    /// Takes a checked attestation; answers whether it is new. A second one by the same keeper for another report is
    /// evidence.
    async fn put_attestation(&self, attestation: &Attestation) -> Result<bool, StoreError>;

    /// Attestations of an epoch, all attempts, ascending by attempt and keeper.
    async fn attestations(&self, epoch: u64) -> Result<Vec<Attestation>, StoreError>;

    /// Last epoch that `keeper` attested.
    async fn last_attested(&self, keeper: Address) -> Result<Option<u64>, StoreError>;

    /// Evidence of an epoch, ascending by kind and subject.
    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError>;

    /// Forgets one batch of what is old; answers how many rows, so that 0 says that nothing is left to forget.
    async fn prune(&self, retention: Retention) -> Result<u64, StoreError>;

    /// Writes what is left and closes.
    async fn close(&self);
}

/// What becomes of a commit beside what is held of its validator, subnet and epoch: the last sequence number, the count,
/// and the hash under the same number.
fn judge_commit(commit: &WeightsCommit, last: Option<u32>, count: i64, same: Option<B256>) -> CommitOutcome {
    match (same, last) {
        (Some(held), _) if held == commit.commitHash => CommitOutcome::Stored,
        (Some(_), _) => CommitOutcome::Equivocation,
        (None, Some(last)) if commit.seq < last => CommitOutcome::Stale { last },
        (None, _) if count >= MAX_COMMITS => CommitOutcome::TooMany,
        (None, _) => CommitOutcome::Stored,
    }
}

fn note_evidence(kind: &'static str, subject: Address, epoch: u64) {
    tracing::warn!(kind, %subject, epoch, "kept as evidence");
    metrics::counter!(crate::telemetry::EVIDENCE).increment(1);
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Malformed { what: "message", reason: error.to_string() })
}

fn int(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(value))
}

fn uint(value: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|error| StoreError::Malformed { what, reason: error.to_string() })
}
