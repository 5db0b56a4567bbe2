//! Questions to the other keepers, and what is made of their answers: nothing is taken in that is not checked, and what is
//! known already is not checked again.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use futures_util::future::join_all;
use metrics::counter;
use tandem_protocol::{
    api::{Agreement, Attestation, Vote},
    reveal::Reveal,
};

use super::{
    Keeper, MAX_FACES,
    collect::{Counting, key, votes},
};
use crate::{
    agree::{Step, worth_keeping},
    chain::{EpochFacts, Heads, StoredReport},
    decide::MAX_ROUNDS,
    guard::GuardError,
    kill,
    peers::{Peer, Peers, peers_of},
    rows::{IntakeFault, ProposalFault, RowKey, check_list, check_proposal, check_vote, judge_row},
    telemetry,
};

/// Who said what: keeper, attempt, round, step (0: proposed), list.
pub(super) type Statement = (Address, u32, u32, u8, B256);

impl Keeper {
    pub(super) async fn ask_peers(
        &self,
        facts: &EpochFacts,
        stored: &StoredReport,
        heads: &Heads,
    ) -> anyhow::Result<()> {
        let epoch = facts.epoch;
        let me = self.attester.address();
        let peers = peers_of(&facts.keeper_set, me, &self.endpoints);
        let round = self.policy.round_at(&self.schedule(), epoch, heads.latest.time);
        let known = &self.store.attestations(epoch).await?;
        let signed = known
            .iter()
            .any(|attestation| attestation.keeper == me && attestation.report.message.attempt == stored.attempt);
        let heard = self.live().heard.1.clone();
        let unheard = !signed && peers.iter().any(|peer| !heard.contains(&peer.keeper));
        // Read once for all peers: there may be many.
        let held = &if unheard { self.held(epoch).await? } else { BTreeMap::new() };
        join_all(peers.iter().map(|peer| async move {
            let rows_and_list = async {
                if !signed {
                    tokio::join!(
                        self.ask_for_rows(peer, facts, held),
                        self.ask_for_agreement(peer, facts, stored.attempt, round)
                    );
                }
            };
            tokio::join!(rows_and_list, self.ask_for_attestations(peer, facts, stored.attempt, known));
        }))
        .await;
        Ok(())
    }

    async fn ask_for_rows(&self, peer: &Peer, facts: &EpochFacts, held: &BTreeMap<RowKey, Reveal>) {
        if self.live().heard.1.contains(&peer.keeper) {
            return;
        }
        let list = match self.peers.reveals(peer, facts.epoch).await {
            Ok(Some(list)) => list,
            Ok(None) => return,
            Err(error) => return tracing::debug!(peer = peer.base, %error, "no rows"),
        };
        let domain = self.network.domain();
        let is_held = |reveal: &Reveal| held.get(&key(reveal)) == Some(reveal);
        for reveal in list.reveals.iter().filter(|reveal| reveal.epoch == facts.epoch && !is_held(reveal)) {
            let Ok(verdict) = judge_row(reveal, &self.network, &domain, facts, &self.sound) else { continue };
            let fault = verdict.err().map(|fault| fault.to_string());
            if let Err(error) = self.store.put_reveal(reveal, fault.as_deref()).await {
                return tracing::error!(%error, "a peer's row could not be stored");
            }
        }
        self.live_mut().heard.1.insert(peer.keeper);
    }

    /// Rows that this keeper holds.
    async fn held(&self, epoch: u64) -> anyhow::Result<BTreeMap<RowKey, Reveal>> {
        let rows = self.store.reveals(epoch).await?;
        Ok(rows.into_iter().map(|held| (key(&held.reveal), held.reveal)).collect())
    }

    async fn ask_for_agreement(&self, peer: &Peer, facts: &EpochFacts, attempt: u32, round: u32) {
        let Agreement { proposals, votes } = match self.peers.agreement(peer, facts.epoch).await {
            Ok(Some(agreement)) => agreement,
            Ok(None) => return,
            Err(error) => return tracing::debug!(peer = peer.base, %error, "no proposals and votes"),
        };
        let domain = self.network.domain();
        let refused = |fault: ProposalFault| {
            counter!(telemetry::REFUSED_PROPOSALS).increment(1);
            tracing::warn!(peer = peer.base, epoch = facts.epoch, %fault, "proposal or vote refused");
        };
        for proposal in proposals.iter().take(MAX_ROUNDS as usize) {
            // Two proposals for one round are evidence, so each is known by its content too.
            let list = &proposal.list.message;
            let statement = (proposal.proposer, list.attempt, list.round, 0, list.rowsHash);
            if self.live().checked.contains(&statement) {
                continue;
            }
            match check_proposal(proposal, attempt, round, &domain, facts) {
                Ok(()) => {}
                // The peer sees a later head.
                Err(ProposalFault::TooEarly { .. }) => continue,
                Err(fault) => return refused(fault),
            }
            if let Err(error) = self.store.put_proposal(proposal).await {
                return tracing::error!(%error, "a proposal could not be stored");
            }
            kill::point("collect.proposal_stored");
            self.live_mut().checked.insert(statement);
        }
        let mut new = Vec::new();
        for vote in votes.iter().take(2 * facts.keeper_set.keepers.len() * MAX_ROUNDS as usize) {
            let message = &vote.vote.message;
            let statement = (vote.keeper, message.attempt, message.round, message.step, message.rowsHash);
            if self.live().knows(&statement) {
                continue;
            }
            match check_vote(vote, attempt, round, &domain, facts) {
                Ok(()) => new.push((statement, vote.clone())),
                Err(ProposalFault::TooEarly { .. }) => {}
                Err(fault) => return refused(fault),
            }
        }
        if let Err(error) = self.take_votes(new, facts, attempt).await {
            tracing::error!(error = format!("{error:#}"), "votes could not be stored");
        }
    }

    /// Takes in votes that were just checked, and those that were set aside and are worth keeping now.
    async fn take_votes(&self, new: Vec<(Statement, Vote)>, facts: &EpochFacts, attempt: u32) -> anyhow::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let known = votes(&self.store.votes(facts.epoch, attempt).await?);
        let aside: Vec<(Statement, Vote)> = {
            let mut live = self.live_mut();
            live.aside.extend(new.iter().cloned());
            let of_attempt = live.aside.iter().filter(|(statement, _)| statement.1 == attempt);
            of_attempt.map(|(statement, vote)| (*statement, vote.clone())).collect()
        };
        let set = &facts.keeper_set;
        let kept = worth_keeping(&known, &votes(aside.iter().map(|(_, vote)| vote)), set.keepers.len(), set.threshold);
        for (statement, vote) in aside {
            let (keeper, _, round, step, content) = statement;
            let slot = Step::from_number(step).and_then(|step| kept.get(&(round, step)));
            let wanted = slot.is_some_and(|votes| votes.contains(&(keeper, content)));
            // One that stays aside contradicts another: the store makes evidence of it, once.
            if !wanted && !new.iter().any(|(new, _)| *new == statement) {
                continue;
            }
            if self.store.put_vote(&vote, wanted).await? {
                let mut live = self.live_mut();
                live.aside.remove(&statement);
                live.checked.insert(statement);
            }
        }
        Ok(())
    }

    /// Rows of the lists that matter now, from the store or from any peer that has them.
    pub(super) async fn lists(
        &self,
        facts: &EpochFacts,
        wanted: BTreeSet<B256>,
    ) -> anyhow::Result<BTreeMap<B256, Counting>> {
        let mut lists = BTreeMap::new();
        let mut peers = None;
        for content in wanted {
            let known = self.live().listed.get(&content).cloned();
            let counting = match known {
                Some(counting) => Some(counting),
                None => match self.store.list(facts.epoch, content).await? {
                    Some(reveals) => Some(self.check_list(content, &reveals, facts)?),
                    None => {
                        let me = self.attester.address();
                        let peers = peers.get_or_insert_with(|| peers_of(&facts.keeper_set, me, &self.endpoints));
                        self.fetch_list(peers, content, facts).await?
                    }
                },
            };
            if let Some(counting) = counting {
                self.live_mut().listed.insert(content, counting.clone());
                lists.insert(content, counting);
            }
        }
        Ok(lists)
    }

    async fn fetch_list(&self, peers: &[Peer], content: B256, facts: &EpochFacts) -> anyhow::Result<Option<Counting>> {
        for peer in peers {
            let list = match self.peers.list(peer, facts.epoch, content).await {
                Ok(Some(list)) => list,
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(peer = peer.base, %content, %error, "no list");
                    continue;
                }
            };
            match self.check_list(content, &list.reveals, facts) {
                Ok(counting) => {
                    self.store.put_list(facts.epoch, content, &list.reveals).await?;
                    return Ok(Some(counting));
                }
                Err(fault) => {
                    counter!(telemetry::REFUSED_PROPOSALS).increment(1);
                    tracing::warn!(peer = peer.base, epoch = facts.epoch, %content, %fault, "list refused");
                }
            }
        }
        Ok(None)
    }

    /// See [`check_list`]; of a row that was taken in before, no signature is checked again.
    pub(super) fn check_list(
        &self,
        content: B256,
        reveals: &[Reveal],
        facts: &EpochFacts,
    ) -> Result<Counting, ProposalFault> {
        let domain = self.network.domain();
        let judge = |reveal: &Reveal| -> Result<bool, IntakeFault> {
            judge_row(reveal, &self.network, &domain, facts, &self.sound).map(|verdict| verdict.is_ok())
        };
        check_list(content, reveals, facts.epoch, judge)
    }

    async fn ask_for_attestations(&self, peer: &Peer, facts: &EpochFacts, attempt: u32, known: &[Attestation]) {
        let attestations = match self.peers.attestations(peer, facts.epoch).await {
            Ok(Some(attestations)) => attestations,
            Ok(None) => return,
            Err(error) => return tracing::debug!(peer = peer.base, %error, "no attestations"),
        };
        let me = self.attester.address();
        let mut keepers = BTreeSet::new();
        // One of each keeper in the set is all there can be; what is known already needs no second check, but for our own,
        // which the guard must know of whatever the store says, and once told of, it does.
        let seen = |attestation: &Attestation| {
            let heard = &self.live().signatures;
            let of_keeper = heard.get(&attestation.keeper);
            of_keeper.is_some_and(|heard| heard.contains(&attestation.report.signature) || heard.len() >= MAX_FACES)
        };
        let new: Vec<&Attestation> = attestations
            .iter()
            .filter(|attestation| is_of(attestation, facts, attempt))
            .filter(|attestation| keepers.insert(attestation.keeper))
            .filter(|attestation| attestation.keeper == me || !known.contains(attestation))
            .filter(|attestation| !seen(attestation))
            .collect();
        for attestation in new {
            match self.take_attestation(attestation).await {
                // What anybody can make up must not count against who is said to have signed it.
                Ok(false) => {}
                Ok(true) => {
                    let mut live = self.live_mut();
                    live.signatures.entry(attestation.keeper).or_default().insert(attestation.report.signature);
                }
                Err(error) => tracing::error!(peer = peer.base, error = format!("{error:#}"), "attestation"),
            }
        }
    }

    /// Takes in an attestation; `false` if it is not by the keeper that it names.
    async fn take_attestation(&self, attestation: &Attestation) -> anyhow::Result<bool> {
        let Attestation { keeper, report } = attestation;
        if report.verify(&self.network.domain(), *keeper).is_err() {
            return Ok(false);
        }
        if *keeper == self.attester.address() {
            // Signed before a backup was restored, or by somebody who has our key.
            match self.attester.remember(&report.message).await {
                Err(error @ GuardError::AlreadySigned { .. }) => {
                    counter!(telemetry::GUARD_REFUSALS).increment(1);
                    tracing::error!(%error, "a second signature of this key exists; stop every other copy of it");
                }
                other => other?,
            }
        }
        self.keep_attestation(attestation).await?;
        Ok(true)
    }

    /// Stores a checked attestation and raises the alarm if keepers have computed different reports.
    pub(super) async fn keep_attestation(&self, attestation: &Attestation) -> anyhow::Result<()> {
        if !self.store.put_attestation(attestation).await? {
            return Ok(());
        }
        let report = &attestation.report.message;
        let hash = report.eip712_hash_struct();
        tracing::info!(epoch = report.epoch, attempt = report.attempt, by = %attestation.keeper, report = %hash, "signed");
        let others = self.store.attestations(report.epoch).await?;
        let differing = others
            .iter()
            .map(|other| &other.report.message)
            .find(|other| other.attempt == report.attempt && other.eip712_hash_struct() != hash);
        if let Some(other) = differing {
            counter!(telemetry::DISAGREEMENTS).increment(1);
            tracing::error!(
                epoch = report.epoch,
                one = %hash,
                other = %other.eip712_hash_struct(),
                "[K-AGREE-1] keepers computed different reports; compare them with `tandem-keeper replay`"
            );
        }
        Ok(())
    }
}

/// Whether an attestation claims to be by a keeper of the epoch and for the attempt that is due.
fn is_of(attestation: &Attestation, facts: &EpochFacts, attempt: u32) -> bool {
    let report = &attestation.report.message;
    let due = (report.epoch, report.attempt) == (facts.epoch, attempt);
    due && facts.keeper_set.keepers.contains(&attestation.keeper)
}
