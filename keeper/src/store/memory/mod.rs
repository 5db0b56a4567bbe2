//! The store that forgets with its process: ordered maps behind one lock, no clock, no I/O, the same answers in the same
//! order every time. Simulations run on it; handles share what is stored, so a "restart" is another handle.

mod ballots;
mod jobs;
mod outbox;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use serde::Serialize;
use tandem_protocol::{
    api::{Attestation, Proposal, Vote},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use super::{
    CommitOutcome, Evidence, Fence, Lease, Leases, MAX_EVIDENCE, MAX_PENDING, Retention, Store, StoreError,
    StoredReveal, int, json, judge_commit, lease::FenceCell, lease::millis, note_evidence,
};
use crate::{
    guard::{Register, Slot},
    rows::better,
};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    fence: FenceCell,
    max_pending: u64,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<B256, jobs::Row>,
    outbox: BTreeMap<i64, outbox::Row>,
    next_tx: i64,
    /// By epoch, netuid, validator, sequence number.
    commits: BTreeMap<(u64, u16, Address, u32), Signed<WeightsCommit>>,
    reveals: BTreeMap<(u64, u16, Address), StoredReveal>,
    /// By epoch, attempt, round, proposer.
    proposals: BTreeMap<(u64, u32, u32, Address), Proposal>,
    /// By epoch and name.
    lists: BTreeMap<(u64, B256), Vec<Reveal>>,
    /// By epoch, attempt, round, step, keeper and list.
    votes: BTreeMap<(u64, u32, u32, u8, Address, B256), Vote>,
    choices: BTreeMap<(u64, u32), B256>,
    attestations: BTreeMap<(u64, u32, Address), Attestation>,
    evidence: BTreeSet<Evidence>,
    leases: BTreeMap<String, Held>,
    signed: BTreeMap<Slot, B256>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    until_ms: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(MAX_PENDING)
    }
}

impl MemoryStore {
    /// An empty store that takes so many jobs of an epoch that wait.
    pub fn new(max_pending: u64) -> Self {
        Self { state: Arc::default(), fence: FenceCell::default(), max_pending }
    }

    /// Another handle to what is stored here, with a fence of its own: what another process would hold.
    pub fn another(&self) -> Self {
        Self { state: self.state.clone(), fence: FenceCell::default(), max_pending: self.max_pending }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for a write that only a leader may do.
    fn fenced(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let wanted = self.fence.wanted()?;
        let state = self.state();
        let leads = |lease: &Lease| state.leases.get(&lease.name).is_some_and(|held| held.lease == *lease);
        if wanted.is_none_or(|lease| leads(&lease)) { Ok(state) } else { Err(StoreError::NotLeading) }
    }
}

impl State {
    fn add_evidence<T: Serialize>(
        &mut self,
        kind: &'static str,
        subject: Address,
        epoch: u64,
        statements: &T,
    ) -> Result<(), StoreError> {
        let of_this = |held: &&Evidence| held.kind == kind && held.subject == subject && held.epoch == epoch;
        if (self.evidence.iter().filter(of_this).count() as i64) < MAX_EVIDENCE {
            self.evidence.insert(Evidence { kind: kind.to_owned(), subject, epoch, statements: json(statements)? });
        }
        note_evidence(kind, subject, epoch);
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, .. } = commit.message;
        int(epoch)?;
        let mut state = self.state();
        let of_validator = (epoch, netuid, validator, 0)..=(epoch, netuid, validator, u32::MAX);
        let (last, count) = {
            let held = state.commits.range(of_validator);
            (held.clone().next_back().map(|((.., seq), _)| *seq), held.count() as i64)
        };
        let same = state.commits.get(&(epoch, netuid, validator, seq)).cloned();
        let same_hash = same.as_ref().map(|held| held.message.commitHash);
        let outcome = judge_commit(&commit.message, last, count, same_hash);
        match (&outcome, same) {
            (CommitOutcome::Equivocation, Some(held)) => {
                state.add_evidence("double_commit", validator, epoch, &(held, commit))?;
            }
            (CommitOutcome::Stored, None) => {
                state.commits.insert((epoch, netuid, validator, seq), commit.clone());
            }
            _ => {}
        }
        Ok(outcome)
    }

    async fn put_commit_on_chain(&self, on_chain: &WeightsCommit) -> Result<bool, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = *on_chain;
        int(epoch)?;
        let mut state = self.state();
        let held = state.commits.get(&(epoch, netuid, validator, seq)).cloned();
        let Some(held) = held.filter(|held| held.message.commitHash != commitHash) else { return Ok(false) };
        state.add_evidence("commit_against_chain", validator, epoch, &(held, on_chain))?;
        Ok(true)
    }

    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError> {
        int(reveal.epoch)?;
        let mut state = self.state();
        let key = (reveal.epoch, reveal.netuid, reveal.validator);
        if let Some(held) = state.reveals.get(&key) {
            let kept = better((&held.reveal, held.fault.is_none()), (reveal, fault.is_none()));
            if *kept == held.reveal {
                return Ok(());
            }
        }
        state.reveals.insert(key, StoredReveal { reveal: reveal.clone(), fault: fault.map(str::to_owned) });
        Ok(())
    }

    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError> {
        let state = self.state();
        let of_epoch = (epoch, 0, Address::ZERO)..=(epoch, u16::MAX, Address::repeat_byte(0xff));
        Ok(state.reveals.range(of_epoch).map(|(_, reveal)| reveal.clone()).collect())
    }

    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let list = &proposal.list.message;
        int(list.epoch)?;
        let mut state = self.fenced()?;
        let key = (list.epoch, list.attempt, list.round, proposal.proposer);
        match state.proposals.get(&key).cloned() {
            None => {
                state.proposals.insert(key, proposal.clone());
            }
            Some(held) if held.list.message.rowsHash != list.rowsHash => {
                state.add_evidence("double_proposal", proposal.proposer, list.epoch, &(held.list, &proposal.list))?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    async fn proposals(&self, epoch: u64, attempt: u32) -> Result<Vec<Proposal>, StoreError> {
        let state = self.state();
        let all = (epoch, attempt, 0, Address::ZERO)..=(epoch, attempt, u32::MAX, Address::repeat_byte(0xff));
        Ok(state.proposals.range(all).map(|(_, proposal)| proposal.clone()).collect())
    }

    async fn choose(&self, epoch: u64, attempt: u32, content: B256) -> Result<B256, StoreError> {
        int(epoch)?;
        Ok(*self.fenced()?.choices.entry((epoch, attempt)).or_insert(content))
    }

    async fn chosen(&self, epoch: u64, attempt: u32) -> Result<Option<B256>, StoreError> {
        Ok(self.state().choices.get(&(epoch, attempt)).copied())
    }

    async fn put_attestation(&self, attestation: &Attestation) -> Result<bool, StoreError> {
        let report = &attestation.report.message;
        int(report.epoch)?;
        let mut state = self.state();
        let key = (report.epoch, report.attempt, attestation.keeper);
        match state.attestations.get(&key).cloned() {
            None => {
                state.attestations.insert(key, attestation.clone());
                Ok(true)
            }
            Some(held) => {
                if held.report.message != *report {
                    let (kind, epoch) = ("double_attestation", report.epoch);
                    state.add_evidence(kind, attestation.keeper, epoch, &(held, attestation))?;
                }
                Ok(false)
            }
        }
    }

    async fn attestations(&self, epoch: u64) -> Result<Vec<Attestation>, StoreError> {
        let state = self.state();
        let of_epoch = (epoch, 0, Address::ZERO)..=(epoch, u32::MAX, Address::repeat_byte(0xff));
        Ok(state.attestations.range(of_epoch).map(|(_, attestation)| attestation.clone()).collect())
    }

    async fn last_attested(&self, keeper: Address) -> Result<Option<u64>, StoreError> {
        let state = self.state();
        let own = state.attestations.keys().rev().find(|(_, _, by)| *by == keeper);
        Ok(own.map(|(epoch, ..)| *epoch))
    }

    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError> {
        Ok(self.state().evidence.iter().filter(|held| held.epoch == epoch).cloned().collect())
    }

    async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let mut state = self.fenced()?;
        let State { commits, reveals, proposals, lists, votes, choices, attestations, evidence, .. } = &mut *state;
        let (before, limit) = (retention.before_epoch, retention.limit);
        let mut pruned = take(commits, limit, |(epoch, ..), _| *epoch < before);
        pruned += take(reveals, limit, |(epoch, ..), _| *epoch < before);
        pruned += take(proposals, limit, |(epoch, ..), _| *epoch < before);
        pruned += take(lists, limit, |(epoch, _), _| *epoch < before);
        pruned += take(votes, limit, |(epoch, ..), _| *epoch < before);
        pruned += take(choices, limit, |(epoch, _), _| *epoch < before);
        pruned += take(attestations, limit, |(epoch, ..), _| *epoch < before);
        let old: Vec<Evidence> =
            evidence.iter().filter(|held| held.epoch < before).take(limit as usize).cloned().collect();
        for held in &old {
            evidence.remove(held);
        }
        pruned += old.len() as u64;
        pruned += take(&mut state.outbox, limit, |_, row| row.is_over(retention.signed_before_ms));
        Ok(pruned)
    }

    async fn close(&self) {}
}

/// Removes the first `limit` entries that are `old`.
fn take<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, limit: u32, old: impl Fn(&K, &V) -> bool) -> u64 {
    let keys: Vec<K> =
        map.iter().filter(|(key, value)| old(key, value)).take(limit as usize).map(|(key, _)| key.clone()).collect();
    for key in &keys {
        map.remove(key);
    }
    keys.len() as u64
}

#[async_trait]
impl Leases for MemoryStore {
    async fn acquire(&self, name: &str, holder: B256, ttl: Duration, now_ms: u64) -> Result<Option<Lease>, StoreError> {
        let mut state = self.state();
        let term = match state.leases.get(name) {
            Some(held) if held.lease.holder != holder && held.until_ms > now_ms => return Ok(None),
            Some(held) => held.lease.term + 1,
            None => 1,
        };
        let lease = Lease { name: name.to_owned(), holder, term };
        let until_ms = now_ms.saturating_add(millis(ttl));
        state.leases.insert(name.to_owned(), Held { lease: lease.clone(), until_ms });
        Ok(Some(lease))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration, now_ms: u64) -> Result<bool, StoreError> {
        let mut state = self.state();
        let held = state.leases.get_mut(&lease.name).filter(|held| held.lease == *lease);
        Ok(held.map(|held| held.until_ms = now_ms.saturating_add(millis(ttl))).is_some())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(held) = state.leases.get_mut(&lease.name).filter(|held| held.lease == *lease) {
            held.until_ms = 0;
        }
        Ok(())
    }

    fn fence(&self, fence: Fence) {
        self.fence.set(fence);
    }
}

#[async_trait]
impl Register for MemoryStore {
    async fn reserve(&self, slot: Slot, digest: B256) -> Result<B256, StoreError> {
        Ok(*self.state().signed.entry(slot).or_insert(digest))
    }

    async fn reserved(
        &self,
        chain_id: u64,
        contract: Address,
        from_epoch: u64,
    ) -> Result<Vec<(Slot, B256)>, StoreError> {
        let asked = |slot: &Slot| (slot.chain_id, slot.contract) == (chain_id, contract) && slot.epoch >= from_epoch;
        let state = self.state();
        Ok(state.signed.iter().filter(|(slot, _)| asked(slot)).map(|(slot, digest)| (*slot, *digest)).collect())
    }
}
