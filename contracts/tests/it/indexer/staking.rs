//! Stake and bonds by shares, what leaves, takes, and the votes of what is staked.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::bindings::{Staking, staking::Staking::StakingEvents as Stake};

use super::{At, Check, less, small, tokens::Ballots};
use crate::model::WAD;

/// Bonds of TNDM are kept as if they were the alpha of subnet 0.
pub(super) const BOND: u16 = 0;
/// A share is worth (assets + 1) / (shares + 10^6).
const VIRTUAL_SHARES: u128 = 1_000_000;
/// 18 % of 65,535: the take of whoever has not set another.
const DEFAULT_TAKE: u16 = 11_796;
/// A queue begins anew when slashes have left less of it (WAD).
const LEAST_KEPT: u128 = WAD / 1024;

/// A figure as of every epoch's start.
#[derive(Clone, Debug)]
struct History<T>(Vec<(u64, T)>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Default> History<T> {
    fn now(&self) -> T {
        self.0.last().map(|(_, value)| *value).unwrap_or_default()
    }

    fn at(&self, epoch: u64) -> T {
        self.set_by(epoch).unwrap_or_default()
    }

    /// `None` before the first.
    fn set_by(&self, epoch: u64) -> Option<T> {
        self.0.iter().rev().find(|(from, _)| *from <= epoch).map(|(_, value)| *value)
    }

    fn set(&mut self, from: u64, value: T) {
        match self.0.last_mut() {
            Some((last, held)) if *last == from => *held = value,
            _ => self.0.push((from, value)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    assets: u128,
    shares: u128,
}

impl Total {
    fn worth(self, shares: u128) -> u128 {
        small(U256::from(shares) * U256::from(self.assets + 1) / U256::from(self.shares + VIRTUAL_SHARES))
    }
}

/// What waits to be withdrawn from a pool.
#[derive(Clone, Copy)]
struct Queue {
    assets: u128,
    /// What slashes have left of each wei since the era began (WAD).
    kept: u128,
    era: u64,
}

#[derive(Default)]
struct Pool {
    total: History<Total>,
    shares: BTreeMap<Address, History<u128>>,
    queue: Option<Queue>,
}

struct Entry {
    account: Address,
    place: (u16, Address),
    era: u64,
    shares: u128,
    release_at: u64,
}

#[derive(Default)]
pub(super) struct Books {
    pools: BTreeMap<(u16, Address), Pool>,
    /// By id, from 1; what is withdrawn is gone.
    entries: Vec<Option<Entry>>,
    ballots: BTreeMap<u16, Ballots>,
    takes: BTreeMap<Address, History<u16>>,
    virtual_stake: BTreeMap<(u16, Address), U256>,
}

impl Books {
    pub(super) fn read(&mut self, at: At, log: &Log) {
        match Stake::decode_log(log).expect("an event of staking").data {
            Stake::Staked(e) => self.put(at, (e.netuid, e.hotkey), e.account, e.amount, e.shares),
            Stake::Bonded(e) => self.put(at, (BOND, e.hotkey), e.account, e.amount, e.shares),
            Stake::Unstaked(e) => {
                self.take(at, (e.netuid, e.hotkey), e.account, e.amount, e.shares);
                self.wait((e.netuid, e.hotkey), e.account, e.amount, e.unbondingId, e.releaseAt);
            }
            Stake::Unbonded(e) => {
                self.take(at, (BOND, e.hotkey), e.account, e.amount, e.shares);
                self.wait((BOND, e.hotkey), e.account, e.amount, e.unbondingId, e.releaseAt);
            }
            Stake::Withdrawn(e) => {
                let place = e.unbondingId.to::<usize>() - 1;
                let entry = self.entries[place].take().expect("withdrawn once");
                assert_eq!((entry.account, self.worth(&entry)), (e.account, small(e.amount)));
                if let Some(queue) = &mut self.pool(entry.place).queue {
                    less(&mut queue.assets, small(e.amount));
                }
            }
            Stake::Slashed(e) => {
                self.slash(at, (e.netuid, e.hotkey), small(e.share), small(e.staked), small(e.unbonding))
            }
            Stake::TakeSet(e) => self.takes.entry(e.hotkey).or_default().set(e.fromEpoch, e.take),
            Stake::VirtualStakeGiven(e) => {
                self.virtual_stake.insert((e.netuid, e.hotkey), e.weight);
            }
            Stake::StakedVotesDelegated(e) => {
                self.ballots.entry(e.netuid).or_default().delegated(e.account, e.toDelegate);
            }
            Stake::StakedVotesChanged(e) => self.ballots.entry(e.netuid).or_default().counted(e.delegate, e.votes),
            // Samples and trios say what settlement may rely on; no balance changes.
            _ => {}
        }
    }

    fn pool(&mut self, place: (u16, Address)) -> &mut Pool {
        self.pools.entry(place).or_default()
    }

    /// What is put in or taken out counts from the next epoch's start on.
    fn put(&mut self, at: At, place: (u16, Address), account: Address, amount: U256, shares: U256) {
        let pool = self.pool(place);
        let Total { assets, shares: all } = pool.total.now();
        pool.total.set(at.epoch + 1, Total { assets: assets + small(amount), shares: all + small(shares) });
        let own = pool.shares.entry(account).or_default();
        own.set(at.epoch + 1, own.now() + small(shares));
    }

    fn take(&mut self, at: At, place: (u16, Address), account: Address, amount: U256, shares: U256) {
        let pool = self.pool(place);
        let mut total = pool.total.now();
        less(&mut total.assets, small(amount));
        less(&mut total.shares, small(shares));
        pool.total.set(at.epoch + 1, total);
        let own = pool.shares.entry(account).or_default();
        let mut left = own.now();
        less(&mut left, small(shares));
        own.set(at.epoch + 1, left);
    }

    fn wait(&mut self, place: (u16, Address), account: Address, amount: U256, id: U256, release_at: u64) {
        let queue = self.pool(place).queue.get_or_insert(Queue { assets: 0, kept: WAD, era: 0 });
        queue.assets += small(amount);
        let (kept, era) = (queue.kept, queue.era);
        let shares = small(amount * U256::from(WAD) / U256::from(kept));
        self.entries.push(Some(Entry { account, place, era, shares, release_at }));
        assert_eq!(id, U256::from(self.entries.len()));
    }

    fn slash(&mut self, at: At, place: (u16, Address), share: u128, staked: u128, unbonding: u128) {
        let pool = self.pool(place);
        if staked > 0 {
            let mut total = pool.total.now();
            less(&mut total.assets, staked);
            pool.total.set(at.epoch + 1, total);
        }
        // What waits is worth less only if something of it was taken.
        if let Some(queue) = pool.queue.as_mut().filter(|_| unbonding > 0) {
            less(&mut queue.assets, unbonding);
            queue.kept = small(U256::from(queue.kept) * U256::from(WAD - share) / U256::from(WAD));
            if queue.kept < LEAST_KEPT {
                *queue = Queue { assets: queue.assets, kept: WAD, era: queue.era + 1 };
            }
        }
    }

    /// What an unbonding pays now.
    fn worth(&self, entry: &Entry) -> u128 {
        let queue = self.pools.get(&entry.place).and_then(|pool| pool.queue);
        let kept = queue.filter(|queue| queue.era == entry.era).map_or(0, |queue| queue.kept);
        small(U256::from(entry.shares) * U256::from(kept) / U256::from(WAD))
    }

    /// Tokens of a subnet (TNDM: 0) in all pools and queues.
    pub(super) fn held(&self, netuid: u16) -> u128 {
        let pools = self.pools.iter().filter(|((of, _), _)| *of == netuid);
        pools.map(|(_, pool)| pool.total.now().assets + pool.queue.map_or(0, |queue| queue.assets)).sum()
    }

    pub(super) fn votes_of(&self, netuid: u16, account: Address) -> U256 {
        self.ballots.get(&netuid).map(|ballots| ballots.votes_of(account)).unwrap_or_default()
    }

    pub(super) fn voters(&self, netuid: u16) -> Vec<Address> {
        self.ballots.get(&netuid).map(|ballots| ballots.voters().collect()).unwrap_or_default()
    }

    pub(super) fn compare(&self, check: &mut Check<'_>) {
        for ((netuid, hotkey), pool) in &self.pools {
            self.compare_pool(check, *netuid, *hotkey, pool);
        }
        let staking = check.facts.suite.staking;
        let count = check.view(staking, Staking::unbondingCountCall {});
        check.same("unbonding: count", (), count, U256::from(self.entries.len()));
        for (place, entry) in self.entries.iter().enumerate() {
            let there = check.view(staking, Staking::unbondingOfCall { unbondingId: U256::from(place + 1) });
            let Some(entry) = entry else {
                check.same("unbonding: withdrawn", place + 1, there.account.is_zero(), true);
                continue;
            };
            check.same("unbonding: account", place + 1, there.account, entry.account);
            check.same("unbonding: amount", place + 1, there.amount, self.worth(entry));
            check.same("unbonding: release", place + 1, there.releaseAt, entry.release_at);
            check.same("unbonding: from", place + 1, (there.netuid, there.hotkey), entry.place);
        }
        let running = check.running();
        for (netuid, hotkey) in self.pools.keys().chain(self.virtual_stake.keys()).copied().collect::<BTreeSet<_>>() {
            let there = check.view(staking, Staking::virtualStakeOfCall { netuid, hotkey });
            let weight = self.virtual_stake.get(&(netuid, hotkey)).copied().unwrap_or_default();
            check.same("stake: virtual", hotkey, there, weight);
            for epoch in [running, running + 1] {
                let own = self.takes.get(&hotkey).and_then(|takes| takes.set_by(epoch));
                let there = check.view(staking, Staking::takeAtCall { hotkey, epoch });
                check.same("stake: take", hotkey, there, own.unwrap_or(DEFAULT_TAKE));
            }
        }
        for (netuid, ballots) in &self.ballots {
            self.compare_ballots(check, *netuid, ballots);
        }
    }

    fn compare_pool(&self, check: &mut Check<'_>, netuid: u16, hotkey: Address, pool: &Pool) {
        let staking = check.facts.suite.staking;
        let running = check.running();
        for epoch in [running.saturating_sub(1), running, running + 1] {
            let books = pool.total.at(epoch);
            let there = check.view(staking, Staking::totalStakeAtCall { netuid, hotkey, epoch });
            let what = if netuid == BOND { "bond: total" } else { "stake: total" };
            check.same(what, (netuid, hotkey, epoch), small(there), books.assets);
            let there = check.view(staking, Staking::totalSharesAtCall { netuid, hotkey, epoch });
            check.same("stake: all shares", (netuid, hotkey, epoch), small(there), books.shares);
            for (account, shares) in &pool.shares {
                let ask = Staking::sharesAtCall { netuid, hotkey, account: *account, epoch };
                let what = if netuid == BOND { "bond: shares" } else { "stake: shares" };
                check.same(what, (netuid, hotkey, account, epoch), small(check.view(staking, ask)), shares.at(epoch));
            }
        }
        for (account, shares) in &pool.shares {
            let there = check.view(staking, Staking::delegateOfCall { netuid, account: *account });
            let to = self.ballots.get(&netuid).map(|ballots| ballots.delegate_of(*account));
            check.same("stake: delegate", (netuid, account), there, to.unwrap_or_default());
            let there = check.view(staking, Staking::stakeOfCall { netuid, hotkey, account: *account });
            let what = if netuid == BOND { "bond: worth" } else { "stake: worth" };
            check.same(what, (netuid, hotkey, account), small(there), pool.total.now().worth(shares.now()));
        }
        let there = check.view(staking, Staking::delegatorCountCall { netuid, hotkey });
        check.same("stake: delegators", (netuid, hotkey), there, U256::from(pool.shares.len()));
    }

    fn compare_ballots(&self, check: &mut Check<'_>, netuid: u16, ballots: &Ballots) {
        let staking = check.facts.suite.staking;
        let what = if netuid == BOND { "bond: votes" } else { "stake: votes" };
        for account in ballots.voters() {
            let there = check.view(staking, Staking::getVotesCall { netuid, account });
            check.same(what, (netuid, account), there, ballots.votes_of(account));
        }
    }
}
