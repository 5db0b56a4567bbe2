//! Speaking to keepers: signed requests, one keeper for jobs with fail-over to the next, all of them for rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::Eip712Domain;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tandem_protocol::api::{
    ApiError, CommitRequest, JobExtension, JobFailure, JobReceipt, JobResult, LeaseExtended, LeaseRequest,
    LeaseResponse, ReceiptResponse, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER,
};
use tandem_protocol::messages::{SignedRequest, request_hash};
use tandem_protocol::reveal::Reveal;
use tandem_protocol::signed::Signed;
use thiserror::Error;

/// A keeper that cannot be connected to in this time is taken for down.
const CONNECT: Duration = Duration::from_secs(3);
/// Time beyond a long-poll's own for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer that is read: a keeper is trusted with jobs, not with memory.
const ANSWER_BYTES: usize = 4 << 20;

/// Why a keeper was of no use.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// No answer, or not HTTP.
    #[error("{keeper}: {error}")]
    Http {
        /// Which keeper.
        keeper: Url,
        /// What went wrong.
        error: String,
    },
    /// It refused.
    #[error("{keeper} refused ({status}): {code}: {message}")]
    Refused {
        /// Which keeper.
        keeper: Url,
        /// HTTP status.
        status: StatusCode,
        /// Stable code.
        code: String,
        /// In words.
        message: String,
    },
}

impl KeeperError {
    /// Whether asking again is pointless.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Http { .. } => false,
            Self::Refused { status, .. } => {
                status.is_client_error()
                    && !matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY
                    )
            }
        }
    }
}

/// The keepers that a worker knows.
pub struct Keepers {
    urls: Vec<Url>,
    client: Client,
    hotkey: PrivateKeySigner,
    domain: Eip712Domain,
    current: AtomicUsize,
}

impl Keepers {
    /// Keepers at these base URLs.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(urls: Vec<Url>, hotkey: PrivateKeySigner, domain: Eip712Domain) -> Result<Self, reqwest::Error> {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT).build()?;
        Ok(Self { urls, client, hotkey, domain, current: AtomicUsize::new(0) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.urls.len()
    }

    /// The keeper that jobs are leased from at the moment.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.urls.len().max(1)
    }

    /// Turns to the next keeper, unless somebody has turned away from `from` already.
    pub fn turn_from(&self, from: usize) {
        let next = (from + 1) % self.urls.len().max(1);
        let _ = self.current.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Asks for jobs.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn lease(&self, keeper: usize, request: &LeaseRequest) -> Result<LeaseResponse, KeeperError> {
        self.post(keeper, "/v1/jobs/lease", request, Duration::from_millis(request.wait_ms) + ANSWER).await
    }

    /// Keeps a lease alive.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn extend(&self, keeper: usize, request: &JobExtension) -> Result<LeaseExtended, KeeperError> {
        self.post(keeper, "/v1/jobs/extend", request, ANSWER).await
    }

    /// Hands in a result.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn complete(&self, keeper: usize, result: &JobResult) -> Result<JobReceipt, KeeperError> {
        self.post(keeper, "/v1/jobs/complete", result, ANSWER).await
    }

    /// Gives a job back.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn fail(&self, keeper: usize, failure: &JobFailure) -> Result<JobReceipt, KeeperError> {
        self.post(keeper, "/v1/jobs/fail", failure, ANSWER).await
    }

    /// Commits a row.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn commit(&self, keeper: usize, commit: &CommitRequest) -> Result<ReceiptResponse, KeeperError> {
        self.post(keeper, "/v1/commits", commit, ANSWER).await
    }

    /// Reveals a row; the answer says nothing that a worker needs.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub async fn reveal(&self, keeper: usize, reveal: &Reveal) -> Result<(), KeeperError> {
        self.send(keeper, "/v1/reveals", reveal, ANSWER).await.map(drop)
    }

    async fn post<A: DeserializeOwned>(
        &self,
        keeper: usize,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<A, KeeperError> {
        let answer = self.send(keeper, path, body, timeout).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| KeeperError::Http { keeper: self.urls[keeper].clone(), error: error.to_string() })
    }

    async fn send(
        &self,
        keeper: usize,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<Vec<u8>, KeeperError> {
        let base = &self.urls[keeper];
        let failed = |error: String| KeeperError::Http { keeper: base.clone(), error };
        let body = serde_json::to_vec(body).map_err(|error| failed(error.to_string()))?;
        // A keeper takes a signature once: two equal requests of one second must differ.
        let path = format!("{path}?nonce={:016x}", rand::random::<u64>());
        let url = base.join(&path).map_err(|error| failed(error.to_string()))?;
        let signed_path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let signed = self.authenticate(&signed_path, &body).map_err(|error| failed(error.to_string()))?;
        let request = self
            .client
            .post(url)
            .timeout(timeout)
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNER_HEADER, signed.message.signer.to_string())
            .header(TIMESTAMP_HEADER, signed.message.timestamp)
            .header(SIGNATURE_HEADER, signed.signature.to_string())
            .body(body);
        let response = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        let answer = crate::service::read_bounded(response, ANSWER_BYTES).await.map_err(failed)?;
        if status.is_success() {
            return Ok(answer);
        }
        let ApiError { code, message } = serde_json::from_slice(&answer).unwrap_or_else(|_| ApiError {
            code: "unknown".to_owned(),
            message: String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned(),
        });
        Err(KeeperError::Refused { keeper: base.clone(), status, code, message })
    }

    fn authenticate(
        &self,
        path: &str,
        body: &[u8],
    ) -> Result<Signed<SignedRequest>, tandem_protocol::signed::SignatureError> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let message =
            SignedRequest { signer: self.hotkey.address(), bodyHash: request_hash("POST", path, body), timestamp };
        Signed::new(message, &self.domain, &self.hotkey)
    }
}
