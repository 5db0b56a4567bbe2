//! Jobs over HTTP: lease, extend, complete, fail. The signer of the request is the validator whose jobs are meant.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use metrics::counter;
use tandem_protocol::api::{
    JobExtension, JobFailure, JobReceipt, JobResult, Lease, LeaseExtended, LeaseRequest, LeaseResponse,
};
use tokio::time::Instant;

use super::{Api, MAX_WAIT_MS, auth::SignedBody, failure::Failure};
use crate::{
    keeper::Keeper,
    sender::now_ms,
    store::{JobOutcome, LeaseQuery},
    telemetry,
};

const MAX_JOBS: u16 = 64;
/// Characters of a failure's reason and of a result's detail that are taken.
const MAX_WORDS: usize = 4_096;

/// Lease jobs of the validator that signs, waiting for some if there are none.
#[utoipa::path(post, path = "/v1/jobs/lease", tag = "workers", security(("signed" = [])), request_body = LeaseRequest,
    responses((status = 200, description = "leased jobs, possibly none", body = LeaseResponse)))]
pub(super) async fn lease(
    State(api): State<Api>,
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
    let line = api.lines.of(request.signer);
    let leases = api.wait(&line, request.signer, max_jobs, deadline).await?;
    counter!(telemetry::LEASES).increment(leases.len() as u64);
    Ok(Json(LeaseResponse { leases }))
}

/// Hold a leased job for longer.
#[utoipa::path(post, path = "/v1/jobs/extend", tag = "workers", security(("signed" = [])), request_body = JobExtension,
    responses((status = 200, description = "the lease goes on", body = LeaseExtended)))]
pub(super) async fn extend(
    State(keeper): State<Arc<Keeper>>,
    request: SignedBody<JobExtension>,
) -> Result<Json<LeaseExtended>, Failure> {
    let now_ms = now_ms();
    let expires_at_ms = now_ms.saturating_add(keeper.jobs.lease_s.saturating_mul(1_000));
    let JobExtension { job, attempt } = request.body;
    let extended = keeper.store.extend_lease(request.signer, job, attempt, now_ms, expires_at_ms);
    if telemetry::store("extend_lease", extended).await? {
        return Ok(Json(LeaseExtended { expires_at_ms }));
    }
    Err(Failure::new(StatusCode::CONFLICT, "K-JOB-1", "the lease is not current; drop the job"))
}

/// Hand in a result. The first one under a current lease is applied.
#[utoipa::path(post, path = "/v1/jobs/complete", tag = "workers", security(("signed" = [])), request_body = JobResult,
    responses((status = 200, description = "what became of it", body = JobReceipt)))]
pub(super) async fn complete(
    State(keeper): State<Arc<Keeper>>,
    mut request: SignedBody<JobResult>,
) -> Result<Json<JobReceipt>, Failure> {
    shorten(&mut request.body.outcome.detail);
    let completed = keeper.store.complete_job(request.signer, &request.body, now_ms());
    let outcome = telemetry::store("complete_job", completed).await?;
    if outcome == JobOutcome::Applied {
        counter!(telemetry::RESULTS).increment(1);
    }
    receipt(outcome)
}

/// Give a job back.
#[utoipa::path(post, path = "/v1/jobs/fail", tag = "workers", security(("signed" = [])), request_body = JobFailure,
    responses((status = 200, description = "what became of it", body = JobReceipt)))]
pub(super) async fn fail(
    State(keeper): State<Arc<Keeper>>,
    mut request: SignedBody<JobFailure>,
) -> Result<Json<JobReceipt>, Failure> {
    shorten(&mut request.body.reason);
    let failed = keeper.store.fail_job(request.signer, &request.body, now_ms());
    let outcome = telemetry::store("fail_job", failed).await?;
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
    pub(super) async fn lease(&self, validator: alloy_primitives::Address, limit: u16) -> Result<Vec<Lease>, Failure> {
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
        let leased = self.store.lease_jobs(LeaseQuery { validator, epoch, limit, now_ms, until_ms, max_attempts });
        let leased = telemetry::store("lease_jobs", leased).await?;
        let lease = |leased: crate::store::LeasedJob| Lease {
            job: leased.job,
            beacon: facts.beacon,
            attempt: leased.attempt,
            expires_at_ms: until_ms,
        };
        Ok(leased.into_iter().map(lease).collect())
    }
}
