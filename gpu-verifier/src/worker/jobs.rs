//! Leasing audits, doing them, handing in what was found.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, histogram};
use tandem_protocol::api::{AuditOutcome, JobExtension, JobFailure, JobResult, Lease, LeaseRequest};
use tandem_protocol::jobs;
use tokio::sync::{Semaphore, watch};
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

/// Leases and works until `ending`.
pub(super) async fn run(worker: Arc<Worker>, head: watch::Receiver<Head>, ending: CancellationToken) {
    let places = Arc::new(Semaphore::new(usize::from(worker.settings.concurrency.max(1))));
    let tasks = TaskTracker::new();
    let busy = lease(&worker, &head, &places, &tasks);
    tokio::select! { () = busy => {}, () = ending.cancelled() => {} }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("left audits behind; their leases will expire");
    }
}

async fn lease(worker: &Arc<Worker>, head: &watch::Receiver<Head>, places: &Arc<Semaphore>, tasks: &TaskTracker) {
    loop {
        // One place is taken before asking, so that a lease never waits for one.
        let Ok(first) = places.clone().acquire_owned().await else { return };
        let max_jobs = (places.available_permits() + 1).min(64) as u16;
        let keeper = worker.keepers.current();
        let leases = match worker.keepers.lease(keeper, &LeaseRequest { max_jobs, wait_ms: WAIT_MS }).await {
            Ok(response) => response.leases,
            Err(error) => {
                tracing::warn!(%error, "cannot lease; turning to the next keeper");
                worker.keepers.turn_from(keeper);
                Vec::new()
            }
        };
        if leases.is_empty() {
            drop(first);
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut place = Some(first);
        for lease in leases.into_iter().take(usize::from(max_jobs)) {
            let Some(place) = place.take().or_else(|| places.clone().try_acquire_owned().ok()) else { break };
            let (worker, head) = (worker.clone(), head.clone());
            tasks.spawn(async move {
                work(&worker, keeper, lease, head).await;
                drop(place);
            });
        }
    }
}

async fn work(worker: &Worker, keeper: usize, lease: Lease, head: watch::Receiver<Head>) {
    let Lease { job, attempt, .. } = &lease;
    let result = tokio::select! {
        result = outcome(worker, &lease, &head) => result,
        // A finding counts in this worker's row even if the keeper has given the job away.
        () = async { keep_alive(worker, keeper, &lease).await; std::future::pending().await } => return,
    };
    let until = worker.network.clock.reveal_deadline(job.epoch);
    match result {
        Ok(outcome) => {
            let result = JobResult { job: job.id, attempt: *attempt, outcome };
            deliver(&head, until, || worker.keepers.complete(keeper, &result)).await;
        }
        Err(error) => {
            tracing::warn!(netuid = job.netuid, uid = job.uid, error = format!("{error:#}"), "an audit failed");
            counter!("tandem_worker_audits_failed_total").increment(1);
            let failure = JobFailure { job: job.id, attempt: *attempt, reason: format!("{error:#}") };
            deliver(&head, until, || worker.keepers.fail(keeper, &failure)).await;
        }
    }
}

/// What the job's audit finds, or found before a restart or under another keeper's lease.
async fn outcome(worker: &Worker, lease: &Lease, head: &watch::Receiver<Head>) -> anyhow::Result<AuditOutcome> {
    let Lease { job, beacon, .. } = lease;
    if let Some(known) = worker.store.outcome(job.id).await? {
        return Ok(known);
    }
    let now = head.borrow().time;
    anyhow::ensure!(worker.network.clock.epoch_at(now) == Some(job.epoch), "epoch {} is not now", job.epoch);
    // A keeper that makes jobs up would have this worker spend its credits.
    let validator = worker.hotkey.address();
    let rounds = job.round.checked_add(1).filter(|rounds| *rounds <= 4096).unwrap_or(0);
    let owed = jobs::jobs(*beacon, validator, job.epoch, job.netuid, &[job.uid], rounds);
    anyhow::ensure!(owed.contains(job), "job {} does not follow from the beacon", job.id);

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
    Ok(outcome)
}

/// Extends a lease at half its time; returns when the lease is lost.
async fn keep_alive(worker: &Worker, keeper: usize, lease: &Lease) {
    let request = JobExtension { job: lease.job.id, attempt: lease.attempt };
    let mut expires_at_ms = lease.expires_at_ms;
    loop {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let left = Duration::from_millis(expires_at_ms.saturating_sub(now_ms));
        tokio::time::sleep((left / 2).max(PAUSE)).await;
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
