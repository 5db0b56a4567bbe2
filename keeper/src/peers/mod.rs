//! Questions to the other keepers. Everything they answer is signed by somebody or named by its hash; nothing is believed
//! for its sender's sake.

mod heard;
mod http;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::StatusCode;
use tandem_protocol::api::{Agreement, Attestation, RevealList, RowNames};

pub use heard::{Heard, Overheard};
pub use http::HttpPeers;

use crate::{chain::KeeperSetFacts, keys::KeyError};

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
    /// The question could not be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// One other keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; zero for one that is known by URL alone.
    pub keeper: Address,
    /// Base URL without a slash at the end.
    pub base: String,
}

/// Which of a peer's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All that it holds; nobody is shown any before the deadline.
    Held,
    /// Those of a list, by its name.
    List(B256),
}

/// What can be asked of another keeper. `None`: it has no such thing, or not yet.
#[async_trait]
pub trait Peers: Send + Sync {
    /// The proposals and votes that the peer knows of.
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError>;

    /// The names of rows.
    async fn names(&self, peer: &Peer, epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError>;

    /// Rows, of one subnet or of all.
    async fn rows(
        &self,
        peer: &Peer,
        epoch: u64,
        rows: Rows,
        netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError>;

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
