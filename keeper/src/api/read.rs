//! What anybody may read.

use std::{str::FromStr, sync::Arc};

use alloy_primitives::{Address, B256};
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tandem_protocol::api::{Agreement, Attestation, AuditCount, ClaimList, KeeperStatus, RevealList};

use super::failure::Failure;
use crate::{keeper::Keeper, telemetry};

pub(super) async fn health(State(keeper): State<Arc<Keeper>>) -> Result<&'static str, Failure> {
    keeper.chain_time().map(|_| "ok\n").ok_or_else(Failure::stale_chain)
}

pub(super) async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics_handle().render())
}

pub(super) async fn status(State(keeper): State<Arc<Keeper>>) -> Result<Json<KeeperStatus>, Failure> {
    let me = keeper.attester.address();
    let last_attested = keeper.store.last_attested(me).await?;
    let live = keeper.live();
    let head_time = live.heads.map_or(0, |heads| heads.latest.time);
    Ok(Json(KeeperStatus {
        keeper: me,
        chain_id: keeper.network.chain_id,
        oracle: keeper.network.oracle,
        epoch: keeper.network.clock.epoch_at(head_time),
        head_time,
        last_attested,
        last_posted: live.oracle.last_posted.map(|report| report.epoch),
        last_active: live.oracle.last_active.map(|report| report.epoch),
    }))
}

pub(super) async fn audits(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Vec<AuditCount>>, Failure> {
    Ok(Json(keeper.store.audits(number(&epoch)?).await?))
}

pub(super) async fn reveals(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<RevealList>, Failure> {
    let epoch = number(&epoch)?;
    after_deadline(&keeper, epoch)?;
    let reveals = keeper.store.reveals(epoch).await?.into_iter().map(|stored| stored.reveal).collect();
    Ok(Json(RevealList { reveals }))
}

/// Nobody copies what they cannot see.
fn after_deadline(keeper: &Keeper, epoch: u64) -> Result<(), Failure> {
    let now = keeper.live().heads.map_or(0, |heads| heads.latest.time);
    let deadline = keeper.schedule().reveal_deadline(epoch);
    if now < deadline {
        let words = format!("rows of epoch {epoch} are shown from chain time {deadline} on");
        return Err(Failure::new(StatusCode::CONFLICT, "K-EPOCH-1", words));
    }
    Ok(())
}

pub(super) async fn agreement(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Agreement>, Failure> {
    Ok(Json(keeper.agreement(number(&epoch)?).await?))
}

pub(super) async fn list(
    State(keeper): State<Arc<Keeper>>,
    Path((epoch, hash)): Path<(String, String)>,
) -> Result<Json<RevealList>, Failure> {
    let (epoch, hash): (u64, B256) = (number(&epoch)?, parsed(&hash)?);
    after_deadline(&keeper, epoch)?;
    let reveals = keeper.store.list(epoch, hash).await?;
    let reveals =
        reveals.ok_or_else(|| Failure::not_found(format!("list {hash} of epoch {epoch} is not held here")))?;
    Ok(Json(RevealList { reveals }))
}

pub(super) async fn attestations(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Vec<Attestation>>, Failure> {
    Ok(Json(keeper.store.attestations(number(&epoch)?).await?))
}

/// Contradictions by one party.
#[derive(Serialize)]
pub(super) struct EvidenceJson {
    kind: String,
    subject: Address,
    statements: serde_json::Value,
}

pub(super) async fn evidence(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Vec<EvidenceJson>>, Failure> {
    let kept = keeper.store.evidence(number(&epoch)?).await?;
    let shown = kept.into_iter().map(|evidence| EvidenceJson {
        kind: evidence.kind,
        subject: evidence.subject,
        statements: serde_json::from_str(&evidence.statements).unwrap_or_default(),
    });
    Ok(Json(shown.collect()))
}

pub(super) async fn bundle(State(keeper): State<Arc<Keeper>>, Path(hash): Path<String>) -> Result<Response, Failure> {
    let hash: B256 = parsed(&hash)?;
    let bytes = keeper.bundles.bytes(hash).await?;
    let bytes = bytes.ok_or_else(|| Failure::not_found(format!("bundle {hash} is not held here")))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

pub(super) async fn claims(
    State(keeper): State<Arc<Keeper>>,
    Path(account): Path<String>,
) -> Result<Json<ClaimList>, Failure> {
    let account: Address = parsed(&account)?;
    let claims = keeper.live().claims.clone();
    let claims = claims.ok_or_else(|| Failure::not_found("no report is active yet"))?;
    Ok(Json(claims.of(account)))
}

fn number(text: &str) -> Result<u64, Failure> {
    parsed(text)
}

fn parsed<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::not_found(format!("{text:?} names nothing here")))
}
