//! Questions over HTTP. A keeper of the set signs them, which takes it out of the limits that its peers have for strangers; a
//! peer that does not take the signature is asked without one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use metrics::counter;
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use tandem_protocol::{
    api::{Agreement, ApiError, Attestation, RevealList, RowNames, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER},
    bundle::MAX_BUNDLE_BYTES,
    signed::Signed,
};
use tokio::time::Instant;

use super::{Peer, PeerError, Peers, Rows};
use crate::{attester::Introduction, config::PeersConfig, telemetry};

/// Bytes of an agreement's proposals and votes beyond which they are not read on: each is some hundred bytes, and there are
/// two votes of each keeper in each of few rounds.
const MAX_AGREEMENT: usize = 4 << 20;
/// Bytes of a list of attestations beyond which it is not read on: a signed report of each keeper is a fraction of this.
const MAX_ATTESTATIONS: usize = 1 << 20;
/// Bytes of a list of rows, proposed or held, beyond which it is not read on. The rows of the largest network (256 subnets
/// of 64 validators and 256 uids) are about 90 MB of JSON.
const MAX_ROWS: usize = 160 << 20;
/// The same of one subnet's rows, of which several are asked for.
const MAX_SUBNET_ROWS: usize = MAX_ROWS / 8;
/// The same of a list of their names: each is some 130 bytes, and a network has at most 65,536 uids.
const MAX_NAMES: usize = 16 << 20;
/// The same of a refusal.
const MAX_REFUSAL: usize = 4 << 10;
/// A peer that refused a signature is asked without one for so long.
const UNSIGNED_FOR: Duration = Duration::from_secs(60);

/// The other keepers over HTTP. Copies share what they know of peers.
#[derive(Clone, Debug)]
pub struct HttpPeers {
    http: Client,
    introduction: Option<Introduction>,
    /// Base URLs of peers that refused a signature, and when.
    refused: Arc<Mutex<HashMap<String, Instant>>>,
}

impl HttpPeers {
    /// A client with the configured patience, a stranger to everybody.
    pub fn new(config: &PeersConfig) -> Result<Self, PeerError> {
        let http = Client::builder().timeout(Duration::from_millis(config.timeout_ms)).build()?;
        Ok(Self { http, introduction: None, refused: Arc::default() })
    }

    /// The same, signing what it asks if there is somebody to sign.
    pub fn introduced_by(self, introduction: Option<Introduction>) -> Self {
        Self { introduction, ..self }
    }

    /// The bytes of a bundle at a URL of anybody's, asked for without a signature.
    pub async fn get(&self, url: String) -> Result<Option<Bytes>, PeerError> {
        counted(async { content(self.http.get(url).send().await?, MAX_BUNDLE_BYTES).await }).await
    }

    async fn read(&self, peer: &Peer, path: String, limit: usize) -> Result<Option<Bytes>, PeerError> {
        counted(async {
            let answer = match self.ask_signed(&peer.base, &path).await? {
                Some(answer) => answer,
                None => self.http.get(format!("{}{path}", peer.base)).send().await?,
            };
            content(answer, limit).await
        })
        .await
    }

    async fn json<T: DeserializeOwned>(&self, peer: &Peer, path: String, limit: usize) -> Result<Option<T>, PeerError> {
        match self.read(peer, path, limit).await? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }

    /// The answer to a signed question; `None` if nobody signs, or the peer would not hear of it.
    async fn ask_signed(&self, base: &str, path: &str) -> Result<Option<Response>, PeerError> {
        let Some(introduction) = &self.introduction else { return Ok(None) };
        if self.refused().get(base).is_some_and(|at| at.elapsed() < UNSIGNED_FOR) {
            return Ok(None);
        }
        // Each signature is taken once, and questions are repeated within a second.
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}nonce={:016x}", rand::random::<u64>());
        let Signed { message, signature } = introduction.sign(&path).await?;
        let answer = self
            .http
            .get(format!("{base}{path}"))
            .header(SIGNER_HEADER, message.signer.to_string())
            .header(TIMESTAMP_HEADER, message.timestamp)
            .header(SIGNATURE_HEADER, signature.to_string())
            .send()
            .await?;
        if !matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(Some(answer));
        }
        let words = bytes(answer, MAX_REFUSAL).await.ok();
        let reason: Option<ApiError> = words.and_then(|words| serde_json::from_slice(&words).ok());
        let reason = reason.map(|reason| format!("[{}] {}", reason.code, reason.message));
        tracing::warn!(peer = base, reason, "a peer does not take this keeper's signature and is asked without it");
        self.refused().insert(base.to_owned(), Instant::now());
        Ok(None)
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn counted<T>(asking: impl Future<Output = Result<T, PeerError>>) -> Result<T, PeerError> {
    asking.await.inspect_err(|_| counter!(telemetry::PEER_FAILURES).increment(1))
}

async fn content(answer: Response, limit: usize) -> Result<Option<Bytes>, PeerError> {
    match answer.status() {
        StatusCode::OK => bytes(answer, limit).await.map(Some),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(None),
        other => Err(PeerError::Status(other)),
    }
}

async fn bytes(mut answer: Response, limit: usize) -> Result<Bytes, PeerError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(PeerError::TooLong(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

#[async_trait]
impl Peers for HttpPeers {
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError> {
        self.json(peer, format!("/v1/epochs/{epoch}/agreement"), MAX_AGREEMENT).await
    }

    async fn names(&self, peer: &Peer, epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError> {
        let path = match rows {
            Rows::Held => format!("/v1/epochs/{epoch}/names"),
            Rows::List(content) => format!("/v1/epochs/{epoch}/lists/{content}/names"),
        };
        self.json(peer, path, MAX_NAMES).await
    }

    async fn rows(
        &self,
        peer: &Peer,
        epoch: u64,
        rows: Rows,
        netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError> {
        let path = match rows {
            Rows::Held => format!("/v1/epochs/{epoch}/reveals"),
            Rows::List(content) => format!("/v1/epochs/{epoch}/lists/{content}"),
        };
        match netuid {
            Some(netuid) => self.json(peer, format!("{path}?netuid={netuid}"), MAX_SUBNET_ROWS).await,
            None => self.json(peer, path, MAX_ROWS).await,
        }
    }

    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        self.json(peer, format!("/v1/epochs/{epoch}/attestations"), MAX_ATTESTATIONS).await
    }

    async fn bundle(&self, peer: &Peer, hash: B256) -> Result<Option<Bytes>, PeerError> {
        self.read(peer, format!("/v1/bundles/{hash}"), MAX_BUNDLE_BYTES).await
    }
}
