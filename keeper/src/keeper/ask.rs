//! Questions to the other keepers, and what is made of their answers: nothing is taken in that is not checked, and what is
//! known already is not checked again.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use futures_util::future::join_all;
use metrics::counter;
use tandem_protocol::api::{Agreement, Attestation, Vote};

use super::{Keeper, MAX_FACES, collect::votes, rows::ByName};
use crate::{
    agree::{Step, worth_keeping},
    chain::{EpochFacts, Heads, StoredReport},
    decide::MAX_ROUNDS,
    guard::GuardError,
    kill,
    peers::{Peer, Peers, peers_of},
    rows::{ProposalFault, check_proposal, check_vote},
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
        let held = &if unheard { self.held(epoch).await? } else { ByName::new() };
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
