//! Emission: several subnets, sponsors, traders who move prices, pots that fill, and epochs settled late, in batches of any
//! size and with calls in between.

use std::collections::BTreeMap;

use alloy::{primitives::U256, sol_types::SolCall};
use tandem_contracts::{
    bindings::{AlphaPools, EmissionController, LaunchGate, RewardDistributor, Staking, SubnetRegistry},
    suite::{Alpha, Seconds, Tndm},
    world::{Outcome, Revert},
};

use super::{Dice, play, product};
use crate::{
    indexer::Indexer,
    law,
    model::{
        WAD,
        emission::{Emission, Grant, Terms},
        pools::{self, Pools},
    },
    support::Net,
};

pub(super) const STEPS: usize = 2_000;
/// Subnets that are registered once markets are open.
const REGISTERED: u16 = 3;
const VALIDATORS: u16 = 3;

struct Pair {
    net: Net,
    indexer: Indexer,
    model: Emission,
    /// How many subnets there are.
    subnets: u16,
    /// The chain stands within an epoch: pools may be filled already that the model has not filled.
    within: bool,
}

fn begin() -> Pair {
    let mut net = law::opened_with(|config| {
        // Ceilings and schedules of the same order as the pools, so that each binds at times.
        config.emission.tndm_per_day = Tndm(U256::from(360_000 * WAD));
        config.emission.alpha_per_day = Alpha(U256::from(3_600_000 * WAD));
        config.emission.fade = Seconds(2_400);
    });
    let suite = net.suite();
    let pool_terms = pools::Terms {
        genesis: net.plan.genesis,
        epoch_length: net.config.epochs.length.0,
        fee_rate: net.config.pools.fee.0.to(),
        ema_rate: net.config.pools.ema_rate.0.to(),
        ema_half_age: net.config.pools.ema_half_age.0,
        pour_cap: net.config.pools.pour_cap.0.to(),
        alpha_per_day: net.config.emission.alpha_per_day.0.to(),
    };
    let opened_at = net.view(suite.launch_gate, LaunchGate::marketsOpenedAtCall {});
    let terms = Terms {
        phi: net.config.emission.phi.0.to(),
        smoothing: u128::from(net.config.emission.smoothing),
        fade: net.config.emission.fade.0,
        tndm_per_day: net.config.emission.tndm_per_day.0.to(),
        alpha_per_day: net.config.emission.alpha_per_day.0.to(),
        opened_at,
    };
    let mut pools = Pools::new(pool_terms);
    for netuid in 1..=2 {
        let (seed, price) = (net.config.launch.pool_seed.0.to(), net.config.launch.initial_price.0.to());
        pools.create(opened_at, netuid, seed, price).unwrap();
    }
    let trader = net.world.account("trader");
    for spender in [suite.alpha_pools, suite.emission_controller, suite.subnet_registry] {
        net.world.approve(suite.tandem_token, trader, spender, U256::MAX).unwrap();
    }
    net.fund("patron", suite.reward_distributor, 1_000_000);
    net.settle_epochs();
    let next = net.view(suite.emission_controller, EmissionController::settledThroughCall {});
    pools.settled_through = next;
    let mut model = Emission::new(terms, pools, next);
    for netuid in 1..=2 {
        // The mesh phase's money of the running epoch and what no eligible epoch has taken.
        let epoch = next;
        let pot = net.view(suite.reward_distributor, RewardDistributor::potOfCall { epoch, netuid });
        model.contribute(net.world.timestamp(), netuid, pot.to());
    }
    Pair { indexer: Indexer::new(&net), net, model, subnets: 2, within: false }
}

impl Pair {
    fn now(&self) -> u64 {
        self.net.world.timestamp()
    }

    fn by<C: SolCall>(
        &mut self,
        name: &str,
        to: alloy::primitives::Address,
        call: C,
    ) -> Result<Outcome<C::Return>, Revert> {
        self.net.as_account(name, to, call)
    }

    fn a_subnet(&self, dice: &mut Dice) -> u16 {
        dice.between(1, u64::from(self.subnets)) as u16
    }

    fn sponsor(&mut self, dice: &mut Dice) {
        let netuid = self.a_subnet(dice);
        let amount = dice.amount(400 * WAD);
        dice.doing("sponsor", (netuid, amount));
        let controller = self.net.suite().emission_controller;
        self.by("trader", controller, EmissionController::sponsorCall { netuid, amount: U256::from(amount) }).unwrap();
        self.model.burn(self.now(), netuid, amount);
    }

    fn contribute(&mut self, dice: &mut Dice) {
        let netuid = self.a_subnet(dice);
        let usdc = dice.amount(50_000_000);
        dice.doing("contribute", (netuid, usdc));
        let distributor = self.net.suite().reward_distributor;
        self.by("patron", distributor, RewardDistributor::contributeCall { netuid, usdc: U256::from(usdc) }).unwrap();
        self.model.contribute(self.now(), netuid, usdc);
    }

    fn trade(&mut self, dice: &mut Dice) {
        let (netuid, now, pools) = (self.a_subnet(dice), self.now(), self.net.suite().alpha_pools);
        let deadline = U256::from(now);
        if dice.once_in(2) {
            let tndm = dice.amount(500 * WAD).max(1);
            dice.doing("buy", (netuid, tndm));
            let call = AlphaPools::buyCall { netuid, tndmIn: U256::from(tndm), minAlphaOut: U256::ZERO, deadline };
            let out = self.by("trader", pools, call).unwrap().ret.to::<u128>();
            dice.same("out", out, self.model.pools.buy(now, netuid, tndm, 0).unwrap().out);
        } else {
            let token = self.net.view(pools, AlphaPools::alphaOfCall { netuid });
            let trader = self.net.world.account("trader");
            let held = self.net.world.balance_of(token, trader).to::<u128>();
            let alpha = dice.amount(held);
            if alpha == 0 {
                return;
            }
            dice.doing("sell", (netuid, alpha));
            self.net.world.approve(token, trader, pools, U256::MAX).unwrap();
            let call = AlphaPools::sellCall { netuid, alphaIn: U256::from(alpha), minTndmOut: U256::ZERO, deadline };
            let out = self.by("trader", pools, call).unwrap().ret.to::<u128>();
            dice.same("out", out, self.model.pools.sell(now, netuid, alpha, 0).unwrap().out);
        }
    }

    /// All ended epochs are settled first: the registry asks for that.
    fn register(&mut self, dice: &mut Dice) {
        if self.subnets == 2 + REGISTERED {
            return;
        }
        self.settle(dice, u64::MAX);
        let suite = self.net.suite();
        let (now, price) = (self.now(), self.net.view(suite.alpha_pools, AlphaPools::medianEmaCall {}));
        dice.doing("register a subnet", ());
        let name = format!("subnet {}", self.subnets + 1);
        let call = SubnetRegistry::registerSubnetCall { name, maxLock: U256::MAX };
        let outcome = self.by("trader", suite.subnet_registry, call).unwrap();
        let netuid = outcome.ret;
        let created = outcome.event::<AlphaPools::PoolCreated>().unwrap();
        self.model.pools.create(now, netuid, created.tndm.to(), price.to()).unwrap();
        for (_, burn) in outcome.events::<EmissionController::BurnCredited>() {
            self.model.burn(now, netuid, burn.burned.to());
        }
        self.subnets = netuid;
        self.furnish(dice, netuid);
    }

    /// Validators with stake, so that the subnet is granted something.
    fn furnish(&mut self, dice: &mut Dice, netuid: u16) {
        let (suite, now) = (self.net.suite(), self.now());
        let trader = self.net.world.account("trader");
        let call = AlphaPools::buyCall {
            netuid,
            tndmIn: U256::from(500 * WAD),
            minAlphaOut: U256::ZERO,
            deadline: U256::from(now),
        };
        self.by("trader", suite.alpha_pools, call).unwrap();
        self.model.pools.buy(now, netuid, 500 * WAD, 0).unwrap();
        let alpha = self.net.view(suite.alpha_pools, AlphaPools::alphaOfCall { netuid });
        for n in 1..=VALIDATORS {
            let (owner, hotkey) = (format!("validator {n}"), format!("hotkey {n}"));
            let account = self.net.world.account(&owner);
            self.net.world.transfer(suite.tandem_token, trader, account, U256::from(100 * WAD)).unwrap();
            self.net.world.approve(suite.tandem_token, account, suite.subnet_registry, U256::MAX).unwrap();
            let outcome = self.net.register_in_markets(netuid, &owner, &hotkey);
            // Half of the price has bought alpha.
            for (_, swap) in outcome.events::<AlphaPools::Swapped>() {
                let burned = self.model.pools.buy_and_burn(now, netuid, swap.amountIn.to()).unwrap();
                dice.same("alpha burned", swap.amountOut.to::<u128>(), burned);
            }
            // A third each of what is left.
            let held = self.net.world.balance_of(alpha, trader);
            let amount = held / U256::from(VALIDATORS + 1 - n);
            self.net.world.transfer(alpha, trader, account, amount).unwrap();
            self.net.world.approve(alpha, account, suite.staking, U256::MAX).unwrap();
            let call = Staking::stakeCall { netuid, hotkey: self.net.world.account(&hotkey), alphaAmount: amount };
            self.by(&owner, suite.staking, call).unwrap();
        }
    }

    /// `[EM-1]` `[EM-2]` `[EM-3]`
    fn settle(&mut self, dice: &mut Dice, visits: u64) {
        dice.doing("settle", visits);
        let suite = self.net.suite();
        // Taken before, as nothing that happens now may change it.
        let ended = self.model.next..self.model.pools.terms.epoch(self.now());
        let live: BTreeMap<u64, Vec<(u16, bool)>> = ended.map(|epoch| (epoch, self.live_at(epoch))).collect();
        let call = EmissionController::settleCall { maxSubnets: U256::from(visits) };
        let through = self.by("anybody", suite.emission_controller, call).unwrap().ret;
        while self.model.next < through {
            let epoch = self.model.next;
            let ceiling = self.model.ceiling();
            let (grants, limits) = self.model.settle(&live[&epoch]);
            self.compare_grants(dice, epoch, &grants);
            dice.saw("the ceiling binds", limits.ceiling);
            dice.saw("a second pass gives out what the first left", limits.second_pass);
            dice.saw("the alpha schedule binds", limits.schedule);
            dice.saw("an epoch is dearer than the average", limits.twap);
            dice.saw("a pot is carried", limits.carried);
            let emitted: u128 = grants.values().map(|grant| grant.emitted).sum();
            // Each subnet's two parts round down.
            let short = if limits.ceiling { ceiling.saturating_sub(emitted) } else { 0 };
            dice.holds(short <= 2 * grants.len() as u128, || format!("{short} wei of a binding ceiling were lost"));
            dice.holds(emitted <= ceiling, || format!("{emitted} emitted under a ceiling of {ceiling}"));
        }
        // A call may stop within an epoch; the next one that finishes it ends that.
        self.within = self.model.pools.terms.epoch(self.now()) > self.model.next;
        dice.saw("a call stops within an epoch", self.within);
        dice.saw("a call closes several epochs", live.len() > 2 && !self.within);
        if !self.within {
            self.compare_all(dice);
            self.indexer.agrees_with(&self.net);
        }
    }

    /// The subnets of an epoch, and whether each is eligible.
    fn live_at(&self, epoch: u64) -> Vec<(u16, bool)> {
        let suite = &self.net.plan.suite;
        let live = self.net.view(suite.subnet_registry, SubnetRegistry::liveAtCall { epoch });
        let eligible = |netuid| self.net.view(suite.staking, Staking::eligibleAtCall { netuid, epoch });
        live.into_iter().map(|netuid| (netuid, eligible(netuid))).collect()
    }

    fn compare_grants(&self, dice: &Dice, epoch: u64, grants: &BTreeMap<u16, Grant>) {
        for (netuid, grant) in grants {
            let ask = EmissionController::grantOfCall { epoch, netuid: *netuid };
            let there = self.net.view(self.net.plan.suite.emission_controller, ask);
            let there =
                Grant { emitted: there.emitted, alpha_out: there.alphaOut, usdc: there.usdc, eligible: there.eligible };
            dice.same(&format!("grant of epoch {epoch} to {netuid}"), there, *grant);
        }
    }

    fn compare_all(&self, dice: &Dice) {
        let suite = &self.net.plan.suite;
        for netuid in 1..=self.subnets {
            let there = self.net.view(suite.emission_controller, EmissionController::ledgerOfCall { netuid });
            let ledger = self.model.ledgers.get(&netuid).cloned().unwrap_or_default();
            let (chain, model) =
                ((there.allowance, there.burned, there.emitted), (ledger.allowance, ledger.burned, ledger.emitted));
            dice.same("ledger", chain, model);
            let pool = self.net.view(suite.alpha_pools, AlphaPools::poolOfCall { netuid });
            let model = self.model.pools.pool(netuid);
            dice.same("reserves", (pool.tndm, pool.alpha), (model.reserves.tndm, model.reserves.alpha));
            dice.same("pending and issued", (pool.pending, pool.issued), (model.pending, model.issued));
        }
        let emitted = self.net.view(suite.emission_controller, EmissionController::totalEmittedCall {}).to::<u128>();
        let burned = self.net.view(suite.emission_controller, EmissionController::totalBurnedCall {}).to::<u128>();
        dice.same("emitted and burned", (emitted, burned), (self.model.emitted, self.model.burned));
        let phi = self.net.config.emission.phi.0.to::<u128>();
        dice.holds(product(emitted, WAD) <= product(burned, phi), || "emission is earned by burning [EM-1]".into());
    }
}

/// [EM-1] [EM-2] [EM-3]
#[test]
fn emission_behaves_as_the_model_says() {
    play(STEPS, begin, |pair, dice| match dice.below(24) {
        0..=3 => pair.sponsor(dice),
        4..=5 => pair.contribute(dice),
        6..=12 if !pair.within => pair.trade(dice),
        13 if dice.once_in(20) => pair.register(dice),
        14..=18 => {
            let visits = if dice.once_in(3) { u64::MAX } else { dice.between(0, 9) };
            pair.settle(dice, visits);
        }
        _ => {
            let seconds = if dice.once_in(8) { dice.between(1, 120) } else { dice.between(1, 20) };
            dice.doing("wait", seconds);
            pair.net.world.warp(seconds);
        }
    });
}
