//! A living network: a suite with seven keepers that walks from mesh to markets, settles and reports every epoch.

use std::collections::VecDeque;

use alloy::{
    primitives::{Address, B256, Bytes, Signature, U256, keccak256},
    sol_types::{SolCall, SolStruct, eip712_domain},
};
use alloy_signer::SignerSync;
use tandem_contracts::{
    bindings::{
        AlphaPools, CreditDesk, EmissionController, EpochOracle, GenesisAllocation, KeeperSet, LaunchGate,
        RewardDistributor, Settlement, Staking, SubnetRegistry, TestUSDC, epoch_oracle::IEpochOracle,
        reward_distributor::IRewardDistributor, settlement::ISettlement,
    },
    suite::{Allocation, Alpha, Fraction, GenesisConfig, GenesisSubnet, MeshValidator, Plan, Seconds, Suite, Tndm},
    world::{Outcome, World},
};

use crate::tree::RewardTree;

/// A whole token or credit, or the number one as a price.
pub(crate) const ONE: U256 = Fraction::ONE.0;
/// A whole USDC.
pub(crate) const USDC: U256 = U256::from_limbs([1_000_000, 0, 0, 0]);
/// The model of the rate card: a token of its prompt costs a thousandth of a credit.
pub(crate) const MODEL: &str = "tandem/test";
const KEEPERS: usize = 7;
const QUORUM: u16 = 5;
/// Owners of validators, enough to make a subnet eligible.
const VALIDATORS: usize = 3;
/// Subnets that a public network begins with at most.
const MOST_IN_MESH: u16 = 4;
/// The uid of `contributor` in subnet 1, after the validators'.
pub(crate) const CONTRIBUTOR_UID: u16 = VALIDATORS as u16;
/// Where in an epoch its first transactions are.
const MORNING: u64 = 60;
/// Epochs that the oracle's and the controller's rings remember.
const RING: u64 = 256;
/// Between two blocks with a transaction of interest.
pub(crate) const BLOCK: u64 = 12;

/// `RewardKind.ContributorAlpha`.
pub(crate) const CONTRIBUTOR_ALPHA: u8 = 2;
/// `RewardKind.ContributorUsdc`.
pub(crate) const CONTRIBUTOR_USDC: u8 = 5;

/// A transaction without value.
#[derive(Clone)]
pub(crate) struct Tx {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) data: Bytes,
}

impl Tx {
    pub(crate) fn new(from: Address, to: Address, call: &impl SolCall) -> Self {
        Self { from, to, data: call.abi_encode().into() }
    }
}

/// A suite in use.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) config: GenesisConfig,
    pub(crate) plan: Plan,
    /// Somebody pays an incentive for every subnet in every epoch.
    patron: bool,
    rewards: RewardTree,
    /// Posted and not active yet, with the time of posting.
    pending: VecDeque<(u64, IEpochOracle::EpochReport)>,
    last_report: B256,
}

/// The devnet's numbers with the public network's time, and everybody who takes part.
fn config(world: &World, subnets: u16) -> GenesisConfig {
    let mut config = GenesisConfig::devnet();
    world.populate(&mut config);
    config.epochs.length = Seconds(3_600);
    config.epochs.activation_delay = Seconds::days(1);
    config.emission.smoothing = 168;
    config.emission.tndm_per_day = Tndm(U256::from(3_600) * ONE);
    config.emission.alpha_per_day = Alpha(U256::from(3_600) * ONE);
    config.subnets.subnet_immunity = Seconds::days(120);
    config.subnets.neuron_immunity = Seconds(60_000);
    config.staking.unbonding = Seconds::days(14);
    config.keepers.unbonding = Seconds::days(14);
    config.keepers.members = (1..=KEEPERS).map(|n| world.account(&format!("keeper {n}"))).collect();
    config.keepers.threshold = QUORUM;
    config.launch.verified_contributors = 1;
    config.governance.voting_period = Seconds::days(1);
    config.genesis_subnets =
        (1..=subnets).map(|n| GenesisSubnet { owner: world.account("owner"), name: format!("subnet {n}") }).collect();
    config.mesh_validators = (1..=subnets)
        .flat_map(|netuid| {
            (1..=VALIDATORS).map(move |n| MeshValidator {
                netuid,
                hotkey: world.account(&format!("hotkey {n}")),
                owner: world.account(&format!("validator {n}")),
                weight: Alpha(U256::from(10_000) * ONE),
            })
        })
        .collect();
    config.allocations = vec![Allocation {
        label: "ecosystem".into(),
        beneficiary: world.account("trader"),
        amount: Tndm(U256::from(8_000_000) * ONE),
        duration: Seconds(0),
        immediate: Fraction::ONE,
    }];
    config
}

/// The second half of an ERC-2098 signature.
fn compact(signature: &Signature) -> B256 {
    (signature.s() | U256::from(u8::from(signature.v())) << 255_usize).into()
}

impl Net {
    /// A network in its first epoch, with so many subnets.
    fn mesh(subnets: u16) -> Self {
        let mut world = World::new();
        let mut config = config(&world, subnets);
        let deployer = world.account("deployer");
        let plan = world.deploy(&mut config, deployer).expect("the suite deploys");
        let mut net = Self {
            world,
            config,
            plan,
            patron: true,
            rewards: RewardTree::default(),
            pending: VecDeque::new(),
            last_report: B256::ZERO,
        };
        for n in 1..=VALIDATORS {
            net.register(1, &format!("validator {n}"), &format!("hotkey {n}"));
        }
        net.register(1, "contributor", "contributor hotkey");
        net.world.set_time(net.plan.genesis + MORNING);
        net
    }

    /// A network whose markets are open, with so many subnets, each with stake, revenue and an allowance.
    pub(crate) fn markets(subnets: u16) -> Self {
        let mut net = Self::mesh(subnets.min(MOST_IN_MESH));
        net.earn_in_mesh();
        net.open_markets();
        net.grow_to(subnets);
        for netuid in 1..=subnets {
            net.furnish(netuid);
        }
        net.days(1);
        net
    }

    pub(crate) fn suite(&self) -> &Suite {
        &self.plan.suite
    }

    pub(crate) fn account(&self, name: &str) -> Address {
        self.world.account(name)
    }

    /// The transaction in which the account of this name calls a function.
    pub(crate) fn tx(&self, name: &str, to: Address, call: &impl SolCall) -> Tx {
        Tx::new(self.account(name), to, call)
    }

    /// Calls; whatever a case calls in passing must succeed.
    pub(crate) fn call<C: SolCall>(&mut self, name: &str, to: Address, call: C) -> Outcome<C::Return> {
        let from = self.account(name);
        self.world.call(from, to, call).unwrap_or_else(|revert| panic!("{name}: {}: {revert}", C::SIGNATURE))
    }

    pub(crate) fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        self.world.view(to, call).unwrap_or_else(|revert| panic!("{}: {revert}", C::SIGNATURE))
    }

    pub(crate) fn approve(&mut self, token: Address, name: &str, spender: Address) {
        let owner = self.account(name);
        self.world.approve(token, owner, spender, U256::MAX).expect("tokens can be approved");
    }

    pub(crate) fn give(&mut self, token: Address, name: &str, amount: U256) {
        let (trader, to) = (self.account("trader"), self.account(name));
        self.world.transfer(token, trader, to, amount).expect("the trader holds enough");
    }

    /// Gives the account whole USDC and lets `spender` take what it likes.
    pub(crate) fn fund(&mut self, name: &str, spender: Address, usdc: u64) {
        let token = self.suite().usdc;
        let amount = U256::from(usdc) * USDC;
        self.call(name, token, TestUSDC::mintCall { to: self.account(name), amount });
        self.approve(token, name, spender);
    }

    pub(crate) fn alpha(&self, netuid: u16) -> Address {
        self.view(self.suite().alpha_pools, AlphaPools::alphaOfCall { netuid })
    }

    pub(crate) fn subnet_count(&self) -> u16 {
        self.view(self.suite().subnet_registry, SubnetRegistry::subnetCountCall {})
    }

    /// Buys credits worth so many whole USDC, or a little fewer.
    pub(crate) fn buy_credits(&mut self, name: &str, credits: u64) {
        let desk = self.suite().credit_desk;
        self.fund(name, desk, credits * 2);
        self.call(name, desk, CreditDesk::buyCall { credits: U256::from(credits) * ONE, maxUsdc: U256::MAX });
    }

    /// Opens a channel to a uid of subnet 1; its session key is that of `"{payer} session"`.
    pub(crate) fn open_channel(&mut self, payer: &str, uid: u16, credits: u64) -> U256 {
        let call = Settlement::openCall {
            netuid: 1,
            uid,
            amount: (U256::from(credits) * ONE).to(),
            expiry: self.world.timestamp() + Seconds::days(30).0,
            sessionKey: self.account(&format!("{payer} session")),
        };
        self.call(payer, self.suite().settlement, call).ret
    }

    fn sign_voucher(&self, payer: &str, channel: U256, tokens: u64) -> (ISettlement::Voucher, Signature) {
        let voucher = ISettlement::Voucher {
            channelId: channel,
            amount: u128::from(tokens) * 1_000_000_000_000_000,
            model: keccak256(MODEL),
            rateCardVersion: 1,
            promptTokens: tokens,
            completionTokens: 0,
        };
        let domain = eip712_domain! {
            name: "Tandem Settlement",
            version: "1",
            chain_id: self.world.chain_id(),
            verifying_contract: self.suite().settlement,
        };
        let hash = voucher.eip712_signing_hash(&domain);
        let signer = self.world.signer(&format!("{payer} session"));
        (voucher, signer.sign_hash_sync(&hash).expect("a local key signs"))
    }

    /// A voucher over so many tokens of a prompt since the channel's opening, and its signature.
    pub(crate) fn voucher(&self, payer: &str, channel: U256, tokens: u64) -> (ISettlement::Voucher, Bytes) {
        let (voucher, signature) = self.sign_voucher(payer, channel, tokens);
        (voucher, signature.as_bytes().into())
    }

    /// The same as part of a batch.
    pub(crate) fn compact_voucher(&self, payer: &str, channel: U256, tokens: u64) -> ISettlement::CompactVoucher {
        let (voucher, signature) = self.sign_voucher(payer, channel, tokens);
        let amount = U256::from(voucher.amount) << 112_usize;
        ISettlement::CompactVoucher {
            packed: voucher.channelId << 192_usize | amount | U256::from(voucher.promptTokens) << 56_usize,
            r: signature.r().into(),
            vs: compact(&signature),
        }
    }

    /// Registers a neuron at whatever it costs, in the phase's currency.
    pub(crate) fn register(&mut self, netuid: u16, owner: &str, hotkey: &str) -> u16 {
        let registry = self.suite().subnet_registry;
        self.fund(owner, registry, 10);
        self.approve(self.suite().tandem_token, owner, registry);
        let call = SubnetRegistry::registerNeuronCall {
            netuid,
            hotkey: self.account(hotkey),
            endpoint: format!("http://{hotkey}"),
            maxPrice: U256::MAX,
        };
        self.call(owner, registry, call).ret
    }

    /// The running epoch.
    pub(crate) fn epoch(&self) -> u64 {
        (self.world.timestamp() - self.plan.genesis) / self.config.epochs.length.0
    }

    /// Goes to the morning after the epoch.
    pub(crate) fn end_epoch(&mut self) {
        if self.patron {
            let distributor = self.suite().reward_distributor;
            self.fund("patron", distributor, 1_000);
            for netuid in 1..=self.subnet_count() {
                let usdc = U256::from(1_234_567);
                self.call("patron", distributor, RewardDistributor::contributeCall { netuid, usdc });
            }
        }
        let next = self.epoch() + 1;
        self.world.set_time(self.plan.genesis + next * self.config.epochs.length.0 + MORNING);
    }

    pub(crate) fn settle_tx(&self) -> Tx {
        let call = EmissionController::settleCall { maxSubnets: U256::from(1_000) };
        self.tx("keeper 1", self.suite().emission_controller, &call)
    }

    /// The posting of the report on the epoch that ended last, with the present rewards.
    pub(crate) fn post_tx(&mut self) -> Tx {
        let epoch = self.epoch() - 1;
        let oracle = self.suite().epoch_oracle;
        let report = IEpochOracle::EpochReport {
            epoch,
            attempt: 0,
            configDigest: self.view(self.suite().keeper_set, KeeperSet::configDigestAtCall { epoch }),
            inputsBlock: keccak256(format!("block {epoch}")),
            previousReport: self.last_report,
            subnetsRoot: keccak256(format!("subnets {epoch}")),
            rewardsRoot: self.rewards.root(),
            bundleHash: keccak256(format!("bundle {epoch}")),
            rulesVersion: 1,
        };
        let digest = self.view(oracle, EpochOracle::hashReportCall { report: report.clone() });
        let mut keepers: Vec<_> = (1..=KEEPERS).map(|n| self.world.signer(&format!("keeper {n}"))).collect();
        keepers.sort_by_key(|keeper| keeper.address());
        let signatures = keepers[..usize::from(QUORUM)].iter().map(|keeper| {
            let signature = keeper.sign_hash_sync(&digest).expect("a local key signs");
            IEpochOracle::Signature { r: signature.r().into(), vs: compact(&signature) }
        });
        self.last_report = self.view(oracle, EpochOracle::structHashCall { report: report.clone() });
        self.pending.push_back((self.world.timestamp(), report.clone()));
        self.tx("keeper 1", oracle, &EpochOracle::postCall { report, signatures: signatures.collect() })
    }

    /// Activating the oldest report, if it has waited long enough.
    pub(crate) fn activate_tx(&mut self) -> Option<Tx> {
        let (posted, _) = self.pending.front()?;
        if self.world.timestamp() < posted + self.config.epochs.activation_delay.0 {
            return None;
        }
        let (_, report) = self.pending.pop_front()?;
        Some(self.tx("keeper 1", self.suite().epoch_oracle, &EpochOracle::activateCall { report }))
    }

    /// Sends what must succeed and returns its gas.
    pub(crate) fn send(&mut self, tx: &Tx) -> u64 {
        let sent = self.world.send(tx.from, tx.to, tx.data.clone(), U256::ZERO);
        sent.unwrap_or_else(|revert| panic!("a transaction to {} failed: {revert}", tx.to)).gas_used
    }

    /// One whole epoch of a network that works.
    pub(crate) fn tick(&mut self) {
        self.end_epoch();
        let settle = self.settle_tx();
        self.send(&settle);
        let post = self.post_tx();
        self.send(&post);
        while let Some(activate) = self.activate_tx() {
            self.send(&activate);
        }
    }

    /// So many days of them.
    pub(crate) fn days(&mut self, days: u64) {
        for _ in 0..Seconds::days(days).0 / self.config.epochs.length.0 {
            self.tick();
        }
    }

    /// Works for so long that every ring has been filled once.
    pub(crate) fn grow_old(&mut self) {
        self.patron = false;
        for _ in 0..RING {
            self.tick();
        }
        self.patron = true;
        for _ in 0..3 {
            self.tick();
        }
    }

    /// Promises an account more than before, in the next report.
    pub(crate) fn reward(&mut self, kind: u8, netuid: u16, name: &str, amount: U256) {
        let account = self.account(name);
        self.rewards.add(kind, netuid, account, amount);
    }

    /// Claiming all that the account was ever promised, as anybody may; the report that promised it must be active.
    pub(crate) fn claim_tx(&self, kind: u8, netuid: u16, name: &str) -> Tx {
        let (claim, proof) = self.claim(kind, netuid, name);
        self.tx(name, self.suite().reward_distributor, &RewardDistributor::claimCall { c: claim, proof })
    }

    /// The same by the account itself and to itself, without a look at its payout address.
    pub(crate) fn claim_own_tx(&self, kind: u8, netuid: u16, name: &str) -> Tx {
        let (IRewardDistributor::Claim { index, kind, netuid, cumulative, .. }, proof) = self.claim(kind, netuid, name);
        let call = RewardDistributor::claimOwnCall { index, kind, netuid, cumulative, proof };
        self.tx(name, self.suite().reward_distributor, &call)
    }

    pub(crate) fn claim(&self, kind: u8, netuid: u16, name: &str) -> (IRewardDistributor::Claim, Vec<B256>) {
        self.rewards.claim(kind, netuid, self.account(name)).expect("promised before")
    }

    /// A user's credits become a contributor's, whose reward is claimed: what *token* asks for.
    fn earn_in_mesh(&mut self) {
        self.buy_credits("user", 1_000);
        let channel = self.open_channel("user", CONTRIBUTOR_UID, 1_000);
        let (voucher, signature) = self.voucher("user", channel, 1_000_000);
        self.call("anybody", self.suite().settlement, Settlement::settleCall { voucher, signature });
        self.tick();
        self.tick();
        self.reward(CONTRIBUTOR_USDC, 1, "contributor", U256::from(1_000_000));
        self.days(1);
        self.tick();
        let claim = self.claim_tx(CONTRIBUTOR_USDC, 1, "contributor");
        self.send(&claim);
    }

    fn open_markets(&mut self) {
        let suite = self.suite().clone();
        let account = self.account("contributor");
        self.call("anybody", suite.launch_gate, LaunchGate::qualifyCall { account });
        let delegatee = self.account("statesman");
        self.call("trader", suite.genesis_allocation, GenesisAllocation::delegateCall { delegatee });
        self.call("council", suite.launch_gate, LaunchGate::announceCall {});
        self.world.warp(self.config.launch.notice.0);
        self.call("anybody", suite.launch_gate, LaunchGate::openTokenCall {});
        self.world.warp(self.config.launch.token_period.0);
        self.call("anybody", suite.launch_gate, LaunchGate::openMarketsCall {});
        self.call("anybody", suite.genesis_allocation, GenesisAllocation::releaseCall { id: U256::ZERO });
        for spender in [suite.alpha_pools, suite.subnet_registry, suite.emission_controller, suite.burn_auction] {
            self.approve(suite.tandem_token, "trader", spender);
        }
        self.tick();
    }

    /// Registers subnets, one an epoch.
    pub(crate) fn grow_to(&mut self, subnets: u16) {
        let registry = self.suite().subnet_registry;
        while self.subnet_count() < subnets {
            let name = format!("subnet {}", self.subnet_count() + 1);
            self.call("trader", registry, SubnetRegistry::registerSubnetCall { name, maxLock: U256::MAX });
            self.tick();
        }
    }

    /// Alpha for the trader, stake of three validators and an allowance.
    fn furnish(&mut self, netuid: u16) {
        let suite = self.suite().clone();
        let buy = AlphaPools::buyCall {
            netuid,
            tndmIn: U256::from(1_000) * ONE,
            minAlphaOut: U256::ZERO,
            deadline: U256::from(u64::MAX),
        };
        self.call("trader", suite.alpha_pools, buy);
        let alpha = self.alpha(netuid);
        self.approve(alpha, "trader", suite.alpha_pools);
        for n in 1..=VALIDATORS {
            let (owner, hotkey) = (format!("validator {n}"), format!("hotkey {n}"));
            let known = SubnetRegistry::uidOfCall { netuid, hotkey: self.account(&hotkey) };
            if self.view(suite.subnet_registry, known) == U256::ZERO {
                self.give(suite.tandem_token, &owner, U256::from(100) * ONE);
                self.register(netuid, &owner, &hotkey);
            }
            let amount = U256::from(500) * ONE;
            self.give(alpha, &owner, amount);
            self.approve(alpha, &owner, suite.staking);
            let stake = Staking::stakeCall { netuid, hotkey: self.account(&hotkey), alphaAmount: amount };
            self.call(&owner, suite.staking, stake);
        }
        let sponsor = EmissionController::sponsorCall { netuid, amount: U256::from(10_000) * ONE };
        self.call("trader", suite.emission_controller, sponsor);
    }
}
