//! Memory of the agreement on lists: their rows and the votes for them.

use alloy_primitives::B256;
use async_trait::async_trait;
use tandem_protocol::{api::Vote, reveal::Reveal};

use super::StoreError;

/// Lists and votes. Only who leads writes them.
#[async_trait]
pub trait Ballots {
    /// Takes a list of rows under its name, [`tandem_protocol::messages::rows_hash`]. Fenced.
    async fn put_list(&self, epoch: u64, content: B256, reveals: &[Reveal]) -> Result<(), StoreError>;

    /// The rows of a list.
    async fn list(&self, epoch: u64, content: B256) -> Result<Option<Vec<Reveal>>, StoreError>;

    /// Takes a checked vote. If another one by the same keeper for the same round and step is held, both are evidence, and
    /// the vote is taken only if `contradicting` ones are. Answers whether it is held now. Fenced.
    async fn put_vote(&self, vote: &Vote, contradicting: bool) -> Result<bool, StoreError>;

    /// Votes for an epoch and attempt, ascending by round, step, keeper and list.
    async fn votes(&self, epoch: u64, attempt: u32) -> Result<Vec<Vote>, StoreError>;
}
