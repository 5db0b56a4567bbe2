//! A chain in memory: time that the test sets, facts that the test gives, an oracle with the contract's rules.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard},
};

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolStruct;
use async_trait::async_trait;
use tandem_keeper::{
    chain::{
        BlockRef, ChainError, ChainReader, Deadlines, EpochFacts, Gap, GapProof, Granted, Heads, KeeperSetFacts,
        NeuronFacts, OnChain, OracleState, PostedReport, ReportRef, ReportStatus, StoredReport, SubnetFacts,
    },
    network::Network,
    sender::{Intent, SendError, Transactor},
};
use tandem_protocol::{
    bundle::{Hyperparameters, NeuronInput},
    delegation::Backing,
    messages::{EpochReport, SignatureBytes},
    reveal::Reveal,
    signed::recover,
};

use super::{keeper_keys, key, network};

pub(crate) const ACTIVATION_DELAY: u64 = 10;

pub(crate) struct MemoryChain {
    pub(crate) network: Network,
    keepers: Vec<Address>,
    threshold: usize,
    subnets: Vec<SubnetFacts>,
    granted: Granted,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: u64,
    endpoints: Vec<String>,
    settled_through: u64,
    reports: Vec<(EpochReport, u64)>,
    active: usize,
    sent: Vec<String>,
    stolen: u128,
    on_chain: OnChain,
    /// Blocks that did not come.
    gap: Option<Stop>,
    /// The set from an epoch on.
    next_set: Option<(u64, KeeperSetFacts)>,
}

#[derive(Clone, Copy)]
struct Stop {
    gap: Gap,
    recorded: bool,
    recordable: bool,
}

impl MemoryChain {
    /// One subnet: neurons 0 to 2 are validators (keys 11 to 13), 3 and 4 contributors (keys 14 and 15).
    pub(crate) fn new(now: u64) -> Self {
        Self::kept_by(keeper_keys().iter().map(|key| key.address()).collect(), 2, now)
    }

    /// The same with other keepers, ascending.
    pub(crate) fn kept_by(keepers: Vec<Address>, threshold: usize, now: u64) -> Self {
        let granted = Granted { alpha: 1_000, usdc: 100 };
        Self::of(network(), (keepers, threshold), vec![Self::subnet(1)], granted, now)
    }

    /// The facts of such a subnet.
    pub(crate) fn subnet(netuid: u16) -> SubnetFacts {
        let neuron = |number: u8| NeuronFacts {
            input: NeuronInput {
                owner: key(number + 100).address(),
                hotkey: key(number).address(),
                registered_at: 0,
                stake: if number <= 13 { 1_000 } else { 0 },
                backing: Backing::default(),
            },
            endpoint: if number <= 13 { String::new() } else { format!("http://contributor-{number}") },
        };
        SubnetFacts {
            netuid,
            owner: key(99).address(),
            hyperparameters: Hyperparameters {
                kappa: 32_767,
                bonds_moving_average: 900_000,
                bonds_penalty: 65_535,
                max_validators: 64,
            },
            neurons: (11..=15).map(neuron).collect(),
        }
    }

    /// Any subnets, each of which is granted so much per epoch.
    pub(crate) fn of(
        network: Network,
        (keepers, threshold): (Vec<Address>, usize),
        subnets: Vec<SubnetFacts>,
        granted: Granted,
        now: u64,
    ) -> Self {
        let state = State { now, endpoints: vec![String::new(); keepers.len()], ..State::default() };
        Self { network, keepers, threshold, subnets, granted, state: Mutex::new(state) }
    }

    /// From now on the chain has an active report, the only one.
    pub(crate) fn adopt(&self, report: EpochReport) {
        let mut state = self.state();
        state.settled_through = report.epoch + 1;
        state.reports = vec![(report, 0)];
        state.active = 1;
    }

    pub(crate) fn time(&self) -> u64 {
        self.state().now
    }

    pub(crate) fn set_time(&self, now: u64) {
        self.state().now = now;
    }

    pub(crate) fn set_endpoints(&self, endpoints: Vec<String>) {
        self.state().endpoints = endpoints;
    }

    /// The chain makes no blocks between these times; whether the contract lets that be recorded.
    pub(crate) fn stop_between(&self, from: u64, to: u64, recordable: bool) {
        let gap = Gap { earlier: Self::block(from), later: Self::block(to) };
        self.state().gap = Some(Stop { gap, recorded: false, recordable });
    }

    /// From `epoch` on the set is another one.
    pub(crate) fn change_keepers(&self, epoch: u64, keepers: Vec<Address>, threshold: usize, endpoints: Vec<String>) {
        let config_digest = keccak256(keepers.concat());
        self.state().next_set = Some((epoch, KeeperSetFacts { keepers, endpoints, threshold, config_digest }));
    }

    fn set_of(&self, epoch: u64, state: &State) -> KeeperSetFacts {
        match &state.next_set {
            Some((from, set)) if epoch >= *from => set.clone(),
            _ => KeeperSetFacts {
                keepers: self.keepers.clone(),
                endpoints: state.endpoints.clone(),
                threshold: self.threshold,
                config_digest: B256::repeat_byte(0xcd),
            },
        }
    }

    /// From now on the chain says that so much less alpha was granted per epoch.
    pub(crate) fn deny_grants(&self, amount: u128) {
        self.state().stolen = amount;
    }

    /// From now on the chain holds this row, put there by its validator.
    pub(crate) fn put_on_chain(&self, reveal: Reveal) {
        let commit = reveal.commit(self.network.chain_id, self.network.oracle);
        let mut state = self.state();
        state.on_chain.commits.insert((reveal.netuid, reveal.validator, reveal.seq), commit.commitHash);
        state.on_chain.reveals.push(Reveal { signature: SignatureBytes::ZERO, receipts: Vec::new(), ..reveal });
    }

    pub(crate) fn posted(&self) -> Vec<EpochReport> {
        self.state().reports.iter().map(|(report, _)| report.clone()).collect()
    }

    pub(crate) fn active(&self) -> usize {
        self.state().active
    }

    pub(crate) fn sent(&self) -> Vec<String> {
        self.state().sent.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One block a second, numbered by its time.
    fn block(time: u64) -> BlockRef {
        BlockRef { number: time, hash: keccak256(time.to_be_bytes()), time }
    }

    fn post(&self, state: &mut State, report: &EpochReport, signatures: &[u8]) -> Result<(), String> {
        let last = state.reports.last().map(|(report, _)| report.clone());
        if last.as_ref().is_some_and(|last| report.epoch <= last.epoch) {
            return Err("AlreadyPosted".into());
        }
        if report.previousReport != last.map_or(B256::ZERO, |last| last.eip712_hash_struct()) {
            return Err("WrongPrevious".into());
        }
        if state.settled_through <= report.epoch || state.now < self.network.clock.end_of(report.epoch) {
            return Err("NotSettled".into());
        }
        let set = self.set_of(report.epoch, state);
        if report.configDigest != set.config_digest {
            return Err("WrongConfig".into());
        }
        let digest = report.eip712_signing_hash(&self.network.domain());
        let signers: Vec<Address> =
            signatures.chunks(65).map(|signature| recover(digest, &signature.try_into().unwrap()).unwrap()).collect();
        let sound = signers.windows(2).all(|pair| pair[0] < pair[1]);
        if signers.len() != set.threshold || !sound || !signers.iter().all(|signer| set.keepers.contains(signer)) {
            return Err("BadQuorum".into());
        }
        let now = state.now;
        state.reports.push((report.clone(), now));
        Ok(())
    }
}

#[async_trait]
impl ChainReader for MemoryChain {
    async fn heads(&self) -> Result<Heads, ChainError> {
        let now = self.state().now;
        Ok(Heads { latest: Self::block(now), last_final: Self::block(now - 2) })
    }

    async fn is_canonical(&self, _block: &BlockRef) -> Result<bool, ChainError> {
        Ok(true)
    }

    async fn last_block_before(&self, time: u64, head: &BlockRef) -> Result<Option<BlockRef>, ChainError> {
        Ok(Some(Self::block((time - 1).min(head.time))))
    }

    async fn facts(&self, epoch: u64, at: &BlockRef) -> Result<EpochFacts, ChainError> {
        Ok(EpochFacts {
            epoch,
            read_at: *at,
            beacon: keccak256(epoch.to_be_bytes()),
            keeper_set: self.set_of(epoch, &self.state()),
            neuron_immunity: 60,
            committed: Default::default(),
            subnets: self.subnets.clone(),
        })
    }

    async fn deadlines(&self, epoch: u64, _at: &BlockRef) -> Result<Option<Deadlines>, ChainError> {
        let clock = self.network.clock;
        let plain = Deadlines { commit: clock.commit_deadline(epoch), reveal: clock.reveal_deadline(epoch) };
        let recorded = self.state().gap.filter(|stop| stop.recorded);
        Ok(Some(recorded.map_or(plain, |stop| plain.moved_by(&[stop.gap], &clock))))
    }

    async fn gaps(&self, after: u64, head: &BlockRef) -> Result<Vec<Gap>, ChainError> {
        let gap = self.state().gap.map(|stop| stop.gap);
        Ok(gap.into_iter().filter(|gap| gap.later.number > after && gap.later.number <= head.number).collect())
    }

    async fn is_recorded(&self, _gap: &Gap, _at: &BlockRef) -> Result<bool, ChainError> {
        Ok(self.state().gap.is_some_and(|stop| stop.recorded))
    }

    async fn proof_of(&self, _gap: &Gap) -> Result<GapProof, ChainError> {
        Ok(GapProof { contract: Address::repeat_byte(0xa8), earlier: Default::default(), later: Default::default() })
    }

    async fn on_chain(&self, epoch: u64, _at: &BlockRef) -> Result<OnChain, ChainError> {
        let OnChain { commits, reveals } = self.state().on_chain.clone();
        let of_epoch: Vec<_> = reveals.into_iter().filter(|reveal| reveal.epoch == epoch).collect();
        Ok(if of_epoch.is_empty() { OnChain::default() } else { OnChain { commits, reveals: of_epoch } })
    }

    async fn oracle_state(&self, _at: &BlockRef) -> Result<OracleState, ChainError> {
        let state = self.state();
        let reference =
            |(report, _): &(EpochReport, u64)| ReportRef { epoch: report.epoch, hash: report.eip712_hash_struct() };
        Ok(OracleState {
            settled_through: state.settled_through,
            last_posted: state.reports.last().map(reference),
            last_active: state.active.checked_sub(1).map(|last| reference(&state.reports[last])),
            next_activation: state.reports.get(state.active).map(|(report, at)| (report.epoch, at + ACTIVATION_DELAY)),
            held_margin: Vec::new(),
        })
    }

    async fn stored_report(&self, epoch: u64, _at: &BlockRef) -> Result<StoredReport, ChainError> {
        let state = self.state();
        let found = state.reports.iter().enumerate().find(|(_, (report, _))| report.epoch == epoch);
        Ok(found.map_or_else(StoredReport::default, |(place, (report, at))| StoredReport {
            attempt: 0,
            status: if place < state.active { ReportStatus::Active } else { ReportStatus::Pending },
            hash: report.eip712_hash_struct(),
            posted_at: *at,
        }))
    }

    async fn posted_report(
        &self,
        epoch: u64,
        _stored: &StoredReport,
        _head: &BlockRef,
    ) -> Result<Option<PostedReport>, ChainError> {
        let state = self.state();
        let found = state.reports.iter().find(|(report, _)| report.epoch == epoch);
        Ok(found.map(|(report, _)| PostedReport { bundle_hash: report.bundleHash, rewards_root: report.rewardsRoot }))
    }

    async fn granted(
        &self,
        epochs: RangeInclusive<u64>,
        netuids: &[u16],
    ) -> Result<BTreeMap<u16, Granted>, ChainError> {
        let count = u128::from(epochs.end() + 1 - epochs.start());
        let alpha = (self.granted.alpha - self.state().stolen) * count;
        Ok(netuids.iter().map(|netuid| (*netuid, Granted { alpha, usdc: self.granted.usdc * count })).collect())
    }
}

#[async_trait]
impl Transactor for MemoryChain {
    async fn submit(&self, intent: &Intent) -> Result<(), SendError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let reverts = |reason: String| SendError::Reverts { purpose: intent.purpose(), reason };
        match intent {
            Intent::Settle => state.settled_through = self.network.clock.epoch_at(state.now).unwrap_or_default(),
            Intent::Post { report, signatures } => self.post(state, report, signatures).map_err(reverts)?,
            Intent::Activate { report } => {
                if state.reports.get(state.active).is_none_or(|(next, _)| next != &**report) {
                    return Err(reverts("NotNext".into()));
                }
                state.active += 1;
            }
            Intent::Forward { netuid } => return Err(reverts(format!("nothing is held for subnet {netuid}"))),
            Intent::RecordOutage { from, .. } => match &mut state.gap {
                Some(stop) if stop.recordable && !stop.recorded && stop.gap.earlier.time == *from => {
                    stop.recorded = true;
                }
                _ => return Err(reverts("Outages_Known".into())),
            },
        }
        state.sent.push(intent.purpose());
        Ok(())
    }

    async fn tick(&self) -> Result<bool, SendError> {
        Ok(false)
    }
}
