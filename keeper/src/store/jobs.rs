//! Jobs and their leases. `attempt` is the fencing token: it rises with each lease, and only its holder is heard.
//!
//! A worker's name or a secret per lease would add nothing to it: requests are signed with the validator's key, so
//! whoever could show another worker's attempt is the same party, and its first result counts either way. Attempts that
//! come up twice after a restored backup lead to the same: one result is applied, the others are evidence.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use tandem_protocol::{
    api::{AuditCount, AuditOutcome, JobFailure, JobResult, Verdict},
    jobs::Job,
};

use super::StoreError;

/// A job that was given back for the first time is handed out again after so long, then after four times as long each
/// time: a contributor that is away for a moment must not use up all attempts within it.
const BACK_OFF_MS: u64 = 500;
/// And no later than this.
const MAX_BACK_OFF_MS: u64 = 60_000;
/// Jobs of one epoch without a result beyond which no more are added, if nothing else is said: four times the largest
/// network with one validator per subnet.
pub const MAX_PENDING: u64 = 1 << 20;
/// Reason of a job whose workers never said anything.
pub(super) const SILENT: &str = "every lease ran out without a word";
/// Rows of one statement or transaction, where there are many.
pub(super) const BATCH: usize = 4_096;

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

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadJob {
    /// Whose.
    pub validator: Address,
    /// Job.
    pub job: Job,
    /// Leases it had.
    pub attempts: u32,
    /// The last reason that a worker gave.
    pub reason: String,
}

/// How many jobs of an epoch stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobDepths {
    /// To be had.
    pub open: u64,
    /// With a worker, or given back a moment ago.
    pub leased: u64,
    /// With a result.
    pub done: u64,
    /// Given up.
    pub dead: u64,
}

impl JobDepths {
    /// Where jobs of a stored state are counted.
    pub(super) fn slot(&mut self, state: &str, leased: bool) -> Result<&mut u64, StoreError> {
        match state {
            "open" if leased => Ok(&mut self.leased),
            "open" => Ok(&mut self.open),
            "done" => Ok(&mut self.done),
            "dead" => Ok(&mut self.dead),
            _ => Err(StoreError::Malformed { what: "state", reason: state.to_owned() }),
        }
    }
}

/// Memory of the audits.
#[async_trait]
pub trait Jobs {
    /// Adds jobs by validator, of one epoch; those that are there stay as they are. Answers how many are new. Beyond the
    /// limit of jobs that wait none is added, and that is an error; those before stay.
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError>;

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

    /// Gives up the jobs of an epoch that were leased `max_attempts` times and are with nobody; answers how many.
    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError>;

    /// Jobs of an epoch that were given up, by job, at most `limit`.
    async fn dead_jobs(&self, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError>;

    /// How many jobs of an epoch stand where.
    async fn job_depths(&self, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError>;

    /// Results of an epoch by contributor, ascending.
    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError>;
}

/// What decides over a worker's word, in any store.
pub(super) struct Held {
    pub(super) epoch: u64,
    pub(super) attempt: u32,
    pub(super) dead: bool,
    pub(super) result: Option<AuditOutcome>,
}

impl Held {
    /// From what databases hold.
    pub(super) fn new(epoch: u64, attempt: u32, state: &str, result: Option<String>) -> Result<Self, StoreError> {
        let result = result.map(|text| serde_json::from_str(&text)).transpose();
        let result = result.map_err(|error| StoreError::Malformed { what: "result", reason: error.to_string() })?;
        Ok(Self { epoch, attempt, dead: state == "dead", result })
    }

    /// A lease that ran out but was not given to anybody else is still the only one there is.
    pub(super) fn on_result(&self, result: &JobResult) -> JobOutcome {
        if self.result.as_ref() == Some(&result.outcome) {
            return JobOutcome::Duplicate;
        }
        self.on_word(result.attempt)
    }

    pub(super) fn on_word(&self, attempt: u32) -> JobOutcome {
        let current = attempt != 0 && self.attempt == attempt;
        if current && !self.dead && self.result.is_none() { JobOutcome::Applied } else { JobOutcome::Late }
    }
}

/// A worker's words as every database takes them: PostgreSQL holds no NUL in a text.
pub(super) fn storable(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
}

/// `0.5 s · 4^(attempt − 1)`, capped.
pub(super) fn back_off_ms(attempt: u32) -> u64 {
    BACK_OFF_MS.saturating_mul(4u64.saturating_pow(attempt.saturating_sub(1))).min(MAX_BACK_OFF_MS)
}

/// Places in [`AuditCount::verdicts`].
pub(super) fn verdict_number(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::HardFault => 2,
        Verdict::Unavailable => 3,
    }
}

/// Sums up (netuid, uid, verdict, count, tokens), ascending.
pub(super) fn count_audits(
    rows: impl IntoIterator<Item = Result<(u16, u16, u8, u32, u64), StoreError>>,
) -> Result<Vec<AuditCount>, StoreError> {
    let mut counts: Vec<AuditCount> = Vec::new();
    for row in rows {
        let (netuid, uid, verdict, count, tokens) = row?;
        if counts.last().is_none_or(|last| (last.netuid, last.uid) != (netuid, uid)) {
            counts.push(AuditCount { netuid, uid, verdicts: [0; 4], tokens_audited: 0 });
        }
        if let Some(last) = counts.last_mut() {
            let slot = last
                .verdicts
                .get_mut(usize::from(verdict))
                .ok_or_else(|| StoreError::Malformed { what: "verdict", reason: format!("{verdict} is no verdict") })?;
            *slot += count;
            last.tokens_audited += tokens;
        }
    }
    Ok(counts)
}

/// How many of `wanted` jobs fit, and the error if not all of them do.
pub(super) fn room(epoch: u64, pending: u64, max: u64, wanted: u64) -> (u64, Option<StoreError>) {
    let room = max.saturating_sub(pending).min(wanted);
    let full = StoreError::Full { epoch, pending: pending + room, max };
    (room, (room < wanted).then_some(full))
}
