//! Collectors: chain and peers into values that decisions are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use futures_util::future::join_all;
use metrics::{counter, gauge};
use tandem_protocol::{
    api::{Agreement, Attestation, Vote},
    reveal::Reveal,
};
use tokio::time::Instant;

use super::{FinalInputs, Keeper, KnownFacts};
use crate::{
    agree::{Ballot, Step, Votes, worth_keeping},
    chain::{EpochFacts, Heads, ReportStatus, StoredReport},
    decide::{MAX_ROUNDS, Work, working_epoch},
    guard::GuardError,
    kill,
    peers::{Peer, peers_of},
    rows::{IntakeFault, ProposalFault, RowKey, check_list, check_proposal, check_vote, judge_row},
    store::StoredReveal,
    telemetry,
};

/// Epochs in a row that an outage may have swallowed before those from before it are given up.
const OUTAGE_EPOCHS: usize = 64;

impl Keeper {
    /// Head, oracle, and the facts of every epoch that is open in some way.
    pub(super) async fn look(&self) -> anyhow::Result<()> {
        let heads = self.chain.heads().await?;
        let seen = self.live().heads;
        if seen.is_none_or(|seen| seen != heads) {
            let oracle = self.chain.oracle_state(&heads.latest).await?;
            self.refresh_facts(&heads).await?;
            self.live_mut().oracle = oracle;
        }
        let mut live = self.live_mut();
        let now = Instant::now();
        if live.heads.is_none_or(|seen| seen.latest.hash != heads.latest.hash) {
            live.changed_at = Some(now);
        }
        live.heads = Some(heads);
        live.read_at = Some(now);
        let clock = self.network.clock;
        gauge!(telemetry::EPOCH).set(clock.epoch_at(heads.latest.time).unwrap_or_default() as f64);
        gauge!(telemetry::HEAD_TIME).set(heads.latest.time as f64);
        gauge!(telemetry::LAST_POSTED).set(live.oracle.last_posted.map_or(0, |report| report.epoch) as f64);
        gauge!(telemetry::LAST_ACTIVE).set(live.oracle.last_active.map_or(0, |report| report.epoch) as f64);
        Ok(())
    }

    async fn refresh_facts(&self, heads: &Heads) -> anyhow::Result<()> {
        let clock = self.network.clock;
        let Some(current) = clock.epoch_at(heads.latest.time) else { return Ok(()) };
        self.refresh_deadlines(current, heads).await?;
        let mut wanted = BTreeSet::from([current, current.saturating_sub(1)]);
        wanted.extend(working_epoch(&self.schedule(), heads.latest.time));
        for epoch in &wanted {
            let known = self.live().facts.get(epoch).cloned();
            if let Some(mut known) = known {
                if known.is_final {
                    continue;
                }
                if self.chain.is_canonical(&known.facts.read_at).await? {
                    known.is_final = known.facts.read_at.number <= heads.last_final.number;
                    self.live_mut().facts.insert(*epoch, known);
                    continue;
                }
                tracing::warn!(epoch, "the block that the epoch was read at is gone, reading again");
            }
            let facts = self.chain.facts(*epoch, &heads.latest).await?;
            tracing::info!(
                epoch,
                keepers = facts.keeper_set.keepers.len(),
                subnets = facts.subnets.len(),
                neurons = facts.subnets.iter().map(|subnet| subnet.neurons.len()).sum::<usize>(),
                "epoch read"
            );
            let mut live = self.live_mut();
            if live.jobs_of.is_some_and(|(of, beacon)| of == *epoch && beacon != facts.beacon) {
                live.jobs_of = None;
            }
            live.facts.insert(*epoch, KnownFacts { facts: Arc::new(facts), is_final: false, rows_until: 0 });
        }
        self.live_mut().facts.retain(|epoch, _| wanted.contains(epoch));
        for epoch in wanted {
            self.refresh_rows_on_chain(epoch, heads).await?;
        }
        Ok(())
    }

    /// What validators committed and revealed on chain: read from the commit deadline on, at every head until nothing more
    /// can come. Rows are stored like those that were sent here, so that no list may leave them out.
    async fn refresh_rows_on_chain(&self, epoch: u64, heads: &Heads) -> anyhow::Result<()> {
        let schedule = self.schedule();
        let Some(known) = self.live().facts.get(&epoch).cloned() else { return Ok(()) };
        let complete = known.rows_until >= schedule.reveal_deadline(epoch);
        if complete || heads.latest.time < schedule.commit_deadline(epoch) {
            return Ok(());
        }
        let found = self.chain.on_chain(epoch, &heads.latest).await?;
        let facts = if found.commits == known.facts.committed {
            known.facts
        } else {
            tracing::info!(epoch, commits = found.commits.len(), rows = found.reveals.len(), "rows on chain");
            Arc::new(EpochFacts { committed: found.commits, ..(*known.facts).clone() })
        };
        let domain = self.network.domain();
        for reveal in &found.reveals {
            let Ok(verdict) = judge_row(reveal, &self.network, &domain, &facts) else { continue };
            let fault = verdict.err().map(|fault| fault.to_string());
            self.store.put_reveal(reveal, fault.as_deref()).await?;
        }
        let is_final = known.is_final;
        self.live_mut().facts.insert(epoch, KnownFacts { facts, is_final, rows_until: heads.last_final.time });
        Ok(())
    }

    /// Outages are recorded when they are over, and move deadlines that seemed to have passed: they are asked for at every
    /// head, back to an epoch whose reveal deadline has passed.
    async fn refresh_deadlines(&self, current: u64, heads: &Heads) -> anyhow::Result<()> {
        let mut known = BTreeMap::new();
        for epoch in (0..=current).rev().take(OUTAGE_EPOCHS) {
            let Some(deadlines) = self.chain.deadlines(epoch, &heads.latest).await? else { break };
            known.insert(epoch, deadlines);
            if epoch + 2 <= current && deadlines.reveal <= heads.latest.time {
                break;
            }
        }
        self.live_mut().deadlines = known;
        Ok(())
    }

    /// The epoch to agree on, with what store and peers know of it.
    pub(super) async fn collect_work(&self, heads: &Heads) -> anyhow::Result<Option<Work>> {
        let Some(epoch) = working_epoch(&self.schedule(), heads.latest.time) else { return Ok(None) };
        let Some(facts) = self.facts(epoch) else { return Ok(None) };
        let stored = self.stored_report(epoch, heads).await?;
        {
            self.note_attempt(epoch, stored.attempt);
            let mut live = self.live_mut();
            if live.heard.0 != epoch {
                live.heard = (epoch, BTreeSet::new());
                live.checked.clear();
                live.listed.clear();
            }
        }
        let open = matches!(stored.status, ReportStatus::None | ReportStatus::Void);
        if open && facts.keeper_set.keepers.contains(&self.attester.address()) {
            self.collect_inputs(epoch, heads).await?;
            self.ask_peers(&facts, &stored, heads).await?;
        }
        self.assemble_work(&facts, &stored, heads).await.map(Some)
    }

    pub(super) async fn stored_report(&self, epoch: u64, heads: &Heads) -> anyhow::Result<StoredReport> {
        let known = self.live().stored.filter(|(at, of, _)| (*at, *of) == (heads.latest.hash, epoch));
        if let Some((_, _, stored)) = known {
            return Ok(stored);
        }
        let stored = self.chain.stored_report(epoch, &heads.latest).await?;
        self.live_mut().stored = Some((heads.latest.hash, epoch, stored));
        Ok(stored)
    }

    /// The last block before the epoch's end, once it is final, and the epoch as of then.
    async fn collect_inputs(&self, epoch: u64, heads: &Heads) -> anyhow::Result<()> {
        // A commit deadline may have been moved past the end.
        let end = self.network.clock.end_of(epoch);
        let complete = end.max(self.schedule().commit_deadline(epoch));
        let known = self.live().inputs.as_ref().is_some_and(|inputs| inputs.facts.epoch == epoch);
        if known || heads.last_final.time < complete {
            return Ok(());
        }
        let Some(block) = self.chain.last_block_before(end, &heads.last_final).await? else { return Ok(()) };
        let mut facts = self.chain.facts(epoch, &block).await?;
        facts.committed = self.chain.on_chain(epoch, &heads.last_final).await?.commits;
        tracing::info!(epoch, block = block.number, hash = %block.hash, "inputs are final");
        self.live_mut().inputs = Some(Arc::new(FinalInputs { block, facts }));
        Ok(())
    }

    async fn ask_peers(&self, facts: &EpochFacts, stored: &StoredReport, heads: &Heads) -> anyhow::Result<()> {
        let epoch = facts.epoch;
        let me = self.attester.address();
        let peers = peers_of(&facts.keeper_set, me, &self.endpoints);
        let round = self.policy.round_at(&self.schedule(), epoch, heads.latest.time);
        let known = &self.store.attestations(epoch).await?;
        let signed = known
            .iter()
            .any(|attestation| attestation.keeper == me && attestation.report.message.attempt == stored.attempt);
        join_all(peers.iter().map(|peer| async move {
            let rows_and_list = async {
                if !signed {
                    tokio::join!(
                        self.ask_for_rows(peer, facts),
                        self.ask_for_agreement(peer, facts, stored.attempt, round)
                    );
                }
            };
            tokio::join!(rows_and_list, self.ask_for_attestations(peer, facts, stored.attempt, known));
        }))
        .await;
        Ok(())
    }

    async fn ask_for_rows(&self, peer: &Peer, facts: &EpochFacts) {
        if self.live().heard.1.contains(&peer.keeper) {
            return;
        }
        let list = match self.peers.reveals(peer, facts.epoch).await {
            Ok(Some(list)) => list,
            Ok(None) => return,
            Err(error) => return tracing::debug!(peer = peer.base, %error, "no rows"),
        };
        let held = match self.held(facts.epoch).await {
            Ok(held) => held,
            Err(error) => return tracing::error!(error = format!("{error:#}"), "the rows held could not be read"),
        };
        let domain = self.network.domain();
        let is_held = |reveal: &Reveal| held.get(&key(reveal)).is_some_and(|held| held.reveal == *reveal);
        for reveal in list.reveals.iter().filter(|reveal| reveal.epoch == facts.epoch && !is_held(reveal)) {
            let Ok(verdict) = judge_row(reveal, &self.network, &domain, facts) else { continue };
            let fault = verdict.err().map(|fault| fault.to_string());
            if let Err(error) = self.store.put_reveal(reveal, fault.as_deref()).await {
                return tracing::error!(%error, "a peer's row could not be stored");
            }
        }
        self.live_mut().heard.1.insert(peer.keeper);
    }

    /// Rows that this keeper holds.
    async fn held(&self, epoch: u64) -> anyhow::Result<BTreeMap<RowKey, StoredReveal>> {
        let rows = self.store.reveals(epoch).await?;
        Ok(rows.into_iter().map(|held| (key(&held.reveal), held)).collect())
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
            // Two proposals for one round are evidence, so each is known by its content, not by its round.
            let statement = (proposal.proposer, proposal.list.message.eip712_hash_struct());
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
        let mut shown = Vec::new();
        for vote in votes.iter().take(2 * facts.keeper_set.keepers.len() * MAX_ROUNDS as usize) {
            let statement = (vote.keeper, vote.vote.message.eip712_hash_struct());
            if self.live().checked.contains(&statement) {
                continue;
            }
            match check_vote(vote, attempt, round, &domain, facts) {
                Ok(()) => shown.push((statement, vote.clone())),
                Err(ProposalFault::TooEarly { .. }) => {}
                Err(fault) => return refused(fault),
            }
        }
        if let Err(error) = self.take_votes(shown, facts, attempt).await {
            tracing::error!(error = format!("{error:#}"), "votes could not be stored");
        }
    }

    async fn take_votes(
        &self,
        shown: Vec<((Address, B256), Vote)>,
        facts: &EpochFacts,
        attempt: u32,
    ) -> anyhow::Result<()> {
        if shown.is_empty() {
            return Ok(());
        }
        let known = votes(&self.store.votes(facts.epoch, attempt).await?);
        let set = &facts.keeper_set;
        let kept = worth_keeping(&known, &votes(shown.iter().map(|(_, vote)| vote)), set.keepers.len(), set.threshold);
        for (statement, vote) in &shown {
            let message = &vote.vote.message;
            let slot = Step::from_number(message.step).map(|step| (message.round, step));
            let wanted = slot.and_then(|slot| kept.get(&slot));
            let wanted = wanted.is_some_and(|votes| votes.contains(&(vote.keeper, message.rowsHash)));
            // What is not taken now is evidence, and may be worth keeping when others have voted alike.
            if self.store.put_vote(vote, wanted).await? {
                self.live_mut().checked.insert(*statement);
            }
        }
        Ok(())
    }

    /// Rows of the lists that matter now, from the store or from any peer that has them.
    async fn lists(&self, facts: &EpochFacts, wanted: BTreeSet<B256>) -> anyhow::Result<BTreeMap<B256, Counting>> {
        let mut lists = BTreeMap::new();
        let mut peers = None;
        for content in wanted {
            let known = self.live().listed.get(&content).cloned();
            let counting = match known {
                Some(counting) => Some(counting),
                None => match self.store.list(facts.epoch, content).await? {
                    Some(reveals) => Some(self.check_list(content, &reveals, facts).await??),
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
            match self.check_list(content, &list.reveals, facts).await? {
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

    /// See [`check_list`]; a row that is held was judged when it was taken in.
    pub(super) async fn check_list(
        &self,
        content: B256,
        reveals: &[Reveal],
        facts: &EpochFacts,
    ) -> anyhow::Result<Result<Counting, ProposalFault>> {
        let held = self.held(facts.epoch).await?;
        let domain = self.network.domain();
        let judge = |reveal: &Reveal| -> Result<bool, IntakeFault> {
            match held.get(&key(reveal)) {
                Some(held) if held.reveal == *reveal => Ok(held.fault.is_none()),
                _ => judge_row(reveal, &self.network, &domain, facts).map(|verdict| verdict.is_ok()),
            }
        };
        Ok(check_list(content, reveals, facts.epoch, judge))
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
        // which the guard must know of whatever the store says.
        let new = attestations
            .iter()
            .filter(|attestation| is_of(attestation, facts, attempt))
            .filter(|attestation| keepers.insert(attestation.keeper))
            .filter(|attestation| attestation.keeper == me || !known.contains(attestation));
        for attestation in new {
            if let Err(error) = self.take_attestation(attestation).await {
                tracing::error!(peer = peer.base, error = format!("{error:#}"), "attestation");
            }
        }
    }

    async fn take_attestation(&self, attestation: &Attestation) -> anyhow::Result<()> {
        let Attestation { keeper, report } = attestation;
        if report.verify(&self.network.domain(), *keeper).is_err() {
            return Ok(());
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
        self.keep_attestation(attestation).await
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

    async fn assemble_work(&self, facts: &EpochFacts, stored: &StoredReport, heads: &Heads) -> anyhow::Result<Work> {
        let (epoch, attempt) = (facts.epoch, stored.attempt);
        let rows = self.store.reveals(epoch).await?;
        let counting = rows.iter().filter(|stored| stored.fault.is_none());
        let rows = counting.map(|stored| (key(&stored.reveal), stored.reveal.seq)).collect();
        let proposals = self.store.proposals(epoch, attempt).await?;
        let proposals: BTreeMap<u32, B256> =
            proposals.iter().map(|proposal| (proposal.list.message.round, proposal.list.message.rowsHash)).collect();
        let votes = votes(&self.store.votes(epoch, attempt).await?);
        let chosen = self.store.chosen(epoch, attempt).await?;
        let ballot = Ballot {
            me: self.attester.address(),
            threshold: facts.keeper_set.threshold,
            round: self.policy.round_at(&self.schedule(), epoch, heads.latest.time),
            proposals: &proposals,
            lists: &BTreeMap::new(),
            rows: &rows,
            votes: &votes,
        };
        let lists = self.lists(facts, ballot.missing().into_iter().chain(chosen).collect()).await?;
        let mut attestations: BTreeMap<B256, BTreeSet<_>> = BTreeMap::new();
        let mut attested = None;
        for attestation in self.store.attestations(epoch).await? {
            let report = &attestation.report.message;
            if report.attempt != attempt {
                continue;
            }
            let hash = report.eip712_hash_struct();
            if attestation.keeper == self.attester.address() {
                attested = Some((hash, report.previousReport));
            }
            attestations.entry(hash).or_default().insert(attestation.keeper);
        }
        let quorum = attested
            .and_then(|(hash, _)| attestations.get(&hash))
            .is_some_and(|signers| signers.len() >= facts.keeper_set.threshold);
        let mut live = self.live_mut();
        let of_this = |known: &(u64, u32, u64)| (known.0, known.1) == (epoch, attempt);
        if quorum && !live.quorum.as_ref().is_some_and(of_this) {
            live.quorum = Some((epoch, attempt, heads.latest.time));
        }
        Ok(Work {
            epoch,
            attempt,
            status: stored.status,
            set: facts.keeper_set.clone(),
            inputs_known: live.inputs.as_ref().is_some_and(|inputs| inputs.facts.epoch == epoch),
            rows,
            peers_heard: live.heard.1.len(),
            proposals,
            lists,
            votes,
            chosen,
            attested,
            attestations,
            quorum_since: live.quorum.filter(of_this).map(|(_, _, since)| since),
        })
    }
}

/// Sequence numbers of the rows in a list that count.
type Counting = BTreeMap<RowKey, u32>;

fn key(reveal: &Reveal) -> RowKey {
    (reveal.netuid, reveal.validator)
}

fn votes<'a>(given: impl IntoIterator<Item = &'a Vote>) -> Votes {
    let mut votes = Votes::new();
    for Vote { keeper, vote } in given {
        if let Some(step) = Step::from_number(vote.message.step) {
            votes.entry((vote.message.round, step)).or_default().insert((*keeper, vote.message.rowsHash));
        }
    }
    votes
}

/// Whether an attestation claims to be by a keeper of the epoch and for the attempt that is due.
fn is_of(attestation: &Attestation, facts: &EpochFacts, attempt: u32) -> bool {
    let report = &attestation.report.message;
    let due = (report.epoch, report.attempt) == (facts.epoch, attempt);
    due && facts.keeper_set.keepers.contains(&attestation.keeper)
}
