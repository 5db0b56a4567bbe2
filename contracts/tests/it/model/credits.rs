//! Credits: the desk that sells and redeems them, what accounts and channels hold, and the margin on its way to revenue.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::{Reasons, Refused, WAD, mul_div_down, mul_div_up};

/// Most wei of credits and units of margin that a series ever sells.
const MOST_BOUGHT: u128 = (1 << 96) - 1;
const MOST_MARGIN: u128 = (1 << 56) - 1;
/// Most that a channel takes in over its life.
pub(crate) const MOST_IN_CHANNEL: u128 = (1 << 80) - 1;
pub(crate) const SHORTEST: u64 = 60;
pub(crate) const LONGEST: u64 = 365 * 86_400;
const LONGEST_PAUSE: u64 = 7 * 86_400;

/// What never changes.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) payout_rate: u128,
    pub(crate) buyback_share: u128,
    pub(crate) grace: u64,
    pub(crate) genesis: u64,
    pub(crate) epoch_length: u64,
    /// Credits per million tokens of the one version of the one model.
    pub(crate) prompt_rate: u128,
    pub(crate) completion_rate: u128,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) purchased: u128,
    pub(crate) earned: u128,
    pub(crate) margin: u128,
}

impl Holding {
    pub(crate) fn credits(&self) -> u128 {
        self.purchased + self.earned
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.purchased += other.purchased;
        self.earned += other.earned;
        self.margin += other.margin;
    }

    /// Takes out that many credits, purchased ones first, with their average share of the margin `[CR-3]`.
    fn take(&mut self, credits: u128) -> Self {
        let purchased = credits.min(self.purchased);
        let margin = match self.purchased {
            0 => 0,
            all => mul_div_down(self.margin, purchased, all),
        };
        let taken = Self { purchased, earned: credits - purchased, margin };
        self.purchased -= taken.purchased;
        self.earned -= taken.earned;
        self.margin -= taken.margin;
        taken
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) bought: u128,
    pub(crate) spent: u128,
    pub(crate) earned: u128,
    pub(crate) earned_from_purchased: u128,
    pub(crate) cashed_out: u128,
    pub(crate) margin_recognised: u128,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    pub(crate) holding: Holding,
    pub(crate) lifetime: Lifetime,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) payer: Address,
    pub(crate) contributor: Address,
    pub(crate) netuid: u16,
    pub(crate) expiry: u64,
    pub(crate) rest: Holding,
    pub(crate) settled: u128,
    /// All that it ever took in.
    taken_in: u128,
}

/// Recognised margin that waits at the desk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: u64,
    pub(crate) margin: u128,
}

impl Held {
    /// What of it buys back, rounded up, and what is the pot's.
    pub(crate) fn parts(&self, buyback_share: u128) -> (u128, u128) {
        let to_buyback = mul_div_up(self.margin, buyback_share, WAD);
        (to_buyback, self.margin - to_buyback)
    }
}

/// What a purchase splits into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bought {
    pub(crate) usdc: u128,
    pub(crate) to_reserve: u128,
    pub(crate) margin: u128,
}

/// A voucher as far as it matters to the money.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voucher {
    pub(crate) channel: u64,
    pub(crate) amount: u128,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    /// Signed by the channel's session key.
    pub(crate) genuine: bool,
}

/// One series of credits.
#[derive(Clone, Debug)]
pub(crate) struct Credits {
    terms: Terms,
    price: u128,
    /// A price and the time from which it holds.
    next_price: Option<(u128, u64)>,
    paused_until: u64,
    /// The stablecoin moves.
    pub(crate) usdc_moves: bool,
    pub(crate) accounts: BTreeMap<Address, Account>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) reserve: u128,
    pub(crate) held: BTreeMap<u16, Held>,
    /// Forwarded so far.
    pub(crate) sent_to_auction: u128,
    pub(crate) sent_to_pots: BTreeMap<u16, u128>,
    pub(crate) snapshot: Option<BTreeMap<Address, u128>>,
}

impl Credits {
    pub(crate) fn new(terms: Terms, price: u128) -> Self {
        Self {
            terms,
            price,
            next_price: None,
            paused_until: 0,
            usdc_moves: true,
            accounts: BTreeMap::new(),
            channels: Vec::new(),
            reserve: 0,
            held: BTreeMap::new(),
            sent_to_auction: 0,
            sent_to_pots: BTreeMap::new(),
            snapshot: None,
        }
    }

    pub(crate) fn account(&self, account: Address) -> Account {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    fn epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.terms.genesis) / self.terms.epoch_length
    }

    pub(crate) fn price(&self, now: u64) -> u128 {
        match self.next_price {
            Some((price, from)) if now >= from => price,
            _ => self.price,
        }
    }

    pub(crate) fn set_price(&mut self, now: u64, price: u128) -> Result<(), Refused> {
        let least = mul_div_up(self.terms.payout_rate, 105, 100);
        Reasons::default().when(price < least, "CreditDesk_PriceTooLow").done()?;
        self.price = self.price(now);
        let from = self.terms.genesis + (self.epoch(now) + 1) * self.terms.epoch_length;
        self.next_price = Some((price, from));
        Ok(())
    }

    pub(crate) fn pause_buying(&mut self, now: u64, until: u64) -> Result<(), Refused> {
        Reasons::default().when(until > now + LONGEST_PAUSE, "CreditDesk_PauseTooLong").done()?;
        self.paused_until = until;
        Ok(())
    }

    fn bought(&self) -> u128 {
        self.accounts.values().map(|account| account.lifetime.bought).sum()
    }

    /// Margin that credits still carry, in accounts and in channels.
    pub(crate) fn deferred(&self) -> u128 {
        let accounts: u128 = self.accounts.values().map(|account| account.holding.margin).sum();
        accounts + self.channels.iter().map(|channel| channel.rest.margin).sum::<u128>()
    }

    /// All credits there are.
    pub(crate) fn supply(&self) -> u128 {
        self.accounts.values().map(|account| account.holding.credits()).sum::<u128>() + self.in_channels().credits()
    }

    pub(crate) fn in_channels(&self) -> Holding {
        let mut sum = Holding::default();
        self.channels.iter().for_each(|channel| sum.add(channel.rest));
        sum
    }

    pub(crate) fn lifetime_total(&self) -> Lifetime {
        self.accounts.values().fold(Lifetime::default(), |sum, Account { lifetime, .. }| Lifetime {
            bought: sum.bought + lifetime.bought,
            spent: sum.spent + lifetime.spent,
            earned: sum.earned + lifetime.earned,
            earned_from_purchased: sum.earned_from_purchased + lifetime.earned_from_purchased,
            cashed_out: sum.cashed_out + lifetime.cashed_out,
            margin_recognised: sum.margin_recognised + lifetime.margin_recognised,
        })
    }

    pub(crate) fn buy(&mut self, now: u64, to: Address, credits: u128, most: u128) -> Result<Bought, Refused> {
        let usdc = mul_div_up(credits, self.price(now), WAD);
        let to_reserve = mul_div_up(credits, self.terms.payout_rate, WAD);
        let margin = usdc - to_reserve;
        // All margin ever sold is either deferred or recognised by somebody.
        let sold = self.deferred() + self.lifetime_total().margin_recognised;
        let full = self.bought() + credits > MOST_BOUGHT || sold + margin > MOST_MARGIN;
        Reasons::default()
            .when(now < self.paused_until, "CreditDesk_BuyingPaused")
            .when(credits == 0, "CreditDesk_ZeroAmount")
            .when(usdc > most, "CreditDesk_AboveMaximum")
            .when(full, "ComputeCredit_SeriesFull")
            .when(!self.usdc_moves, "TestUSDC_Paused")
            .done()?;
        self.reserve += to_reserve;
        let account = self.accounts.entry(to).or_default();
        account.holding.add(Holding { purchased: credits, earned: 0, margin });
        account.lifetime.bought += credits;
        Ok(Bought { usdc, to_reserve, margin })
    }

    pub(crate) fn cash_out(&mut self, from: Address, credits: u128) -> Result<u128, Refused> {
        let paid = mul_div_down(credits, self.terms.payout_rate, WAD);
        Reasons::default()
            .when(paid == 0, "CreditDesk_ZeroAmount")
            .when(self.account(from).holding.earned < credits, "ComputeCredit_InsufficientEarned")
            .when(!self.usdc_moves, "TestUSDC_Paused")
            .done()?;
        self.reserve -= paid;
        let account = self.accounts.entry(from).or_default();
        account.holding.earned -= credits;
        account.lifetime.cashed_out += credits;
        Ok(paid)
    }

    fn escrow(&mut self, payer: Address, amount: u128) -> Holding {
        let account = self.accounts.entry(payer).or_default();
        account.lifetime.spent += amount;
        account.holding.take(amount)
    }

    fn lacks(&self, payer: Address, amount: u128) -> bool {
        self.account(payer).holding.credits() < amount
    }

    pub(crate) fn open(
        &mut self,
        now: u64,
        payer: Address,
        (contributor, netuid): (Address, u16),
        amount: u128,
        expiry: u64,
    ) -> Result<u64, Refused> {
        Reasons::default()
            .when(amount == 0, "Settlement_ZeroAmount")
            .when(amount > MOST_IN_CHANNEL, "Settlement_ChannelTooLarge")
            .when(expiry < now + SHORTEST || expiry > now + LONGEST, "Settlement_InvalidExpiry")
            .when(self.lacks(payer, amount), "ComputeCredit_InsufficientCredits")
            .done()?;
        let rest = self.escrow(payer, amount);
        self.channels.push(Channel { payer, contributor, netuid, expiry, rest, settled: 0, taken_in: amount });
        Ok(self.channels.len() as u64)
    }

    /// Channels count from 1; the id is known to exist.
    pub(crate) fn channel(&self, id: u64) -> &Channel {
        &self.channels[id as usize - 1]
    }

    fn channel_mut(&mut self, id: u64) -> &mut Channel {
        &mut self.channels[id as usize - 1]
    }

    pub(crate) fn top_up(&mut self, now: u64, caller: Address, id: u64, amount: u128) -> Result<(), Refused> {
        let channel = self.channel(id);
        Reasons::default()
            .when(caller != channel.payer, "Settlement_OnlyPayer")
            .when(now > channel.expiry, "Settlement_Expired")
            .when(amount == 0, "Settlement_ZeroAmount")
            .when(channel.taken_in + amount > MOST_IN_CHANNEL, "Settlement_ChannelTooLarge")
            .when(self.lacks(caller, amount), "ComputeCredit_InsufficientCredits")
            .done()?;
        let more = self.escrow(caller, amount);
        let channel = self.channel_mut(id);
        channel.rest.add(more);
        channel.taken_in += amount;
        Ok(())
    }

    pub(crate) fn extend(&mut self, now: u64, caller: Address, id: u64, expiry: u64) -> Result<(), Refused> {
        let channel = self.channel(id);
        Reasons::default()
            .when(caller != channel.payer, "Settlement_OnlyPayer")
            .when(now > channel.expiry, "Settlement_Expired")
            .when(expiry < channel.expiry || expiry > now + LONGEST, "Settlement_InvalidExpiry")
            .done()?;
        self.channel_mut(id).expiry = expiry;
        Ok(())
    }

    /// Credits that the tokens of a voucher may cost.
    pub(crate) fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> u128 {
        let millions = u128::from(prompt_tokens) * self.terms.prompt_rate
            + u128::from(completion_tokens) * self.terms.completion_rate;
        millions.div_ceil(1_000_000)
    }

    fn check(&self, now: u64, voucher: &Voucher) -> Result<u128, Refused> {
        let channel = self.channel(voucher.channel);
        let capacity = channel.settled + channel.rest.credits();
        Reasons::default()
            .when(now > channel.expiry + self.terms.grace, "Settlement_TooLate")
            .when(voucher.amount <= channel.settled, "Settlement_NothingNew")
            .when(voucher.amount > capacity, "Settlement_AboveChannel")
            .when(!voucher.genuine, "Settlement_InvalidSignature")
            .when(
                voucher.amount > self.cost(voucher.prompt_tokens, voucher.completion_tokens),
                "Settlement_AboveRateCard",
            )
            .done()?;
        Ok(voucher.amount - channel.settled)
    }

    /// What the voucher moved.
    fn pay(&mut self, now: u64, voucher: &Voucher) -> Result<Holding, Refused> {
        let paid = self.check(now, voucher)?;
        let channel = self.channel_mut(voucher.channel);
        let spent = channel.rest.take(paid);
        channel.settled = voucher.amount;
        let contributor = channel.contributor;
        let account = self.accounts.entry(contributor).or_default();
        account.holding.earned += paid;
        account.lifetime.earned += paid;
        account.lifetime.earned_from_purchased += spent.purchased;
        account.lifetime.margin_recognised += spent.margin;
        Ok(spent)
    }

    pub(crate) fn settle(&mut self, now: u64, voucher: &Voucher) -> Result<u128, Refused> {
        let netuid = self.channel(voucher.channel).netuid;
        let spent = self.pay(now, voucher)?;
        self.recognise(now, netuid, spent.margin);
        Ok(spent.credits())
    }

    /// Settles what can be settled of the vouchers of one contributor on one subnet; the failures by their places.
    pub(crate) fn settle_batch(
        &mut self,
        now: u64,
        (contributor, netuid): (Address, u16),
        vouchers: &[Voucher],
    ) -> (u128, BTreeMap<usize, Refused>) {
        let (mut paid, mut margin, mut failed) = (0, 0, BTreeMap::new());
        for (place, voucher) in vouchers.iter().enumerate() {
            let channel = self.channel(voucher.channel);
            let other = (channel.contributor, channel.netuid) != (contributor, netuid);
            let outcome = match Reasons::default().when(other, "Settlement_OtherNeuron").done() {
                Ok(()) => self.pay(now, voucher),
                Err(mut refused) => {
                    refused.0.extend(self.check(now, voucher).err().into_iter().flat_map(|also| also.0));
                    Err(refused)
                }
            };
            match outcome {
                Ok(spent) => {
                    paid += spent.credits();
                    margin += spent.margin;
                }
                Err(refused) => {
                    failed.insert(place, refused);
                }
            }
        }
        self.recognise(now, netuid, margin);
        (paid, failed)
    }

    pub(crate) fn reclaim(&mut self, now: u64, id: u64) -> Result<Holding, Refused> {
        let channel = self.channel(id);
        Reasons::default()
            .when(now <= channel.expiry + self.terms.grace, "Settlement_TooEarly")
            .when(channel.rest.credits() == 0, "Settlement_NothingToReclaim")
            .done()?;
        let channel = self.channel_mut(id);
        let rest = std::mem::take(&mut channel.rest);
        let payer = channel.payer;
        let account = self.accounts.entry(payer).or_default();
        account.holding.add(rest);
        account.lifetime.spent -= rest.credits();
        Ok(rest)
    }

    /// Books margin for a subnet, after sending on what waits of an earlier epoch. What cannot leave waits with the rest.
    fn recognise(&mut self, now: u64, netuid: u16, margin: u128) {
        if margin == 0 {
            return;
        }
        let epoch = self.epoch(now);
        let held = self.held.get(&netuid).copied().unwrap_or_default();
        if held != Held::default() && held.epoch < epoch {
            let _ = self.forward(netuid);
        }
        let held = self.held.entry(netuid).or_default();
        held.epoch = epoch;
        held.margin += margin;
    }

    pub(crate) fn forward(&mut self, netuid: u16) -> Result<(), Refused> {
        let held = self.held.get(&netuid).copied().unwrap_or_default();
        if held.margin == 0 {
            return Ok(());
        }
        Reasons::default().when(!self.usdc_moves, "TestUSDC_Paused").done()?;
        self.held.remove(&netuid);
        let (to_buyback, to_pot) = held.parts(self.terms.buyback_share);
        self.sent_to_auction += to_buyback;
        *self.sent_to_pots.entry(netuid).or_default() += to_pot;
        Ok(())
    }

    pub(crate) fn take_snapshot(&mut self) -> Result<(), Refused> {
        Reasons::default().when(self.snapshot.is_some(), "ComputeCredit_SnapshotTaken").done()?;
        let earned = |(address, account): (&Address, &Account)| (*address, account.lifetime.earned_from_purchased);
        self.snapshot = Some(self.accounts.iter().map(earned).collect());
        Ok(())
    }
}
