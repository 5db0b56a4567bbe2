//! Jobs over HTTP: lease, extend, complete, fail. The signer of the request is the validator whose jobs are meant.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use metrics::counter;
use tandem_protocol::api::{
    JobExtension, JobFailure, JobReceipt, JobResult, Lease, LeaseExtended, LeaseRequest, LeaseResponse,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{MAX_WAIT_MS, auth::SignedBody, failure::Failure};
use crate::{
    keeper::Keeper,
    sender::now_ms,
    store::{JobOutcome, LeaseQuery},
    telemetry,
};

const MAX_JOBS: u16 = 64;
/// A waiting worker's jobs are looked for so often: leases run out, and jobs are given back, without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Characters of a failure's reason and of a result's detail that are taken.
const MAX_WORDS: usize = 4_096;

pub(super) async fn lease(
    State(keeper): State<Arc<Keeper>>,
    request: SignedBody<LeaseRequest>,
) -> Result<Json<LeaseResponse>, Failure> {
    let LeaseRequest { max_jobs, wait_ms } = request.body;
    if !(1..=MAX_JOBS).contains(&max_jobs) || wait_ms > MAX_WAIT_MS {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "K-JOB-2",
            format!("max_jobs must be 1 to {MAX_JOBS} and wait_ms at most {MAX_WAIT_MS}"),
        ));
    }
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    loop {
        // Listen before looking: what is published in between is not missed.
        let published = keeper.new_jobs.notified();
        let leases = keeper.lease(request.signer, max_jobs).await?;
        if !leases.is_empty() || Instant::now() >= deadline || keeper.stop.is_cancelled() {
            counter!(telemetry::LEASES).increment(leases.len() as u64);
            return Ok(Json(LeaseResponse { leases }));
        }
        let waited = async {
            tokio::select! {
                () = published => {}
                () = keeper.stop.cancelled() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        };
        // Past the deadline there is one last look.
        let _ = timeout_at(deadline, waited).await;
    }
}

pub(super) async fn extend(
    State(keeper): State<Arc<Keeper>>,
    request: SignedBody<JobExtension>,
) -> Result<Json<LeaseExtended>, Failure> {
    let now_ms = now_ms();
    let expires_at_ms = now_ms.saturating_add(keeper.jobs.lease_s.saturating_mul(1_000));
    let JobExtension { job, attempt } = request.body;
    if keeper.store.extend_lease(request.signer, job, attempt, now_ms, expires_at_ms).await? {
        return Ok(Json(LeaseExtended { expires_at_ms }));
    }
    Err(Failure::new(StatusCode::CONFLICT, "K-JOB-1", "the lease is not current; drop the job"))
}

pub(super) async fn complete(
    State(keeper): State<Arc<Keeper>>,
    mut request: SignedBody<JobResult>,
) -> Result<Json<JobReceipt>, Failure> {
    shorten(&mut request.body.outcome.detail);
    let outcome = keeper.store.complete_job(request.signer, &request.body, now_ms()).await?;
    if outcome == JobOutcome::Applied {
        counter!(telemetry::RESULTS).increment(1);
    }
    receipt(outcome)
}

pub(super) async fn fail(
    State(keeper): State<Arc<Keeper>>,
    mut request: SignedBody<JobFailure>,
) -> Result<Json<JobReceipt>, Failure> {
    shorten(&mut request.body.reason);
    let outcome = keeper.store.fail_job(request.signer, &request.body, now_ms()).await?;
    if outcome == JobOutcome::Applied {
        let JobFailure { job, attempt, reason } = &request.body;
        tracing::info!(validator = %request.signer, %job, attempt, reason, "job given back");
    }
    receipt(outcome)
}

fn receipt(outcome: JobOutcome) -> Result<Json<JobReceipt>, Failure> {
    match outcome {
        JobOutcome::Applied => Ok(Json(JobReceipt::Applied)),
        JobOutcome::Duplicate => Ok(Json(JobReceipt::Duplicate)),
        JobOutcome::Late => Ok(Json(JobReceipt::Late)),
        JobOutcome::Unknown => {
            Err(Failure::new(StatusCode::NOT_FOUND, "K-JOB-1", "this validator has no such job at this keeper"))
        }
    }
}

fn shorten(words: &mut String) {
    if let Some((at, _)) = words.char_indices().nth(MAX_WORDS) {
        words.truncate(at);
    }
}

impl Keeper {
    async fn lease(&self, validator: alloy_primitives::Address, limit: u16) -> Result<Vec<Lease>, Failure> {
        let now = self.chain_time().ok_or_else(Failure::stale_chain)?;
        let clock = &self.network.clock;
        let Some(epoch) = clock.epoch_at(now) else { return Ok(Vec::new()) };
        let Some(facts) = self.facts(epoch) else { return Ok(Vec::new()) };
        let margin = self.jobs.margin_s.unwrap_or((clock.length() / 20).max(1));
        if now >= self.schedule().commit_deadline(epoch).saturating_sub(margin) {
            return Ok(Vec::new());
        }
        let now_ms = now_ms();
        let until_ms = now_ms.saturating_add(self.jobs.lease_s.saturating_mul(1_000));
        let max_attempts = self.jobs.max_attempts;
        let leased =
            self.store.lease_jobs(LeaseQuery { validator, epoch, limit, now_ms, until_ms, max_attempts }).await?;
        let lease = |leased: crate::store::LeasedJob| Lease {
            job: leased.job,
            beacon: facts.beacon,
            attempt: leased.attempt,
            expires_at_ms: until_ms,
        };
        Ok(leased.into_iter().map(lease).collect())
    }
}
