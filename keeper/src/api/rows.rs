//! Rows of validators and their names, for whoever agrees on them; after the reveal deadline only.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use tandem_protocol::{
    api::{RevealList, RowNames},
    openapi as word,
    reveal::Reveal,
};
use utoipa::IntoParams;

use super::{
    failure::Failure,
    read::{Page, bad_query, number, paged, parsed},
};
use crate::{keeper::Keeper, telemetry};

/// Rows that this keeper holds, ascending by subnet and validator; after the reveal deadline only.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/reveals", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch"), OfSubnet, Page),
    responses((status = 200, description = "rows", body = RevealList)))]
pub(super) async fn reveals(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
    subnet: Result<Query<OfSubnet>, QueryRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Failure> {
    let reveals = OfSubnet::of(subnet, held(&keeper, number(&epoch)?).await?)?;
    let (reveals, next) = Page::of(page, reveals)?;
    Ok(paged(Json(RevealList { reveals }), next))
}

/// Names of the rows that this keeper holds, in the same order; after the reveal deadline only.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/names", tag = "keepers",
    params(("epoch" = u64, Path, description = "number of the epoch")),
    responses((status = 200, description = "names of rows", body = RowNames)))]
pub(super) async fn names(
    State(keeper): State<Arc<Keeper>>,
    Path(epoch): Path<String>,
) -> Result<Json<RowNames>, Failure> {
    Ok(Json(RowNames::of(&held(&keeper, number(&epoch)?).await?)))
}

async fn held(keeper: &Keeper, epoch: u64) -> Result<Vec<Reveal>, Failure> {
    after_deadline(keeper, epoch)?;
    let stored = telemetry::store("reveals", keeper.store.reveals(epoch)).await?;
    Ok(stored.into_iter().map(|stored| stored.reveal).collect())
}

/// Which subnet's rows.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSubnet {
    /// Those of this subnet only; of all if left out.
    netuid: Option<u16>,
}

impl OfSubnet {
    fn of(subnet: Result<Query<Self>, QueryRejection>, mut reveals: Vec<Reveal>) -> Result<Vec<Reveal>, Failure> {
        let Query(Self { netuid }) = subnet.map_err(|rejection| bad_query(rejection.body_text()))?;
        reveals.retain(|reveal| netuid.is_none_or(|netuid| reveal.netuid == netuid));
        Ok(reveals)
    }
}

/// The rows of a list that was proposed; after the reveal deadline only.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/lists/{hash}", tag = "keepers",
    params(
        ("epoch" = u64, Path, description = "number of the epoch"),
        ("hash" = word::Hash, Path, description = "rowsHash of the proposal"),
        OfSubnet,
    ),
    responses((status = 200, description = "rows, ascending by subnet and validator", body = RevealList)))]
pub(super) async fn list(
    State(keeper): State<Arc<Keeper>>,
    Path((epoch, hash)): Path<(String, String)>,
    subnet: Result<Query<OfSubnet>, QueryRejection>,
) -> Result<Json<RevealList>, Failure> {
    let reveals = OfSubnet::of(subnet, listed(&keeper, number(&epoch)?, parsed(&hash)?).await?)?;
    Ok(Json(RevealList { reveals }))
}

/// Names of the rows of a list that was proposed, in the same order; after the reveal deadline only.
#[utoipa::path(get, path = "/v1/epochs/{epoch}/lists/{hash}/names", tag = "keepers",
    params(
        ("epoch" = u64, Path, description = "number of the epoch"),
        ("hash" = word::Hash, Path, description = "rowsHash of the proposal"),
    ),
    responses((status = 200, description = "names of rows", body = RowNames)))]
pub(super) async fn list_names(
    State(keeper): State<Arc<Keeper>>,
    Path((epoch, hash)): Path<(String, String)>,
) -> Result<Json<RowNames>, Failure> {
    Ok(Json(RowNames::of(&listed(&keeper, number(&epoch)?, parsed(&hash)?).await?)))
}

async fn listed(keeper: &Keeper, epoch: u64, hash: B256) -> Result<Vec<Reveal>, Failure> {
    after_deadline(keeper, epoch)?;
    let reveals = telemetry::store("list", keeper.store.list(epoch, hash)).await?;
    reveals.ok_or_else(|| Failure::not_found(format!("list {hash} of epoch {epoch} is not held here")))
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
