//! HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use metrics::counter;
use serde_json::json;
use tandem_protocol::api::TopUpReceipt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::answer::Event;
use super::openai::{ApiError, Endpoint, ModelRequest, Writer};
use super::{Node, listener, metric, stream};

/// A node that has not heard of the chain for so long is unhealthy: it cannot know prices and expiries.
const STALE: Duration = Duration::from_secs(60);
/// Responses under way are given so long at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// And so long again to say that they end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Names a request, in logs and answers; a client may choose it.
const REQUEST_ID: &str = "x-request-id";
/// Longest name that is taken over.
const LONGEST_ID: usize = 128;

#[derive(Clone)]
struct RequestId(String);

/// Serves until `ending` is cancelled, then finishes what is under way, for ten seconds at most.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(node: Arc<Node>, listener: TcpListener, ending: CancellationToken) -> std::io::Result<()> {
    listener.local_addr()?;
    let fresh = tokio::spawn({
        let node = node.clone();
        async move { node.keep_fresh().await }
    });
    let accepting = listener::accept(listener, router(node.clone()), node.limits, ending.clone());
    tokio::pin!(accepting);
    let drained = async {
        ending.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let done = tokio::select! { () = &mut accepting => true, () = drained => false };
    node.ending.cancel();
    if !done {
        // Answers that were stopped still say so.
        let _ = tokio::time::timeout(FAREWELL, accepting).await;
    }
    fresh.abort();
    Ok(())
}

fn router(node: Arc<Node>) -> Router {
    let limits = node.limits;
    Router::new()
        .route("/v1/completions", post(completions))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/vouchers", post(vouchers))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "unknown_url", "no such path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn(name))
        .with_state(node)
}

/// Names each request: as the client does, if it does so decently.
async fn name(mut request: Request, next: Next) -> Response {
    let decent = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(decent);
    let id = given.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id, path = request.uri().path());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A request's body, if it comes whole, in time, and is not too large.
async fn read(node: &Node, request: Request) -> Result<Bytes, ApiError> {
    let read = tokio::time::timeout(node.limits.read, Bytes::from_request(request, &()));
    let body = read.await.map_err(|_| {
        let message = format!("the body did not come within {} s", node.limits.read.as_secs_f32());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    })?;
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body is larger than {} bytes", node.limits.body_bytes);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        }
        status => ApiError::new(status, "unreadable_body", error.body_text()),
    })
}

/// Counts how a request for an answer ended.
pub(super) fn outcome(error: Option<&ApiError>) {
    if let Some(error) = error {
        tracing::debug!(code = error.code(), "refused");
    }
    counter!(metric::REQUESTS, "outcome" => error.map_or("ok", ApiError::code)).increment(1);
}

async fn completions(node: State<Arc<Node>>, id: Extension<RequestId>, request: Request) -> Response {
    model(Endpoint::Completions, node.0, id.0, request).await
}

async fn chat(node: State<Arc<Node>>, id: Extension<RequestId>, request: Request) -> Response {
    model(Endpoint::Chat, node.0, id.0, request).await
}

async fn model(endpoint: Endpoint, node: Arc<Node>, RequestId(id): RequestId, request: Request) -> Response {
    respond(endpoint, node, id, request).await.unwrap_or_else(|error| {
        outcome(Some(&error));
        error.into_response()
    })
}

async fn respond(endpoint: Endpoint, node: Arc<Node>, id: String, request: Request) -> Result<Response, ApiError> {
    let body = read(&node, request).await?;
    let request = ModelRequest::parse(endpoint, &body)?;
    drop(body);
    let streamed = request.stream;
    let writer = Writer::new(endpoint, request.model.clone(), request.include_usage);
    let ticket = node.admit(request).await?;
    // Bounded by the longest answer, which is paid for.
    let (sender, mut events) = mpsc::unbounded_channel();
    tokio::spawn(node.answer(ticket, sender).in_current_span());
    if streamed {
        return Ok(stream::response(writer, events, id));
    }
    loop {
        match events.recv().await {
            Some(Event::End(result)) => {
                let answer = writer.whole((*result)?).map_err(|error| {
                    tracing::error!(%error, "cannot write an answer");
                    ApiError::internal()
                })?;
                outcome(None);
                return Ok(Json(answer).into_response());
            }
            Some(_) => {}
            None => return Err(ApiError::internal()),
        }
    }
}

async fn vouchers(State(node): State<Arc<Node>>, request: Request) -> Result<Json<TopUpReceipt>, ApiError> {
    let body = read(&node, request).await?;
    node.top_up(&body).await.map(Json)
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
