//! A store whose answers are waited for so long and no longer. A server's own time-outs are of no use against a machine or
//! a network that falls silent: the connection looks alive for a quarter of an hour.

use std::time::Duration;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use tandem_protocol::{
    api::{Attestation, AuditCount, JobFailure, JobResult, Proposal, Vote},
    jobs::Job,
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use super::{
    Ballots, CommitOutcome, DeadJob, Evidence, Fence, JobDepths, JobOutcome, Jobs, Lease, LeaseQuery, LeasedJob,
    Leases, NewTx, Outbox, OutboxTx, Retention, Store, StoreError, StoredReveal, TxAttempt, TxState,
};
use crate::guard::{Register, Slot};

/// A store with a limit to each call.
#[derive(Debug)]
pub struct Bounded<S> {
    store: S,
    limit: Duration,
}

impl<S> Bounded<S> {
    /// Waits for `limit` at most. What a call that was given up has begun is rolled back; whether its last word still
    /// reached the server is open, as with any lost connection.
    pub fn new(store: S, limit: Duration) -> Self {
        Self { store, limit }
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.limit, call).await.unwrap_or(Err(StoreError::Silent(self.limit)))
    }
}

/// Implements the methods of a trait by those of the store within.
macro_rules! bounded {
    ($trait:ident { $(fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)* } $($rest:item)*) => {
        #[async_trait]
        impl<S: $trait + Send + Sync> $trait for Bounded<S> {
            $(
                async fn $name(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                    self.within(self.store.$name($($argument),*)).await
                }
            )*
            $($rest)*
        }
    };
}

bounded!(Jobs {
    fn add_jobs(epoch: u64, jobs: &[(Address, Vec<Job>)]) -> u64;
    fn prune_jobs(before: u64) -> u64;
    fn lease_jobs(query: LeaseQuery) -> Vec<LeasedJob>;
    fn extend_lease(validator: Address, job: B256, attempt: u32, now_ms: u64, until_ms: u64) -> bool;
    fn complete_job(validator: Address, result: &JobResult, now_ms: u64) -> JobOutcome;
    fn fail_job(validator: Address, failure: &JobFailure, now_ms: u64) -> JobOutcome;
    fn bury_jobs(epoch: u64, now_ms: u64, max_attempts: u32) -> u64;
    fn dead_jobs(epoch: u64, limit: u16) -> Vec<DeadJob>;
    fn job_depths(epoch: u64, now_ms: u64) -> JobDepths;
    fn audits(epoch: u64) -> Vec<AuditCount>;
});

bounded!(Outbox {
    fn put_tx(tx: &NewTx) -> i64;
    fn put_attempt(id: i64, attempt: &TxAttempt) -> ();
    fn set_tx_state(id: i64, state: TxState) -> ();
    fn open_txs(sender: Address) -> Vec<OutboxTx>;
});

bounded!(Register {
    fn reserve(slot: Slot, digest: B256) -> B256;
    fn reserved(chain_id: u64, contract: Address, from_epoch: u64) -> Vec<(Slot, B256)>;
});

bounded!(Leases {
    fn acquire(name: &str, holder: B256, ttl: Duration, now_ms: u64) -> Option<Lease>;
    fn renew(lease: &Lease, ttl: Duration, now_ms: u64) -> bool;
    fn release(lease: &Lease) -> ();
}
fn fence(&self, fence: Fence) {
    self.store.fence(fence);
});

bounded!(Ballots {
    fn put_list(epoch: u64, content: B256, reveals: &[Reveal]) -> ();
    fn list(epoch: u64, content: B256) -> Option<Vec<Reveal>>;
    fn put_vote(vote: &Vote, contradicting: bool) -> bool;
    fn votes(epoch: u64, attempt: u32) -> Vec<Vote>;
});

bounded!(Store {
    fn put_commit(commit: &Signed<WeightsCommit>) -> CommitOutcome;
    fn put_commit_on_chain(on_chain: &WeightsCommit) -> bool;
    fn put_reveal(reveal: &Reveal, fault: Option<&str>) -> ();
    fn reveals(epoch: u64) -> Vec<StoredReveal>;
    fn put_proposal(proposal: &Proposal) -> ();
    fn proposals(epoch: u64, attempt: u32) -> Vec<Proposal>;
    fn choose(epoch: u64, attempt: u32, content: B256) -> B256;
    fn chosen(epoch: u64, attempt: u32) -> Option<B256>;
    fn put_attestation(attestation: &Attestation) -> bool;
    fn attestations(epoch: u64) -> Vec<Attestation>;
    fn last_attested(keeper: Address) -> Option<u64>;
    fn evidence(epoch: u64) -> Vec<Evidence>;
    fn prune(retention: Retention) -> u64;
}
async fn close(&self) {
    let _ = tokio::time::timeout(self.limit, self.store.close()).await;
});
