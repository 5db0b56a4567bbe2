//! Commits and reveals. Both carry their validator's signature, which is all the authentication they need; a commit is on
//! disk before its receipt exists.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use metrics::counter;
use tandem_protocol::{
    api::{CommitRequest, ReceiptResponse},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use super::{auth::Body, failure::Failure};
use crate::{
    keeper::Keeper,
    kill,
    rows::{IntakeFault, check_commit, check_reveal},
    store::CommitOutcome,
    telemetry,
};

/// Take a commit in. It is on disk before the receipt exists; the same commit gets the same receipt again.
#[utoipa::path(post, path = "/v1/commits", tag = "validators", request_body = Signed<WeightsCommit>,
    responses((status = 200, description = "stored, with a receipt", body = ReceiptResponse)))]
pub(super) async fn commit(
    State(keeper): State<Arc<Keeper>>,
    Body(commit): Body<CommitRequest>,
) -> Result<Json<ReceiptResponse>, Failure> {
    let now = keeper.chain_time().ok_or_else(Failure::stale_chain)?;
    let clock = keeper.schedule();
    let message = &commit.message;
    let facts = keeper.facts(message.epoch).ok_or_else(|| not_open(message.epoch))?;
    check_commit(&commit, &keeper.network.domain(), &clock, &facts, now).map_err(|fault| {
        let (status, code) = match fault {
            IntakeFault::Unsigned(_) => (StatusCode::UNAUTHORIZED, "K-COMMIT-3"),
            IntakeFault::UnknownSubnet(_) | IntakeFault::UnknownValidator(_) => (StatusCode::FORBIDDEN, "K-COMMIT-2"),
            _ => (StatusCode::CONFLICT, "K-COMMIT-1"),
        };
        Failure::new(status, code, fault.to_string())
    })?;
    match telemetry::store("put_commit", keeper.store.put_commit(&commit)).await? {
        CommitOutcome::Stored => kill::point("collect.commit_stored"),
        CommitOutcome::Stale { last } => {
            let words = format!("a commit with sequence number {last} is held; use a higher one");
            return Err(Failure::new(StatusCode::CONFLICT, "K-COMMIT-4", words));
        }
        CommitOutcome::Equivocation => {
            let words = format!("another commit with sequence number {} is held; both are kept", message.seq);
            return Err(Failure::new(StatusCode::CONFLICT, "K-COMMIT-5", words));
        }
        CommitOutcome::TooMany => {
            let words = "too many commits of this validator in this epoch";
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "K-COMMIT-6", words));
        }
    }
    let signature = keeper.attester.receipt(message).await.map_err(|error| {
        tracing::error!(%error, "receipt not signed");
        // The commit is stored: the same one gets its receipt once the key is back.
        Failure::for_now("the receipt could not be signed; send the same commit again")
    })?;
    let WeightsCommit { netuid, epoch, validator, seq, .. } = message;
    tracing::debug!(epoch, netuid, %validator, seq, "commit receipted");
    counter!(telemetry::COMMITS).increment(1);
    Ok(Json(ReceiptResponse { keeper: keeper.attester.address(), signature }))
}

/// Take a row in, between the commit deadline and the reveal deadline.
#[utoipa::path(post, path = "/v1/reveals", tag = "validators", request_body = Reveal,
    responses((status = 204, description = "stored; the row counts")))]
pub(super) async fn reveal(
    State(keeper): State<Arc<Keeper>>,
    Body(reveal): Body<Reveal>,
) -> Result<StatusCode, Failure> {
    let now = keeper.chain_time().ok_or_else(Failure::stale_chain)?;
    let facts = keeper
        .facts(reveal.epoch)
        .ok_or_else(|| Failure::new(StatusCode::CONFLICT, "K-REVEAL-1", "the epoch is not open"))?;
    let schedule = keeper.schedule();
    let verdict = check_reveal(&reveal, &keeper.network, &schedule, &facts, &keeper.sound, now).map_err(|fault| {
        let (status, code) = match fault {
            IntakeFault::Unsigned(_) => (StatusCode::UNAUTHORIZED, "K-REVEAL-3"),
            IntakeFault::UnknownSubnet(_) | IntakeFault::UnknownValidator(_) => (StatusCode::FORBIDDEN, "K-REVEAL-2"),
            _ => (StatusCode::CONFLICT, "K-REVEAL-1"),
        };
        Failure::new(status, code, fault.to_string())
    })?;
    let fault = verdict.err().map(|fault| fault.to_string());
    telemetry::store("put_reveal", keeper.store.put_reveal(&reveal, fault.as_deref())).await?;
    kill::point("collect.reveal_stored");
    let Reveal { netuid, epoch, validator, seq, .. } = &reveal;
    tracing::debug!(epoch, netuid, %validator, seq, fault, "row taken in");
    match fault {
        None => {
            counter!(telemetry::REVEALS).increment(1);
            Ok(StatusCode::NO_CONTENT)
        }
        Some(fault) => Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "K-REVEAL-4", fault)),
    }
}

fn not_open(epoch: u64) -> Failure {
    Failure::new(StatusCode::CONFLICT, "K-COMMIT-1", format!("epoch {epoch} is not open"))
}
