//! What anybody may read.

use std::{str::FromStr, sync::Arc};

use alloy_primitives::{Address, B256};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tandem_protocol::{
    api::{Agreement, Attestation, AuditCount, KeeperStatus},
    openapi as word,
};
use utoipa::{IntoParams, ToSchema};

use super::failure::Failure;
use crate::{keeper::Keeper, sender::now_ms, telemetry};

/// Entries of one page of a list.
const MAX_PAGE: usize = 10_000;
/// Header with the number of the entry that the next page begins with, if there is one.
const NEXT: HeaderName = HeaderName::from_static("x-next-offset");

/// Whether the keeper can serve: the chain was read lately. The same as `/health/ready`.
#[utoipa::path(get, path = "/health", tag = "operator", responses((status = 200, description = "ready", body = String)))]
pub(super) async fn health(State(keeper): State<Arc<Keeper>>) -> Result<&'static str, Failure> {
    ready(State(keeper)).await
}

/// Whether the keeper can serve: 503 with the reasons while it cannot.
#[utoipa::path(get, path = "/health/ready", tag = "operator",
    responses((status = 200, description = "ready", body = String)))]
pub(super) async fn ready(State(keeper): State<Arc<Keeper>>) -> Result<&'static str, Failure> {
    keeper.chain_time().ok_or_else(Failure::stale_chain)?;
    telemetry::store("last_attested", keeper.store.last_attested(keeper.address())).await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Failure::for_now("the store does not answer; see the log")
    })?;
    Ok("ok\n")
}

/// Whether the process answers at all, whatever it can do.
#[utoipa::path(get, path = "/health/live", tag = "operator",
    responses((status = 200, description = "alive", body = String)))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operator",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(keeper): State<Arc<Keeper>>) -> impl IntoResponse {
    telemetry::observe(&keeper);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics_handle().render())
}

/// What the keeper says about itself.
#[utoipa::path(get, path = "/v1/status", tag = "keepers",
    responses((status = 200, description = "epochs, head, health and peers", body = KeeperStatus)))]
pub(super) async fn status(State(keeper): State<Arc<Keeper>>) -> Json<KeeperStatus> {
    let me = keeper.address();
    let mut not_ready = Vec::new();
    if keeper.chain_time().is_none() {
        not_ready.push("the chain was not read lately, or its head stands still".to_owned());
    }
    let last_attested = match telemetry::store("last_attested", keeper.store.last_attested(me)).await {
        Ok(epoch) => epoch,
        Err(error) => {
            tracing::warn!(%error, "not ready");
            not_ready.push("the store does not answer".to_owned());
            None
        }
    };
    let peers = keeper.peers();
    let live = keeper.live();
    let head_time = live.heads.map(|heads| heads.latest.time);
    Json(KeeperStatus {
        keeper: me,
        chain_id: keeper.network.chain_id,
        oracle: keeper.network.oracle,
        epoch: head_time.and_then(|time| keeper.network.clock.epoch_at(time)),
        head_time: head_time.unwrap_or_default(),
        last_attested,
        last_posted: live.oracle.last_posted.map(|report| report.epoch),
        last_active: live.oracle.last_active.map(|report| report.epoch),
        head_age: head_time.map(|time| (now_ms() / 1_000).saturating_sub(time)),
        not_ready,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        leads: keeper.leads(),
        peers,
    })
}

/// Part of a list.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Entries to leave out at the beginning.
    offset: Option<usize>,
    /// Entries of this page (1 to 10,000); all if left out. If there are more, the answer's header `x-next-offset` says where
    /// to go on.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
}

impl Page {
    /// The page of `entries`, and the header for the next one.
    pub(super) fn of<T>(
        page: Result<Query<Self>, QueryRejection>,
        mut entries: Vec<T>,
    ) -> Result<(Vec<T>, Option<usize>), Failure> {
        let Query(Self { offset, limit }) = page.map_err(|rejection| bad_query(rejection.body_text()))?;
        if limit.is_some_and(|limit| !(1..=MAX_PAGE).contains(&limit)) {
            return Err(bad_query(format!("limit must be 1 to {MAX_PAGE}")));
        }
        let mut rest = entries.split_off(offset.unwrap_or_default().min(entries.len()));
        let next = limit.filter(|limit| *limit < rest.len()).map(|limit| offset.unwrap_or_default() + limit);
        rest.truncate(limit.unwrap_or(usize::MAX));
        Ok((rest, next))
    }
}

pub(super) fn bad_query(words: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "K-QUERY-1", words)
}

pub(super) fn paged(body: impl IntoResponse, next: Option<usize>) -> Response {
    let mut response = body.into_response();
    if let Some(next) = next {
        response.headers_mut().insert(NEXT, next.into());
    }
    response
}

/// An answer that has not changed is not sent again.
pub(super) fn tagged(
    headers: &HeaderMap,
    tag: &str,
    cache: &'static str,
    answer: impl FnOnce() -> Response,
) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|line| line.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { answer() };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// Counts of this keeper's audits by contributor, ascending by subnet and uid.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/audits", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch"), Page),
    responses((status = 200, description = "counts", body = Vec<AuditCount>)))]
pub(super) async fn audits(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Failure> {
    let audits = telemetry::store("audits", keeper.store.audits(number(&epoch)?)).await?;
    let (audits, next) = Page::of(page, audits)?;
    Ok(paged(Json(audits), next))
}

/// Proposals and votes of the agreement on the epoch's list of rows.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/agreement", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch")),
    responses((status = 200, description = "proposals and votes of the attempt that is due", body = Agreement)))]
pub(super) async fn agreement(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Agreement>, Failure> {
    Ok(Json(telemetry::store("agreement", keeper.agreement(number(&epoch)?)).await?))
}

/// Signatures on reports, ascending by attempt and keeper.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/attestations", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch")),
    responses((status = 200, description = "signatures", body = Vec<Attestation>)))]
pub(super) async fn attestations(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<Vec<Attestation>>, Failure> {
    Ok(Json(telemetry::store("attestations", keeper.store.attestations(number(&epoch)?)).await?))
}

/// Contradictions by one party.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(super) struct EvidenceJson {
    /// `double_commit`, `commit_against_chain`, `double_proposal`, `double_vote`, `double_attestation` or `late_result`.
    kind: String,
    /// Who.
    #[schema(value_type = word::Address)]
    subject: Address,
    /// What was signed, or came too late.
    statements: serde_json::Value,
}

/// Contradictions kept.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/evidence", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch"), Page),
    responses((status = 200, description = "contradictions", body = Vec<EvidenceJson>)))]
pub(super) async fn evidence(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Failure> {
    let kept = telemetry::store("evidence", keeper.store.evidence(number(&epoch)?)).await?;
    let (kept, next) = Page::of(page, kept)?;
    let shown = kept.into_iter().map(|evidence| EvidenceJson {
        kind: evidence.kind,
        subject: evidence.subject,
        statements: serde_json::from_str(&evidence.statements).unwrap_or_default(),
    });
    Ok(paged(Json(shown.collect::<Vec<_>>()), next))
}

/// All inputs and outputs of an epoch, in canonical encoding, by their hash.
#[utoipa::path(get, path = "/v1/bundles/{hash}", tag = "keepers",
    params(("hash" = word::Hash, Path, description = "bundleHash of the report")),
    responses((status = 200, description = "the bundle", body = [u8], content_type = "application/octet-stream")))]
pub(super) async fn bundle(
    State(keeper): State<Arc<Keeper>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let hash: B256 = parsed(&hash)?;
    let bytes = telemetry::store("bundle", keeper.bundles.bytes(hash)).await?;
    let bytes = bytes.ok_or_else(|| Failure::not_found(format!("bundle {hash} is not held here")))?;
    // Its name is its hash: what was fetched once is never out of date.
    Ok(tagged(&headers, &format!("\"{hash:x}\""), "public, max-age=31536000, immutable", || {
        ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
    }))
}

/// The number of an epoch that time can reach.
pub(super) fn number(text: &str) -> Result<u64, Failure> {
    let epoch: u64 = parsed(text)?;
    if epoch > u64::from(u32::MAX) {
        return Err(Failure::not_found(format!("there will be no epoch {epoch}")));
    }
    Ok(epoch)
}

pub(super) fn parsed<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::not_found(format!("{text:?} names nothing here")))
}
