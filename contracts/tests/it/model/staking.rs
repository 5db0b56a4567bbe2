//! Stake: shares of pools, the queue that leaves them, slashes, takes, votes, and what a validator weighs.
//!
//! Beside the contract's own arithmetic of shares, every position carries what it would be worth if nothing were ever
//! rounded, so that rounding itself can be judged.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256, U512};

use super::{Reasons, Refused, WAD, mul_div_down, mul_div_up};

/// What an empty pool behaves as if it held.
const VIRTUAL_SHARES: u128 = 1_000_000;
const VIRTUAL_ASSETS: u128 = 1;
/// Most shares that a pool counts.
const MOST_SHARES: u128 = (1 << 120) - 1;
/// A queue that kept less of its wei than this loses the rest too.
const LEAST_KEPT: u128 = WAD / 1_024;
/// Binary places of an ideal amount.
const PLACES: usize = 256;
/// Bonded TNDM stands under this number.
pub(crate) const BOND: u16 = 0;

/// What never changes.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) genesis: u64,
    pub(crate) epoch_length: u64,
    pub(crate) unbonding: u64,
    pub(crate) minimum: u128,
    pub(crate) take_default: u16,
    pub(crate) take_bound: u16,
    pub(crate) take_step: u16,
    pub(crate) take_period: u64,
    pub(crate) root_weight_start: u128,
    pub(crate) root_weight_floor: u128,
    pub(crate) root_weight_glide: u64,
    pub(crate) virtual_fade: u64,
    /// When markets opened.
    pub(crate) opened_at: u64,
}

impl Terms {
    pub(crate) fn epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.genesis) / self.epoch_length
    }

    /// Seconds from the opening of markets to the epoch's start.
    fn since_markets(&self, epoch: u64) -> u64 {
        (self.genesis + epoch * self.epoch_length).saturating_sub(self.opened_at)
    }

    pub(crate) fn root_weight(&self, epoch: u64) -> u128 {
        let elapsed = self.since_markets(epoch).min(self.root_weight_glide);
        let fall = self.root_weight_start - self.root_weight_floor;
        self.root_weight_start - mul_div_down(fall, u128::from(elapsed), u128::from(self.root_weight_glide))
    }

    pub(crate) fn virtual_share(&self, epoch: u64) -> u128 {
        let elapsed = self.since_markets(epoch).min(self.virtual_fade);
        mul_div_down(WAD, u128::from(self.virtual_fade - elapsed), u128::from(self.virtual_fade))
    }
}

/// A value and what it was as of each epoch's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept<T>(BTreeMap<u64, T>);

impl<T: Copy + Default> Kept<T> {
    fn set(&mut self, from_epoch: u64, value: T) {
        self.0.insert(from_epoch, value);
    }

    pub(crate) fn now(&self) -> T {
        self.at(u64::MAX)
    }

    pub(crate) fn at(&self, epoch: u64) -> T {
        self.0.range(..=epoch).next_back().map(|(_, value)| *value).unwrap_or_default()
    }
}

/// Everything in a pool and all of its shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) assets: u128,
    pub(crate) shares: u128,
}

impl Total {
    fn shares_down(&self, assets: u128) -> u128 {
        mul_div_down(assets, self.shares + VIRTUAL_SHARES, self.assets + VIRTUAL_ASSETS)
    }

    fn shares_up(&self, assets: u128) -> u128 {
        mul_div_up(assets, self.shares + VIRTUAL_SHARES, self.assets + VIRTUAL_ASSETS)
    }

    fn worth(&self, shares: u128) -> u128 {
        mul_div_down(shares, self.assets + VIRTUAL_ASSETS, self.shares + VIRTUAL_SHARES)
    }
}

/// What an account has in a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    pub(crate) shares: Kept<u128>,
    /// Worth when it was last touched: it votes with that.
    pub(crate) votes: u128,
    /// Put in less taken out less slashed, without any rounding, in binary places.
    ideal: U512,
    /// Calls that may each have rounded it down.
    pub(crate) calls: u128,
}

impl Position {
    /// Ideal worth in wei, rounded down.
    pub(crate) fn ideal(&self) -> u128 {
        (self.ideal >> PLACES).to()
    }
}

/// What waits to be withdrawn from one pool.
#[derive(Clone, Copy, Debug)]
struct Queue {
    assets: u128,
    /// WAD; left of each wei that has waited since the era began.
    kept: u128,
    era: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { assets: 0, kept: WAD, era: 0 }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    pub(crate) total: Kept<Total>,
    /// Calls that may each have left a wei to the others.
    pub(crate) calls: u128,
    pub(crate) positions: BTreeMap<Address, Position>,
    queue: Queue,
}

/// One unbonding.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) account: Address,
    pub(crate) netuid: u16,
    pub(crate) hotkey: Address,
    pub(crate) release_at: u64,
    /// What left the pool.
    pub(crate) amount: u128,
    /// `amount / kept` when it joined.
    shares: u128,
    era: u32,
}

/// A hotkey's take and when it last rose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Take {
    pub(crate) value: Kept<Option<u16>>,
    rose_at: Option<u64>,
}

/// What one call of `slash` took of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slashed {
    pub(crate) taken: u128,
    pub(crate) reward: u128,
}

#[derive(Clone, Debug)]
pub(crate) struct Staking {
    pub(crate) terms: Terms,
    pub(crate) pools: BTreeMap<(u16, Address), Pool>,
    /// Ids count from 1; `None` once withdrawn.
    pub(crate) entries: Vec<Option<Entry>>,
    pub(crate) takes: BTreeMap<Address, Take>,
    /// Whom an account lets vote with its stake under a netuid.
    pub(crate) delegates: BTreeMap<(u16, Address), Address>,
    pub(crate) virtual_stake: BTreeMap<(u16, Address), u128>,
    /// Subnets that a hotkey is registered in.
    pub(crate) seats: BTreeMap<Address, u64>,
}

fn scaled(amount: u128) -> U512 {
    U512::from(amount) << PLACES
}

impl Staking {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            pools: BTreeMap::new(),
            entries: Vec::new(),
            takes: BTreeMap::new(),
            delegates: BTreeMap::new(),
            virtual_stake: BTreeMap::new(),
            seats: BTreeMap::new(),
        }
    }

    fn pool(&mut self, netuid: u16, hotkey: Address) -> &mut Pool {
        self.pools.entry((netuid, hotkey)).or_default()
    }

    fn next_epoch(&self, now: u64) -> u64 {
        self.terms.epoch(now) + 1
    }

    pub(crate) fn total(&self, netuid: u16, hotkey: Address) -> Kept<Total> {
        self.pools.get(&(netuid, hotkey)).map(|pool| pool.total.clone()).unwrap_or_default()
    }

    pub(crate) fn position(&self, netuid: u16, hotkey: Address, account: Address) -> Position {
        let pool = self.pools.get(&(netuid, hotkey));
        pool.and_then(|pool| pool.positions.get(&account)).cloned().unwrap_or_default()
    }

    /// Calls that changed a pool.
    pub(crate) fn calls(&self, netuid: u16, hotkey: Address) -> u128 {
        self.pools.get(&(netuid, hotkey)).map_or(0, |pool| pool.calls)
    }

    pub(crate) fn worth(&self, netuid: u16, hotkey: Address, account: Address) -> u128 {
        self.total(netuid, hotkey).now().worth(self.position(netuid, hotkey, account).shares.now())
    }

    /// Gives the shares bought.
    pub(crate) fn stake(
        &mut self,
        now: u64,
        (netuid, hotkey): (u16, Address),
        account: Address,
        amount: u128,
    ) -> Result<u128, Refused> {
        let (total, own) = (self.total(netuid, hotkey).now(), self.position(netuid, hotkey, account).shares.now());
        let wide = U256::from(amount) * U256::from(total.shares + VIRTUAL_SHARES) / U256::from(total.assets + 1);
        let ruined = wide + U256::from(total.shares) > U256::from(MOST_SHARES);
        let after = |shares: u128| Total { assets: total.assets + amount, shares: total.shares + shares };
        let left = if ruined { 0 } else { after(wide.to()).worth(own + wide.to::<u128>()) };
        Reasons::default()
            .when(amount == 0, "Staking_ZeroAmount")
            .when(ruined, "Staking_PoolRuined")
            .when(left < self.terms.minimum, "Staking_BelowMinimum")
            .done()?;
        let (from, shares) = (self.next_epoch(now), total.shares_down(amount));
        let pool = self.pool(netuid, hotkey);
        pool.total.set(from, after(shares));
        pool.calls += 1;
        let position = pool.positions.entry(account).or_default();
        position.shares.set(from, own + shares);
        position.votes = left;
        position.ideal += scaled(amount);
        position.calls += 1;
        Ok(shares)
    }

    /// `None` stands for everything. Gives the id and the amount.
    pub(crate) fn unstake(
        &mut self,
        now: u64,
        (netuid, hotkey): (u16, Address),
        account: Address,
        asked: Option<u128>,
    ) -> Result<(usize, u128), Refused> {
        let (total, own) = (self.total(netuid, hotkey).now(), self.position(netuid, hotkey, account).shares.now());
        let held = total.worth(own);
        let amount = asked.unwrap_or(held);
        Reasons::default()
            .when(amount > held, "Staking_Insufficient")
            .when(amount == 0, "Staking_ZeroAmount")
            .done()?;
        // All shares go with the last wei that they are worth.
        let shares = if amount == held { own } else { total.shares_up(amount) };
        let after = Total { assets: total.assets - amount, shares: total.shares - shares };
        let left = after.worth(own - shares);
        Reasons::default().when(own > shares && left < self.terms.minimum, "Staking_BelowMinimum").done()?;
        let (from, release_at) = (self.next_epoch(now), now + self.terms.unbonding);
        let pool = self.pool(netuid, hotkey);
        pool.total.set(from, after);
        pool.calls += 1;
        let position = pool.positions.entry(account).or_default();
        position.shares.set(from, own - shares);
        position.votes = left;
        position.ideal = if own == shares { U512::ZERO } else { position.ideal.saturating_sub(scaled(amount)) };
        position.calls += 1;
        let queue = &mut pool.queue;
        queue.assets += amount;
        let (shares, era) = (mul_div_down(amount, WAD, queue.kept), queue.era);
        self.entries.push(Some(Entry { account, netuid, hotkey, release_at, amount, shares, era }));
        Ok((self.entries.len(), amount))
    }

    /// What an unbonding pays now.
    pub(crate) fn waiting(&self, entry: &Entry) -> u128 {
        let queue = self.pools[&(entry.netuid, entry.hotkey)].queue;
        if queue.era == entry.era { mul_div_down(entry.shares, queue.kept, WAD) } else { 0 }
    }

    pub(crate) fn withdraw(&mut self, now: u64, id: usize) -> Result<u128, Refused> {
        let entry = self.entries.get(id.wrapping_sub(1)).cloned().flatten();
        Reasons::default()
            .when(entry.is_none(), "Staking_UnknownUnbonding")
            .when(entry.as_ref().is_some_and(|entry| now < entry.release_at), "Staking_StillBound")
            .done()?;
        let Some(entry) = entry else { return Ok(0) };
        let paid = self.waiting(&entry);
        self.pool(entry.netuid, entry.hotkey).queue.assets -= paid;
        self.entries[id - 1] = None;
        Ok(paid)
    }

    fn cut(&mut self, now: u64, netuid: u16, hotkey: Address, share: u128) -> Slashed {
        let from = self.next_epoch(now);
        let Some(pool) = self.pools.get_mut(&(netuid, hotkey)) else { return Slashed::default() };
        let total = pool.total.now();
        let staked = mul_div_down(total.assets, share, WAD);
        if staked > 0 {
            pool.total.set(from, Total { assets: total.assets - staked, shares: total.shares });
            for position in pool.positions.values_mut() {
                position.ideal = position.ideal * U512::from(total.assets - staked) / U512::from(total.assets);
                position.calls += 1;
            }
        }
        let queue = &mut pool.queue;
        let mut unbonding = 0;
        if queue.assets > 0 {
            let kept = mul_div_down(queue.kept, WAD - share, WAD);
            if kept < LEAST_KEPT {
                unbonding = queue.assets;
                *queue = Queue { assets: queue.assets, era: queue.era + 1, ..Queue::default() };
            } else {
                unbonding = mul_div_down(queue.assets, share, WAD);
                if unbonding > 0 {
                    queue.kept = kept;
                }
            }
            queue.assets -= unbonding;
        }
        let taken = staked + unbonding;
        Slashed { taken, reward: taken / 2 }
    }

    /// TNDM and alpha taken.
    pub(crate) fn slash(
        &mut self,
        now: u64,
        netuid: u16,
        hotkey: Address,
        share: u128,
    ) -> Result<(Slashed, Slashed), Refused> {
        Reasons::default().when(share > WAD, "Staking_BadShare").done()?;
        let tndm = self.cut(now, BOND, hotkey, share);
        let alpha = if netuid == BOND { Slashed::default() } else { self.cut(now, netuid, hotkey, share) };
        Ok((tndm, alpha))
    }

    pub(crate) fn take_at(&self, hotkey: Address, epoch: u64) -> u16 {
        let take = self.takes.get(&hotkey).and_then(|take| take.value.at(epoch));
        take.unwrap_or(self.terms.take_default)
    }

    pub(crate) fn set_take(&mut self, now: u64, hotkey: Address, take: u16) -> Result<(), Refused> {
        let terms = &self.terms;
        let (last, from) = (self.take_at(hotkey, u64::MAX), self.next_epoch(now));
        let rose_at = self.takes.get(&hotkey).and_then(|take| take.rose_at);
        let rises = take > last;
        let soon = rose_at.is_some_and(|at| now < at + terms.take_period);
        Reasons::default()
            .when(take > terms.take_bound, "Staking_TakeAboveBound")
            .when(rises && take - last > terms.take_step, "Staking_TakeStepTooLarge")
            .when(rises && soon, "Staking_TakeTooSoon")
            .done()?;
        let kept = self.takes.entry(hotkey).or_default();
        kept.value.set(from, Some(take));
        if rises {
            kept.rose_at = Some(now);
        }
        Ok(())
    }

    pub(crate) fn sync_votes(&mut self, netuid: u16, hotkey: Address, account: Address) {
        let worth = self.worth(netuid, hotkey, account);
        let pool = self.pools.get_mut(&(netuid, hotkey));
        if let Some(position) = pool.and_then(|pool| pool.positions.get_mut(&account)) {
            position.votes = worth;
        }
    }

    /// Wei that vote for the account, under a netuid.
    pub(crate) fn votes_of(&self, netuid: u16, delegate: Address) -> u128 {
        let pools = self.pools.iter().filter(|((of, _), _)| *of == netuid);
        pools
            .flat_map(|(_, pool)| &pool.positions)
            .filter(|(account, _)| self.delegates.get(&(netuid, **account)) == Some(&delegate))
            .map(|(_, position)| position.votes)
            .sum()
    }

    /// Alpha, weighed bond and virtual stake of a hotkey that has its uid, as of the epoch's start.
    pub(crate) fn weight_parts(&self, netuid: u16, hotkey: Address, epoch: u64) -> [u128; 3] {
        let alpha = self.total(netuid, hotkey).at(epoch).assets;
        let bonded = self.total(BOND, hotkey).at(epoch).assets;
        let seats = u128::from(self.seats.get(&hotkey).copied().unwrap_or(1));
        let given = self.virtual_stake.get(&(netuid, hotkey)).copied().unwrap_or_default();
        [
            alpha,
            mul_div_down(bonded, self.terms.root_weight(epoch), WAD * seats),
            mul_div_down(given, self.terms.virtual_share(epoch), WAD),
        ]
    }

    /// Tokens that staking holds under a netuid.
    pub(crate) fn holds(&self, netuid: u16) -> u128 {
        let pools = self.pools.iter().filter(|((of, _), _)| *of == netuid);
        pools.map(|(_, pool)| pool.total.now().assets + pool.queue.assets).sum()
    }
}
