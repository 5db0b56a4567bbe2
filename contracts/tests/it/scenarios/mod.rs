//! The scenarios of the design, on the deployed bytecode: what an attack on the economy brings to whoever plays it.
//!
//! Each is played in the attacker's favour. Subnets have the validators they need, scores give all that a subnet is granted
//! to the attacker, nobody competes for what it buys and sells, and the keepers who report all this are honest and free.
//! What is left is what the contracts allow.

mod crash;
mod meme;
mod recycling;
mod sybils;
mod treadmill;
mod wash;

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use tandem_contracts::{
    bindings::{
        AlphaPools, BurnAuction, CreditDesk, EmissionController, RewardDistributor,
        emission_controller::IEmissionController, reward_distributor::IRewardDistributor,
    },
    suite::GenesisConfig,
};

use crate::{
    law,
    support::{CREDIT, Net, leaf, tree},
};

/// `RewardKind` without the keepers' part.
const KINDS: [u8; 6] = [0, 1, 2, 3, 4, 5];
/// Price at which lots are sold if nobody is said to pay more, WAD TNDM per USDC.
const FAIR: u64 = 10;
/// Epochs after which less than a hundredth of any allowance here is left.
const LONG: u64 = 20;
/// The uid of "miner 1" in subnet 1, where three validators came before.
const MINER: u16 = 3;

/// A network with open markets, in which two subnets have all the validators that they need.
#[derive(Clone)]
struct Arena {
    net: Net,
    netuids: Vec<u16>,
    /// What was granted before the play began.
    granted: BTreeMap<(u16, u8), u128>,
}

/// What somebody does at the start of each epoch, and its name.
type Rhythm = (&'static str, fn(&mut Arena, u64));

fn tndm(whole: u64) -> U256 {
    U256::from(whole) * CREDIT
}

impl Arena {
    fn new() -> Self {
        Self::with(|_| ())
    }

    /// The same with other numbers.
    fn with(change: impl FnOnce(&mut GenesisConfig)) -> Self {
        let mut arena = Self { net: law::opened_with(change), netuids: vec![1, 2], granted: BTreeMap::new() };
        for n in 1..=3 {
            let owner = format!("validator {n}");
            arena.give(&owner, 100);
            arena.net.register_in_markets(2, &owner, &format!("hotkey {n}"));
        }
        // The mesh's money goes first, in a lot of its own, and what it granted to whoever served it.
        arena.give("trader", 0);
        arena.net.world.warp(arena.net.config.auction.open_delay.0);
        arena.sell_lot("trader", FAIR);
        for _ in 0..2 {
            arena.pass(Some(("servant of the mesh", &[1, 2])));
        }
        for netuid in [1, 2] {
            for kind in KINDS {
                arena.granted.insert((netuid, kind), arena.budget(netuid, kind));
            }
        }
        arena
    }

    /// Gives so many TNDM of the ecosystem's, which every contract that is paid in TNDM may take.
    fn give(&mut self, name: &str, whole: u64) {
        let (suite, world) = (self.net.suite(), &mut self.net.world);
        let (from, account) = (world.account("trader"), world.account(name));
        world.transfer(suite.tandem_token, from, account, tndm(whole)).unwrap();
        for spender in
            [suite.alpha_pools, suite.emission_controller, suite.burn_auction, suite.subnet_registry, suite.staking]
        {
            world.approve(suite.tandem_token, account, spender, U256::MAX).unwrap();
        }
    }

    fn sponsor(&mut self, name: &str, netuid: u16, whole: u64) {
        let call = EmissionController::sponsorCall { netuid, amount: tndm(whole) };
        self.net.as_account(name, self.net.plan.suite.emission_controller, call).unwrap();
    }

    fn epoch(&self) -> u64 {
        (self.net.world.timestamp() - self.net.plan.genesis) / self.net.config.epochs.length.0
    }

    /// Goes to the start of the next epoch, where what the last one granted in these subnets goes to the account.
    fn pass(&mut self, collector: Option<(&str, &[u16])>) {
        let ended = self.epoch();
        self.net.go_to(ended + 1, 0);
        self.net.settle_epochs();
        for netuid in self.netuids.clone() {
            self.net.as_account("anybody", self.net.plan.suite.alpha_pools, AlphaPools::pourCall { netuid }).unwrap();
        }
        let Some((collector, netuids)) = collector else {
            return self.net.report(ended, B256::ZERO);
        };
        let account = self.net.world.account(collector);
        let mut claims = Vec::new();
        for &netuid in netuids {
            for kind in KINDS {
                let before = self.granted.get(&(netuid, kind)).copied().unwrap_or_default();
                let cumulative = U256::from(self.budget(netuid, kind) - before);
                claims.push(IRewardDistributor::Claim {
                    index: U256::from(claims.len()),
                    kind,
                    netuid,
                    account,
                    cumulative,
                });
            }
        }
        let (root, proofs) = tree(&claims.iter().map(leaf).collect::<Vec<_>>());
        self.net.report(ended, root);
        for (claim, proof) in claims.iter().zip(proofs) {
            self.net.claim(claim, proof);
        }
    }

    fn budget(&self, netuid: u16, kind: u8) -> u128 {
        let ask = RewardDistributor::budgetOfCall { netuid, kind };
        self.net.view(self.net.plan.suite.reward_distributor, ask).granted
    }

    /// What closing the epoch before this one granted to a subnet.
    fn grant(&self, netuid: u16) -> IEmissionController::Grant {
        let ask = EmissionController::grantOfCall { epoch: self.epoch() - 1, netuid };
        self.net.view(self.net.plan.suite.emission_controller, ask)
    }

    fn ledger(&self, netuid: u16) -> IEmissionController::Ledger {
        let ask = EmissionController::ledgerOfCall { netuid };
        self.net.view(self.net.plan.suite.emission_controller, ask)
    }

    fn price(&self, netuid: u16) -> U256 {
        self.net.view(self.net.plan.suite.alpha_pools, AlphaPools::spotPriceCall { netuid })
    }

    fn buy(&mut self, name: &str, netuid: u16, whole: u64) -> U256 {
        let call = AlphaPools::buyCall {
            netuid,
            tndmIn: tndm(whole),
            minAlphaOut: U256::ZERO,
            deadline: U256::from(u64::MAX),
        };
        self.net.as_account(name, self.net.plan.suite.alpha_pools, call).unwrap().ret
    }

    fn sell(&mut self, name: &str, netuid: u16, amount: U256) {
        if amount.is_zero() {
            return;
        }
        let suite = self.net.suite();
        let (account, token) = (self.net.world.account(name), self.alpha(netuid));
        self.net.world.approve(token, account, suite.alpha_pools, amount).unwrap();
        let call =
            AlphaPools::sellCall { netuid, alphaIn: amount, minTndmOut: U256::ZERO, deadline: U256::from(u64::MAX) };
        self.net.as_account(name, suite.alpha_pools, call).unwrap();
    }

    fn sell_all(&mut self, name: &str, netuid: u16) {
        let amount = self.holds(name, self.alpha(netuid));
        self.sell(name, netuid, amount);
    }

    fn alpha(&self, netuid: u16) -> Address {
        self.net.view(self.net.plan.suite.alpha_pools, AlphaPools::alphaOfCall { netuid })
    }

    fn holds(&self, name: &str, token: Address) -> U256 {
        self.net.world.balance_of(token, self.net.world.account(name))
    }

    fn tndm_of(&self, name: &str) -> U256 {
        self.holds(name, self.net.plan.suite.tandem_token)
    }

    fn usdc_of(&self, name: &str) -> U256 {
        self.holds(name, self.net.plan.suite.usdc)
    }

    /// A user buys credits and has work done by the miner of subnet 1 for all of them; the margin goes its ways.
    fn work(&mut self, user: &str, credits: u64) {
        self.net.buy_credits(user, credits);
        let channel = self.net.open_channel(user, 1, MINER, credits);
        let voucher = self.net.voucher(channel, credits * 1_000);
        self.net.settle_voucher(user, voucher).unwrap();
        let forward = CreditDesk::forwardMarginCall { netuid: 1 };
        self.net.as_account("anybody", self.net.plan.suite.credit_desk, forward).unwrap();
    }

    /// The miner cashes credits out; answers the USDC it is paid.
    fn cash_out(&mut self, credits: u64, to: &str) -> U256 {
        let to = self.net.world.account(to);
        let call = CreditDesk::cashOutCall { credits: tndm(credits), to };
        self.net.as_account("miner 1", self.net.plan.suite.credit_desk, call).unwrap().ret
    }

    /// Starts a lot, which `taker` takes as soon as it costs no more than so many TNDM for a USDC; answers what was paid.
    fn sell_lot(&mut self, taker: &str, at_most: u64) -> U256 {
        let auction = self.net.plan.suite.burn_auction;
        let lot = self.net.as_account("anybody", auction, BurnAuction::startLotCall {}).unwrap().ret;
        while self.net.view(auction, BurnAuction::priceOfCall { lotId: lot }) > tndm(at_most) {
            self.net.world.warp(1);
        }
        let take = BurnAuction::takeCall { lotId: lot, maxTndm: U256::MAX, deadline: U256::MAX };
        self.net.as_account(taker, auction, take).unwrap().ret
    }

    /// TNDM for a USDC at the last sale, WAD.
    fn lot_price(&self) -> U256 {
        self.net.view(self.net.plan.suite.burn_auction, BurnAuction::lastPriceCall {})
    }

    /// Worth of TNDM in units of USDC, at the last sale.
    fn in_usdc(&self, tndm: U256) -> U256 {
        tndm * U256::from(1_000_000) / self.lot_price()
    }

    /// The most that burning this can earn.
    fn phi_of(&self, burned: U256) -> U256 {
        burned * self.net.config.emission.phi.0 / CREDIT
    }
}
