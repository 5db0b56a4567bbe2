//! Collectors: chain and peers into values that decisions are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::B256;
use alloy_sol_types::SolStruct;
use metrics::gauge;
use tandem_protocol::{api::Vote, messages::WeightsCommit, reveal::Reveal};
use tokio::time::Instant;

use super::{FinalInputs, Keeper, KnownFacts};
use crate::{
    agree::{Ballot, Step, Votes},
    chain::{EpochFacts, Heads, ReportStatus, StoredReport},
    decide::{PROVABLE, Work, is_provable, working_epoch},
    rows::{RowKey, judge_row},
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
            // Neither waits for the other: what a look takes, deadlines are late by.
            let (oracle, facts) = tokio::join!(self.chain.oracle_state(&heads.latest), self.refresh_facts(&heads));
            facts?;
            self.live_mut().oracle = oracle?;
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
        self.refresh_gaps(heads).await?;
        self.refresh_deadlines(current, heads).await?;
        let mut wanted = BTreeSet::from([current, current.saturating_sub(1)]);
        let schedule = self.schedule();
        wanted.extend(working_epoch(&schedule, heads.latest.time));
        wanted.extend(schedule.still_open(heads.latest.time));
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
        let committed = found.committed();
        let facts = if committed == known.facts.committed {
            known.facts
        } else {
            tracing::info!(epoch, commits = found.commits.len(), rows = found.reveals.len(), "rows on chain");
            for ((netuid, validator, seq), hash) in found.commits {
                let on_chain = WeightsCommit { netuid, epoch, validator, seq, commitHash: hash };
                self.store.put_commit_on_chain(&on_chain).await?;
            }
            Arc::new(EpochFacts { committed, ..(*known.facts).clone() })
        };
        let domain = self.network.domain();
        for reveal in &found.reveals {
            let Ok(verdict) = judge_row(reveal, &self.network, &domain, &facts, &self.sound) else { continue };
            let fault = verdict.err().map(|fault| fault.to_string());
            self.store.put_reveal(reveal, fault.as_deref()).await?;
        }
        let is_final = known.is_final;
        self.live_mut().facts.insert(epoch, KnownFacts { facts, is_final, rows_until: heads.last_final.time });
        Ok(())
    }

    /// Gaps of blocks that nobody has recorded and that can still be. Each block is looked at once, unless a reorganisation
    /// changes it.
    async fn refresh_gaps(&self, heads: &Heads) -> anyhow::Result<()> {
        let head = &heads.latest;
        let (scanned, known) = {
            let live = self.live();
            (live.scanned, live.gaps.clone())
        };
        let mut gaps = known.clone();
        let after = match scanned {
            Some(block) if self.chain.is_canonical(&block).await? => block.number,
            _ => {
                gaps.clear();
                0
            }
        };
        gaps.extend(self.chain.gaps(after.max(head.number.saturating_sub(PROVABLE)), head).await?);
        let mut open = Vec::new();
        for gap in gaps.into_iter().filter(|gap| is_provable(gap, head.number)) {
            if self.chain.is_recorded(&gap, head).await? {
                continue;
            }
            if !known.contains(&gap) {
                tracing::warn!(from = gap.earlier.time, until = gap.later.time, "the chain made no blocks");
            }
            open.push(gap);
        }
        let mut live = self.live_mut();
        (live.scanned, live.gaps) = (Some(*head), open);
        Ok(())
    }

    /// Outages are recorded when they are over, and move deadlines that seemed to have passed: they are asked for at every
    /// head, back to an epoch whose reveal deadline has passed. What can still be recorded counts as if it were: otherwise rows
    /// would be shown, and agreed on, while others may soon be committed again.
    async fn refresh_deadlines(&self, current: u64, heads: &Heads) -> anyhow::Result<()> {
        let gaps = self.live().gaps.clone();
        let mut known = BTreeMap::new();
        for epoch in (0..=current).rev().take(OUTAGE_EPOCHS) {
            let Some(deadlines) = self.chain.deadlines(epoch, &heads.latest).await? else { break };
            let deadlines = deadlines.moved_by(&gaps, &self.network.clock);
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
                live.aside.clear();
                live.signatures.clear();
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
        facts.committed = self.chain.on_chain(epoch, &heads.last_final).await?.committed();
        tracing::info!(epoch, block = block.number, hash = %block.hash, "inputs are final");
        self.live_mut().inputs = Some(Arc::new(FinalInputs { block, facts }));
        Ok(())
    }

    async fn assemble_work(&self, facts: &EpochFacts, stored: &StoredReport, heads: &Heads) -> anyhow::Result<Work> {
        let (epoch, attempt) = (facts.epoch, stored.attempt);
        let known = self.store.attestations(epoch).await?;
        let me = self.attester.address();
        let signed = known.iter().any(|known| known.keeper == me && known.report.message.attempt == attempt);
        // What is decided needs no rows any more, and reading them all, again and again, costs much.
        let open = matches!(stored.status, ReportStatus::None | ReportStatus::Void) && !signed;
        let rows = if open { self.store.reveals(epoch).await? } else { Vec::new() };
        let counting = rows.iter().filter(|stored| stored.fault.is_none());
        let rows = counting.map(|stored| (key(&stored.reveal), stored.reveal.seq)).collect();
        let proposals = self.store.proposals(epoch, attempt).await?;
        let proposals: BTreeMap<u32, B256> =
            proposals.iter().map(|proposal| (proposal.list.message.round, proposal.list.message.rowsHash)).collect();
        let votes = votes(&self.store.votes(epoch, attempt).await?);
        let chosen = self.store.chosen(epoch, attempt).await?;
        let ballot = Ballot {
            me,
            threshold: facts.keeper_set.threshold,
            round: self.policy.round_at(&self.schedule(), epoch, heads.latest.time),
            proposals: &proposals,
            lists: &BTreeMap::new(),
            rows: &rows,
            votes: &votes,
        };
        let wanted = if open { ballot.missing().into_iter().chain(chosen).collect() } else { BTreeSet::new() };
        let lists = self.lists(facts, wanted).await?;
        let mut attestations: BTreeMap<B256, BTreeSet<_>> = BTreeMap::new();
        let mut attested = None;
        for attestation in known {
            let report = &attestation.report.message;
            if report.attempt != attempt {
                continue;
            }
            let hash = report.eip712_hash_struct();
            if attestation.keeper == me {
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
pub(super) type Counting = BTreeMap<RowKey, u32>;

pub(super) fn key(reveal: &Reveal) -> RowKey {
    (reveal.netuid, reveal.validator)
}

pub(super) fn votes<'a>(given: impl IntoIterator<Item = &'a Vote>) -> Votes {
    let mut votes = Votes::new();
    for Vote { keeper, vote } in given {
        if let Some(step) = Step::from_number(vote.message.step) {
            votes.entry((vote.message.round, step)).or_default().insert((*keeper, vote.message.rowsHash));
        }
    }
    votes
}
