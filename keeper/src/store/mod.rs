//! What the keeper remembers, behind one trait. The chain is the truth: everything here is either signed by somebody or
//! can be derived again, but what was receipted, decided or signed must not be forgotten.

mod jobs;
mod outbox;
mod sqlite;
mod sqlite_outbox;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use tandem_protocol::{
    api::{Attestation, AuditCount, JobFailure, JobResult, Proposal, Vote},
    jobs::Job,
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

pub use outbox::{NewTx, Outbox, OutboxTx, TxAttempt, TxState};
pub use sqlite::SqliteStore;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("[K-STORE-1] database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's shape could not be brought up to date.
    #[error("[K-STORE-2] migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Something in the database is not what was put there.
    #[error("[K-STORE-3] malformed {what} in the database: {reason}")]
    Malformed {
        /// Which column.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A number that the database cannot hold.
    #[error("[K-STORE-4] {0} is too large to store")]
    TooLarge(u64),
    /// A second transaction of one key.
    #[error("[K-STORE-5] a transaction of {0} is still under way")]
    InFlight(Address),
}

/// Which jobs to lease, and until when.
#[derive(Clone, Copy, Debug)]
pub struct LeaseQuery {
    /// Whose jobs.
    pub validator: Address,
    /// Of which epoch.
    pub epoch: u64,
    /// At most so many.
    pub limit: u16,
    /// The keeper's clock, milliseconds since 1970.
    pub now_ms: u64,
    /// End of the leases by that clock.
    pub until_ms: u64,
    /// Jobs leased so often are given up.
    pub max_attempts: u32,
}

/// A job with its fencing token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// Job.
    pub job: Job,
    /// Fencing token.
    pub attempt: u32,
}

/// What became of a worker's word on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// Stored and applied.
    Applied,
    /// Known already.
    Duplicate,
    /// The lease is not current, or another result is held: kept as evidence.
    Late,
    /// This validator has no such job.
    Unknown,
}

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

/// A stored reveal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReveal {
    /// The row.
    pub reveal: Reveal,
    /// Why it does not count, if it does not.
    pub fault: Option<String>,
}

/// Two contradicting statements by one party, or one that came too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// `double_commit`, `double_proposal`, `double_vote`, `double_attestation` or `late_result`.
    pub kind: String,
    /// Who.
    pub subject: Address,
    /// Epoch.
    pub epoch: u64,
    /// The statements as JSON.
    pub statements: String,
}

/// How far a stream of the chain's logs was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Number of the last block that was.
    pub number: u64,
    /// Its hash, to tell whether it is still canonical.
    pub hash: B256,
}

/// Memory of what was read of the chain's logs.
#[async_trait]
pub trait Cursors {
    /// Where the stream of that name stands.
    async fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError>;

    /// Moves it, forwards or, after a reorganisation, back.
    async fn put_cursor(&self, name: &str, cursor: Cursor) -> Result<(), StoreError>;
}

/// The keeper's memory but for its transactions, which are [`Outbox`]'s.
#[async_trait]
pub trait Store: Outbox + Cursors + Send + Sync {
    /// Adds jobs of a validator; those that are there stay as they are. Answers how many are new.
    async fn add_jobs(&self, validator: Address, jobs: &[Job]) -> Result<u64, StoreError>;

    /// Forgets the jobs of epochs before `before`; answers how many there were.
    async fn prune_jobs(&self, before: u64) -> Result<u64, StoreError>;

    /// Leases jobs that are open or whose lease has run out, in the order of their rounds.
    async fn lease_jobs(&self, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError>;

    /// Prolongs a current lease; `false` if it is not current.
    async fn extend_lease(
        &self,
        validator: Address,
        job: B256,
        attempt: u32,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Takes a result. The first one under a current lease is applied.
    async fn complete_job(&self, validator: Address, result: &JobResult, now_ms: u64)
    -> Result<JobOutcome, StoreError>;

    /// Takes a job back and opens it again after a while that grows with each attempt.
    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError>;

    /// Results of an epoch by contributor, ascending.
    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError>;

    /// Takes a commit whose signature was checked.
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError>;

    /// Takes a reveal that its validator signed; a better one replaces the one that is there.
    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError>;

    /// Reveals of an epoch, ascending by (netuid, validator).
    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError>;

    /// Takes a list of rows under its name, [`tandem_protocol::messages::rows_hash`].
    async fn put_list(&self, epoch: u64, content: B256, reveals: &[Reveal]) -> Result<(), StoreError>;

    /// The rows of a list.
    async fn list(&self, epoch: u64, content: B256) -> Result<Option<Vec<Reveal>>, StoreError>;

    /// Takes a checked proposal. A second one by the same keeper for the same round with other rows is evidence.
    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError>;

    /// Proposals for an epoch and attempt, ascending by round.
    async fn proposals(&self, epoch: u64, attempt: u32) -> Result<Vec<Proposal>, StoreError>;

    /// Takes a checked vote. If another one by the same keeper for the same round and step is held, both are evidence, and
    /// the vote is taken only if `contradicting` ones are. Answers whether it is held now.
    async fn put_vote(&self, vote: &Vote, contradicting: bool) -> Result<bool, StoreError>;

    /// Votes for an epoch and attempt, ascending by round, step and keeper.
    async fn votes(&self, epoch: u64, attempt: u32) -> Result<Vec<Vote>, StoreError>;

    /// Decides for a list's content; the first decision stands and is answered.
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

    /// Evidence of an epoch.
    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError>;

    /// Writes what is left and closes.
    async fn close(&self);
}
