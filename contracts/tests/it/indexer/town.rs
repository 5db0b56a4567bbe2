//! A town in which everything happens that the suite knows, in any order, beside an indexer that sees only the events.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
};

use alloy::{
    json_abi::JsonAbi,
    primitives::{Address, B256, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use tandem_contracts::{
    artifacts::ARTIFACTS,
    bindings::{
        AlphaPools, EmissionController, EpochOracle, RewardDistributor, Staking, SubnetRegistry, TestUSDC,
        subnet_registry::ISubnetRegistry::PruneProof,
    },
    suite::{Seconds, Usdc},
    world::Outcome,
};

use super::{Indexer, Witnesses, is_of_no_balance, tree::Tree};
use crate::{
    differential::{Dice, play},
    law,
    model::WAD,
    support::Net,
};

const STEPS: usize = 4_000;
/// The books are held against the contracts so often, beside the last step.
const EVERY: usize = 200;
pub(super) const PEOPLE: [&str; 4] = ["ann", "ben", "cem", "dee"];
const VALIDATORS: u16 = 3;
/// So many are alive at once, and so many there ever are.
const MOST_ALIVE: u16 = 3;
const MOST_EVER: u16 = 7;
const KINDS: u8 = 7;
/// Events that tell of no balance, or repeat what others tell.
const IDLE: [&str; 6] =
    ["Approval", "AuthorityUpdated", "CirculationSampled", "PotCarried", "SeriesAllowed", "TrioFound"];

pub(super) struct Town {
    pub(super) net: Net,
    indexer: Indexer,
    witnesses: Witnesses,
    /// Channels and who pays for them, with the tokens that the last voucher named.
    pub(super) channels: Vec<(U256, &'static str, u64)>,
    rewards: Tree,
    /// The subnet whose uids the last report lists, and the list.
    pub(super) listed: u16,
    prune_list: Vec<u16>,
    reported: u64,
}

fn begin() -> Town {
    let mut net = law::opened_with(|config| {
        config.subnets.max_subnets = MOST_ALIVE;
        config.subnets.hyperparameter_period = Seconds(0);
        config.auction.max_lot = Usdc(U256::from(3_000_000));
        config.launch.airdrop_vesting = Seconds(600);
        config.keepers.unbonding = Seconds(48);
    });
    let (suite, trader) = (net.suite(), net.world.account("trader"));
    net.settle_epochs();
    let names = ["trader", "miner 1", "miner 2", "owner 1", "owner 2", "validator 1", "validator 2", "validator 3"];
    for name in PEOPLE.into_iter().chain(names) {
        let account = net.world.account(name);
        if name != "trader" {
            net.world.transfer(suite.tandem_token, trader, account, U256::from(10_000 * WAD)).unwrap();
        }
        for spender in
            [suite.alpha_pools, suite.subnet_registry, suite.emission_controller, suite.burn_auction, suite.staking]
        {
            net.world.approve(suite.tandem_token, account, spender, U256::MAX).unwrap();
        }
        net.world.mint_usdc(suite.usdc, account, U256::from(1_000_000_000_000_u64)).unwrap();
        for spender in [suite.credit_desk, suite.reward_distributor, suite.burn_auction, suite.keeper_set] {
            net.as_account(name, suite.usdc, TestUSDC::approveCall { spender, value: U256::MAX }).unwrap();
        }
    }
    let reported = net.view(suite.epoch_oracle, EpochOracle::lastPostedCall {}).epoch;
    let indexer = Indexer::new(&net);
    let mut town = Town {
        net,
        indexer,
        witnesses: BTreeMap::new(),
        channels: Vec::new(),
        rewards: Tree::default(),
        listed: 1,
        prune_list: Vec::new(),
        reported,
    };
    for netuid in 1..=2 {
        town.furnish(netuid);
    }
    town
}

impl Town {
    pub(super) fn account(&self, name: &str) -> Address {
        self.net.world.account(name)
    }

    pub(super) fn now(&self) -> u64 {
        self.net.world.timestamp()
    }

    pub(super) fn alpha(&self, netuid: u16) -> Address {
        self.net.view(self.net.plan.suite.alpha_pools, AlphaPools::alphaOfCall { netuid })
    }

    pub(super) fn subnets(&self) -> u16 {
        self.net.view(self.net.plan.suite.subnet_registry, SubnetRegistry::subnetCountCall {})
    }

    /// Mostly one that is alive.
    pub(super) fn a_subnet(&self, dice: &mut Dice) -> u16 {
        let (first, last) = (if dice.once_in(6) { 1 } else { self.oldest() }, self.subnets());
        dice.between(u64::from(first), u64::from(last)) as u16
    }

    pub(super) fn is_pruned(&self, netuid: u16) -> bool {
        self.net.view(self.net.plan.suite.subnet_registry, SubnetRegistry::prunedFromOfCall { netuid }) != 0
    }

    /// TNDM for 0, else the subnet's alpha.
    pub(super) fn token(&self, netuid: u16) -> Address {
        if netuid == 0 { self.net.plan.suite.tandem_token } else { self.alpha(netuid) }
    }

    pub(super) fn held(&self, token: Address, account: Address) -> u128 {
        self.net.world.balance_of(token, account).to()
    }

    /// Calls; a refusal is no failure.
    pub(super) fn call<C: SolCall>(
        &mut self,
        dice: &mut Dice,
        what: &'static str,
        from: Address,
        to: Address,
        call: C,
    ) -> Option<Outcome<C::Return>> {
        dice.doing(what, (from, to, C::SIGNATURE));
        dice.tried(self.net.world.call(from, to, call))
    }

    /// Validators with stake, and alpha for everybody.
    fn furnish(&mut self, netuid: u16) {
        let (suite, trader) = (self.net.suite(), self.account("trader"));
        let call = AlphaPools::buyCall {
            netuid,
            tndmIn: U256::from(1_000 * WAD),
            minAlphaOut: U256::ZERO,
            deadline: U256::from(self.now()),
        };
        self.net.as_account("trader", suite.alpha_pools, call).unwrap();
        let alpha = self.alpha(netuid);
        let part = self.net.world.balance_of(alpha, trader) / U256::from(10);
        let owners: Vec<String> = (1..=VALIDATORS).map(|n| format!("validator {n}")).collect();
        for name in PEOPLE.into_iter().chain(["trader"]).chain(owners.iter().map(String::as_str)) {
            let account = self.account(name);
            self.net.world.transfer(alpha, trader, account, part).unwrap();
            for spender in [suite.alpha_pools, suite.staking] {
                self.net.world.approve(alpha, account, spender, U256::MAX).unwrap();
            }
        }
        for (n, owner) in (1..).zip(&owners) {
            let hotkey = self.account(&format!("hotkey {n}"));
            let seat = SubnetRegistry::uidOfCall { netuid, hotkey };
            if self.net.view(suite.subnet_registry, seat).is_zero() {
                self.net.register_in_markets(netuid, owner, &format!("hotkey {n}"));
            }
            let stake = Staking::stakeCall { netuid, hotkey, alphaAmount: part / U256::from(2) };
            self.net.as_account(owner, suite.staking, stake).unwrap();
        }
    }

    /// The public creates a subnet; where there is no room, the weakest goes.
    pub(super) fn register_subnet(&mut self, dice: &mut Dice) {
        if self.subnets() == MOST_EVER {
            return;
        }
        self.net.settle_epochs();
        let call = SubnetRegistry::registerSubnetCall { name: format!("subnet {}", self.now()), maxLock: U256::MAX };
        let (trader, registry) = (self.account("trader"), self.net.suite().subnet_registry);
        if let Some(outcome) = self.call(dice, "register a subnet", trader, registry, call) {
            dice.saw("a subnet takes another's place", outcome.event::<SubnetRegistry::SubnetPruned>().is_some());
            self.furnish(outcome.ret);
        }
    }

    pub(super) fn settle(&mut self, dice: &mut Dice) {
        let visits = if dice.once_in(2) { U256::MAX } else { U256::from(dice.between(1, 9)) };
        let (anybody, controller) = (self.account("anybody"), self.net.suite().emission_controller);
        self.call(dice, "settle", anybody, controller, EmissionController::settleCall { maxSubnets: visits });
    }

    /// The oldest subnet that is alive.
    pub(super) fn oldest(&self) -> u16 {
        (1..=self.subnets()).find(|netuid| !self.is_pruned(*netuid)).unwrap_or(1)
    }

    /// Everybody is promised something of what was granted, and a list of the oldest subnet says who may be evicted.
    pub(super) fn report(&mut self, dice: &mut Dice) {
        let suite = self.net.suite();
        let settled = self.net.view(suite.emission_controller, EmissionController::settledThroughCall {});
        if settled <= self.reported + 1 {
            return;
        }
        dice.doing("report", settled - 1);
        for netuid in 1..=self.subnets() {
            for kind in 0..KINDS {
                let ask = RewardDistributor::budgetOfCall { netuid, kind };
                let budget = self.net.view(suite.reward_distributor, ask);
                let account = self.account(dice.one_of(&PEOPLE));
                let amount = dice.amount(budget.granted - budget.claimed);
                if amount > 0 {
                    self.rewards.promise(netuid, kind, account, amount);
                }
            }
        }
        self.listed = self.oldest();
        let count = self.net.view(suite.subnet_registry, SubnetRegistry::neuronCountCall { netuid: self.listed });
        // Validators are never listed.
        self.prune_list = (VALIDATORS..count).rev().collect();
        let (root, _) = self.rewards.build();
        self.net.report_on(settled - 1, prune_leaf(self.listed, &self.prune_list), root);
        self.reported = settled - 1;
    }

    /// Some of the leaves, by anybody.
    pub(super) fn claim(&mut self, dice: &mut Dice) {
        let (root, leaves) = self.rewards.build();
        let (anybody, distributor) = (self.account("anybody"), self.net.suite().reward_distributor);
        let roots = self.net.view(distributor, RewardDistributor::rootsCall {});
        if roots.current != root {
            return;
        }
        for _ in 0..4 {
            let (c, proof) = dice.one_of(&leaves);
            let pruned = self.is_pruned(c.netuid);
            let claimed = self.call(dice, "claim", anybody, distributor, RewardDistributor::claimCall { c, proof });
            let paid = claimed.is_some_and(|outcome| !outcome.ret.is_zero());
            dice.saw("a claim on a pruned subnet pays", paid && pruned);
        }
        let (cs, proofs) = leaves.into_iter().take(6).unzip();
        self.call(dice, "claim a batch", anybody, distributor, RewardDistributor::claimBatchCall { cs, proofs });
    }

    /// That the subnet's list is what the last report commits; its tree has one leaf.
    pub(super) fn prune_proof(&self) -> PruneProof {
        PruneProof { pruneList: self.prune_list.clone(), traceRoot: B256::ZERO, index: U256::ZERO, proof: Vec::new() }
    }

    /// Events without which the books would be right all the same; of all others none can be missed.
    fn idle_events(&self) -> BTreeSet<String> {
        let names: BTreeMap<B256, String> = ARTIFACTS
            .iter()
            .map(|artifact| serde_json::from_str::<JsonAbi>(artifact.abi).unwrap())
            .flat_map(|abi| abi.events().map(|event| (event.selector(), event.name.clone())).collect::<Vec<_>>())
            .collect();
        let suite = self.net.suite();
        let logs = self.net.world.logs().iter().filter(|emitted| !is_of_no_balance(&suite, emitted));
        let kinds: BTreeSet<B256> = logs.filter_map(|emitted| emitted.log.topics().first().copied()).collect();
        let is_idle = |kind: &B256| {
            let mut indexer = Indexer::new(&self.net);
            indexer.deaf_to = Some(*kind);
            panic::catch_unwind(AssertUnwindSafe(|| {
                indexer.agrees_with(&self.net);
                indexer.compare_holdings(&self.net, &mut Witnesses::new());
            }))
            .is_ok()
        };
        kinds.into_iter().filter(is_idle).map(|kind| names[&kind].clone()).collect()
    }

    fn compare(&mut self, dice: &mut Dice) {
        dice.doing("compare", ());
        self.indexer.follow(&self.net.world);
        self.indexer.compare(&self.net, &mut self.witnesses);
        self.indexer.compare_holdings(&self.net, &mut self.witnesses);
        for (what, times) in &self.witnesses {
            dice.saw(what, *times > 0);
        }
    }
}

fn prune_leaf(netuid: u16, list: &[u16]) -> B256 {
    let hash = keccak256(list.to_vec().abi_encode());
    keccak256(keccak256((U256::from(netuid), B256::ZERO, hash).abi_encode()))
}

/// [SN-2] [EM-1] [CR-3]
#[test]
fn events_alone_tell_every_balance() {
    let mut number = 0;
    play(STEPS, begin, |town, dice| {
        number += 1;
        town.do_something(dice);
        if number % EVERY == 0 || number == STEPS {
            town.compare(dice);
        }
        if number == STEPS {
            let hook = panic::take_hook();
            // What is expected to fail need not be told.
            panic::set_hook(Box::new(|_| ()));
            let idle = town.idle_events();
            panic::set_hook(hook);
            assert_eq!(idle, IDLE.into_iter().map(String::from).collect(), "events that no balance needs");
        }
    });
}
