//! Pools: traders in three pools, a controller that settles epochs late and in batches, a distributor that releases budgets,
//! and one pool after another that is pruned, wound up and redeemed. Neighbours are played by the test.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::{SolCall, SolConstructor},
};
use tandem_contracts::{
    bindings::{
        AlphaFactory, AlphaPools, AlphaToken, SuiteFactory, TandemToken, alpha_pools::IAlphaPools,
        tandem_token::ITandemToken,
    },
    suite::{CREATE2_FACTORY, factory_address, factory_init_code, salt_of, suite_address},
    world::{Outcome, Revert, World},
};

use super::{Dice, is_down, play, product};
use crate::model::{
    WAD, mul_div_down,
    pools::{Pools, SUPPLY, Terms},
};

pub(super) const STEPS: usize = 7_000;
const EVERY: usize = 32;
const EPOCH: u64 = 3_600;
const TRADERS: [&str; 3] = ["ann", "ben", "cem"];
/// Pools that trade at a time.
const LIVE: usize = 3;

struct Pair {
    world: World,
    model: Pools,
    tndm: Address,
    pools: Address,
    /// Netuids that have not been pruned, and all there ever were.
    live: Vec<u16>,
    count: u16,
    /// TNDM sent to the pools by mistake.
    donated: u128,
}

fn begin() -> Pair {
    let mut world = World::new();
    let deployer = world.account("deployer");
    world.send(deployer, CREATE2_FACTORY, factory_init_code(), U256::ZERO).unwrap();
    let at = |name: &str| suite_address(deployer, salt_of("pools", name));
    let (tndm, factory, pools) = (at("TandemToken"), at("AlphaFactory"), at("AlphaPools"));
    let terms = Terms {
        genesis: world.timestamp(),
        epoch_length: EPOCH,
        fee_rate: 3 * WAD / 1_000,
        ema_rate: 86 * WAD / 1_000,
        ema_half_age: 48 * EPOCH,
        pour_cap: WAD / 100,
        alpha_per_day: 3_600 * WAD,
    };
    let token = TandemToken::constructorCall {
        mints: vec![ITandemToken::Mint { to: world.account("treasury"), amount: U256::from(SUPPLY) }],
        vaults_: Vec::new(),
    };
    let config = IAlphaPools::Config {
        tndm,
        factory,
        registry: world.account("registry"),
        gate: world.account("gate"),
        controller: world.account("controller"),
        genesis: terms.genesis,
        epochLength: EPOCH,
        feeRate: U256::from(terms.fee_rate),
        emaRate: U256::from(terms.ema_rate),
        emaHalfAge: terms.ema_half_age,
        pourCap: U256::from(terms.pour_cap),
        alphaPerDay: U256::from(terms.alpha_per_day),
    };
    for (name, code, arguments) in [
        ("TandemToken", &TandemToken::BYTECODE, token.abi_encode()),
        (
            "AlphaFactory",
            &AlphaFactory::BYTECODE,
            AlphaFactory::constructorCall { pools, distributor: world.account("distributor") }.abi_encode(),
        ),
        ("AlphaPools", &AlphaPools::BYTECODE, AlphaPools::constructorCall { config }.abi_encode()),
    ] {
        let initcode: Bytes = [&code[..], &arguments].concat().into();
        let call = SuiteFactory::deployCall { salt: salt_of("pools", name), initcode };
        world.call(deployer, factory_address(), call).unwrap();
    }
    let mut pair = Pair { world, model: Pools::new(terms), tndm, pools, live: Vec::new(), count: 0, donated: 0 };
    pair.settled(0);
    for name in TRADERS {
        pair.endow(name, 1_000_000 * WAD);
    }
    pair.endow("registry", 500_000 * WAD);
    pair
}

impl Pair {
    fn now(&self) -> u64 {
        self.world.timestamp()
    }

    fn by<C: SolCall>(&mut self, name: &str, call: C) -> Result<Outcome<C::Return>, Revert> {
        self.world.call(self.world.account(name), self.pools, call)
    }

    fn view<C: SolCall>(&self, call: C) -> C::Return {
        self.world.view(self.pools, call).unwrap()
    }

    fn endow(&mut self, name: &str, amount: u128) {
        let (treasury, account) = (self.world.account("treasury"), self.world.account(name));
        self.world.transfer(self.tndm, treasury, account, U256::from(amount)).unwrap();
        self.world.approve(self.tndm, account, self.pools, U256::MAX).unwrap();
    }

    fn alpha(&self, netuid: u16) -> Address {
        self.view(AlphaPools::alphaOfCall { netuid })
    }

    fn alpha_of(&self, name: &str, netuid: u16) -> u128 {
        self.world.balance_of(self.alpha(netuid), self.world.account(name)).to()
    }

    /// Puts a controller in place that says so, in a dozen bytes of code: PUSH8 MSTORE RETURN.
    fn settled(&mut self, through: u64) {
        self.model.settled_through = through;
        let code = [&[0x67][..], &through.to_be_bytes(), &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]].concat();
        self.world.set_code(self.world.account("controller"), code.into());
    }

    fn deadline(&self) -> U256 {
        U256::from(self.now())
    }

    fn a_pool(&self, dice: &mut Dice) -> u16 {
        // One that was pruned too, now and then.
        if dice.once_in(20) { dice.between(1, u64::from(self.count)) as u16 } else { dice.one_of(&self.live) }
    }

    fn create(&mut self, dice: &mut Dice) {
        let netuid = self.count + 1;
        let tndm = dice.amount(5_000 * WAD).max(WAD);
        // Between a thousandth and a hundred TNDM.
        let price = dice.amount(100 * WAD).max(WAD / 1_000);
        dice.doing("create", (netuid, tndm, price));
        let call = AlphaPools::createCall { netuid, tndm: U256::from(tndm), initialPrice: U256::from(price) };
        let chain = self.by("registry", call);
        if dice.agree(chain, self.model.create(self.now(), netuid, tndm, price)).is_some() {
            self.count = netuid;
            self.live.push(netuid);
            for name in TRADERS {
                let (alpha, account) = (self.alpha(netuid), self.world.account(name));
                self.world.approve(alpha, account, self.pools, U256::MAX).unwrap();
            }
            self.compare(dice, netuid);
        }
    }

    fn minimum(dice: &mut Dice, out: u128) -> u128 {
        match dice.below(10) {
            0 => out + 1,
            1 => 0,
            _ => out,
        }
    }

    /// `[AM-1]` `[AM-2]`
    fn buy(&mut self, dice: &mut Dice) {
        let (name, netuid, now) = (dice.one_of(&TRADERS), self.a_pool(dice), self.now());
        let held = self.world.balance_of(self.tndm, self.world.account(name)).to::<u128>();
        let tndm = dice.amount((self.model.pool(netuid).reserves.tndm * 2).min(held));
        let quote = self.world.view(self.pools, AlphaPools::quoteBuyCall { netuid, tndmIn: U256::from(tndm) });
        let least = Self::minimum(dice, quote.as_ref().map(|out| out.to()).unwrap_or_default());
        dice.doing("buy", (name, netuid, tndm, least));
        let before = self.model.ahead(now, netuid);
        let call = AlphaPools::buyCall {
            netuid,
            tndmIn: U256::from(tndm),
            minAlphaOut: U256::from(least),
            deadline: self.deadline(),
        };
        let chain = self.by(name, call);
        if let Some((outcome, fill)) = dice.agree(chain, self.model.buy(now, netuid, tndm, least)) {
            let out = outcome.ret.to::<u128>();
            dice.same("out", out, fill.out);
            dice.same("quote", quote.unwrap().to::<u128>(), fill.out);
            let event = outcome.event::<AlphaPools::Swapped>().unwrap();
            dice.same("fee", event.fee.to::<u128>(), fill.fee);
            let net = tndm - fill.fee;
            let down = is_down(out, product(before.alpha, net), before.tndm + net);
            dice.holds(down, || "alpha rounds down by less than a unit".into());
            self.k_grew(dice, netuid, product(before.tndm, before.alpha));
        }
        self.compare(dice, netuid);
    }

    fn sell(&mut self, dice: &mut Dice) {
        let (name, netuid, now) = (dice.one_of(&TRADERS), self.a_pool(dice), self.now());
        let alpha = dice.amount(self.alpha_of(name, netuid));
        let quote = self.world.view(self.pools, AlphaPools::quoteSellCall { netuid, alphaIn: U256::from(alpha) });
        let least = Self::minimum(dice, quote.as_ref().map(|out| out.to()).unwrap_or_default());
        dice.doing("sell", (name, netuid, alpha, least));
        let before = self.model.ahead(now, netuid);
        let call = AlphaPools::sellCall {
            netuid,
            alphaIn: U256::from(alpha),
            minTndmOut: U256::from(least),
            deadline: self.deadline(),
        };
        let chain = self.by(name, call);
        if let Some((outcome, fill)) = dice.agree(chain, self.model.sell(now, netuid, alpha, least)) {
            let out = outcome.ret.to::<u128>();
            dice.same("out", out, fill.out);
            dice.same("quote", quote.unwrap().to::<u128>(), fill.out);
            let down = is_down(out + fill.fee, product(before.tndm, alpha), before.alpha + alpha);
            dice.holds(down, || "TNDM rounds down by less than a unit".into());
            self.k_grew(dice, netuid, product(before.tndm, before.alpha));
        }
        self.compare(dice, netuid);
    }

    fn buy_until(&mut self, dice: &mut Dice) {
        let (name, netuid, now) = (dice.one_of(&TRADERS), self.a_pool(dice), self.now());
        let held = self.world.balance_of(self.tndm, self.world.account(name)).to::<u128>();
        let tndm = dice.amount((self.model.pool(netuid).reserves.tndm * 2).min(held));
        let at = self.model.ahead(now, netuid);
        if at.alpha == 0 {
            return;
        }
        let limit = at.price() * u128::from(dice.between(990, 1_500)) / 1_000;
        dice.doing("buy until", (name, netuid, tndm, limit));
        let quote = AlphaPools::quoteBuyUntilCall { netuid, tndmIn: U256::from(tndm), maxPrice: U256::from(limit) };
        let quote = self.world.view(self.pools, quote);
        let call = AlphaPools::buyUntilCall {
            netuid,
            tndmIn: U256::from(tndm),
            maxPrice: U256::from(limit),
            minAlphaOut: U256::ZERO,
            to: self.world.account(name),
            deadline: self.deadline(),
        };
        let chain = self.by(name, call);
        if let Some((outcome, fill)) = dice.agree(chain, self.model.buy_until(now, netuid, tndm, limit, 0)) {
            let quote = quote.unwrap();
            dice.same("used", outcome.ret.tndmUsed.to::<u128>(), fill.amount_in);
            dice.saw("a price limit fills a purchase in part", fill.amount_in < tndm);
            dice.same("out", outcome.ret.alphaOut.to::<u128>(), fill.out);
            dice.same("quote", (quote.tndmUsed, quote.alphaOut), (outcome.ret.tndmUsed, outcome.ret.alphaOut));
            self.k_grew(dice, netuid, product(at.tndm, at.alpha));
        }
        self.compare(dice, netuid);
    }

    fn sell_until(&mut self, dice: &mut Dice) {
        let (name, netuid, now) = (dice.one_of(&TRADERS), self.a_pool(dice), self.now());
        let alpha = dice.amount(self.alpha_of(name, netuid));
        let at = self.model.ahead(now, netuid);
        if at.alpha == 0 {
            return;
        }
        let limit = at.price() * u128::from(dice.between(600, 1_010)) / 1_000;
        dice.doing("sell until", (name, netuid, alpha, limit));
        let call = AlphaPools::sellUntilCall {
            netuid,
            alphaIn: U256::from(alpha),
            minPrice: U256::from(limit),
            minTndmOut: U256::ZERO,
            to: self.world.account(name),
            deadline: self.deadline(),
        };
        let chain = self.by(name, call);
        if let Some((outcome, fill)) = dice.agree(chain, self.model.sell_until(now, netuid, alpha, limit, 0)) {
            dice.same("used", outcome.ret.alphaUsed.to::<u128>(), fill.amount_in);
            dice.saw("a price limit fills a sale in part", fill.amount_in < alpha);
            dice.same("out", outcome.ret.tndmOut.to::<u128>(), fill.out);
            self.k_grew(dice, netuid, product(at.tndm, at.alpha));
        }
        self.compare(dice, netuid);
    }

    fn swap(&mut self, dice: &mut Dice) {
        let (name, from, to, now) = (dice.one_of(&TRADERS), self.a_pool(dice), self.a_pool(dice), self.now());
        let alpha = dice.amount(self.alpha_of(name, from));
        let quote = AlphaPools::quoteSwapCall { from, to, alphaIn: U256::from(alpha) };
        let quote = self.world.view(self.pools, quote);
        let least = Self::minimum(dice, quote.as_ref().map(|out| out.to()).unwrap_or_default());
        dice.doing("swap", (name, from, to, alpha, least));
        let before = [from, to].map(|netuid| self.model.ahead(now, netuid)).map(|at| product(at.tndm, at.alpha));
        let call = AlphaPools::swapCall {
            from,
            to,
            alphaIn: U256::from(alpha),
            minAlphaOut: U256::from(least),
            deadline: self.deadline(),
        };
        let chain = self.by(name, call);
        if let Some((outcome, (sale, out))) = dice.agree(chain, self.model.swap(now, (from, to), alpha, least)) {
            dice.same("out", outcome.ret.to::<u128>(), out);
            dice.same("quote", quote.unwrap().to::<u128>(), out);
            let event = outcome.event::<AlphaPools::AlphaSwapped>().unwrap();
            dice.same("TNDM between", event.tndm.to::<u128>(), sale.out);
            dice.same("fee", event.fee.to::<u128>(), sale.fee);
            self.k_grew(dice, from, before[0]);
            self.k_grew(dice, to, before[1]);
        }
        self.compare(dice, from);
        self.compare(dice, to);
    }

    fn k_grew(&self, dice: &Dice, netuid: u16, before: U256) {
        let now = self.model.pool(netuid).reserves;
        dice.holds(product(now.tndm, now.alpha) >= before, || "k never falls [AM-2]".into());
    }

    fn buy_and_burn(&mut self, dice: &mut Dice) {
        let (netuid, now) = (self.a_pool(dice), self.now());
        let tndm = dice.amount(100 * WAD);
        dice.doing("buy and burn", (netuid, tndm));
        let chain = self.by("registry", AlphaPools::buyAndBurnCall { netuid, tndmIn: U256::from(tndm) });
        if let Some((outcome, burned)) = dice.agree(chain, self.model.buy_and_burn(now, netuid, tndm)) {
            dice.same("burned", outcome.ret.to::<u128>(), burned);
        }
        self.compare(dice, netuid);
    }

    fn pour(&mut self, dice: &mut Dice) {
        let (netuid, now) = (self.a_pool(dice), self.now());
        dice.doing("pour", netuid);
        let chain = self.by("anybody", AlphaPools::pourCall { netuid });
        if let Some((outcome, poured)) = dice.agree(chain, self.model.pour(now, netuid)) {
            let given = outcome.events::<AlphaPools::Poured>();
            let sums = given.iter().fold((0, 0), |(tndm, alpha), (_, event)| {
                (tndm + event.tndm.to::<u128>(), alpha + event.alpha.to::<u128>())
            });
            dice.same("poured", sums, poured);
            dice.saw("a pour gives something", poured.0 > 0);
        }
        self.compare(dice, netuid);
    }

    fn flush(&mut self, dice: &mut Dice) {
        let (netuid, now) = (self.a_pool(dice), self.now());
        dice.doing("flush", netuid);
        let chain = self.by("anybody", AlphaPools::flushFeesCall { netuid });
        if let Some((outcome, burned)) = dice.agree(chain, self.model.flush(now, netuid)) {
            dice.same("burned", outcome.ret.to::<u128>(), burned);
        }
        self.compare(dice, netuid);
    }

    /// Closes the oldest epoch that is not settled, with grants for some pools.
    fn settle(&mut self, dice: &mut Dice) {
        let epoch = self.model.settled_through;
        if self.model.terms.epoch(self.now()) <= epoch {
            return;
        }
        dice.doing("settle", epoch);
        let alive: Vec<u16> =
            (1..=self.count).filter(|netuid| self.model.pool(*netuid).stop.is_none_or(|stop| epoch < stop)).collect();
        for netuid in alive {
            let call = AlphaPools::closeEpochCall { netuids: vec![netuid], epoch };
            let chain = self.by("controller", call).unwrap().ret[0];
            let model = self.model.close_epoch(netuid, epoch);
            dice.same("EMA before and TWAP", ((chain & U256::from(u128::MAX)).to(), (chain >> 128_usize).to()), model);
            if self.model.pool(netuid).created > epoch {
                continue;
            }
            dice.saw("an epoch is settled late", self.model.terms.epoch(self.now()) > epoch + 1);
            let issued = self.view(AlphaPools::issuedAtCall { netuid, epoch }).to::<u128>();
            dice.same("issued as of the epoch", issued, self.model.issued_at(netuid, epoch));
            if dice.once_in(3) {
                continue;
            }
            let (tndm, alpha) = (dice.amount(150 * WAD), dice.amount(150 * WAD));
            let worth = mul_div_down(tndm, WAD, model.0.max(model.1).max(1));
            let (treasury, pools) = (self.world.account("treasury"), self.pools);
            self.world.transfer(self.tndm, treasury, pools, U256::from(tndm)).unwrap();
            let call = AlphaPools::grantCall {
                netuids: vec![netuid],
                grants: vec![U256::from(tndm) | U256::from(alpha) << 80_usize | U256::from(worth) << 160_usize],
            };
            self.by("controller", call).unwrap();
            self.model.grant(netuid, tndm, alpha, worth);
        }
        self.settled(epoch + 1);
        self.compare_all(dice);
    }

    fn release(&mut self, dice: &mut Dice) {
        let netuid = dice.between(1, u64::from(self.count)) as u16;
        let amount = dice.amount(self.model.pool(netuid).open_budgets);
        let name = dice.one_of(&TRADERS);
        let to = self.world.account(name);
        dice.doing("release", (netuid, amount));
        let (distributor, token) = (self.world.account("distributor"), self.alpha(netuid));
        let call = AlphaToken::releaseCall { to, amount: U256::from(amount) };
        self.world.call(distributor, token, call).unwrap();
        self.model.release(netuid, amount);
        self.compare(dice, netuid);
    }

    /// Tokens sent to the pools belong to none of them; alpha among them is no longer outside the vault.
    fn donate(&mut self, dice: &mut Dice) {
        let (name, netuid) = (dice.one_of(&TRADERS), self.a_pool(dice));
        // Who has traded for long may have little left.
        let has: u128 = self.world.balance_of(self.tndm, self.world.account(name)).to();
        let (tndm, alpha) = (dice.amount(WAD.min(has)), dice.amount(self.alpha_of(name, netuid) / 4));
        dice.doing("donate", (name, netuid, tndm, alpha));
        let (account, pools, token) = (self.world.account(name), self.pools, self.alpha(netuid));
        self.world.transfer(self.tndm, account, pools, U256::from(tndm)).unwrap();
        self.world.transfer(token, account, pools, U256::from(alpha)).unwrap();
        self.donated += tndm;
        self.model.donate(netuid, alpha);
        self.compare(dice, netuid);
    }

    fn prune(&mut self, dice: &mut Dice) {
        if self.live.len() < LIVE {
            return self.create(dice);
        }
        let netuid = self.live.remove(dice.below(self.live.len()));
        let from_epoch = self.model.terms.epoch(self.now()) + 1;
        dice.doing("prune", (netuid, from_epoch));
        self.by("registry", AlphaPools::stopCall { netuid, fromEpoch: from_epoch }).unwrap();
        self.model.stop(netuid, from_epoch);
    }

    fn wind_up(&mut self, dice: &mut Dice) {
        let netuid = dice.between(1, u64::from(self.count)) as u16;
        dice.doing("wind up", netuid);
        let supply = self.world.total_supply(self.tndm).to::<u128>();
        let chain = self.by("anybody", AlphaPools::windUpCall { netuid });
        if let Some((outcome, burned)) = dice.agree(chain, self.model.wind_up(netuid)) {
            dice.same("burned", outcome.ret.to::<u128>(), burned);
            dice.same("supply", self.world.total_supply(self.tndm).to::<u128>(), supply - burned);
        }
        self.compare(dice, netuid);
    }

    /// `[SN-1]`
    fn redeem(&mut self, dice: &mut Dice) {
        let netuid = dice.between(1, u64::from(self.count)) as u16;
        let name = dice.one_of(&TRADERS);
        let amount = dice.amount(self.alpha_of(name, netuid));
        dice.doing("redeem", (name, netuid, amount));
        let to = self.world.account("bank");
        let held = self.world.balance_of(self.tndm, to).to::<u128>();
        let chain = self.by(name, AlphaPools::redeemCall { netuid, amount: U256::from(amount), to });
        if let Some((outcome, paid)) = dice.agree(chain, self.model.redeem(netuid, amount)) {
            dice.same("paid", outcome.ret.to::<u128>(), paid);
            dice.same("received", self.world.balance_of(self.tndm, to).to::<u128>() - held, paid);
        }
        self.compare(dice, netuid);
    }

    fn compare(&self, dice: &Dice, netuid: u16) {
        let (chain, model) = (self.view(AlphaPools::poolOfCall { netuid }), self.model.pool(netuid));
        dice.same("reserves", (chain.tndm, chain.alpha), (model.reserves.tndm, model.reserves.alpha));
        dice.same("burnable", chain.burnable, model.burnable);
        dice.same("pending", chain.pending, model.pending);
        dice.same("issued", chain.issued, model.issued);
        dice.holds(chain.issued <= SUPPLY, || "no more than 21 million alpha leave the vault [EM-3]".into());
    }

    fn compare_all(&self, dice: &Dice) {
        let now = self.now();
        for netuid in 1..=self.count {
            self.compare(dice, netuid);
            let model = self.model.pool(netuid);
            let outside = self.view(AlphaPools::circulatingAlphaCall { netuid }).to::<u128>();
            dice.same("alpha outside the vault", outside, model.outside);
            dice.same("EMA", self.view(AlphaPools::emaOfCall { netuid }).to::<u128>(), model.ema);
            let stopped = model.stop.is_some_and(|stop| self.model.terms.epoch(now) >= stop);
            if !stopped {
                let twap = self.view(AlphaPools::lastTwapOfCall { netuid }).to::<u128>();
                dice.same("last TWAP", twap, model.last_twap(&self.model.terms, now));
                let ahead = self.view(AlphaPools::reservesAheadCall { netuid });
                let reserves = self.model.ahead(now, netuid);
                dice.same("reserves ahead", (ahead.tndm.to(), ahead.alpha.to()), (reserves.tndm, reserves.alpha));
            }
        }
        let held = self.world.balance_of(self.tndm, self.pools).to::<u128>();
        dice.same("TNDM of all pools", held, self.model.tndm() + self.donated);
    }
}

/// [AM-1] [AM-2] [AM-3] [EM-3] [SN-1]
#[test]
fn pools_behave_as_the_model_says() {
    let mut number = 0;
    play(STEPS, begin, |pair, dice| {
        number += 1;
        if pair.live.is_empty() {
            return pair.create(dice);
        }
        match dice.below(40) {
            0..=6 => pair.buy(dice),
            7..=12 => pair.sell(dice),
            13..=15 => pair.buy_until(dice),
            16..=18 => pair.sell_until(dice),
            19..=22 => pair.swap(dice),
            23..=24 => pair.pour(dice),
            25 => pair.flush(dice),
            26 => pair.buy_and_burn(dice),
            27..=28 => pair.settle(dice),
            29..=30 => pair.release(dice),
            31 if dice.once_in(12) => pair.prune(dice),
            32 => pair.wind_up(dice),
            33 => pair.redeem(dice),
            34 if dice.once_in(4) => pair.donate(dice),
            _ => {
                let seconds = if dice.once_in(5) { dice.between(1, 3 * EPOCH) } else { dice.between(1, 300) };
                dice.doing("wait", seconds);
                pair.world.warp(seconds);
            }
        }
        if number % EVERY == 0 {
            pair.compare_all(dice);
        }
    });
}
