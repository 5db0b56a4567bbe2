//! The keeper itself: collectors fill a view, [`crate::decide`] says what to do, executors do it; over and over. Nothing
//! that must survive a crash lives here, only what the chain, the store and the peers can tell again.

mod act;
mod ask;
mod collect;
mod rows;
mod upkeep;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use metrics::{counter, histogram};
use tandem_protocol::{
    api::{Agreement, PeerStatus, Vote},
    messages::SignatureBytes,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    attester::Attester,
    bundles::Bundles,
    chain::{BlockRef, ChainReader, Deadlines, EpochFacts, Gap, Heads, OracleState, Schedule, StoredReport},
    claims::ClaimsIndex,
    config::JobsConfig,
    decide::{Policy, View, decide, working_epoch},
    lead::Lead,
    network::Network,
    peers::{Overheard, Peers, peers_of},
    rows::{RowKey, SoundRows},
    sender::{Transactor, now_ms},
    store::{Store, StoreConfig, StoreError},
    telemetry,
};

/// Between two looks at what can be given up and forgotten.
const UPKEEP: Duration = Duration::from_secs(10);
/// Older than this, what was read of the chain is no ground for a receipt or a lease.
pub const STALE_AFTER: Duration = Duration::from_secs(20);
/// A node that shows one head for so long is cut off from its chain, whatever it answers.
pub const FROZEN_AFTER: Duration = Duration::from_secs(60);

/// Chain time now, no later than it is: the head's time and what has passed since that head was first seen. `None` if the
/// chain was not read lately or its head has stood still, so that it is no ground to act on.
pub fn chain_time(head_time: u64, since_read: Duration, since_change: Duration) -> Option<u64> {
    let fresh = since_read <= STALE_AFTER && since_change <= FROZEN_AFTER;
    fresh.then(|| head_time.saturating_add(since_change.as_secs()))
}

/// What a keeper is made of.
pub struct Parts {
    /// Network.
    pub network: Network,
    /// Times of the agreement.
    pub policy: Policy,
    /// Audits.
    pub jobs: JobsConfig,
    /// Memory.
    pub store: Arc<dyn Store>,
    /// Bundles.
    pub bundles: Bundles,
    /// Chain, to read.
    pub chain: Arc<dyn ChainReader>,
    /// Chain, to write.
    pub transactor: Arc<dyn Transactor>,
    /// Attest key.
    pub attester: Attester,
    /// Other keepers.
    pub peers: Arc<dyn Peers>,
    /// Base URLs of other keepers that replace those of the set.
    pub endpoints: BTreeMap<Address, String>,
}

/// One keeper.
pub struct Keeper {
    pub(crate) network: Network,
    pub(crate) jobs: JobsConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bundles: Bundles,
    pub(crate) attester: Attester,
    policy: Policy,
    chain: Arc<dyn ChainReader>,
    transactor: Arc<dyn Transactor>,
    peers: Overheard,
    endpoints: BTreeMap<Address, String>,
    lead: Lead,
    /// Epochs for which rows and statements are kept.
    kept_epochs: u64,
    live: RwLock<Live>,
    /// Rows whose signatures need no second look.
    pub(crate) sound: Arc<SoundRows>,
    /// Told when jobs were published.
    pub(crate) new_jobs: Notify,
    /// Ends long-polls and loops.
    pub(crate) stop: CancellationToken,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keeper").field("address", &self.attester.address()).finish_non_exhaustive()
    }
}

/// What was last seen.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) heads: Option<Heads>,
    pub(crate) read_at: Option<Instant>,
    /// When the newest block's hash was seen first.
    pub(crate) changed_at: Option<Instant>,
    pub(crate) oracle: OracleState,
    pub(crate) claims: Option<Arc<ClaimsIndex>>,
    facts: BTreeMap<u64, KnownFacts>,
    /// Deadlines of the epochs that are open in some way, as of the newest block.
    deadlines: BTreeMap<u64, Deadlines>,
    /// Gaps of blocks up to the newest one scanned that nobody has recorded, ascending.
    gaps: Vec<Gap>,
    /// Newest block up to which gaps were looked for.
    scanned: Option<BlockRef>,
    /// What the oracle holds for an epoch, as of the block of this hash.
    stored: Option<(B256, u64, StoredReport)>,
    inputs: Option<Arc<FinalInputs>>,
    /// Attempt that is due, by epoch.
    attempts: BTreeMap<u64, u32>,
    /// Epoch and beacon of the published jobs.
    jobs_of: Option<(u64, B256)>,
    /// Epoch and peers that have shown their rows of it.
    heard: (u64, BTreeSet<Address>),
    /// Epoch, attempt and chain time of the first sight of a quorum.
    quorum: Option<(u64, u32, u64)>,
    /// Proposals and votes that were checked and stored.
    checked: HashSet<ask::Statement>,
    /// Signatures on reports that were looked at, by who signed.
    signatures: BTreeMap<Address, BTreeSet<SignatureBytes>>,
    /// Votes that were checked and contradict others of their keepers.
    aside: BTreeMap<ask::Statement, Vote>,
    /// Rows that count in checked lists, by content.
    listed: BTreeMap<B256, BTreeMap<RowKey, u32>>,
}

#[derive(Clone)]
struct KnownFacts {
    facts: Arc<EpochFacts>,
    is_final: bool,
    /// Chain time of the final block up to which the rows on chain were read.
    rows_until: u64,
}

/// Final chain inputs of one epoch.
#[derive(Debug)]
pub(crate) struct FinalInputs {
    block: BlockRef,
    facts: EpochFacts,
}

/// Contradicting votes of one keeper that are set aside, and signatures of it on reports: what it says beyond is not looked at.
const MAX_FACES: usize = 64;

impl Live {
    /// Whether a vote needs no look: it is taken, set aside, or of somebody who has said too much.
    fn knows(&self, statement: &ask::Statement) -> bool {
        let of_keeper =
            (statement.0, 0, 0, 0, B256::ZERO)..=(statement.0, u32::MAX, u32::MAX, u8::MAX, B256::repeat_byte(0xff));
        self.checked.contains(statement)
            || self.aside.contains_key(statement)
            || self.aside.range(of_keeper).count() >= MAX_FACES
    }
}

impl Keeper {
    /// A keeper that has seen nothing yet. `stop` ends it.
    pub fn new(parts: Parts, stop: CancellationToken) -> Self {
        let Parts { network, policy, jobs, store, bundles, chain, transactor, attester, peers, endpoints } = parts;
        Self {
            network,
            jobs,
            store,
            bundles,
            attester,
            policy,
            chain,
            transactor,
            peers: Overheard::new(peers),
            endpoints,
            lead: Lead::alone(),
            kept_epochs: StoreConfig::default().keep_epochs,
            live: RwLock::default(),
            sound: Arc::default(),
            new_jobs: Notify::new(),
            stop,
        }
    }

    /// The same, leading only when `lead` says so; without it, it leads for ever.
    pub fn led_by(self, lead: Lead) -> Self {
        Self { lead, ..self }
    }

    /// The same, keeping what was said for so many epochs.
    pub fn keeping(self, kept_epochs: u64) -> Self {
        Self { kept_epochs, ..self }
    }

    /// Looks, decides and acts until stopped. Failures are logged and tried again. Looking at the chain waits for nobody:
    /// deadlines are kept by what it finds, however slow peers are.
    pub async fn run(&self, poll: Duration) {
        let look = self.again_and_again(poll, async || {
            if let Err(error) = self.look().await {
                counter!(telemetry::CHAIN_FAILURES).increment(1);
                tracing::warn!(error = format!("{error:#}"), "the chain could not be read, trying again");
            }
        });
        let act = self.again_and_again(poll, async || {
            if let Err(error) = self.act().await {
                counter!(telemetry::ACTION_FAILURES).increment(1);
                tracing::warn!(error = format!("{error:#}"), "no decision, trying again");
            }
        });
        let lead = self.again_and_again(self.lead.pace(), async || self.lead.renew(now_ms()).await);
        let upkeep = self.again_and_again(UPKEEP, async || {
            if let Err(error) = self.upkeep().await {
                tracing::warn!(error = format!("{error:#}"), "the store was not tidied, trying again");
            }
        });
        tokio::join!(look, act, lead, upkeep);
        self.lead.resign().await;
    }

    /// A step is never cut short: each one ends by itself, what it waits for has time-outs.
    async fn again_and_again(&self, poll: Duration, step: impl AsyncFn()) {
        let mut ticks = tokio::time::interval(poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            step().await;
        }
    }

    /// Looks at the chain, then decides and acts once.
    pub async fn step(&self) -> anyhow::Result<()> {
        self.look().await?;
        self.act().await
    }

    async fn act(&self) -> anyhow::Result<()> {
        let Some(heads) = self.live().heads else { return Ok(()) };
        let now = heads.latest.time;
        // Which epoch it is, and which one is agreed on.
        let span = tracing::info_span!(
            "step",
            epoch = self.network.clock.epoch_at(now),
            working_epoch = working_epoch(&self.schedule(), now),
        );
        self.act_on(&heads).instrument(span).await
    }

    async fn act_on(&self, heads: &Heads) -> anyhow::Result<()> {
        if !self.lead.ask(now_ms()).await {
            return self.follow(heads).await;
        }
        let sending = match self.transactor.tick().await {
            Ok(sending) => sending,
            Err(error) => {
                tracing::warn!(%error, "open transactions could not be watched");
                true
            }
        };
        let work = self.collect_work(heads).await?;
        let current = self.network.clock.epoch_at(heads.latest.time).and_then(|epoch| self.facts(epoch));
        let (oracle, jobs_of, gaps) = {
            let live = self.live();
            (live.oracle.clone(), live.jobs_of.map(|(epoch, _)| epoch), live.gaps.clone())
        };
        let actions = decide(&View {
            now: heads.latest.time,
            height: heads.latest.number,
            gaps: &gaps,
            clock: self.schedule(),
            me: self.attester.address(),
            policy: self.policy,
            oracle,
            sending,
            current_set: current.as_ref().map(|facts| &facts.keeper_set),
            jobs_of,
            work: work.as_ref(),
        });
        for action in actions {
            let started = Instant::now();
            let span =
                tracing::info_span!("action", name = action.name(), epoch = action.epoch(), netuid = action.netuid());
            let result = self.execute(&action, heads).instrument(span).await;
            histogram!(telemetry::ACTION_SECONDS, "action" => action.name()).record(started.elapsed());
            if let Err(error) = result {
                counter!(telemetry::ACTION_FAILURES).increment(1);
                tracing::warn!(?action, error = format!("{error:#}"), "action failed, will be tried again");
            }
        }
        if let Err(error) = self.refresh_claims(heads).await {
            tracing::warn!(error = format!("{error:#}"), "claims are not up to date");
        }
        Ok(())
    }

    /// What a process that serves but does not lead keeps up to date.
    async fn follow(&self, heads: &Heads) -> anyhow::Result<()> {
        if let Some(epoch) = working_epoch(&self.schedule(), heads.latest.time) {
            let stored = self.stored_report(epoch, heads).await?;
            self.note_attempt(epoch, stored.attempt);
        }
        self.refresh_claims(heads).await
    }

    fn note_attempt(&self, epoch: u64, attempt: u32) {
        let mut live = self.live_mut();
        live.attempts.insert(epoch, attempt);
        while live.attempts.len() > 8 {
            live.attempts.pop_first();
        }
    }

    /// Address of the attest key.
    pub fn address(&self) -> Address {
        self.attester.address()
    }

    /// Closes the databases; the keeper is of no use afterwards.
    pub async fn close(&self) {
        self.attester.close().await;
        self.store.close().await;
    }

    /// What holds for `epoch`, if it is known.
    pub(crate) fn facts(&self, epoch: u64) -> Option<Arc<EpochFacts>> {
        self.live().facts.get(&epoch).map(|known| known.facts.clone())
    }

    /// Epochs, with deadlines as the chain has moved them.
    pub(crate) fn schedule(&self) -> Schedule {
        Schedule::new(self.network.clock, self.live().deadlines.iter().map(|(epoch, known)| (*epoch, *known)))
    }

    /// See [`chain_time`].
    pub(crate) fn chain_time(&self) -> Option<u64> {
        let live = self.live();
        chain_time(live.heads?.latest.time, live.read_at?.elapsed(), live.changed_at?.elapsed())
    }

    /// Whether `hotkey` has stake in an epoch that is known; `None` while none is.
    pub(crate) fn is_validator(&self, hotkey: Address) -> Option<bool> {
        let live = self.live();
        let mut subnets = live.facts.values().flat_map(|known| &known.facts.subnets);
        let found = subnets.any(|subnet| subnet.validators().any(|(_, neuron)| neuron.input.hotkey == hotkey));
        (!live.facts.is_empty()).then_some(found)
    }

    /// Proposals and votes of the attempt on `epoch` that is due.
    pub async fn agreement(&self, epoch: u64) -> Result<Agreement, StoreError> {
        let attempt = self.attempt_of(epoch);
        Ok(Agreement {
            proposals: self.store.proposals(epoch, attempt).await?,
            votes: self.store.votes(epoch, attempt).await?,
        })
    }

    /// Whether this process acts, or another one that shares its store.
    pub(crate) fn leads(&self) -> bool {
        self.lead.leads()
    }

    /// The other keepers of the newest set that is known, as the last questions to them went.
    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        let Some(newest) = self.live().facts.values().next_back().map(|known| known.facts.clone()) else {
            return Vec::new();
        };
        let me = self.attester.address();
        let reachable = peers_of(&newest.keeper_set, me, &self.endpoints);
        let others = newest.keeper_set.keepers.iter().filter(|keeper| **keeper != me);
        others
            .map(|keeper| {
                let heard = self.peers.of(*keeper);
                let error = match reachable.iter().any(|peer| peer.keeper == *keeper) {
                    true => heard.error().map(str::to_owned),
                    false => Some("it has no endpoint in KeeperSet".to_owned()),
                };
                PeerStatus { keeper: *keeper, answered_s: heard.answered.map(|at| at.elapsed().as_secs()), error }
            })
            .collect()
    }

    /// Number that the next report of `epoch` must carry, as far as known.
    pub(crate) fn attempt_of(&self, epoch: u64) -> u32 {
        self.live().attempts.get(&epoch).copied().unwrap_or_default()
    }

    pub(crate) fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}
