//! What is done around every request: it gets a name, a place in the log, a longest time, and is measured.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics::histogram;
use tokio::time::timeout;
use tracing::Instrument;

use super::{Failure, MAX_WAIT_MS};
use crate::{sender::now_ms, telemetry};

/// Names a request, in logs and answers; a client may choose it.
pub const REQUEST_ID: &str = "x-request-id";
/// Longest name that is taken over.
const LONGEST_ID: usize = 128;
/// Longest time until an answer begins.
const LONGEST: Duration = Duration::from_millis(MAX_WAIT_MS + 10_000);

/// Runs one request.
pub(super) async fn run(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = id_of(&request);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    let mut response = timeout(LONGEST, next.run(request).instrument(span.clone())).await.unwrap_or_else(|_| {
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "K-TIMEOUT", "the answer took too long; try again").into_response()
    });
    let status = response.status();
    let took = started.elapsed();
    histogram!(telemetry::REQUEST_SECONDS, "route" => route.to_owned(), "status" => class(status)).record(took);
    tracing::debug!(parent: &span, status = status.as_u16(), ms = took.as_millis(), "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The label of a status: few values, so that a metric has few series.
pub(super) fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..400 => "2xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

fn id_of(request: &Request) -> String {
    static START: LazyLock<u64> = LazyLock::new(now_ms);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let decent = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(decent);
    let own = || format!("{:x}-{:x}", *START, COUNT.fetch_add(1, Ordering::Relaxed));
    given.map_or_else(own, str::to_owned)
}
