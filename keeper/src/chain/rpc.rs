//! [`ChainReader`] over JSON-RPC. Every read of state names a block by its hash, so that one view never mixes two.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, sync::Arc};

use alloy::{
    consensus::Transaction,
    eips::BlockId,
    providers::{DynProvider, Provider},
    rpc::types::{Filter, Log},
};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolCall, SolEvent};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use tandem_contracts::bindings::{
    CreditDesk, EmissionController, EpochOracle, KeeperSet, Staking, SubnetRegistry, WeightCommits,
};
use tandem_protocol::{
    bundle::{Hyperparameters, NeuronInput},
    delegation::{Backing, Delegation},
    jobs::beacon,
};
use tokio::sync::OnceCell;

use super::{
    BlockRef, ChainError, ChainReader, CommittedRows, Deadlines, EpochFacts, Gap, GapProof, Granted, Heads,
    KeeperSetFacts, NeuronFacts, Nodes, OnChain, OracleState, PostedReport, ReportRef, ReportStatus, StoredReport,
    SubnetFacts, outages, without_urls,
};
use crate::{config::Finality, network::Network};

/// Reads under way at once.
const CONCURRENT: usize = 8;
/// Delegations of one answer.
const PAGE: u64 = 500;
/// Staking writes bonds of TNDM, which stand behind a hotkey in all subnets, as this netuid.
const NETUID_OF_BONDS: u16 = 0;

/// One node or several.
#[derive(Clone, Debug)]
pub struct RpcChain {
    pub(super) nodes: Nodes,
    /// Says what a quorum of them says.
    pub(super) provider: DynProvider,
    /// Says what the first says that answers; for what neither signatures nor money depend on.
    any: DynProvider,
    pub(super) network: Network,
    finality: Finality,
    /// What the contracts take for an outage; it never changes.
    pub(super) outages: Arc<OnceCell<outages::Rules>>,
}

impl RpcChain {
    /// Connects to the node at `url`; nothing is asked yet.
    pub fn connect(url: &str, network: Network, finality: Finality) -> Result<Self, ChainError> {
        Ok(Self::over(Nodes::connect([url], None)?, network, finality))
    }

    /// Reads through these nodes.
    pub fn over(nodes: Nodes, network: Network, finality: Finality) -> Self {
        Self { provider: nodes.agreed(), any: nodes.in_turn(), nodes, network, finality, outages: Arc::default() }
    }

    /// The nodes that are asked.
    pub fn nodes(&self) -> Nodes {
        self.nodes.clone()
    }

    /// What says what a quorum of the nodes says, for reads of other contracts.
    pub fn provider(&self) -> DynProvider {
        self.provider.clone()
    }

    /// Refuses a node of another chain, and a chain that the manifest does not describe.
    pub async fn check(&self) -> Result<(), ChainError> {
        let found = self.provider.get_chain_id().await.map_err(rpc("eth_chainId"))?;
        if found != self.network.chain_id {
            let expected = self.network.chain_id;
            return Err(ChainError::Impossible(format!(
                "the node serves chain {found}, the manifest is for {expected}"
            )));
        }
        for (name, address) in self.network.contracts() {
            let code = self.provider.get_code_at(address).await.map_err(rpc("eth_getCode"))?;
            if code.is_empty() {
                return Err(ChainError::Impossible(format!("no {name} stands at {address} on chain {found}")));
            }
        }
        let oracle = EpochOracle::new(self.network.oracle, &self.provider);
        let genesis = oracle.GENESIS().call().await.map_err(rpc("GENESIS"))?;
        let length = oracle.LENGTH().call().await.map_err(rpc("LENGTH"))?;
        if (genesis, length) != (self.network.clock.genesis(), self.network.clock.length()) {
            return Err(ChainError::Impossible(format!(
                "the oracle counts epochs of {length} s from {genesis}; the manifest says otherwise"
            )));
        }
        Ok(())
    }

    async fn subnet(
        &self,
        netuid: u16,
        epoch: u64,
        at: BlockId,
        before: Option<BlockId>,
    ) -> Result<Option<SubnetFacts>, ChainError> {
        let registry = SubnetRegistry::new(self.network.registry, &self.provider);
        let staking = Staking::new(self.network.staking, &self.provider);
        let owner = registry.ownerOfSubnetAt(netuid, epoch).block(at).call().await.map_err(rpc("ownerOfSubnetAt"))?;
        if owner.is_zero() {
            return Ok(None);
        }
        let parameters =
            registry.hyperparametersAt(netuid, epoch).block(at).call().await.map_err(rpc("hyperparametersAt"))?;
        let neurons = registry.neuronsAt(netuid, epoch).block(at).call().await.map_err(rpc("neuronsAt"))?;
        let weights = staking.weightsAt(netuid, epoch).block(at).call().await.map_err(rpc("weightsAt"))?;
        if neurons.len() != weights.len() {
            let (neurons, weights) = (neurons.len(), weights.len());
            return Err(ChainError::Impossible(format!("subnet {netuid}: {neurons} neurons, {weights} weights")));
        }
        let mut known: Vec<NeuronFacts> = stream::iter(neurons.into_iter().zip(weights))
            .map(|(neuron, weight)| async move {
                let stake = amount(weight, "weight")?;
                // Whoever has no stake earns no dividends, so it does not matter who stands behind it.
                let backing = match stake {
                    0 => Backing::default(),
                    _ => self.backing(netuid, neuron.hotkey, epoch, at).await?,
                };
                let input = NeuronInput {
                    owner: neuron.owner,
                    hotkey: neuron.hotkey,
                    registered_at: neuron.registeredAt,
                    stake,
                    backing,
                };
                Ok::<_, ChainError>(NeuronFacts { input, endpoint: neuron.endpoint })
            })
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        if let Some(before) = before {
            let registry = SubnetRegistry::new(self.network.registry, &self.any);
            match registry.neuronsAt(netuid, epoch).block(before).call().await {
                Ok(earlier) => {
                    for (neuron, earlier) in known.iter_mut().zip(earlier) {
                        neuron.endpoint = earlier.endpoint;
                    }
                }
                // The node has pruned that state: what stands there now is the best guess, and only audits depend on it.
                Err(error) => {
                    let error = without_urls(&error);
                    tracing::warn!(netuid, epoch, error, "endpoints of the epoch's start are not to be had");
                }
            }
        }
        Ok(Some(SubnetFacts {
            netuid,
            owner,
            hyperparameters: Hyperparameters {
                kappa: parameters.kappa,
                bonds_moving_average: parameters.bondsMovingAverage,
                bonds_penalty: parameters.bondsPenalty,
                max_validators: parameters.maxValidators,
            },
            neurons: known,
        }))
    }

    /// Whose stake stands behind a validator.
    async fn backing(&self, netuid: u16, hotkey: Address, epoch: u64, at: BlockId) -> Result<Backing, ChainError> {
        let staking = Staking::new(self.network.staking, &self.provider);
        let take = staking.takeAt(hotkey, epoch).block(at).call().await.map_err(rpc("takeAt"))?;
        let parts = staking.weightPartsAt(netuid, hotkey, epoch).block(at).call().await;
        let parts = parts.map_err(rpc("weightPartsAt"))?;
        Ok(Backing {
            take,
            alpha: amount(parts.alpha, "alpha")?,
            bond: amount(parts.bonded, "bond")?,
            alpha_delegations: self.delegations(netuid, hotkey, epoch, at).await?,
            bond_delegations: self.delegations(NETUID_OF_BONDS, hotkey, epoch, at).await?,
        })
    }

    /// Accounts with shares as of the epoch's start, ascending.
    async fn delegations(
        &self,
        netuid: u16,
        hotkey: Address,
        epoch: u64,
        at: BlockId,
    ) -> Result<Vec<Delegation>, ChainError> {
        let staking = Staking::new(self.network.staking, &self.provider);
        let mut found = Vec::new();
        let mut from = 0_u64;
        loop {
            let page = staking.delegationsAt(netuid, hotkey, epoch, U256::from(from), U256::from(PAGE));
            let page = page.block(at).call().await.map_err(rpc("delegationsAt"))?;
            let read = page.len() as u64;
            for entry in page {
                let shares = amount(entry.shares, "shares")?;
                if shares > 0 {
                    found.push(Delegation { account: entry.account, shares });
                }
            }
            if read < PAGE {
                break;
            }
            from += read;
        }
        found.sort_unstable_by_key(|delegation| delegation.account);
        Ok(found)
    }

    /// The log of a report's posting.
    async fn posting(&self, epoch: u64, stored: &StoredReport, head: &BlockRef) -> Result<Option<Log>, ChainError> {
        let mut block = self.last_block_before(stored.posted_at.saturating_add(1), head).await?;
        // Several blocks may bear one timestamp.
        while let Some(candidate) = block.filter(|block| block.time == stored.posted_at) {
            let filter = Filter::new()
                .address(self.network.oracle)
                .event_signature(EpochOracle::ReportPosted::SIGNATURE_HASH)
                .topic1(U256::from(epoch))
                .topic2(stored.hash)
                .at_block_hash(candidate.hash);
            let logs = self.provider.get_logs(&filter).await.map_err(rpc("eth_getLogs"))?;
            if let Some(log) = logs.into_iter().next() {
                return Ok(Some(log));
            }
            block = match candidate.number.checked_sub(1) {
                Some(number) => Some(self.nodes.by_number(number).await?),
                None => None,
            };
        }
        Ok(None)
    }

    /// Who signed a posted report, from the calldata of its posting: whatever called the oracle, the signatures were there.
    async fn signers(&self, epoch: u64, stored: &StoredReport, head: &BlockRef) -> Result<Vec<Address>, ChainError> {
        let Some(hash) = self.posting(epoch, stored, head).await?.and_then(|log| log.transaction_hash) else {
            return Ok(Vec::new());
        };
        let found = self.any.get_transaction_by_hash(hash).await.map_err(rpc("eth_getTransactionByHash"))?;
        let Some(transaction) = found else { return Ok(Vec::new()) };
        Ok(signers_in(transaction.input(), stored.hash, &self.network.domain()))
    }

    /// Subnets whose margin of `epoch` waits at the desk.
    async fn held_margin(&self, epoch: u64, at: BlockId) -> Result<Vec<u16>, ChainError> {
        let registry = SubnetRegistry::new(self.network.registry, &self.provider);
        let desk = CreditDesk::new(self.network.desk, &self.provider);
        let live = registry.liveAt(epoch).block(at).call().await.map_err(rpc("liveAt"))?;
        let held = join_all(live.into_iter().map(|netuid| {
            let call = desk.heldMargin(netuid).block(at);
            async move { (netuid, call.call().await) }
        }));
        let mut netuids = Vec::new();
        for (netuid, held) in held.await {
            let held = held.map_err(rpc("heldMargin"))?;
            if held.epoch == epoch && !(held.toBuyback + held.toPot).is_zero() {
                netuids.push(netuid);
            }
        }
        Ok(netuids)
    }
}

#[async_trait]
impl ChainReader for RpcChain {
    async fn heads(&self) -> Result<Heads, ChainError> {
        self.nodes.heads(self.finality).await
    }

    async fn is_canonical(&self, block: &BlockRef) -> Result<bool, ChainError> {
        match self.nodes.by_number(block.number).await {
            Ok(found) => Ok(found.hash == block.hash),
            Err(ChainError::NoBlock(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn last_block_before(&self, time: u64, head: &BlockRef) -> Result<Option<BlockRef>, ChainError> {
        if head.time < time {
            return Ok(Some(*head));
        }
        // Gallop back from the head to a block before `time`, then halve the span.
        let (mut later, mut step) = (head.number, 1);
        let mut earlier = loop {
            let Some(number) = later.checked_sub(step) else {
                let first = self.nodes.by_number(0).await?;
                if first.time >= time {
                    return Ok(None);
                }
                break first;
            };
            let block = self.nodes.by_number(number).await?;
            if block.time < time {
                break block;
            }
            later = number;
            step *= 2;
        };
        while earlier.number + 1 < later {
            let middle = self.nodes.by_number(earlier.number + (later - earlier.number) / 2).await?;
            if middle.time < time {
                earlier = middle;
            } else {
                later = middle.number;
            }
        }
        Ok(Some(earlier))
    }

    async fn facts(&self, epoch: u64, at: &BlockRef) -> Result<EpochFacts, ChainError> {
        let block = BlockId::hash(at.hash);
        let start = self.last_block_before(self.network.clock.start_of(epoch), at).await?;
        let set = KeeperSet::new(self.network.keeper_set, &self.provider);
        let set = set.setAt(epoch).block(block).call().await.map_err(rpc("setAt"))?;
        let registry = SubnetRegistry::new(self.network.registry, &self.provider);
        let live = registry.liveAt(epoch).block(block).call().await.map_err(rpc("liveAt"))?;
        let neuron_immunity = registry.NEURON_IMMUNITY().block(block).call().await.map_err(rpc("NEURON_IMMUNITY"))?;
        let before = start.map(|start| BlockId::hash(start.hash));
        let subnets: Vec<Option<SubnetFacts>> = stream::iter(live)
            .map(|netuid| self.subnet(netuid, epoch, block, before))
            .buffered(CONCURRENT)
            .try_collect()
            .await?;
        Ok(EpochFacts {
            epoch,
            read_at: *at,
            beacon: beacon(start.map_or(B256::ZERO, |start| start.hash), epoch),
            keeper_set: KeeperSetFacts {
                keepers: set.keepers,
                endpoints: set.endpoints,
                threshold: usize::from(set.threshold),
                config_digest: set.configDigest,
            },
            neuron_immunity,
            subnets: subnets.into_iter().flatten().collect(),
            committed: CommittedRows::new(),
        })
    }

    async fn deadlines(&self, epoch: u64, at: &BlockRef) -> Result<Option<Deadlines>, ChainError> {
        let Some(address) = self.network.weight_commits else { return Ok(None) };
        let block = BlockId::hash(at.hash);
        let commits = WeightCommits::new(address, &self.provider);
        let (commit, reveal) = (commits.commitDeadline(epoch).block(block), commits.revealDeadline(epoch).block(block));
        let (commit, reveal) = tokio::join!(async { commit.call().await }, async { reveal.call().await });
        let (commit, reveal) = (commit.map_err(rpc("commitDeadline"))?, reveal.map_err(rpc("revealDeadline"))?);
        Ok(Some(Deadlines { commit: commit.saturating_to(), reveal: reveal.saturating_to() }))
    }

    async fn gaps(&self, after: u64, head: &BlockRef) -> Result<Vec<Gap>, ChainError> {
        self.gaps_after(after, head).await
    }

    async fn is_recorded(&self, gap: &Gap, at: &BlockRef) -> Result<bool, ChainError> {
        self.is_gap_recorded(gap, at).await
    }

    async fn proof_of(&self, gap: &Gap) -> Result<GapProof, ChainError> {
        self.headers_of(gap).await
    }

    async fn on_chain(&self, epoch: u64, at: &BlockRef) -> Result<OnChain, ChainError> {
        self.rows_on_chain(epoch, at).await
    }

    async fn signed_epochs(&self, keeper: Address, count: u64) -> Result<Vec<u64>, ChainError> {
        let heads = self.heads().await?;
        let state = self.oracle_state(&heads.latest).await?;
        let Some(last) = state.last_posted else { return Ok(Vec::new()) };
        let mut signed = Vec::new();
        for epoch in (last.epoch.saturating_add(1).saturating_sub(count)..=last.epoch).rev() {
            let stored = self.stored_report(epoch, &heads.latest).await?;
            if stored.status != ReportStatus::None
                && self.signers(epoch, &stored, &heads.latest).await?.contains(&keeper)
            {
                signed.push(epoch);
            }
        }
        signed.reverse();
        Ok(signed)
    }

    async fn oracle_state(&self, at: &BlockRef) -> Result<OracleState, ChainError> {
        let block = BlockId::hash(at.hash);
        let oracle = EpochOracle::new(self.network.oracle, &self.provider);
        let controller = EmissionController::new(self.network.controller, &self.provider);
        let settled_through = controller.settledThrough().block(block).call().await.map_err(rpc("settledThrough"))?;
        let posted = oracle.lastPosted().block(block).call().await.map_err(rpc("lastPosted"))?;
        let active = oracle.lastActive().block(block).call().await.map_err(rpc("lastActive"))?;
        let last_posted = posted.any.then_some(ReportRef { epoch: posted.epoch, hash: posted.reportHash });
        let last_active = active.any.then_some(ReportRef { epoch: active.epoch, hash: active.reportHash });
        let mut next_activation = None;
        if last_posted != last_active {
            let pending = oracle.pendingEpochs().block(block).call().await.map_err(rpc("pendingEpochs"))?;
            if let Some(epoch) = pending.first() {
                let stored = oracle.reportOf(*epoch).block(block).call().await.map_err(rpc("reportOf"))?;
                let delay = oracle.activationDelay().block(block).call().await.map_err(rpc("activationDelay"))?;
                next_activation = Some((*epoch, stored.postedAt.saturating_add(delay)));
            }
        }
        let held_margin = self.held_margin(settled_through, block).await?;
        Ok(OracleState { settled_through, last_posted, last_active, next_activation, held_margin })
    }

    async fn stored_report(&self, epoch: u64, at: &BlockRef) -> Result<StoredReport, ChainError> {
        let block = BlockId::hash(at.hash);
        let oracle = EpochOracle::new(self.network.oracle, &self.provider);
        let attempt = oracle.attemptOf(epoch).block(block).call().await.map_err(rpc("attemptOf"))?;
        let stored = oracle.reportOf(epoch).block(block).call().await.map_err(rpc("reportOf"))?;
        let status = match stored.status {
            0 => ReportStatus::None,
            1 => ReportStatus::Pending,
            2 => ReportStatus::Active,
            3 => ReportStatus::Void,
            other => return Err(ChainError::Impossible(format!("report of epoch {epoch} has status {other}"))),
        };
        Ok(StoredReport { attempt, status, hash: stored.reportHash, posted_at: stored.postedAt })
    }

    async fn posted_report(
        &self,
        epoch: u64,
        stored: &StoredReport,
        head: &BlockRef,
    ) -> Result<Option<PostedReport>, ChainError> {
        let Some(log) = self.posting(epoch, stored, head).await? else { return Ok(None) };
        let event = EpochOracle::ReportPosted::decode_log(&log.inner).map_err(rpc("ReportPosted"))?;
        Ok(Some(PostedReport { bundle_hash: event.bundleHash, rewards_root: event.rewardsRoot }))
    }

    async fn granted(
        &self,
        epochs: RangeInclusive<u64>,
        netuids: &[u16],
    ) -> Result<BTreeMap<u16, Granted>, ChainError> {
        let controller = EmissionController::new(self.network.controller, &self.provider);
        let mut sums: BTreeMap<u16, Granted> = BTreeMap::new();
        for epoch in epochs {
            let grants = join_all(netuids.iter().map(|netuid| {
                let call = controller.grantOf(epoch, *netuid);
                async move { (*netuid, call.call().await) }
            }));
            for (netuid, grant) in grants.await {
                let grant = grant.map_err(rpc("grantOf"))?;
                let sum = sums.entry(netuid).or_default();
                let overflow = || ChainError::Impossible(format!("grants of subnet {netuid} overflow"));
                sum.alpha = sum.alpha.checked_add(grant.alphaOut).ok_or_else(overflow)?;
                sum.usdc = sum.usdc.checked_add(grant.usdc).ok_or_else(overflow)?;
            }
        }
        Ok(sums)
    }
}

/// Signers of the report of this struct hash in the calldata of a call of `post`, or of a call that carries one.
fn signers_in(calldata: &[u8], report: B256, domain: &Eip712Domain) -> Vec<Address> {
    let digest = keccak256([&[0x19, 0x01], domain.hash_struct().as_slice(), report.as_slice()].concat());
    let selector = EpochOracle::postCall::SELECTOR;
    let starts = calldata.windows(selector.len()).enumerate().filter(|(_, bytes)| *bytes == selector);
    for (start, _) in starts {
        let Ok(call) = EpochOracle::postCall::abi_decode(&calldata[start..]) else { continue };
        let parts = call.signatures.iter().map(|signature| (signature.r, signature.vs));
        return parts.filter_map(|(r, vs)| recover_compact(digest, r, vs)).collect();
    }
    Vec::new()
}

/// Signer of an EIP-2098 signature.
fn recover_compact(digest: B256, r: B256, vs: B256) -> Option<Address> {
    let bytes: [u8; 64] = [r.as_slice(), vs.as_slice()].concat().try_into().ok()?;
    Signature::from_erc2098(&bytes).recover_address_from_prehash(&digest).ok()
}

fn amount(value: U256, what: &str) -> Result<u128, ChainError> {
    u128::try_from(value).map_err(|_| ChainError::Impossible(format!("{what} {value} is beyond 128 bits")))
}

fn rpc<E: Display>(what: &'static str) -> impl FnOnce(E) -> ChainError {
    move |error| ChainError::Rpc { what, reason: without_urls(&error) }
}
