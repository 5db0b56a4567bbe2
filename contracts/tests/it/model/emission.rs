//! The law of emission: allowances that burning earns, how an epoch shares its ceiling out, and what participants get of it.
//! Pools are part of it: emission reads their prices and fills them.

use std::collections::BTreeMap;

use super::{
    WAD, mul_div_down,
    pools::{Pools, SUPPLY, halved_per_epoch},
};

/// TNDM that there is to be emitted.
pub(crate) const VAULT: u128 = SUPPLY / 2;

/// What never changes.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) phi: u128,
    pub(crate) smoothing: u128,
    pub(crate) fade: u64,
    pub(crate) tndm_per_day: u128,
    pub(crate) alpha_per_day: u128,
    /// When markets opened.
    pub(crate) opened_at: u64,
}

/// A subnet's account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) allowance: u128,
    pub(crate) burned: u128,
    pub(crate) emitted: u128,
    /// By the epoch of the burn.
    burns: BTreeMap<u64, u128>,
    /// USDC put into its pot, by the epoch in which it counts.
    pots: BTreeMap<u64, u128>,
    /// USDC of earlier epochs that was granted to nobody.
    carried: u128,
}

/// What an epoch granted to a subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) emitted: u128,
    pub(crate) alpha_out: u128,
    pub(crate) usdc: u128,
    pub(crate) eligible: bool,
}

/// Which limits an epoch met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// More was wanted than the ceiling allows.
    pub(crate) ceiling: bool,
    /// The first pass left something over that the second gave out.
    pub(crate) second_pass: bool,
    /// The alpha schedule was below the worth of what was emitted.
    pub(crate) schedule: bool,
    /// The epoch's price stood above the average.
    pub(crate) twap: bool,
    /// A pot waits for an eligible epoch.
    pub(crate) carried: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Emission {
    terms: Terms,
    pub(crate) pools: Pools,
    pub(crate) ledgers: BTreeMap<u16, Ledger>,
    pub(crate) emitted: u128,
    pub(crate) burned: u128,
    /// First epoch that is not settled.
    pub(crate) next: u64,
}

/// A subnet on its way through an epoch's closing.
struct Closing {
    netuid: u16,
    price: u128,
    twap: u128,
    wanted: u128,
    given: u128,
    takes_part: bool,
}

impl Emission {
    pub(crate) fn new(terms: Terms, pools: Pools, next: u64) -> Self {
        Self { terms, pools, ledgers: BTreeMap::new(), emitted: 0, burned: 0, next }
    }

    pub(crate) fn burn(&mut self, now: u64, netuid: u16, amount: u128) {
        let epoch = self.pools.terms.epoch(now);
        let ledger = self.ledgers.entry(netuid).or_default();
        ledger.burned += amount;
        *ledger.burns.entry(epoch).or_default() += amount;
        self.burned += amount;
    }

    pub(crate) fn contribute(&mut self, now: u64, netuid: u16, usdc: u128) {
        let epoch = self.pools.terms.epoch(now);
        *self.ledgers.entry(netuid).or_default().pots.entry(epoch).or_default() += usdc;
    }

    pub(crate) fn ceiling(&self) -> u128 {
        halved_per_epoch(self.terms.tndm_per_day, self.pools.terms.epoch_length, VAULT, self.emitted)
    }

    /// Closes the oldest epoch that is not settled, for subnets given with whether they are eligible.
    pub(crate) fn settle(&mut self, subnets: &[(u16, bool)]) -> (BTreeMap<u16, Grant>, Limits) {
        let epoch = self.next;
        let length = self.pools.terms.epoch_length;
        let emits = self.terms.opened_at <= self.pools.terms.start(epoch);
        let ceiling = if emits { self.ceiling() } else { 0 };
        let mut closings: Vec<Closing> =
            subnets.iter().map(|&(netuid, eligible)| self.weigh(epoch, emits, netuid, eligible)).collect();

        let prices: u128 = closings.iter().filter(|closing| closing.takes_part).map(|closing| closing.price).sum();
        for closing in closings.iter_mut().filter(|closing| closing.takes_part) {
            closing.given = mul_div_down(ceiling, closing.price, prices).min(closing.wanted);
        }
        let shared: u128 = closings.iter().map(|closing| closing.given).sum();
        let unmet: u128 = closings.iter().map(|closing| closing.wanted - closing.given).sum();
        let unused = ceiling - shared;
        let mut limits =
            Limits { ceiling: unmet > unused, second_pass: shared > 0 && unmet > 0 && unused > 0, ..Limits::default() };

        let mut grants = BTreeMap::new();
        for (closing, (netuid, eligible)) in closings.iter().zip(subnets) {
            let left = closing.wanted - closing.given;
            let more = if unused >= unmet { left } else { mul_div_down(unused, left, unmet) };
            let emitted = closing.given + more;
            let mut grant = Grant { emitted, eligible: *eligible, ..Grant::default() };
            if closing.takes_part {
                let worth = mul_div_down(emitted, WAD, closing.price.max(closing.twap));
                let issued = self.pools.issued_at(closing.netuid, epoch);
                let schedule = halved_per_epoch(self.terms.alpha_per_day, length, SUPPLY, issued);
                grant.alpha_out = worth.min(schedule);
                limits.schedule |= worth > schedule;
                limits.twap |= closing.twap > closing.price;
                self.pools.grant(closing.netuid, emitted, grant.alpha_out, worth);
            }
            let ledger = self.ledgers.entry(*netuid).or_default();
            ledger.allowance -= emitted;
            ledger.emitted += emitted;
            let pot = ledger.carried + ledger.pots.remove(&epoch).unwrap_or_default();
            (grant.usdc, ledger.carried) = if *eligible { (pot, 0) } else { (0, pot) };
            limits.carried |= ledger.carried > 0;
            self.emitted += emitted;
            grants.insert(*netuid, grant);
        }
        self.next += 1;
        self.pools.settled_through = self.next;
        (grants, limits)
    }

    fn weigh(&mut self, epoch: u64, emits: bool, netuid: u16, eligible: bool) -> Closing {
        let length = u128::from(self.pools.terms.epoch_length);
        let (price, twap) = match self.pools.pools.contains_key(&netuid) {
            true => self.pools.close_epoch(netuid, epoch),
            false => (0, 0),
        };
        let ledger = self.ledgers.entry(netuid).or_default();
        let burned = epoch.checked_sub(1).and_then(|before| ledger.burns.remove(&before)).unwrap_or_default();
        ledger.allowance += mul_div_down(self.terms.phi, burned, WAD);
        if emits {
            ledger.allowance -= mul_div_down(ledger.allowance, length, u128::from(self.terms.fade));
        }
        let takes_part = emits && eligible && price > 0 && ledger.allowance > 0;
        let wanted = if takes_part { ledger.allowance / self.terms.smoothing } else { 0 };
        Closing { netuid, price, twap, wanted, given: 0, takes_part }
    }
}
