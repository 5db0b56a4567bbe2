//! Credits: two subnets, three contributors and four users who buy, open channels, settle good and bad vouchers, cash out,
//! forward margin, and a stablecoin that stops at times.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolStruct, eip712_domain},
};
use alloy_signer::SignerSync;
use tandem_contracts::bindings::{
    ComputeCredit, CreditDesk, Settlement, TestUSDC, compute_credit::IComputeCredit, settlement::ISettlement,
};

use super::{Dice, is_down, is_up, play, product};
use crate::{
    indexer::Indexer,
    model::{
        WAD,
        credits::{Account, Credits, Holding, LONGEST, Lifetime, SHORTEST, Terms, Voucher},
    },
    support::{MODEL, Net, compact, net},
};

pub(super) const STEPS: usize = 8_000;
/// All accounts are compared every so many steps; those that take part in a call after each.
const EVERY: usize = 64;
const USERS: [&str; 4] = ["user 1", "user 2", "user 3", "user 4"];
const CONTRIBUTORS: [&str; 3] = ["miner 1", "miner 2", "miner 3"];
const SUBNETS: [u16; 2] = [1, 2];

/// Both sides.
struct Pair {
    net: Net,
    indexer: Indexer,
    model: Credits,
    payout_rate: u128,
    /// (contributor, netuid, uid).
    neurons: Vec<(Address, u16, u16)>,
    everybody: Vec<(String, Address)>,
    /// What the auction and the distributor held before.
    before: [u128; 2],
    /// USDC sent to the desk by mistake.
    donated: u128,
    /// Operations that may have rounded the reserve, in the protocol's favour.
    roundings: u128,
}

fn begin() -> Pair {
    let mut net = net();
    let suite = net.suite();
    let mut neurons = Vec::new();
    for name in CONTRIBUTORS {
        for netuid in SUBNETS {
            let uid = net.register(netuid, name, &format!("{name} hotkey {netuid}"));
            neurons.push((net.world.account(name), netuid, uid));
        }
    }
    net.go_to(0, 0);
    let everybody: Vec<_> =
        USERS.iter().chain(&CONTRIBUTORS).map(|name| ((*name).to_owned(), net.world.account(name))).collect();
    for (name, account) in &everybody {
        net.world.mint_usdc(suite.usdc, *account, U256::from(u128::MAX >> 8)).unwrap();
        net.as_account(name, suite.usdc, TestUSDC::approveCall { spender: suite.credit_desk, value: U256::MAX })
            .unwrap();
    }
    let credits = &net.config.credits;
    let rate = &net.config.models[0];
    let terms = Terms {
        payout_rate: credits.payout_rate.0.to(),
        buyback_share: credits.buyback_share.0.to(),
        grace: credits.settle_grace.0,
        genesis: net.plan.genesis,
        epoch_length: net.config.epochs.length.0,
        prompt_rate: rate.prompt_per_million.0.to(),
        completion_rate: rate.completion_per_million.0.to(),
    };
    let (payout_rate, price) = (terms.payout_rate, credits.price.0.to());
    let before = [suite.burn_auction, suite.reward_distributor].map(|to| net.world.balance_of(suite.usdc, to).to());
    let (indexer, model) = (Indexer::new(&net), Credits::new(terms, price));
    Pair { net, indexer, model, payout_rate, neurons, everybody, before, donated: 0, roundings: 0 }
}

impl Pair {
    fn now(&self) -> u64 {
        self.net.world.timestamp()
    }

    fn somebody(&self, dice: &mut Dice) -> (String, Address) {
        dice.one_of(&self.everybody)
    }

    fn a_channel(&self, dice: &mut Dice) -> Option<u64> {
        let count = self.model.channels.len();
        // Mostly a young one: old ones have expired.
        (count > 0).then(|| (count - dice.below(count.min(12))) as u64)
    }

    fn buy(&mut self, dice: &mut Dice) {
        let ((payer, _), (_, account)) = (self.somebody(dice), self.somebody(dice));
        let credits = dice.amount(10_000 * WAD);
        let most = if dice.once_in(8) { dice.amount(10_000_000_000) } else { u128::MAX };
        dice.doing("buy", (&payer, account, credits, most));
        let (now, desk) = (self.now(), self.net.suite().credit_desk);
        let price = self.model.price(now);
        let call = CreditDesk::buyForCall { account, credits: U256::from(credits), maxUsdc: U256::from(most) };
        let chain = self.net.as_account(&payer, desk, call);
        if let Some((outcome, model)) = dice.agree(chain, self.model.buy(now, account, credits, most)) {
            let event = outcome.event::<CreditDesk::Bought>().unwrap();
            dice.same("cost", outcome.ret.to::<u128>(), model.usdc);
            dice.same("reserve part", event.toReserve.to::<u128>(), model.to_reserve);
            dice.same("margin", event.margin.to::<u128>(), model.margin);
            dice.holds(is_up(model.usdc, product(credits, price), WAD), || {
                "a cost rounds up by less than a unit".into()
            });
            let reserved = is_up(model.to_reserve, product(credits, self.payout_rate), WAD);
            dice.holds(reserved, || "the reserve's part rounds up by less than a unit".into());
            self.roundings += 1;
        }
        self.compare(dice, account);
    }

    fn cash_out(&mut self, dice: &mut Dice) {
        let (mut name, mut account) = self.somebody(dice);
        if dice.below(4) > 0 {
            name = dice.one_of(&CONTRIBUTORS).to_owned();
            account = self.net.world.account(&name);
        }
        let earned = self.model.account(account).holding.earned;
        let credits = if dice.once_in(8) { earned + 1 } else { dice.amount(earned) };
        dice.doing("cash out", (&name, credits));
        let to = self.net.world.account("bank");
        let call = CreditDesk::cashOutCall { credits: U256::from(credits), to };
        let (desk, usdc) = (self.net.suite().credit_desk, self.net.suite().usdc);
        let held = self.net.world.balance_of(usdc, to);
        let chain = self.net.as_account(&name, desk, call);
        if let Some((outcome, paid)) = dice.agree(chain, self.model.cash_out(account, credits)) {
            dice.same("paid", outcome.ret.to::<u128>(), paid);
            dice.same("received", (self.net.world.balance_of(usdc, to) - held).to::<u128>(), paid);
            let exact = product(credits, self.payout_rate);
            dice.holds(is_down(paid, exact, WAD), || "a payout rounds down by less than a unit".into());
            self.roundings += 1;
        }
        self.compare(dice, account);
    }

    fn open(&mut self, dice: &mut Dice) {
        let (name, payer) = self.somebody(dice);
        let (contributor, netuid, uid) = dice.one_of(&self.neurons);
        let all = self.model.account(payer).holding.credits();
        let amount = if dice.once_in(12) { all + 1 } else { dice.amount(all) };
        let now = self.now();
        let expiry = match dice.below(10) {
            0 => now + SHORTEST - 1,
            1 => now + LONGEST + 1,
            2 => now + SHORTEST,
            _ => now + dice.between(SHORTEST, 600),
        };
        dice.doing("open", (&name, contributor, netuid, amount, expiry));
        let session_key = self.net.world.account(&format!("{name} session"));
        let call = Settlement::openCall { netuid, uid, amount, expiry, sessionKey: session_key };
        let chain = self.net.as_account(&name, self.net.suite().settlement, call);
        let model = self.model.open(now, payer, (contributor, netuid), amount, expiry);
        if let Some((outcome, id)) = dice.agree(chain, model) {
            dice.same("id", outcome.ret.to::<u64>(), id);
            self.compare_channel(dice, id);
        }
        self.compare(dice, payer);
    }

    fn top_up(&mut self, dice: &mut Dice) {
        let Some(id) = self.a_channel(dice) else { return };
        let (name, caller) = self.payer_or_other(dice, id);
        let all = self.model.account(caller).holding.credits();
        let amount = if dice.once_in(12) { all + 1 } else { dice.amount(all) };
        dice.doing("top up", (&name, id, amount));
        let call = Settlement::topUpCall { channelId: U256::from(id), amount };
        let chain = self.net.as_account(&name, self.net.suite().settlement, call);
        dice.agree(chain, self.model.top_up(self.now(), caller, id, amount));
        self.compare_channel(dice, id);
        self.compare(dice, caller);
    }

    fn extend(&mut self, dice: &mut Dice) {
        let Some(id) = self.a_channel(dice) else { return };
        let (name, caller) = self.payer_or_other(dice, id);
        let (now, old) = (self.now(), self.model.channel(id).expiry);
        let expiry = match dice.below(6) {
            0 => old - 1,
            1 => now + LONGEST + 1,
            _ => old + dice.between(1, 300),
        };
        dice.doing("extend", (&name, id, expiry));
        let call = Settlement::extendCall { channelId: U256::from(id), expiry };
        let chain = self.net.as_account(&name, self.net.suite().settlement, call);
        dice.agree(chain, self.model.extend(now, caller, id, expiry));
        self.compare_channel(dice, id);
    }

    fn payer_or_other(&self, dice: &mut Dice, id: u64) -> (String, Address) {
        let payer = self.model.channel(id).payer;
        let named = self.everybody.iter().find(|(_, account)| *account == payer).unwrap().clone();
        if dice.once_in(10) { self.somebody(dice) } else { named }
    }

    /// Mostly one that can settle.
    fn a_voucher(&self, dice: &mut Dice, id: u64) -> Voucher {
        let channel = self.model.channel(id);
        let rest = channel.rest.credits();
        let increase = match dice.below(12) {
            0 => rest + 1,
            1 => 0,
            _ => dice.amount(rest),
        };
        let amount = channel.settled + increase;
        // As many tokens as make it affordable: a prompt token costs a thousandth of a credit.
        let tokens = amount.div_ceil(WAD / 1_000) as u64;
        let prompt_tokens = if dice.once_in(12) { tokens.saturating_sub(1) } else { tokens };
        Voucher { channel: id, amount, prompt_tokens, completion_tokens: 0, genuine: !dice.once_in(12) }
    }

    fn written(&self, voucher: &Voucher) -> (ISettlement::Voucher, B256, String) {
        let written = ISettlement::Voucher {
            channelId: U256::from(voucher.channel),
            amount: voucher.amount,
            model: keccak256(MODEL),
            rateCardVersion: 1,
            promptTokens: voucher.prompt_tokens,
            completionTokens: voucher.completion_tokens,
        };
        let domain = eip712_domain! {
            name: "Tandem Settlement",
            version: "1",
            chain_id: self.net.world.chain_id(),
            verifying_contract: self.net.plan.suite.settlement,
        };
        let payer = self.model.channel(voucher.channel).payer;
        let (name, _) = self.everybody.iter().find(|(_, account)| *account == payer).unwrap();
        let signer = if voucher.genuine { format!("{name} session") } else { "forger".to_owned() };
        let hash = written.eip712_signing_hash(&domain);
        (written, hash, signer)
    }

    fn settle(&mut self, dice: &mut Dice) {
        let Some(id) = self.a_channel(dice) else { return };
        let voucher = self.a_voucher(dice, id);
        dice.doing("settle", voucher);
        let (written, hash, signer) = self.written(&voucher);
        let signature: Bytes = self.net.world.signer(&signer).sign_hash_sync(&hash).unwrap().as_bytes().into();
        let call = Settlement::settleCall { voucher: written, signature };
        let chain = self.net.as_account("anybody", self.net.suite().settlement, call);
        if let Some((outcome, paid)) = dice.agree(chain, self.model.settle(self.now(), &voucher)) {
            dice.same("paid", outcome.ret.to::<u128>(), paid);
            self.check_forwarded(dice, &outcome.events());
        }
        self.compare_channel(dice, id);
        self.compare(dice, self.model.channel(id).contributor);
    }

    fn settle_batch(&mut self, dice: &mut Dice) {
        let ids: Vec<u64> = (0..dice.between(1, 6)).filter_map(|_| self.a_channel(dice)).collect();
        let Some(first) = ids.first() else { return };
        let (contributor, netuid) = (self.model.channel(*first).contributor, self.model.channel(*first).netuid);
        let vouchers: Vec<Voucher> = ids.iter().map(|id| self.a_voucher(dice, *id)).collect();
        dice.doing("settle batch", (contributor, netuid, &vouchers));
        let compact = vouchers.iter().map(|voucher| {
            let (written, hash, signer) = self.written(voucher);
            let signature = self.net.world.signer(&signer).sign_hash_sync(&hash).unwrap();
            ISettlement::CompactVoucher { packed: packed(&written), r: signature.r().into(), vs: compact(&signature) }
        });
        let call = Settlement::settleBatchCall {
            contributor,
            netuid,
            model: keccak256(MODEL),
            rateCardVersion: 1,
            vouchers: compact.collect(),
        };
        let outcome = self.net.as_account("anybody", self.net.suite().settlement, call).unwrap();
        let (paid, failed) = self.model.settle_batch(self.now(), (contributor, netuid), &vouchers);
        dice.same("paid", outcome.ret.to::<u128>(), paid);
        dice.saw("a batch settles some vouchers and skips others", paid > 0 && !failed.is_empty());
        let skipped = outcome.events::<Settlement::SettlementSkipped>();
        dice.same("vouchers skipped", skipped.len(), failed.len());
        for ((_, event), (place, refused)) in skipped.iter().zip(&failed) {
            dice.same("channel skipped", event.channelId.to::<u64>(), vouchers[*place].channel);
            let name = tandem_contracts::revert_name(&event.reason).unwrap_or("Unknown");
            dice.holds(refused.0.contains(name), || format!("skipped for {name}, the model expects {:?}", refused.0));
        }
        self.check_forwarded(dice, &outcome.events());
        for id in ids {
            self.compare_channel(dice, id);
        }
        self.compare(dice, contributor);
    }

    /// `[CR-3]` What leaves the desk splits as promised.
    fn check_forwarded(&self, dice: &Dice, events: &[(Address, CreditDesk::MarginForwarded)]) {
        let share: u128 = self.net.config.credits.buyback_share.0.to();
        for (_, event) in events {
            let (to_buyback, to_pot) = (event.toBuyback.to::<u128>(), event.toPot.to::<u128>());
            let exact = product(to_buyback + to_pot, share);
            dice.holds(is_up(to_buyback, exact, WAD), || "the buyback rounds up by less than a unit".into());
        }
    }

    fn reclaim(&mut self, dice: &mut Dice) {
        let count = self.model.channels.len();
        if count == 0 {
            return;
        }
        let id = dice.between(1, count as u64);
        dice.doing("reclaim", id);
        let call = Settlement::reclaimCall { channelId: U256::from(id) };
        let chain = self.net.as_account("anybody", self.net.suite().settlement, call);
        if let Some((outcome, rest)) = dice.agree(chain, self.model.reclaim(self.now(), id)) {
            let event = outcome.event::<Settlement::Reclaimed>().unwrap();
            let back = [event.purchased, event.earned, event.margin].map(|part| part.to::<u128>());
            dice.same("returned", back, [rest.purchased, rest.earned, rest.margin]);
        }
        self.compare_channel(dice, id);
        self.compare(dice, self.model.channel(id).payer);
    }

    fn forward(&mut self, dice: &mut Dice) {
        let netuid = dice.one_of(&SUBNETS);
        dice.doing("forward", netuid);
        let call = CreditDesk::forwardMarginCall { netuid };
        let chain = self.net.as_account("anybody", self.net.suite().credit_desk, call);
        if let Some((outcome, ())) = dice.agree(chain, self.model.forward(netuid)) {
            self.check_forwarded(dice, &outcome.events());
        }
        self.compare_money(dice);
    }

    fn set_price(&mut self, dice: &mut Dice) {
        let least = self.payout_rate * 105 / 100;
        let price = u128::from(dice.between(least as u64 - 3, 3 * least as u64));
        dice.doing("set price", price);
        let (setter, desk) = (self.net.plan.suite.tandem_timelock, self.net.plan.suite.credit_desk);
        let chain = self.net.world.call(setter, desk, CreditDesk::setPriceCall { newPrice: U256::from(price) });
        dice.agree(chain, self.model.set_price(self.now(), price));
    }

    fn pause_buying(&mut self, dice: &mut Dice) {
        let until = if dice.once_in(3) { self.now() + 8 * 86_400 } else { self.now() + dice.between(0, 30) };
        dice.doing("pause buying", until);
        let chain =
            self.net.as_account("guardian", self.net.suite().credit_desk, CreditDesk::pauseBuyingCall { until });
        dice.agree(chain, self.model.pause_buying(self.now(), until));
    }

    fn stop_or_start_usdc(&mut self, dice: &mut Dice) {
        dice.doing("USDC moves", !self.model.usdc_moves);
        let usdc = self.net.suite().usdc;
        if self.model.usdc_moves {
            self.net.as_account("anybody", usdc, TestUSDC::pauseCall {}).unwrap();
        } else {
            self.net.as_account("anybody", usdc, TestUSDC::unpauseCall {}).unwrap();
        }
        self.model.usdc_moves = !self.model.usdc_moves;
    }

    /// USDC sent to the desk backs no credit.
    fn donate(&mut self, dice: &mut Dice) {
        let usdc = dice.amount(1_000_000_000);
        dice.doing("donate", usdc);
        let suite = self.net.suite();
        let from = self.net.world.account("user 1");
        if self.net.world.transfer(suite.usdc, from, suite.credit_desk, U256::from(usdc)).is_ok() {
            self.donated += usdc;
        }
        self.compare_money(dice);
    }

    fn snapshot(&mut self, dice: &mut Dice) {
        dice.doing("snapshot", ());
        let (gate, credit) = (self.net.plan.suite.launch_gate, self.net.plan.suite.compute_credit);
        let chain = self.net.world.call(gate, credit, ComputeCredit::takeSnapshotCall {});
        dice.agree(chain, self.model.take_snapshot());
    }

    fn compare(&self, dice: &Dice, account: Address) {
        let credit = self.net.plan.suite.compute_credit;
        let Account { holding, lifetime } = self.model.account(account);
        let there = self.net.view(credit, ComputeCredit::holdingOfCall { account });
        dice.same("holding", of_chain(&there), holding);
        dice.same("lifetime", life(&self.net.view(credit, ComputeCredit::lifetimeOfCall { account })), lifetime);
        self.compare_money(dice);
    }

    fn compare_channel(&self, dice: &Dice, id: u64) {
        let there =
            self.net.view(self.net.plan.suite.settlement, Settlement::channelOfCall { channelId: U256::from(id) });
        let model = self.model.channel(id);
        dice.same("rest of the channel", of_chain_in_channel(&there), model.rest);
        dice.same("settled", there.settled, model.settled);
        dice.same("expiry", there.expiry, model.expiry);
        dice.same("parties", (there.payer, there.contributor), (model.payer, model.contributor));
    }

    /// `[CR-2]` `[CR-3]` The books of the desk, and the money in it.
    fn compare_money(&self, dice: &Dice) {
        let (suite, model) = (&self.net.plan.suite, &self.model);
        let reserve = self.net.view(suite.credit_desk, CreditDesk::reserveCall {}).to::<u128>();
        let deferred = self.net.view(suite.credit_desk, CreditDesk::deferredMarginCall {}).to::<u128>();
        dice.same("reserve", reserve, model.reserve);
        dice.same("deferred margin", deferred, model.deferred());
        let (backed, needed) = (product(reserve, WAD), product(model.supply(), self.payout_rate));
        dice.holds(backed >= needed, || "the reserve covers every credit".into());
        let surplus = backed - needed;
        dice.holds(surplus <= product(self.roundings, WAD), || "no more than a unit for each rounding".into());
    }

    fn compare_all(&mut self, dice: &mut Dice) {
        self.indexer.agrees_with(&self.net);
        let suite = &self.net.plan.suite;
        for (_, account) in &self.everybody {
            self.compare(dice, *account);
        }
        let supply = self.net.world.total_supply(suite.compute_credit).to::<u128>();
        dice.same("supply", supply, self.model.supply());
        let escrow = ComputeCredit::holdingOfCall { account: suite.settlement };
        dice.same("in channels", of_chain(&self.net.view(suite.compute_credit, escrow)), self.model.in_channels());
        let total = life(&self.net.view(suite.compute_credit, ComputeCredit::lifetimeTotalCall {}));
        dice.same("lifetime of all", total, self.model.lifetime_total());
        let mut waiting = 0;
        for netuid in SUBNETS {
            let there = self.net.view(suite.credit_desk, CreditDesk::heldMarginCall { netuid });
            let held = self.model.held.get(&netuid).copied().unwrap_or_default();
            let parts = (there.toBuyback.to(), there.toPot.to());
            dice.same("held", parts, held.parts(self.net.config.credits.buyback_share.0.to()));
            dice.holds(held.margin == 0 || there.epoch == held.epoch, || "the epoch of what is held".into());
            dice.saw("margin waits for a stablecoin that stands still", held.margin > 0 && !self.model.usdc_moves);
            waiting += held.margin;
        }
        let [auction, pots] = [suite.burn_auction, suite.reward_distributor]
            .map(|to| self.net.world.balance_of(suite.usdc, to).to::<u128>());
        dice.same("sent to the auction", auction - self.before[0], self.model.sent_to_auction);
        dice.same("sent to the pots", pots - self.before[1], self.model.sent_to_pots.values().sum());
        let desk = self.net.world.balance_of(suite.usdc, suite.credit_desk).to::<u128>();
        let booked = self.model.reserve + self.model.deferred() + waiting;
        dice.same("money at the desk", desk, booked + self.donated);
        if let Some(snapshot) = &self.model.snapshot {
            let total = self.net.view(suite.compute_credit, ComputeCredit::snapshotTotalCall {}).to::<u128>();
            dice.same("snapshot of all", total, snapshot.values().sum());
            for (_, account) in &self.everybody {
                let there = self.net.view(suite.compute_credit, ComputeCredit::snapshotOfCall { account: *account });
                dice.same("snapshot", there.to::<u128>(), snapshot.get(account).copied().unwrap_or_default());
            }
        }
    }
}

/// Channel, amount and tokens of a voucher in one word.
fn packed(voucher: &ISettlement::Voucher) -> U256 {
    let tokens = [(voucher.promptTokens, 56), (voucher.completionTokens, 0)];
    tokens.iter().fold(voucher.channelId << 192 | U256::from(voucher.amount) << 112, |word, (count, shift)| {
        word | U256::from(*count) << *shift
    })
}

fn of_chain(holding: &IComputeCredit::Holding) -> Holding {
    Holding { purchased: holding.purchased, earned: holding.earned, margin: holding.margin }
}

fn of_chain_in_channel(channel: &ISettlement::Channel) -> Holding {
    Holding { purchased: channel.rest.purchased, earned: channel.rest.earned, margin: channel.rest.margin }
}

fn life(lifetime: &IComputeCredit::Lifetime) -> Lifetime {
    Lifetime {
        bought: lifetime.bought,
        spent: lifetime.spent,
        earned: lifetime.earned,
        earned_from_purchased: lifetime.earnedFromPurchased,
        cashed_out: lifetime.cashedOut,
        margin_recognised: lifetime.marginRecognised,
    }
}

/// [CR-2] [CR-3] [CR-5]
#[test]
fn credits_behave_as_the_model_says() {
    let mut number = 0;
    play(STEPS, begin, |pair, dice| {
        number += 1;
        match dice.below(40) {
            0..=8 => pair.buy(dice),
            9..=13 => pair.open(dice),
            14..=15 => pair.top_up(dice),
            16 => pair.extend(dice),
            17..=23 => pair.settle(dice),
            24..=28 => pair.settle_batch(dice),
            29..=31 => pair.cash_out(dice),
            32..=33 => pair.reclaim(dice),
            34 => pair.forward(dice),
            35 if dice.once_in(3) => pair.set_price(dice),
            36 if dice.once_in(6) => pair.pause_buying(dice),
            37 if dice.once_in(8) || !pair.model.usdc_moves => pair.stop_or_start_usdc(dice),
            39 if dice.once_in(20) => pair.donate(dice),
            38 if dice.once_in(40) => pair.snapshot(dice),
            _ => {
                let seconds = if dice.once_in(20) { dice.between(1, 900) } else { dice.between(1, 20) };
                dice.doing("wait", seconds);
                pair.net.world.warp(seconds);
            }
        }
        if number % EVERY == 0 {
            pair.compare_all(dice);
        }
    });
}
