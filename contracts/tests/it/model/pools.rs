//! Pools: swaps, an epoch's chores, prices for emission, and the end of a pruned pool.

use std::collections::BTreeMap;

use alloy::primitives::U256;

use super::{Reasons, Refused, WAD, mul_div_down, mul_div_up};

/// Supply of TNDM and of each alpha.
pub(crate) const SUPPLY: u128 = 21_000_000 * WAD;
/// Prices stay within `1..PRICE_END`.
const PRICE_END: u128 = 1 << 85;
const DAY: u64 = 86_400;

/// What never changes.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) genesis: u64,
    pub(crate) epoch_length: u64,
    pub(crate) fee_rate: u128,
    pub(crate) ema_rate: u128,
    pub(crate) ema_half_age: u64,
    pub(crate) pour_cap: u128,
    pub(crate) alpha_per_day: u128,
}

impl Terms {
    pub(crate) fn epoch(&self, now: u64) -> u64 {
        now.saturating_sub(self.genesis) / self.epoch_length
    }

    pub(crate) fn start(&self, epoch: u64) -> u64 {
        self.genesis + epoch * self.epoch_length
    }

    fn fee(&self, tndm: u128) -> u128 {
        mul_div_up(tndm, self.fee_rate, WAD)
    }
}

/// What one epoch may move when `per_day` halves each time that half of what is left of `cap` has moved.
pub(crate) fn halved_per_epoch(per_day: u128, epoch_length: u64, cap: u128, moved: u128) -> u128 {
    let Some(left) = cap.checked_sub(moved).filter(|left| *left > 0) else { return 0 };
    let mut rate = mul_div_down(per_day, u128::from(epoch_length), u128::from(DAY));
    let mut half = cap / 2;
    while left <= half && rate > 0 {
        rate /= 2;
        half /= 2;
    }
    rate.min(left)
}

/// The reserves, apart from everything else: what a quote works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserves {
    pub(crate) tndm: u128,
    pub(crate) alpha: u128,
}

impl Reserves {
    /// WAD TNDM for an alpha.
    pub(crate) fn price(&self) -> u128 {
        let exact = U256::from(self.tndm) * U256::from(WAD) / U256::from(self.alpha);
        exact.clamp(U256::ONE, U256::from(PRICE_END - 1)).to()
    }

    /// Alpha for TNDM that has paid its fee.
    fn alpha_for(&self, net: u128) -> u128 {
        mul_div_down(self.alpha, net, self.tndm + net)
    }

    /// TNDM for alpha, before its fee.
    fn tndm_for(&self, alpha: u128) -> u128 {
        mul_div_down(self.tndm, alpha, self.alpha + alpha)
    }
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) amount_in: u128,
    pub(crate) out: u128,
    pub(crate) fee: u128,
    after: Reserves,
}

/// A pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) reserves: Reserves,
    pub(crate) burnable: u128,
    pub(crate) pending: u128,
    /// Alpha that it was worth when it was granted.
    worth: u128,
    /// Seed, injection and granted budgets.
    pub(crate) issued: u128,
    /// Budgets granted and not released.
    pub(crate) open_budgets: u128,
    /// Alpha that is neither in the vault nor burned.
    pub(crate) outside: u128,
    /// Alpha that somebody sent back into the vault: nobody's, but no less a part of what a redemption divides by.
    strayed: u128,
    pub(crate) created: u64,
    /// The epoch of the last touch, and whether it was poured in.
    entered: u64,
    pub(crate) poured: bool,
    pub(crate) ema: u128,
    /// First epoch that is not closed.
    pub(crate) next_epoch: u64,
    /// Price × seconds of each epoch until `since`, when the price became what it is.
    sums: BTreeMap<u64, U256>,
    since: u64,
    /// Seed and injection, by the epoch after which they amounted to that.
    injected: BTreeMap<u64, u128>,
    pub(crate) stop: Option<u64>,
    /// T and A + C' of a pool that was wound up, and what of T is left.
    pub(crate) redemption: Option<(u128, u128)>,
}

/// All pools.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    pub(crate) terms: Terms,
    pub(crate) pools: BTreeMap<u16, Pool>,
    /// First epoch that the controller has not settled.
    pub(crate) settled_through: u64,
}

impl Pool {
    /// Sums the price up until now.
    fn observe(&mut self, terms: &Terms, now: u64) {
        let price = U256::from(self.reserves.price());
        while self.since < now {
            let epoch = terms.epoch(self.since);
            let until = now.min(terms.start(epoch + 1));
            *self.sums.entry(epoch).or_default() += price * U256::from(until - self.since);
            self.since = until;
        }
    }

    /// Time-weighted price of an epoch that is over.
    fn twap(&self, terms: &Terms, epoch: u64) -> u128 {
        let (start, end) = (terms.start(epoch), terms.start(epoch + 1));
        // The present price has stood since `since`.
        let seconds = end.saturating_sub(start.max(self.since));
        let sum = self.sums.get(&epoch).copied().unwrap_or_default()
            + U256::from(self.reserves.price()) * U256::from(seconds);
        (sum / U256::from(terms.epoch_length)).to()
    }

    /// TWAP of the last epoch that is over; zero in the one of creation.
    pub(crate) fn last_twap(&self, terms: &Terms, now: u64) -> u128 {
        match terms.epoch(now) {
            epoch if epoch == self.created => 0,
            epoch => self.twap(terms, epoch - 1),
        }
    }

    pub(crate) fn injected_at(&self, epoch: u64) -> u128 {
        self.injected.range(..=epoch).next_back().map_or(0, |(_, injected)| *injected)
    }

    fn pourable(&self, terms: &Terms, now: u64) -> (u128, u128) {
        let epoch = terms.epoch(now);
        let poured = self.poured && self.entered == epoch;
        if poured || epoch == self.created {
            return (0, 0);
        }
        let (price, anchor) = (self.reserves.price(), self.last_twap(terms, now));
        if 4 * price > 5 * anchor || 5 * price < 4 * anchor {
            return (0, 0);
        }
        if U256::from(price) * U256::from(self.worth) * U256::from(4) > U256::from(self.pending) * U256::from(5 * WAD) {
            return (0, 0);
        }
        let Reserves { tndm, alpha } = self.reserves;
        let mut give = self.pending.min(mul_div_down(tndm, terms.pour_cap, WAD));
        let mut with = mul_div_down(give, alpha, tndm);
        let schedule = halved_per_epoch(terms.alpha_per_day, terms.epoch_length, SUPPLY, self.issued);
        if with > schedule {
            with = schedule;
            give = mul_div_down(schedule, tndm, alpha);
        }
        if give == 0 || with == 0 { (0, 0) } else { (give, with) }
    }

    fn pour(&mut self, terms: &Terms, now: u64) -> (u128, u128) {
        let (tndm, alpha) = self.pourable(terms, now);
        if tndm == 0 {
            return (0, 0);
        }
        self.poured = true;
        self.worth -= mul_div_down(self.worth, tndm, self.pending);
        self.pending -= tndm;
        self.reserves.tndm += tndm;
        self.reserves.alpha += alpha;
        self.issued += alpha;
        let injected = self.injected_at(u64::MAX) + alpha;
        self.injected.insert(terms.epoch(now), injected);
        (tndm, alpha)
    }

    /// What the first touch of an epoch does before anything else: burns what accrued and pours. Gives what it burned.
    fn touch(&mut self, terms: &Terms, now: u64) -> u128 {
        self.observe(terms, now);
        let epoch = terms.epoch(now);
        if epoch == self.entered {
            return 0;
        }
        self.entered = epoch;
        self.poured = false;
        let burned = std::mem::take(&mut self.burnable);
        self.pour(terms, now);
        burned
    }

    fn take(&mut self, fill: &Fill) {
        self.reserves = fill.after;
        self.burnable += fill.fee / 2;
    }
}

impl Pools {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, pools: BTreeMap::new(), settled_through: 0 }
    }

    pub(crate) fn pool(&self, netuid: u16) -> &Pool {
        &self.pools[&netuid]
    }

    fn pool_mut(&mut self, netuid: u16) -> &mut Pool {
        self.pools.get_mut(&netuid).expect("the tests name pools that exist")
    }

    pub(crate) fn create(&mut self, now: u64, netuid: u16, tndm: u128, price: u128) -> Result<(), Refused> {
        let alpha = if price == 0 { 0 } else { mul_div_down(tndm, WAD, price).min(SUPPLY / 10) };
        Reasons::default()
            .when(self.pools.contains_key(&netuid), "AlphaPools_PoolExists")
            .when(alpha == 0, "AlphaPools_EmptySeed")
            .done()?;
        let epoch = self.terms.epoch(now);
        let pool = Pool {
            reserves: Reserves { tndm, alpha },
            burnable: 0,
            pending: 0,
            worth: 0,
            issued: alpha,
            open_budgets: 0,
            outside: 0,
            strayed: 0,
            created: epoch,
            entered: epoch,
            poured: true,
            ema: price,
            next_epoch: epoch,
            sums: BTreeMap::new(),
            // As if the first price had stood since the epoch's start.
            since: self.terms.start(epoch),
            injected: BTreeMap::from([(epoch, alpha)]),
            stop: None,
            redemption: None,
        };
        self.pools.insert(netuid, pool);
        Ok(())
    }

    fn trades(&self, now: u64, netuid: u16) -> Reasons {
        let stopped = self.pool(netuid).stop.is_some_and(|stop| self.terms.epoch(now) >= stop);
        Reasons::default().when(stopped, "AlphaPools_Stopped")
    }

    /// The reserves that a swap of this moment meets.
    pub(crate) fn ahead(&self, now: u64, netuid: u16) -> Reserves {
        let mut pool = self.pool(netuid).clone();
        pool.touch(&self.terms, now);
        pool.reserves
    }

    fn buy_fill(&self, at: Reserves, tndm_in: u128) -> Fill {
        let fee = self.terms.fee(tndm_in);
        let out = at.alpha_for(tndm_in - fee);
        let after = Reserves { tndm: at.tndm + tndm_in - fee / 2, alpha: at.alpha - out };
        Fill { amount_in: tndm_in, out, fee, after }
    }

    fn sell_fill(&self, at: Reserves, alpha_in: u128) -> Fill {
        let gross = at.tndm_for(alpha_in);
        let fee = self.terms.fee(gross);
        let after = Reserves { tndm: at.tndm - (gross - fee) - fee / 2, alpha: at.alpha + alpha_in };
        Fill { amount_in: alpha_in, out: gross - fee, fee, after }
    }

    fn done(&mut self, now: u64, netuid: u16, fill: Fill) -> Fill {
        let terms = self.terms.clone();
        let pool = self.pool_mut(netuid);
        pool.touch(&terms, now);
        pool.take(&fill);
        fill
    }

    pub(crate) fn buy(&mut self, now: u64, netuid: u16, tndm_in: u128, least: u128) -> Result<Fill, Refused> {
        let fill = self.buy_fill(self.ahead(now, netuid), tndm_in);
        self.trades(now, netuid)
            .when(tndm_in == 0, "AlphaPools_ZeroAmount")
            .when(fill.out < least, "AlphaPools_TooLittleOut")
            .done()?;
        self.pool_mut(netuid).outside += fill.out;
        Ok(self.done(now, netuid, fill))
    }

    pub(crate) fn sell(&mut self, now: u64, netuid: u16, alpha_in: u128, least: u128) -> Result<Fill, Refused> {
        let fill = self.sell_fill(self.ahead(now, netuid), alpha_in);
        self.trades(now, netuid)
            .when(alpha_in == 0, "AlphaPools_ZeroAmount")
            .when(fill.out < least, "AlphaPools_TooLittleOut")
            .done()?;
        self.pool_mut(netuid).outside -= alpha_in;
        Ok(self.done(now, netuid, fill))
    }

    pub(crate) fn buy_until(
        &mut self,
        now: u64,
        netuid: u16,
        tndm_in: u128,
        most_price: u128,
        least: u128,
    ) -> Result<Fill, Refused> {
        let at = self.ahead(now, netuid);
        let used = largest(tndm_in, |amount| self.buy_fill(at, amount).after.price() <= most_price);
        let fill = self.buy_fill(at, used);
        self.trades(now, netuid)
            .when(tndm_in == 0, "AlphaPools_ZeroAmount")
            .when(tndm_in > 0 && used == 0, "AlphaPools_PriceBeyondLimit")
            .when(fill.out < least, "AlphaPools_TooLittleOut")
            .done()?;
        self.pool_mut(netuid).outside += fill.out;
        Ok(self.done(now, netuid, fill))
    }

    pub(crate) fn sell_until(
        &mut self,
        now: u64,
        netuid: u16,
        alpha_in: u128,
        least_price: u128,
        least: u128,
    ) -> Result<Fill, Refused> {
        let at = self.ahead(now, netuid);
        let used = largest(alpha_in, |amount| self.sell_fill(at, amount).after.price() >= least_price);
        let fill = self.sell_fill(at, used);
        self.trades(now, netuid)
            .when(alpha_in == 0, "AlphaPools_ZeroAmount")
            .when(alpha_in > 0 && used == 0, "AlphaPools_PriceBeyondLimit")
            .when(fill.out < least, "AlphaPools_TooLittleOut")
            .done()?;
        self.pool_mut(netuid).outside -= used;
        Ok(self.done(now, netuid, fill))
    }

    /// Alpha for alpha: a sale and a purchase, with the sale's fee alone. Gives the sale and the alpha bought.
    pub(crate) fn swap(
        &mut self,
        now: u64,
        (from, to): (u16, u16),
        alpha_in: u128,
        least: u128,
    ) -> Result<(Fill, u128), Refused> {
        let mut reasons =
            Reasons::default().when(from == to, "AlphaPools_SamePool").when(alpha_in == 0, "AlphaPools_ZeroAmount");
        for netuid in [from, to] {
            reasons.0.extend(self.trades(now, netuid).0);
        }
        let sale = self.sell_fill(self.ahead(now, from), alpha_in);
        let at = self.ahead(now, to);
        let out = at.alpha_for(sale.out);
        reasons.when(out < least, "AlphaPools_TooLittleOut").done()?;
        self.pool_mut(from).outside -= alpha_in;
        self.pool_mut(to).outside += out;
        let after = Reserves { tndm: at.tndm + sale.out, alpha: at.alpha - out };
        self.done(now, from, sale);
        self.done(now, to, Fill { amount_in: sale.out, out, fee: 0, after });
        Ok((sale, out))
    }

    pub(crate) fn buy_and_burn(&mut self, now: u64, netuid: u16, tndm_in: u128) -> Result<u128, Refused> {
        if tndm_in == 0 {
            return Ok(0);
        }
        self.trades(now, netuid).done()?;
        let fill = self.buy_fill(self.ahead(now, netuid), tndm_in);
        Ok(self.done(now, netuid, fill).out)
    }

    pub(crate) fn pour(&mut self, now: u64, netuid: u16) -> Result<(u128, u128), Refused> {
        self.trades(now, netuid).done()?;
        let terms = self.terms.clone();
        let pool = self.pool_mut(netuid);
        let before = pool.reserves;
        pool.touch(&terms, now);
        pool.pour(&terms, now);
        Ok((pool.reserves.tndm - before.tndm, pool.reserves.alpha - before.alpha))
    }

    pub(crate) fn flush(&mut self, now: u64, netuid: u16) -> Result<u128, Refused> {
        self.trades(now, netuid).done()?;
        let terms = self.terms.clone();
        Ok(self.pool_mut(netuid).touch(&terms, now))
    }

    /// EMA before and TWAP of the epoch, which is over and next for the pool.
    pub(crate) fn close_epoch(&mut self, netuid: u16, epoch: u64) -> (u128, u128) {
        let terms = self.terms.clone();
        let pool = self.pool_mut(netuid);
        if pool.created > epoch {
            return (0, 0);
        }
        let twap = pool.twap(&terms, epoch);
        let before = pool.ema;
        let age = (epoch + 1 - pool.created) * terms.epoch_length;
        let rate = mul_div_down(terms.ema_rate, u128::from(age), u128::from(age + terms.ema_half_age));
        let input = twap.min(2 * before);
        let moved = mul_div_down(rate, input.abs_diff(before), WAD);
        pool.ema = if input >= before { before + moved } else { before - moved };
        pool.next_epoch = epoch + 1;
        (if pool.created == epoch { 0 } else { before }, twap)
    }

    pub(crate) fn issued_at(&self, netuid: u16, epoch: u64) -> u128 {
        let pool = self.pool(netuid);
        let budgets = pool.issued - pool.injected_at(u64::MAX);
        budgets + pool.injected_at(epoch)
    }

    /// `worth` is what `tndm` is worth in alpha at the price of the grant.
    pub(crate) fn grant(&mut self, netuid: u16, tndm: u128, alpha: u128, worth: u128) {
        let pool = self.pool_mut(netuid);
        pool.pending += tndm;
        pool.worth += worth;
        pool.issued += alpha;
        pool.open_budgets += alpha;
    }

    pub(crate) fn release(&mut self, netuid: u16, amount: u128) {
        let pool = self.pool_mut(netuid);
        pool.open_budgets -= amount;
        pool.outside += amount;
    }

    /// Alpha that came back to the vault as nobody's.
    pub(crate) fn donate(&mut self, netuid: u16, alpha: u128) {
        let pool = self.pool_mut(netuid);
        pool.outside -= alpha;
        pool.strayed += alpha;
    }

    pub(crate) fn stop(&mut self, netuid: u16, from_epoch: u64) {
        self.pool_mut(netuid).stop = Some(from_epoch);
    }

    /// What it burned.
    pub(crate) fn wind_up(&mut self, netuid: u16) -> Result<u128, Refused> {
        let settled = self.settled_through;
        let pool = self.pool_mut(netuid);
        Reasons::default()
            .when(pool.stop.is_none(), "AlphaPools_NotStopped")
            .when(pool.stop.is_some_and(|stop| settled < stop), "AlphaPools_NotSettled")
            .when(pool.redemption.is_some(), "AlphaPools_AlreadyWoundUp")
            .done()?;
        let Reserves { tndm, alpha } = pool.reserves;
        let others = pool.outside + pool.strayed + pool.open_budgets;
        let kept = mul_div_down(tndm, others, alpha + others);
        let burned = tndm - kept + pool.burnable + pool.pending;
        pool.redemption = Some((tndm, alpha + others));
        pool.reserves.tndm = kept;
        pool.burnable = 0;
        pool.pending = 0;
        Ok(burned)
    }

    pub(crate) fn redeem(&mut self, netuid: u16, amount: u128) -> Result<u128, Refused> {
        let pool = self.pool_mut(netuid);
        let Some((tndm, supply)) = pool.redemption else {
            return Reasons::default().when(true, "AlphaPools_NotWoundUp").done().map(|()| 0);
        };
        let paid = mul_div_down(amount, tndm, supply);
        Reasons::default().when(amount == 0, "AlphaPools_ZeroAmount").done()?;
        pool.outside -= amount;
        pool.reserves.tndm -= paid;
        Ok(paid)
    }

    /// TNDM that all pools hold.
    pub(crate) fn tndm(&self) -> u128 {
        self.pools.values().map(|pool| pool.reserves.tndm + pool.burnable + pool.pending).sum()
    }
}

/// The largest of `0..=most` that fits, where smaller ones fit whenever a larger one does and zero does for want of a trade.
fn largest(most: u128, fits: impl Fn(u128) -> bool) -> u128 {
    let (mut known, mut limit) = (0, most);
    while known < limit {
        let middle = limit - (limit - known) / 2;
        if fits(middle) { known = middle } else { limit = middle - 1 }
    }
    known
}
