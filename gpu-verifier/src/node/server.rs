//! HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics::counter;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

use super::Node;
use super::openai::{ApiError, CompletionResponse};

/// Time beyond the limit of an answer in which a request must have been read and its response written.
const SLACK: Duration = Duration::from_secs(30);
/// A node that has not heard of the chain for so long is unhealthy: it cannot know prices and expiries.
const STALE: Duration = Duration::from_secs(60);
/// Responses under way are given so long at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `ending` is cancelled, then finishes what is under way, for ten seconds at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(node: Arc<Node>, listener: TcpListener, ending: CancellationToken) -> std::io::Result<()> {
    let fresh = tokio::spawn({
        let node = node.clone();
        async move { node.keep_fresh().await }
    });
    let stopped = ending.clone();
    let server = axum::serve(listener, router(node.clone())).with_graceful_shutdown(stopped.cancelled_owned());
    let drained = async {
        ending.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let result = tokio::select! { result = server.into_future() => result, () = drained => Ok(()) };
    node.ending.store(true, Ordering::Relaxed);
    fresh.abort();
    result
}

fn router(node: Arc<Node>) -> Router {
    let limits = node.limits;
    Router::new()
        .route("/v1/completions", post(completions))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "unknown_url", "no such path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.answer + SLACK))
        .with_state(node)
}

async fn completions(
    State(node): State<Arc<Node>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<CompletionResponse>, ApiError> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than {} bytes", node.limits.body_bytes);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        }
        status => ApiError::new(status, "unreadable_body", error.body_text()),
    })?;
    let result = node.complete(&body).await;
    let outcome = result.as_ref().map_or_else(ApiError::code, |_| "ok");
    counter!("tandem_node_requests_total", "outcome" => outcome).increment(1);
    result.map(Json)
}

async fn models(State(node): State<Arc<Node>>) -> Response {
    let terms = node.till.terms(None).await.ok();
    let model = json!({
        "id": node.identity.model,
        "object": "model",
        "created": 0,
        "owned_by": node.identity.payee.owner,
        "tandem": terms,
    });
    Json(json!({ "object": "list", "data": [model] })).into_response()
}

async fn health(State(node): State<Arc<Node>>) -> Response {
    let age = node.till.age();
    let (status, word) =
        if age < STALE { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "chain_unreachable") };
    let body = json!({ "status": word, "model": node.identity.model, "chain_age_seconds": age.as_secs() });
    (status, Json(body)).into_response()
}

async fn metrics(State(node): State<Arc<Node>>) -> String {
    node.metrics.render()
}
