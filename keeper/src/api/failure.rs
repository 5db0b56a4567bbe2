//! Refusals: a status for machines, a stable code for manuals, a sentence for people.

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use metrics::counter;
use tandem_protocol::api::ApiError;

use crate::{bundles::BundleStoreError, store::StoreError, telemetry};

/// Every code that the API answers, with what it means.
pub const CODES: [(&str, &str); 29] = [
    ("K-AUTH-1", "headers that sign the request are missing or malformed"),
    ("K-AUTH-2", "the request's signature is not its signer's"),
    ("K-AUTH-3", "the request's timestamp is outside the window; check the clock"),
    ("K-AUTH-4", "the signer is no validator with stake in this epoch or the one before, nor, for a read, a keeper"),
    ("K-AUTH-5", "the signed request was taken before; put a nonce into the query and sign again"),
    ("K-BODY-1", "the body is not the JSON that this call takes"),
    ("K-BODY-2", "the body is too large"),
    ("K-BODY-3", "the body did not come in time"),
    ("K-CHAIN-1", "the chain was not read lately; the keeper takes nothing in until it is"),
    ("K-COMMIT-1", "the commit is for another epoch or came after the deadline"),
    ("K-COMMIT-2", "the subnet does not exist or the validator held no uid when the epoch began"),
    ("K-COMMIT-3", "the commit is not signed by its validator"),
    ("K-COMMIT-4", "a commit with a higher sequence number is held"),
    ("K-COMMIT-5", "another commit with this sequence number is held; both are kept as evidence"),
    ("K-COMMIT-6", "the validator has sent too many commits in this epoch"),
    ("K-REVEAL-1", "the reveal is for another epoch, too early or too late"),
    ("K-REVEAL-2", "the subnet does not exist or the validator held no uid when the epoch began"),
    ("K-REVEAL-3", "the reveal does not open a commit signed by its validator"),
    ("K-REVEAL-4", "the row is stored but does not count; the reason is in the message"),
    ("K-JOB-1", "this validator has no such job, or its lease is not current"),
    ("K-JOB-2", "max_jobs or wait_ms is out of range"),
    ("K-LIMIT-1", "this address sends too many requests; Retry-After says how long to wait"),
    ("K-LIMIT-2", "this signer sends too many requests; Retry-After says how long to wait"),
    ("K-LIMIT-3", "too many costly requests are being answered; Retry-After says how long to wait"),
    ("K-EPOCH-1", "rows of this epoch are shown after its reveal deadline"),
    ("K-QUERY-1", "the query, or a list in the body, is out of range"),
    ("K-NOT-FOUND", "there is no such thing"),
    ("K-TIMEOUT", "the answer took too long"),
    ("K-INTERNAL", "the keeper failed; its log says why"),
];

/// Seconds after which another try is worth it.
const RETRY_S: u64 = 5;

/// A refusal.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Failure {
    /// A refusal with one of [`CODES`].
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// And when to come again, in seconds.
    pub(super) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "K-NOT-FOUND", what)
    }

    /// Something behind the keeper is away and comes back by itself.
    pub(super) fn for_now(words: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "K-INTERNAL", words).after(RETRY_S)
    }

    pub(super) fn stale_chain() -> Self {
        let words = "the chain was not read lately; try again soon";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "K-CHAIN-1", words).after(RETRY_S)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        counter!(telemetry::REFUSED_REQUESTS, "code" => self.code).increment(1);
        tracing::debug!(code = self.code, message = self.message, "refused");
        let body = ApiError { code: self.code.to_owned(), message: self.message };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "request put off");
            return Self::for_now("the keeper's store does not answer; try again soon");
        }
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "K-INTERNAL", "the keeper's store failed; see its log")
    }
}

impl From<BundleStoreError> for Failure {
    fn from(error: BundleStoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "request put off");
            return Self::for_now("the keeper's bundle store does not answer; try again soon");
        }
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "K-INTERNAL", "the keeper's bundle store failed; see its log")
    }
}

pub(super) async fn no_route() -> Failure {
    Failure::not_found("no such path")
}

pub(super) async fn no_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "K-NOT-FOUND", "this path does not take that method")
}
