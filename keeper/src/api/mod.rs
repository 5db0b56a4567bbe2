//! The HTTP API. Its JSON is [`tandem_protocol::api`]; every refusal is an [`tandem_protocol::api::ApiError`].
//!
//! | Call | Who | What |
//! |---|---|---|
//! | `GET /v1/status` | anybody | [`tandem_protocol::api::KeeperStatus`] |
//! | `POST /v1/jobs/lease` | validator, signed | jobs to do, waiting for some if there are none |
//! | `POST /v1/jobs/extend`, `complete`, `fail` | validator, signed | word on a leased job |
//! | `POST /v1/commits` | validator, by the commit's signature | a receipt |
//! | `POST /v1/reveals` | validator, by the commit's signature | a row |
//! | `GET /v1/epochs/{e}/audits` | anybody | counts of this keeper's audits |
//! | `GET /v1/epochs/{e}/reveals` | anybody, after the deadline | rows held |
//! | `GET /v1/epochs/{e}/agreement` | anybody | proposals and votes that are known |
//! | `GET /v1/epochs/{e}/lists/{hash}` | anybody, after the deadline | rows of a list that was proposed |
//! | `GET /v1/epochs/{e}/attestations` | anybody | signatures on reports |
//! | `GET /v1/epochs/{e}/evidence` | anybody | contradictions kept |
//! | `GET /v1/bundles/{hash}` | anybody | a bundle's bytes |
//! | `GET /v1/claims/{account}` | anybody | leaves and proofs under the last active root |
//! | `GET /health`, `GET /metrics` | operator | liveness, Prometheus text |
//!
//! "Signed" means the headers of a [`tandem_protocol::messages::SignedRequest`].

mod auth;
mod failure;
mod intake;
mod jobs;
mod read;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    routing::{get, post},
};
use tower_http::timeout::TimeoutLayer;

pub use failure::{CODES, Failure};

use crate::keeper::Keeper;

/// Bytes of a request's body beyond which it is refused.
pub const MAX_BODY: usize = 256 << 10;
/// Longest time a lease request may wait for jobs, milliseconds.
pub const MAX_WAIT_MS: u64 = 20_000;
const REQUEST_TIMEOUT: Duration = Duration::from_millis(MAX_WAIT_MS + 10_000);

/// The routes of a keeper.
pub fn router(keeper: Arc<Keeper>) -> Router {
    Router::new()
        .route("/health", get(read::health))
        .route("/metrics", get(read::metrics))
        .route("/v1/status", get(read::status))
        .route("/v1/jobs/lease", post(jobs::lease))
        .route("/v1/jobs/extend", post(jobs::extend))
        .route("/v1/jobs/complete", post(jobs::complete))
        .route("/v1/jobs/fail", post(jobs::fail))
        .route("/v1/commits", post(intake::commit))
        .route("/v1/reveals", post(intake::reveal))
        .route("/v1/epochs/{epoch}/audits", get(read::audits))
        .route("/v1/epochs/{epoch}/reveals", get(read::reveals))
        .route("/v1/epochs/{epoch}/agreement", get(read::agreement))
        .route("/v1/epochs/{epoch}/lists/{hash}", get(read::list))
        .route("/v1/epochs/{epoch}/attestations", get(read::attestations))
        .route("/v1/epochs/{epoch}/evidence", get(read::evidence))
        .route("/v1/bundles/{hash}", get(read::bundle))
        .route("/v1/claims/{account}", get(read::claims))
        .fallback(failure::no_route)
        .method_not_allowed_fallback(failure::no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .with_state(keeper)
}
