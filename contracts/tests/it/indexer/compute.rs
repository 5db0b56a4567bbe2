//! Credits, channels and the desk.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::{
    bindings::{
        ComputeCredit, CreditDesk, Settlement,
        compute_credit::{ComputeCredit::ComputeCreditEvents as Credit, IComputeCredit},
        credit_desk::CreditDesk::CreditDeskEvents as Desk,
        settlement::Settlement::SettlementEvents as Channels,
    },
    suite::Suite,
};

use super::{At, Check, less, small};

/// Credits and USDC units of margin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holding {
    purchased: u128,
    earned: u128,
    margin: u128,
}

impl Holding {
    fn more(&mut self, purchased: U256, earned: U256, margin: U256) {
        self.purchased += small(purchased);
        self.earned += small(earned);
        self.margin += small(margin);
    }

    fn less(&mut self, purchased: U256, earned: U256, margin: U256) {
        less(&mut self.purchased, small(purchased));
        less(&mut self.earned, small(earned));
        less(&mut self.margin, small(margin));
    }

    fn credits(&self) -> u128 {
        self.purchased + self.earned
    }

    fn of(there: &IComputeCredit::Holding) -> Self {
        Self { purchased: there.purchased, earned: there.earned, margin: there.margin }
    }
}

/// What an account ever did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lifetime {
    bought: u128,
    spent: u128,
    earned: u128,
    earned_from_purchased: u128,
    cashed_out: u128,
    margin_recognised: u128,
}

impl Lifetime {
    fn of(there: &IComputeCredit::Lifetime) -> Self {
        Self {
            bought: there.bought,
            spent: there.spent,
            earned: there.earned,
            earned_from_purchased: there.earnedFromPurchased,
            cashed_out: there.cashedOut,
            margin_recognised: there.marginRecognised,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Account {
    holding: Holding,
    /// Without `spent`, which follows from the others.
    ever: Lifetime,
}

impl Account {
    fn lifetime(&self) -> Lifetime {
        let gone = self.ever.cashed_out + self.holding.credits();
        Lifetime { spent: self.ever.bought + self.ever.earned - gone, ..self.ever }
    }
}

#[derive(Clone, Default)]
struct Channel {
    payer: Address,
    contributor: Address,
    session_key: Address,
    place: (u16, u16),
    expiry: u64,
    rest: Holding,
    settled: u128,
}

/// Recognised margin of a subnet, and the epoch in which it counts.
#[derive(Clone, Copy, Default)]
struct Held {
    margin: u128,
    epoch: u64,
}

#[derive(Default)]
pub(super) struct Books {
    accounts: BTreeMap<Address, Account>,
    escrow: Holding,
    snapshot: Option<BTreeMap<Address, u128>>,
    channels: BTreeMap<U256, Channel>,
    reserve: u128,
    held: BTreeMap<u16, Held>,
    /// Price and the epoch it holds from.
    prices: Vec<(u64, U256)>,
    paused_until: u64,
}

impl Books {
    pub(super) fn read_credit(&mut self, suite: &Suite, log: &Log) {
        match Credit::decode_log(log).expect("an event of the credit").data {
            Credit::Purchased(event) => {
                let account = self.accounts.entry(event.account).or_default();
                account.holding.more(event.amount, U256::ZERO, event.margin);
                account.ever.bought += small(event.amount);
            }
            Credit::Escrowed(event) => {
                self.account(event.account).holding.less(event.purchased, event.earned, event.margin);
                self.escrow.more(event.purchased, event.earned, event.margin);
            }
            Credit::Returned(event) => {
                self.account(event.account).holding.more(event.purchased, event.earned, event.margin);
                self.escrow.less(event.purchased, event.earned, event.margin);
            }
            Credit::Earned(event) => {
                self.escrow.less(event.fromPurchased, event.amount - event.fromPurchased, event.margin);
                let account = self.account(event.contributor);
                account.holding.earned += small(event.amount);
                account.ever.earned += small(event.amount);
                account.ever.earned_from_purchased += small(event.fromPurchased);
                account.ever.margin_recognised += small(event.margin);
            }
            // A burn takes earned credits; every other transfer has an event of its own.
            Credit::Transfer(event) if event.to.is_zero() => {
                assert_ne!(event.from, suite.settlement, "credits in channels are not burned");
                let account = self.account(event.from);
                less(&mut account.holding.earned, small(event.value));
                account.ever.cashed_out += small(event.value);
            }
            Credit::SnapshotTaken(event) => {
                let served = |account: &Account| account.ever.earned_from_purchased;
                let snapshot: BTreeMap<_, _> = self.accounts.iter().map(|(who, own)| (*who, served(own))).collect();
                assert_eq!(small(event.total), snapshot.values().sum(), "the snapshot's sum");
                self.snapshot = Some(snapshot);
            }
            _ => {}
        }
    }

    pub(super) fn read_settlement(&mut self, log: &Log) {
        match Channels::decode_log(log).expect("an event of settlement").data {
            Channels::ChannelOpened(event) => {
                let channel = Channel {
                    payer: event.payer,
                    contributor: event.contributor,
                    session_key: event.sessionKey,
                    place: (event.netuid, event.uid),
                    expiry: event.expiry,
                    ..Channel::default()
                };
                assert!(self.channels.insert(event.channelId, channel).is_none(), "a channel opens once");
            }
            Channels::ChannelFunded(event) => {
                self.channel(event.channelId).rest.more(event.purchased, event.earned, event.margin);
            }
            Channels::ChannelExtended(event) => self.channel(event.channelId).expiry = event.expiry,
            Channels::Settled(event) => {
                let channel = self.channel(event.channelId);
                let purchased = small(event.amount).min(channel.rest.purchased);
                let earned = small(event.amount) - purchased;
                channel.rest.less(U256::from(purchased), U256::from(earned), event.margin);
                channel.settled += small(event.amount);
            }
            Channels::Reclaimed(event) => {
                let channel = self.channel(event.channelId);
                channel.rest.less(event.purchased, event.earned, event.margin);
                assert_eq!(channel.rest, Holding::default(), "what is reclaimed is all that was left");
            }
            _ => {}
        }
    }

    pub(super) fn read_desk(&mut self, at: At, log: &Log) {
        match Desk::decode_log(log).expect("an event of the desk").data {
            Desk::Bought(event) => self.reserve += small(event.toReserve),
            Desk::CashedOut(event) => less(&mut self.reserve, small(event.usdc)),
            Desk::MarginRecognised(event) => {
                let held = self.held.entry(event.netuid).or_default();
                held.margin += small(event.margin);
                held.epoch = at.epoch;
            }
            Desk::MarginForwarded(event) => {
                let held = self.held.entry(event.netuid).or_default();
                assert_eq!(held.epoch, event.epoch, "the epoch in which margin counts");
                less(&mut held.margin, small(event.toBuyback + event.toPot));
                assert_eq!(held.margin, 0, "all that is held is forwarded");
            }
            Desk::PriceChanged(event) => self.prices.push((event.fromEpoch, event.price)),
            Desk::BuyingPaused(event) => self.paused_until = event.until,
            _ => {}
        }
    }

    /// USDC units that the desk must have.
    pub(super) fn owed(&self) -> u128 {
        let held: u128 = self.held.values().map(|held| held.margin).sum();
        self.reserve + self.deferred() + held
    }

    fn deferred(&self) -> u128 {
        self.accounts.values().map(|account| account.holding.margin).sum::<u128>() + self.escrow.margin
    }

    fn account(&mut self, account: Address) -> &mut Account {
        self.accounts.entry(account).or_default()
    }

    fn channel(&mut self, id: U256) -> &mut Channel {
        self.channels.get_mut(&id).expect("a channel is opened first")
    }

    pub(super) fn compare(&self, check: &mut Check<'_>) {
        let (credit, settlement) = (check.facts.suite.compute_credit, check.facts.suite.settlement);
        for (who, account) in &self.accounts {
            let there = Holding::of(&check.view(credit, ComputeCredit::holdingOfCall { account: *who }));
            check.same("credits: purchased", who, there.purchased, account.holding.purchased);
            check.same("credits: earned", who, there.earned, account.holding.earned);
            check.same("credits: margin", who, there.margin, account.holding.margin);
            let there = Lifetime::of(&check.view(credit, ComputeCredit::lifetimeOfCall { account: *who }));
            check.same("credits: lifetime", who, there, account.lifetime());
        }
        let there = Holding::of(&check.view(credit, ComputeCredit::holdingOfCall { account: settlement }));
        check.same("credits: in channels", (), there, self.escrow);
        let total = Lifetime::of(&check.view(credit, ComputeCredit::lifetimeTotalCall {}));
        check.same("credits: lifetime of all", (), total, self.total());
        let supply = self.accounts.values().map(|account| account.holding.credits()).sum::<u128>();
        let there = small(check.net.world.total_supply(credit));
        check.same("credits: supply", (), there, supply + self.escrow.credits());
        let taken = check.view(credit, ComputeCredit::snapshotTakenCall {});
        check.same("credits: is the snapshot taken", (), taken, self.snapshot.is_some());
        if let Some(snapshot) = &self.snapshot {
            for who in self.accounts.keys() {
                let there = small(check.view(credit, ComputeCredit::snapshotOfCall { account: *who }));
                check.same("credits: snapshot", who, there, snapshot.get(who).copied().unwrap_or_default());
            }
        }
        for (id, channel) in &self.channels {
            let there = check.view(settlement, Settlement::channelOfCall { channelId: *id });
            let rest =
                Holding { purchased: there.rest.purchased, earned: there.rest.earned, margin: there.rest.margin };
            check.same("channel: rest", id, rest, channel.rest);
            check.same("channel: settled", id, there.settled, channel.settled);
            check.same("channel: expiry", id, there.expiry, channel.expiry);
            let parties = (there.payer, there.contributor, there.sessionKey);
            check.same("channel: parties", id, parties, (channel.payer, channel.contributor, channel.session_key));
            check.same("channel: place", id, (there.netuid, there.uid), channel.place);
        }
        self.compare_desk(check);
    }

    fn total(&self) -> Lifetime {
        let mut sum = Lifetime::default();
        for account in self.accounts.values() {
            let own = account.lifetime();
            sum.bought += own.bought;
            sum.earned += own.earned;
            sum.earned_from_purchased += own.earned_from_purchased;
            sum.cashed_out += own.cashed_out;
            sum.margin_recognised += own.margin_recognised;
        }
        // Settled, or in channels now.
        Lifetime { spent: sum.earned + self.escrow.credits(), ..sum }
    }

    fn compare_desk(&self, check: &mut Check<'_>) {
        let desk = check.facts.suite.credit_desk;
        let share = check.facts.config.credits.buyback_share.0;
        let one = U256::from(10).pow(U256::from(18));
        check.same("desk: reserve", (), small(check.view(desk, CreditDesk::reserveCall {})), self.reserve);
        let there = small(check.view(desk, CreditDesk::deferredMarginCall {}));
        check.same("desk: deferred margin", (), there, self.deferred());
        for (netuid, held) in &self.held {
            let there = check.view(desk, CreditDesk::heldMarginCall { netuid: *netuid });
            let to_buyback = small((U256::from(held.margin) * share).div_ceil(one));
            let parts = (small(there.toBuyback), small(there.toPot));
            check.same("desk: held margin", netuid, parts, (to_buyback, held.margin - to_buyback));
            check.same("desk: epoch of the held margin", netuid, there.epoch, held.epoch);
        }
        let running = check.running();
        let changed = self.prices.iter().rev().find(|(from, _)| *from <= running).map(|(_, price)| *price);
        let price = changed.unwrap_or(check.facts.config.credits.price.0);
        check.same("desk: price", (), check.view(desk, CreditDesk::priceCall {}), price);
        let paused = check.view(desk, CreditDesk::buyingPausedUntilCall {});
        check.same("desk: pause", (), paused, self.paused_until);
    }
}
