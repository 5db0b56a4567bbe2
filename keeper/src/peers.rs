//! Questions to the other keepers. Everything they answer is signed by somebody or named by its hash; nothing is believed
//! for its sender's sake.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use alloy_primitives::{Address, B256};
use bytes::{Bytes, BytesMut};
use metrics::counter;
use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use tandem_protocol::{
    api::{Agreement, Attestation, RevealList},
    bundle::MAX_BUNDLE_BYTES,
};

use crate::{chain::KeeperSetFacts, config::PeersConfig, telemetry};

/// Bytes of an agreement's proposals and votes beyond which they are not read on: each is some hundred bytes, and there are
/// two votes of each keeper in each of few rounds.
const MAX_AGREEMENT: usize = 4 << 20;
/// Bytes of a list of attestations beyond which it is not read on: a signed report of each keeper is a fraction of this.
const MAX_ATTESTATIONS: usize = 1 << 20;
/// Bytes of a list of rows, proposed or held, beyond which it is not read on. The rows of the largest network (256 subnets
/// of 64 validators and 256 uids) are about 90 MB of JSON.
const MAX_ROWS: usize = 160 << 20;

/// Why a peer had no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It could not be reached, or did not finish.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// It answered with another status.
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// It sent more than such an answer can be.
    #[error("answer is longer than {0} bytes")]
    TooLong(usize),
    /// It sent something else.
    #[error("malformed answer: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// One other keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; zero for one that is known by URL alone.
    pub keeper: Address,
    /// Base URL without a slash at the end.
    pub base: String,
}

/// What can be asked of another keeper. `None`: it has no such thing, or not yet.
#[async_trait]
pub trait Peers: Send + Sync {
    /// The proposals and votes that the peer knows of.
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError>;

    /// The rows of a list by its name.
    async fn list(&self, peer: &Peer, epoch: u64, content: B256) -> Result<Option<RevealList>, PeerError>;

    /// The rows that the peer holds; `None` before the deadline.
    async fn reveals(&self, peer: &Peer, epoch: u64) -> Result<Option<RevealList>, PeerError>;

    /// The attestations that the peer knows of.
    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError>;

    /// The bytes of a bundle.
    async fn bundle(&self, peer: &Peer, hash: B256) -> Result<Option<Bytes>, PeerError>;
}

/// Everybody else in the set who can be reached; `overrides` are base URLs that replace those of the set.
pub fn peers_of(set: &KeeperSetFacts, me: Address, overrides: &BTreeMap<Address, String>) -> Vec<Peer> {
    set.keepers
        .iter()
        .zip(&set.endpoints)
        .filter(|(keeper, _)| **keeper != me)
        .map(|(keeper, endpoint)| (*keeper, overrides.get(keeper).unwrap_or(endpoint)))
        .filter(|(_, endpoint)| !endpoint.is_empty())
        .map(|(keeper, endpoint)| Peer { keeper, base: endpoint.trim_end_matches('/').to_owned() })
        .collect()
}

/// The other keepers over HTTP.
#[derive(Clone, Debug)]
pub struct HttpPeers {
    http: Client,
}

impl HttpPeers {
    /// A client with the configured patience.
    pub fn new(config: &PeersConfig) -> Result<Self, PeerError> {
        Ok(Self { http: Client::builder().timeout(Duration::from_millis(config.timeout_ms)).build()? })
    }

    /// The bytes of a bundle at a URL.
    pub async fn get(&self, url: String) -> Result<Option<Bytes>, PeerError> {
        self.read(url, MAX_BUNDLE_BYTES).await
    }

    async fn read(&self, url: String, limit: usize) -> Result<Option<Bytes>, PeerError> {
        let result = self.fetch(url, limit).await;
        if result.is_err() {
            counter!(telemetry::PEER_FAILURES).increment(1);
        }
        result
    }

    async fn fetch(&self, url: String, limit: usize) -> Result<Option<Bytes>, PeerError> {
        let mut answer = self.http.get(url).send().await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => return Ok(None),
            other => return Err(PeerError::Status(other)),
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > limit {
                return Err(PeerError::TooLong(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    async fn json<T: DeserializeOwned>(&self, url: String, limit: usize) -> Result<Option<T>, PeerError> {
        match self.read(url, limit).await? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Peers for HttpPeers {
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError> {
        self.json(format!("{}/v1/epochs/{epoch}/agreement", peer.base), MAX_AGREEMENT).await
    }

    async fn list(&self, peer: &Peer, epoch: u64, content: B256) -> Result<Option<RevealList>, PeerError> {
        self.json(format!("{}/v1/epochs/{epoch}/lists/{content}", peer.base), MAX_ROWS).await
    }

    async fn reveals(&self, peer: &Peer, epoch: u64) -> Result<Option<RevealList>, PeerError> {
        self.json(format!("{}/v1/epochs/{epoch}/reveals", peer.base), MAX_ROWS).await
    }

    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        self.json(format!("{}/v1/epochs/{epoch}/attestations", peer.base), MAX_ATTESTATIONS).await
    }

    async fn bundle(&self, peer: &Peer, hash: B256) -> Result<Option<Bytes>, PeerError> {
        self.get(format!("{}/v1/bundles/{hash}", peer.base)).await
    }
}
