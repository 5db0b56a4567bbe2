//! Who answers and who does not, for the operator to see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use bytes::Bytes;
use tandem_protocol::api::{Agreement, Attestation, RevealList, RowNames};
use tokio::time::Instant;

use super::{Peer, PeerError, Peers, Rows};
use crate::chain::without_urls;

/// What is known of one peer.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// When it last gave an answer.
    pub answered: Option<Instant>,
    /// When it last gave none, and why, without URLs.
    pub failed: Option<(Instant, String)>,
}

impl Heard {
    /// Why it did not answer the last question, if it did not.
    pub fn error(&self) -> Option<&str> {
        let (at, words) = self.failed.as_ref()?;
        self.answered.is_none_or(|answered| answered < *at).then_some(words)
    }
}

/// [`Peers`] that remember how the last questions to each of them went.
pub struct Overheard {
    inner: Arc<dyn Peers>,
    by_keeper: Mutex<BTreeMap<Address, Heard>>,
}

impl Overheard {
    /// Listens to what is asked of `inner`.
    pub fn new(inner: Arc<dyn Peers>) -> Self {
        Self { inner, by_keeper: Mutex::default() }
    }

    /// What is known of a peer; nothing if it was never asked.
    pub fn of(&self, keeper: Address) -> Heard {
        self.lock().get(&keeper).cloned().unwrap_or_default()
    }

    fn note<T>(&self, peer: &Peer, answer: Result<T, PeerError>) -> Result<T, PeerError> {
        let mut known = self.lock();
        let heard = known.entry(peer.keeper).or_default();
        match &answer {
            Ok(_) => heard.answered = Some(Instant::now()),
            Err(error) => heard.failed = Some((Instant::now(), without_urls(error))),
        }
        drop(known);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Heard>> {
        self.by_keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Peers for Overheard {
    async fn agreement(&self, peer: &Peer, epoch: u64) -> Result<Option<Agreement>, PeerError> {
        self.note(peer, self.inner.agreement(peer, epoch).await)
    }

    async fn names(&self, peer: &Peer, epoch: u64, rows: Rows) -> Result<Option<RowNames>, PeerError> {
        self.note(peer, self.inner.names(peer, epoch, rows).await)
    }

    async fn rows(
        &self,
        peer: &Peer,
        epoch: u64,
        rows: Rows,
        netuid: Option<u16>,
    ) -> Result<Option<RevealList>, PeerError> {
        self.note(peer, self.inner.rows(peer, epoch, rows, netuid).await)
    }

    async fn attestations(&self, peer: &Peer, epoch: u64) -> Result<Option<Vec<Attestation>>, PeerError> {
        self.note(peer, self.inner.attestations(peer, epoch).await)
    }

    async fn bundle(&self, peer: &Peer, hash: B256) -> Result<Option<Bytes>, PeerError> {
        self.note(peer, self.inner.bundle(peer, hash).await)
    }
}
