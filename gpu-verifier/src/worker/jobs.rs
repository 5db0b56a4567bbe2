//! Leasing audits, doing them, handing in what was found. Keepers are not trusted: which audits are owed follows from the
//! chain, and a keeper that has nothing to do, or makes things up, loses its turn.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::B256;
use metrics::{counter, histogram};
use tandem_protocol::api::{AuditOutcome, JobExtension, JobFailure, JobResult, Lease, LeaseRequest};
use tandem_protocol::jobs::{self, Job};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Worker;
use crate::chain::Head;

/// How long a keeper may hold a request when there is nothing to do.
const WAIT_MS: u64 = 5_000;
/// Between two requests when there was nothing, or nobody.
const PAUSE: Duration = Duration::from_millis(500);
/// Audits under way are given so long at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// A lease is extended at least so often, whatever the keeper's clock says about its end.
const EXTEND: Duration = Duration::from_secs(2);
/// Audits of one contributor that a validator may owe in an epoch.
const MAX_ROUNDS: u32 = 64;
/// Pauses, in seconds, between attempts at an audit that fails by this worker's own trouble. The lease is kept meanwhile, so
/// that trouble that passes costs none of the job's attempts.
const TROUBLE_PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 30];
/// A beacon that a keeper contradicts is read again if it is older than this: the chain may have been reorganised.
const REREAD: Duration = Duration::from_secs(2);

/// Why a job is given back. A keeper is told no more than this: errors in words name endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setback {
    /// The job is not owed.
    Refused(&'static str),
    /// It could not be done.
    Trouble,
}

impl Setback {
    const fn reason(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason,
            Self::Trouble => "the worker could not do the audit",
        }
    }
}

/// What the audits of one run share.
struct Shift {
    worker: Arc<Worker>,
    head: watch::Receiver<Head>,
    /// An epoch, its beacon, and when it was read.
    beacon: Mutex<Option<(u64, B256, Instant)>>,
    /// Jobs under way; another keeper's lease of one waits for its result.
    busy: SyncMutex<BTreeSet<B256>>,
}

/// A job under way until this is dropped.
struct Busy<'a> {
    shift: &'a Shift,
    job: B256,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.shift.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.job);
    }
}

/// Leases and works until `ending`.
pub(super) async fn run(worker: Arc<Worker>, head: watch::Receiver<Head>, ending: CancellationToken) {
    let places = Arc::new(Semaphore::new(usize::from(worker.settings.concurrency.max(1))));
    let tasks = TaskTracker::new();
    let shift = Arc::new(Shift { worker, head, beacon: Mutex::default(), busy: SyncMutex::default() });
    let busy = lease(&shift, &places, &tasks);
    tokio::select! { () = busy => {}, () = ending.cancelled() => {} }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("left audits behind; their leases will expire");
    }
}

async fn lease(shift: &Arc<Shift>, places: &Arc<Semaphore>, tasks: &TaskTracker) {
    let keepers = &shift.worker.keepers;
    // Which jobs are owed cannot be told before the chain's time is known.
    let mut head = shift.head.clone();
    if head.wait_for(|head| head.time > 0).await.is_err() {
        return;
    }
    loop {
        // One place is taken before asking, so that a lease never waits for one.
        let Ok(first) = places.clone().acquire_owned().await else { return };
        let max_jobs = (places.available_permits() + 1).min(64) as u16;
        let keeper = keepers.current();
        let leases = match keepers.lease(keeper, &LeaseRequest { max_jobs, wait_ms: WAIT_MS }).await {
            Ok(response) => response.leases,
            Err(error) => {
                tracing::warn!(%error, "cannot lease; turning to the next keeper");
                Vec::new()
            }
        };
        if leases.is_empty() {
            // One keeper that answers with nothing must not be the only one that is asked. What another one leases a second
            // time costs nothing: results are kept by job.
            keepers.turn_from(keeper);
            drop(first);
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut place = Some(first);
        for lease in leases.into_iter().take(usize::from(max_jobs)) {
            let Some(place) = place.take().or_else(|| places.clone().try_acquire_owned().ok()) else { break };
            let shift = shift.clone();
            tasks.spawn(async move {
                shift.work(keeper, lease).await;
                drop(place);
            });
        }
    }
}

impl Shift {
    async fn work(&self, keeper: usize, lease: Lease) {
        let Self { worker, head, .. } = self;
        let Lease { job, attempt, .. } = &lease;
        let result = tokio::select! {
            result = self.outcome(&lease) => result,
            // A finding counts in this worker's row even if the keeper has given the job away.
            () = async { keep_alive(worker, keeper, &lease).await; std::future::pending().await } => return,
        };
        let until = worker.network.clock.reveal_deadline(job.epoch);
        match result {
            Ok(outcome) => {
                let result = JobResult { job: job.id, attempt: *attempt, outcome };
                deliver(head, until, || worker.keepers.complete(keeper, &result)).await;
            }
            Err(setback) => {
                let reason = setback.reason();
                tracing::warn!(netuid = job.netuid, uid = job.uid, keeper, reason, "gives a job back");
                if let Setback::Refused(_) = setback {
                    counter!("tandem_worker_jobs_refused_total").increment(1);
                    worker.keepers.turn_from(keeper);
                    tokio::time::sleep(PAUSE).await;
                }
                let failure = JobFailure { job: job.id, attempt: *attempt, reason: reason.to_owned() };
                deliver(head, until, || worker.keepers.fail(keeper, &failure)).await;
            }
        }
    }

    /// What the job's audit finds; tried again for about a minute when that fails by this worker's own trouble.
    async fn outcome(&self, lease: &Lease) -> Result<AuditOutcome, Setback> {
        let mut pauses = TROUBLE_PAUSES.into_iter();
        loop {
            let error = match self.attempt(lease).await {
                Ok(result) => return result,
                Err(error) => error,
            };
            let Job { netuid, uid, .. } = lease.job;
            tracing::warn!(netuid, uid, error = format!("{error:#}"), "an audit failed");
            counter!("tandem_worker_audits_failed_total").increment(1);
            let Some(seconds) = pauses.next() else { return Err(Setback::Trouble) };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    }

    /// What the job's audit finds, or found before a restart or under another keeper's lease. Errors are the worker's own.
    async fn attempt(&self, lease: &Lease) -> anyhow::Result<Result<AuditOutcome, Setback>> {
        let (worker, job) = (&self.worker, &lease.job);
        let _busy = self.begin(job.id).await;
        if let Some(known) = worker.store.outcome(job.id).await? {
            return Ok(Ok(known));
        }
        if let Some(reason) = self.objection(lease).await? {
            return Ok(Err(Setback::Refused(reason)));
        }
        let started = Instant::now();
        let (outcome, finding) = worker.auditor.audit(job).await?;
        worker.store.put_finding(job.id, job.epoch, job.netuid, &outcome, &finding).await?;
        histogram!("tandem_worker_audit_seconds").record(started.elapsed().as_secs_f64());
        counter!("tandem_worker_audits_total", "verdict" => format!("{:?}", outcome.verdict)).increment(1);
        tracing::info!(
            epoch = job.epoch,
            netuid = job.netuid,
            uid = job.uid,
            round = job.round,
            verdict = ?outcome.verdict,
            tokens = outcome.tokens_audited,
            detail = outcome.detail,
            "audited"
        );
        Ok(Ok(outcome))
    }

    async fn begin(&self, job: B256) -> Busy<'_> {
        loop {
            if self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(job) {
                return Busy { shift: self, job };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Why a job is not owed. A keeper that made jobs up would have this worker spend its credits and bend its row.
    async fn objection(&self, lease: &Lease) -> anyhow::Result<Option<&'static str>> {
        let (worker, Lease { job, beacon, .. }) = (&self.worker, lease);
        let now = self.head.borrow().time;
        if worker.network.clock.epoch_at(now) != Some(job.epoch) {
            return Ok(Some("the job's epoch is not now"));
        }
        if job.round >= MAX_ROUNDS {
            return Ok(Some("the job's round is too high"));
        }
        if self.beacon(job.epoch, *beacon).await? != *beacon {
            return Ok(Some("the lease's beacon is not the chain's"));
        }
        let validator = worker.hotkey.address();
        if !jobs::jobs(*beacon, validator, job.epoch, job.netuid, &[job.uid], job.round + 1).contains(job) {
            return Ok(Some("the job does not follow from the beacon"));
        }
        // Who was evicted since the epoch began still scores in it; who came since may as well begin.
        let registered = worker.chain.had_uid(job.netuid, validator, job.epoch).await?
            || worker.chain.uid_of(job.netuid, validator).await?.is_some();
        Ok((!registered).then_some("the validator has no uid in the job's subnet"))
    }

    /// The beacon of an epoch that has begun.
    async fn beacon(&self, epoch: u64, claimed: B256) -> anyhow::Result<B256> {
        let mut known = self.beacon.lock().await;
        if let Some((of, beacon, read)) = *known
            && of == epoch
            && (beacon == claimed || read.elapsed() < REREAD)
        {
            return Ok(beacon);
        }
        let last = self.worker.chain.last_block_before(self.worker.network.clock.start_of(epoch)).await?;
        let beacon = jobs::beacon(last.unwrap_or_default(), epoch);
        *known = Some((epoch, beacon, Instant::now()));
        Ok(beacon)
    }
}

/// How long to wait before a lease is extended that has so much time left by the keeper's clock.
fn extension_pause(left: Duration) -> Duration {
    (left / 2).clamp(PAUSE, EXTEND)
}

/// Extends a lease again and again; returns when it is lost.
async fn keep_alive(worker: &Worker, keeper: usize, lease: &Lease) {
    let request = JobExtension { job: lease.job.id, attempt: lease.attempt };
    let mut expires_at_ms = lease.expires_at_ms;
    loop {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        tokio::time::sleep(extension_pause(Duration::from_millis(expires_at_ms.saturating_sub(now_ms)))).await;
        match worker.keepers.extend(keeper, &request).await {
            Ok(extended) => expires_at_ms = extended.expires_at_ms,
            Err(error) if error.is_final() => {
                tracing::warn!(job = %lease.job.id, %error, "lost a lease");
                return;
            }
            Err(_) => {}
        }
    }
}

/// Sends until it is taken, refused for good, or of no use any more.
async fn deliver<T: std::fmt::Debug, F: Future<Output = Result<T, super::keepers::KeeperError>>>(
    head: &watch::Receiver<Head>,
    until: u64,
    send: impl Fn() -> F,
) {
    let mut pause = PAUSE;
    loop {
        match send().await {
            Ok(receipt) => return tracing::debug!(?receipt, "delivered"),
            Err(error) if error.is_final() || head.borrow().time >= until => {
                return tracing::warn!(%error, "cannot deliver a result");
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_extended_in_time_whatever_the_keepers_clock_says() {
        for (left_ms, pause_ms) in [(0, 500), (1_400, 700), (3_000, 1_500), (30_000, 2_000), (u64::MAX, 2_000)] {
            assert_eq!(extension_pause(Duration::from_millis(left_ms)), Duration::from_millis(pause_ms));
        }
    }
}
