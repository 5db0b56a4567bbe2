//! The HTTP API. Its JSON is [`tandem_protocol::api`]; every refusal is an [`tandem_protocol::api::ApiError`]. [`document`] is
//! its description in OpenAPI, made of the handlers themselves.
//!
//! | Call | Who | What |
//! |---|---|---|
//! | `GET /v1/status` | anybody | [`tandem_protocol::api::KeeperStatus`] |
//! | `POST /v1/jobs/lease` | validator, signed | jobs to do, waiting for some if there are none |
//! | `POST /v1/jobs/extend`, `complete`, `fail` | validator, signed | word on a leased job |
//! | `POST /v1/commits` | validator, by the commit's signature | a receipt |
//! | `POST /v1/reveals` | validator, by the commit's signature | a row |
//! | `GET /v1/epochs/{e}/audits` | anybody | counts of this keeper's audits |
//! | `GET /v1/epochs/{e}/reveals`, `names` | anybody, after the deadline | rows held, or their names alone |
//! | `GET /v1/epochs/{e}/agreement` | anybody | proposals and votes that are known |
//! | `GET /v1/epochs/{e}/lists/{hash}`, `…/names` | anybody, after the deadline | the same of a list that was proposed |
//! | `GET /v1/epochs/{e}/attestations` | anybody | signatures on reports |
//! | `GET /v1/epochs/{e}/evidence` | anybody | contradictions kept |
//! | `GET /v1/bundles/{hash}` | anybody | a bundle's bytes |
//! | `GET /v1/claims/{account}` | anybody | leaves and proofs under the last active root |
//! | `POST /v1/claims` | anybody | the same for many, ready for one transaction |
//! | `GET /v1/openapi.json` | anybody | this table for machines |
//! | `GET /health`, `/health/ready` | operator | whether the keeper can serve, and if not, why |
//! | `GET /health/live` | operator | whether the process answers at all |
//! | `GET /metrics` | operator | Prometheus text |
//!
//! "Signed" means the headers of a [`tandem_protocol::messages::SignedRequest`]; each is taken once. Keepers of the set may
//! sign their reads and are then outside the limits for strangers.

mod auth;
mod claims;
mod config;
mod failure;
mod intake;
mod jobs;
mod limits;
mod lines;
mod listener;
mod openapi;
mod read;
mod request;
mod rows;
mod seen;
mod tls;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use tokio::net::TcpListener;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use config::{ApiConfig, TlsConfig};
pub use failure::{CODES, Failure};
pub use request::REQUEST_ID;
pub use tls::TlsError;

use crate::{keeper::Keeper, telemetry};

/// Bytes of a request's body beyond which it is refused, for calls that take rows or lists.
pub const MAX_BODY: usize = 256 << 10;
/// The same for all other calls.
pub const MAX_SMALL_BODY: usize = 32 << 10;
/// Longest time a lease request may wait for jobs, milliseconds.
pub const MAX_WAIT_MS: u64 = 20_000;
/// Between two rounds of housekeeping.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// A keeper with what its API alone needs. Cheap to clone.
#[derive(Clone)]
struct Api(Arc<Parts>);

struct Parts {
    keeper: Arc<Keeper>,
    config: Arc<ApiConfig>,
    limits: limits::Limits,
    seen: seen::Seen,
    lines: lines::Lines,
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<Api> for Arc<Keeper> {
    fn from_ref(api: &Api) -> Self {
        api.keeper.clone()
    }
}

/// Serves `keeper` on `listener` until it is stopped; connections may then finish what they have under way.
///
/// # Errors
/// When certificate and key cannot be used. The address and the server are answered.
pub fn serve(
    listener: TcpListener,
    keeper: Arc<Keeper>,
    config: ApiConfig,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send)> {
    let address = listener.local_addr()?;
    let tls = config.tls.clone().map(tls::Tls::load).transpose()?.map(Arc::new);
    let config = Arc::new(config);
    let stop = keeper.stop.clone();
    let api = Api(Arc::new(Parts {
        limits: limits::Limits::new(&config),
        seen: seen::Seen::default(),
        lines: lines::Lines::default(),
        keeper,
        config: config.clone(),
    }));
    let metrics = telemetry::metrics_handle();
    let keep_house = {
        let (api, tls) = (api.clone(), tls.clone());
        async move {
            loop {
                tokio::time::sleep(TIDY_EVERY).await;
                // Without it, measurements that nobody fetches would pile up.
                metrics.run_upkeep();
                api.limits.tidy();
                if let Some(tls) = &tls {
                    tls.refresh();
                }
            }
        }
    };
    let accepting = listener::accept(listener, router(api), config, tls, stop);
    let server = async move {
        tokio::select! {
            () = accepting => {}
            () = keep_house => {}
        }
    };
    Ok((address, server))
}

fn router(api: Api) -> Router {
    let document = document();
    telemetry::register_routes(document.paths.paths.keys());
    let document = openapi::Served::new(&document);
    let [small, takes_rows, costly] = groups();
    let costly = costly.layer(from_fn_with_state(api.clone(), limits::few));
    let (routes, _) = small
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY))
        .merge(takes_rows.layer(DefaultBodyLimit::max(MAX_BODY)))
        .merge(costly.layer(DefaultBodyLimit::max(MAX_BODY)))
        .split_for_parts();
    routes
        .route(openapi::PATH, get(async move |headers| document.answer(&headers)))
        .fallback(failure::no_route)
        .method_not_allowed_fallback(failure::no_method)
        .layer(from_fn_with_state(api.clone(), limits::admit))
        .layer(from_fn(request::run))
        .with_state(api)
}

/// The description of the API, OpenAPI 3.1.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = openapi::head();
    for group in groups() {
        document.merge(group.into_openapi());
    }
    openapi::finish(document)
}

/// Every route with its description: those with small bodies, those that take a row, those that cost much to answer.
fn groups() -> [OpenApiRouter<Api>; 3] {
    let small = OpenApiRouter::new()
        .routes(routes!(read::health))
        .routes(routes!(read::ready))
        .routes(routes!(read::live))
        .routes(routes!(read::metrics))
        .routes(routes!(read::status))
        .routes(routes!(jobs::lease))
        .routes(routes!(jobs::extend))
        .routes(routes!(jobs::complete))
        .routes(routes!(jobs::fail))
        .routes(routes!(intake::commit))
        .routes(routes!(read::attestations))
        .routes(routes!(read::evidence))
        .routes(routes!(claims::of_account));
    let takes_rows = OpenApiRouter::new().routes(routes!(intake::reveal));
    let costly = OpenApiRouter::new()
        .routes(routes!(read::audits))
        .routes(routes!(rows::reveals))
        .routes(routes!(rows::names))
        .routes(routes!(read::agreement))
        .routes(routes!(rows::list))
        .routes(routes!(rows::list_names))
        .routes(routes!(read::bundle))
        .routes(routes!(claims::of_many));
    [small, takes_rows, costly]
}
