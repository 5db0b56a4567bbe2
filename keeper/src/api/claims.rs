//! Rewards with their proofs. The root under which they hold is in the answer and its `ETag`: a proof is good until another
//! root is active, and the contract takes those of the last two.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use tandem_contracts::bindings::{RewardDistributor, reward_distributor::IRewardDistributor};
use tandem_protocol::api::{ClaimBatch, ClaimList, ClaimProof, ClaimsRequest};

use super::{
    auth::Body,
    failure::Failure,
    read::{parsed, tagged},
};
use crate::{claims::ClaimsIndex, keeper::Keeper};

/// Accounts and positions of one request.
pub(super) const MAX_WANTED: usize = 1_024;
/// Leaves of one answer: with their proofs, more than one transaction can carry.
pub(super) const MAX_LEAVES: usize = 4_096;
/// A minute's delay in seeing a new root does no harm: the last two are valid.
const CACHE: &str = "public, max-age=60, must-revalidate";

/// What an account can claim.
///
/// The `ETag` changes when another root becomes active.
#[utoipa::path(get, path = "/v1/claims/{account}", tag = "claimants",
    params(("account" = tandem_protocol::openapi::Address, Path, description = "whose rewards")),
    responses(
        (status = 200, description = "leaves and proofs under the last active root", body = ClaimList),
        (status = 304, description = "the root of If-None-Match is still the active one"),
    ))]
pub(super) async fn of_account(
    State(keeper): State<Arc<Keeper>>,
    Path(account): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let account: Address = parsed(&account)?;
    let claims = active(&keeper)?;
    let answer = || Json(claims.of(account)).into_response();
    Ok(tagged(&headers, &format!("\"{:x}\"", claims.root()), CACHE, answer))
}

/// Leaves of many accounts, or many leaves by position, with the transaction that claims them.
#[utoipa::path(post, path = "/v1/claims", tag = "claimants", request_body = ClaimsRequest,
    responses((status = 200, description = "leaves, proofs, and the input of claimBatch", body = ClaimBatch)))]
pub(super) async fn of_many(
    State(keeper): State<Arc<Keeper>>,
    Body(wanted): Body<ClaimsRequest>,
) -> Result<Json<ClaimBatch>, Failure> {
    let out_of_range = |words: String| Failure::new(StatusCode::BAD_REQUEST, "K-QUERY-1", words);
    if wanted.accounts.len() + wanted.indexes.len() > MAX_WANTED {
        return Err(out_of_range(format!("ask for at most {MAX_WANTED} accounts and positions at once")));
    }
    let claims = active(&keeper)?;
    let mut indexes: BTreeSet<u64> = wanted.indexes.iter().copied().collect();
    for account in wanted.accounts {
        indexes.extend(claims.indexes_of(account));
        if indexes.len() > MAX_LEAVES {
            return Err(out_of_range(format!("these have more than {MAX_LEAVES} leaves; ask for fewer at once")));
        }
    }
    let leaf = |index: u64| {
        claims.at(index).ok_or_else(|| Failure::not_found(format!("there is no leaf {index} under the active root")))
    };
    let leaves = indexes.into_iter().map(leaf).collect::<Result<Vec<ClaimProof>, Failure>>()?;
    Ok(Json(ClaimBatch {
        epoch: claims.epoch(),
        root: claims.root(),
        distributor: keeper.network.distributor,
        calldata: calldata(&leaves),
        claims: leaves,
    }))
}

fn active(keeper: &Keeper) -> Result<Arc<ClaimsIndex>, Failure> {
    let claims = keeper.live().claims.clone();
    claims.ok_or_else(|| Failure::not_found("no report is active yet"))
}

fn calldata(leaves: &[ClaimProof]) -> alloy_primitives::Bytes {
    let claim = |leaf: &ClaimProof| IRewardDistributor::Claim {
        index: U256::from(leaf.index),
        kind: leaf.reward.kind as u8,
        netuid: leaf.reward.netuid,
        account: leaf.reward.account,
        cumulative: U256::from(leaf.reward.cumulative),
    };
    let call = RewardDistributor::claimBatchCall {
        cs: leaves.iter().map(claim).collect(),
        proofs: leaves.iter().map(|leaf| leaf.proof.clone()).collect(),
    };
    call.abi_encode().into()
}
