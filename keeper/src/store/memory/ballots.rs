//! Lists and votes in memory.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use tandem_protocol::{api::Vote, messages::ListVote, reveal::Reveal};

use super::MemoryStore;
use crate::store::{Ballots, StoreError, int};

#[async_trait]
impl Ballots for MemoryStore {
    async fn put_list(&self, epoch: u64, content: B256, reveals: &[Reveal]) -> Result<(), StoreError> {
        int(epoch)?;
        self.fenced()?.lists.entry((epoch, content)).or_insert_with(|| reveals.to_vec());
        Ok(())
    }

    async fn list(&self, epoch: u64, content: B256) -> Result<Option<Vec<Reveal>>, StoreError> {
        Ok(self.state().lists.get(&(epoch, content)).cloned())
    }

    async fn put_vote(&self, vote: &Vote, contradicting: bool) -> Result<bool, StoreError> {
        let ListVote { epoch, attempt, round, step, rowsHash } = vote.vote.message;
        int(epoch)?;
        let mut state = self.fenced()?;
        let slot = |content| (epoch, attempt, round, step, vote.keeper, content);
        if state.votes.contains_key(&slot(rowsHash)) {
            return Ok(true);
        }
        let mut held = state.votes.range(slot(B256::ZERO)..=slot(B256::repeat_byte(0xff)));
        let other = held.next().map(|(_, held)| held.clone());
        let taken = other.is_none() || contradicting;
        if let Some(other) = other {
            state.add_evidence("double_vote", vote.keeper, epoch, &(other, vote))?;
        }
        if taken {
            state.votes.insert(slot(rowsHash), vote.clone());
        }
        Ok(taken)
    }

    async fn votes(&self, epoch: u64, attempt: u32) -> Result<Vec<Vote>, StoreError> {
        let state = self.state();
        let first = (epoch, attempt, 0, 0, Address::ZERO, B256::ZERO);
        let last = (epoch, attempt, u32::MAX, u8::MAX, Address::repeat_byte(0xff), B256::repeat_byte(0xff));
        Ok(state.votes.range(first..=last).map(|(_, vote)| vote.clone()).collect())
    }
}
