//! Executors: what the decision core asked for, done. Each can be cut short anywhere and asked for again.

use std::sync::Arc;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolStruct;
use anyhow::{Context, anyhow, bail};
use metrics::{counter, gauge};
use tandem_protocol::{
    api::{Attestation, Proposal, Vote},
    bundle::{EpochBundle, EpochOutcome},
    jobs::jobs,
    messages::{EpochReport, ListVote, RowList, rows_hash},
    outcome,
    reveal::Reveal,
};

use super::{FinalInputs, Keeper};
use crate::{
    attester::AttestError,
    chain::{EpochFacts, Heads, ReportRef, StoredReport},
    claims::ClaimsIndex,
    decide::Action,
    inputs::{Sources, assemble, first_granted},
    kill,
    peers::{Peers, peers_of},
    sender::{Intent, SendError},
    store::StoreError,
    telemetry,
};

/// Jobs of so many epochs before the one that is published are kept, for late results and for `/audits`.
const JOBS_KEPT: u64 = 3;
/// Jobs are handed to the store when so many have come together.
const JOBS_AT_ONCE: usize = 16_384;

/// A report with the bytes of its bundle.
struct Computed {
    report: EpochReport,
    bytes: Vec<u8>,
}

impl Keeper {
    /// Does one thing.
    pub(super) async fn execute(&self, action: &Action, heads: &Heads) -> anyhow::Result<()> {
        match action {
            Action::PublishJobs { epoch } => self.publish_jobs(*epoch).await,
            Action::Forward { netuid } => self.send(Intent::Forward { netuid: *netuid }).await,
            Action::RecordOutage { gap } => {
                let proof = Box::new(self.chain.proof_of(gap).await?);
                self.send(Intent::RecordOutage { from: gap.earlier.time, proof }).await
            }
            Action::Settle => self.send(Intent::Settle).await,
            Action::Activate { epoch } => self.activate(*epoch, heads).await,
            Action::Propose { epoch, attempt, round, content } => {
                self.propose(*epoch, *attempt, *round, *content).await
            }
            Action::Vote { epoch, attempt, round, step, content } => {
                let vote = ListVote {
                    epoch: *epoch,
                    attempt: *attempt,
                    round: *round,
                    step: step.number(),
                    rowsHash: *content,
                };
                self.vote(vote).await
            }
            Action::Attest { epoch, attempt, content } => self.attest(*epoch, *attempt, *content, heads).await,
            Action::Post { epoch, attempt, report } => self.post(*epoch, *attempt, *report).await,
        }
    }

    async fn send(&self, intent: Intent) -> anyhow::Result<()> {
        match self.transactor.submit(&intent).await {
            // Somebody else was faster: the next look at the chain shows it.
            Err(error @ (SendError::Busy | SendError::Reverts { .. })) => {
                tracing::debug!(%error, "not sent");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    async fn publish_jobs(&self, epoch: u64) -> anyhow::Result<()> {
        let facts = self.facts(epoch).context("the epoch's facts are gone")?;
        let (mut added, mut gathered) = (0, Vec::new());
        for (place, subnet) in (1..).zip(&facts.subnets) {
            let serving: Vec<u16> = (0..=u16::MAX)
                .zip(&subnet.neurons)
                .filter(|(_, neuron)| !neuron.endpoint.is_empty())
                .map(|(uid, _)| uid)
                .collect();
            for (uid, neuron) in subnet.permitted() {
                let targets: Vec<u16> = serving.iter().copied().filter(|target| *target != uid).collect();
                let hotkey = neuron.input.hotkey;
                gathered.push((hotkey, jobs(facts.beacon, hotkey, epoch, subnet.netuid, &targets, self.jobs.rounds)));
            }
            let count: usize = gathered.iter().map(|(_, list)| list.len()).sum();
            if count < JOBS_AT_ONCE && place < facts.subnets.len() {
                continue;
            }
            match self.store.add_jobs(epoch, &gathered).await {
                Ok(new) => added += new,
                // What fits is published; tried again it would not fit either.
                Err(error @ StoreError::Full { .. }) => {
                    tracing::error!(netuid = subnet.netuid, %error, "not all jobs are published");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            gathered.clear();
        }
        let pruned = self.store.prune_jobs(epoch.saturating_sub(JOBS_KEPT)).await?;
        tracing::info!(epoch, added, pruned, "jobs published");
        self.live_mut().jobs_of = Some((epoch, facts.beacon));
        self.new_jobs.notify_waiters();
        Ok(())
    }

    async fn propose(&self, epoch: u64, attempt: u32, round: u32, content: Option<B256>) -> anyhow::Result<()> {
        let content = match content {
            Some(content) => content,
            None => {
                let stored = self.store.reveals(epoch).await?;
                let reveals: Vec<_> = stored.into_iter().map(|stored| stored.reveal).collect();
                let content = rows_hash(&reveals);
                self.store.put_list(epoch, content, &reveals).await?;
                content
            }
        };
        tracing::info!(epoch, attempt, round, list = %content, "proposing");
        let list = self.attester.list(RowList { epoch, attempt, round, rowsHash: content }).await?;
        Ok(self.store.put_proposal(&Proposal { proposer: self.attester.address(), list }).await?)
    }

    async fn vote(&self, vote: ListVote) -> anyhow::Result<()> {
        let (epoch, round, list) = (vote.epoch, vote.round, vote.rowsHash);
        let vote = Vote { keeper: self.attester.address(), vote: self.attester.vote(vote).await? };
        // Peers are shown what the store holds, so a vote that contradicts an earlier one leaves the process never.
        if self.store.put_vote(&vote, false).await? {
            tracing::debug!(epoch, round, step = vote.vote.message.step, %list, "voted");
        }
        Ok(())
    }

    async fn attest(&self, epoch: u64, attempt: u32, content: B256, heads: &Heads) -> anyhow::Result<()> {
        // The decision is on disk before anything follows from it: after a crash the same report is computed again.
        let content = self.store.choose(epoch, attempt, content).await?;
        kill::point("attest.chosen");
        let reveals = self.store.list(epoch, content).await?;
        let reveals = reveals.context("the list that was decided for is not in the store")?;
        let inputs = self.live().inputs.clone().filter(|inputs| inputs.facts.epoch == epoch);
        let inputs = inputs.context("the epoch's inputs are not known")?;
        let last = self.live().oracle.last_posted;
        let previous = match last {
            Some(report) => Some(self.previous(report, heads).await?),
            None => None,
        };
        let Computed { report, bytes } = self.compute(inputs, attempt, previous, reveals).await?;
        self.bundles.put_computed(epoch, report.bundleHash, bytes.into()).await?;
        kill::point("attest.bundle_stored");
        let signed = match self.attester.report(report).await {
            Ok(signed) => signed,
            Err(error) => {
                if matches!(error, AttestError::Guard(_)) {
                    counter!(telemetry::GUARD_REFUSALS).increment(1);
                }
                return Err(error.into());
            }
        };
        let hash = signed.message.eip712_hash_struct();
        tracing::info!(epoch, attempt, report = %hash, bundle = %signed.message.bundleHash, "report computed");
        let attestation = Attestation { keeper: self.attester.address(), report: signed };
        kill::point("attest.signed");
        self.keep_attestation(&attestation).await?;
        kill::point("attest.stored");
        counter!(telemetry::SIGNED).increment(1);
        gauge!(telemetry::LAST_ATTESTED).set(epoch as f64);
        Ok(())
    }

    async fn compute(
        &self,
        inputs: Arc<FinalInputs>,
        attempt: u32,
        previous: Option<(B256, B256, EpochBundle)>,
        reveals: Vec<Reveal>,
    ) -> anyhow::Result<Computed> {
        let netuids: Vec<u16> = inputs.facts.subnets.iter().map(|subnet| subnet.netuid).collect();
        let first = first_granted(previous.as_ref().map(|(_, _, bundle)| bundle));
        let granted = self.chain.granted(first..=inputs.facts.epoch, &netuids).await?;
        let (network, sound) = (self.network.clone(), self.sound.clone());
        let span = tracing::Span::current();
        let computed = tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let assembled = assemble(&Sources {
                network: &network,
                facts: &inputs.facts,
                inputs_block: inputs.block,
                attempt,
                previous: previous.as_ref().map(|(report, hash, bundle)| (*report, *hash, bundle)),
                reveals: &reveals,
                granted: &granted,
                sound: &sound,
            })?;
            // The largest network's are hundreds of megabytes each.
            drop((previous, reveals));
            let bundle = outcome::bundle(assembled)?;
            let bytes = bundle.encode();
            let report = outcome::report_named(&bundle, keccak256(&bytes));
            Ok::<_, anyhow::Error>(Computed { report, bytes })
        });
        computed.await?
    }

    async fn post(&self, epoch: u64, attempt: u32, report: B256) -> anyhow::Result<()> {
        let facts = self.facts(epoch).context("the epoch's facts are gone")?;
        let attestations = self.store.attestations(epoch).await?;
        let (report, signatures) = quorum(&attestations, &facts, attempt, report)
            .ok_or_else(|| anyhow!("the quorum of epoch {epoch} is gone from the store"))?;
        self.send(Intent::Post { report: Box::new(report), signatures }).await
    }

    /// The contract keeps a report's hash only: whoever activates it brings it along.
    async fn activate(&self, epoch: u64, heads: &Heads) -> anyhow::Result<()> {
        let stored = self.chain.stored_report(epoch, &heads.latest).await?;
        let (_, bundle) = self.posted_bundle(epoch, &stored, heads).await?;
        self.send(Intent::Activate { report: Box::new(outcome::report(&bundle)) }).await
    }

    /// A posted report: struct hash, bundle hash, bundle.
    async fn previous(&self, report: ReportRef, heads: &Heads) -> anyhow::Result<(B256, B256, EpochBundle)> {
        let stored = self.chain.stored_report(report.epoch, &heads.latest).await?;
        let (hash, bundle) = self.posted_bundle(report.epoch, &stored, heads).await?;
        Ok((report.hash, hash, bundle))
    }

    async fn posted_bundle(
        &self,
        epoch: u64,
        stored: &StoredReport,
        heads: &Heads,
    ) -> anyhow::Result<(B256, EpochBundle)> {
        let posted = self.chain.posted_report(epoch, stored, &heads.latest).await?;
        let posted = posted.with_context(|| format!("no log of epoch {epoch}'s report"))?;
        Ok((posted.bundle_hash, self.bundle(posted.bundle_hash).await?))
    }

    /// A bundle from the store, or from any peer that has it.
    async fn bundle(&self, hash: B256) -> anyhow::Result<EpochBundle> {
        if let Some(bundle) = self.bundles.get(hash).await? {
            return Ok(bundle);
        }
        let sets: Vec<Arc<EpochFacts>> = self.live().facts.values().map(|known| known.facts.clone()).collect();
        let newest = sets.last().context("no keepers are known")?;
        for peer in peers_of(&newest.keeper_set, self.attester.address(), &self.endpoints) {
            match self.peers.bundle(&peer, hash).await {
                Ok(Some(bytes)) => match self.bundles.put(hash, bytes).await {
                    Ok(bundle) => return Ok(bundle),
                    Err(error) => tracing::warn!(peer = peer.base, %error, "a peer sent something else"),
                },
                Ok(None) => {}
                Err(error) => tracing::debug!(peer = peer.base, %error, "no bundle"),
            }
        }
        bail!("[K-BUNDLE-4] nobody has bundle {hash}; it is asked for again")
    }

    /// Rebuilds the reward tree when another report became active.
    pub(super) async fn refresh_claims(&self, heads: &Heads) -> anyhow::Result<()> {
        let (active, known) = {
            let live = self.live();
            (live.oracle.last_active, live.claims.as_ref().map(|claims| claims.report()))
        };
        let Some(active) = active.filter(|active| Some(active.hash) != known) else { return Ok(()) };
        let stored = self.chain.stored_report(active.epoch, &heads.latest).await?;
        let (_, bundle) = self.posted_bundle(active.epoch, &stored, heads).await?;
        let EpochOutcome { rewards, rewards_root, .. } = bundle.outcome;
        // Millions of hashes: those whom this process serves meanwhile shall not wait for them.
        let built = tokio::task::spawn_blocking(move || ClaimsIndex::new(active.epoch, active.hash, rewards));
        let claims = built.await??;
        if claims.root() != rewards_root {
            bail!("the bundle of epoch {} does not lead to its own root", active.epoch);
        }
        tracing::info!(epoch = active.epoch, root = %claims.root(), "claims are served");
        self.live_mut().claims = Some(Arc::new(claims));
        Ok(())
    }
}

/// The report with exactly the threshold of its signatures, signers ascending.
fn quorum(
    attestations: &[Attestation],
    facts: &EpochFacts,
    attempt: u32,
    report: B256,
) -> Option<(EpochReport, Vec<u8>)> {
    let mut signed: Vec<(Address, &Attestation)> = attestations
        .iter()
        .filter(|attestation| attestation.report.message.attempt == attempt)
        .filter(|attestation| attestation.report.message.eip712_hash_struct() == report)
        .filter(|attestation| facts.keeper_set.keepers.contains(&attestation.keeper))
        .map(|attestation| (attestation.keeper, attestation))
        .collect();
    signed.sort_unstable_by_key(|(keeper, _)| *keeper);
    let threshold = facts.keeper_set.threshold;
    if threshold == 0 || signed.len() < threshold {
        return None;
    }
    let signatures = signed[..threshold].iter().flat_map(|(_, attestation)| attestation.report.signature.0).collect();
    Some((signed[0].1.report.message.clone(), signatures))
}
