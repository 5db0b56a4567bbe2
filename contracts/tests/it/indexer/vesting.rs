//! Keepers' bonds, genesis allocations and the airdrop.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::bindings::{
    Airdrop, GenesisAllocation, KeeperSet, airdrop::Airdrop::AirdropEvents as Drop,
    genesis_allocation::GenesisAllocation::GenesisAllocationEvents as Genesis,
    keeper_set::KeeperSet::KeeperSetEvents as Keepers,
};

use super::{Check, less, small, tokens::Ballots};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    from_epoch: u64,
    digest: B256,
    keepers: Vec<Address>,
    threshold: u16,
}

/// Somebody's TNDM that vests.
#[derive(Default)]
struct Promise {
    beneficiary: Address,
    amount: U256,
    released: U256,
}

#[derive(Default)]
pub(super) struct Allocation {
    promises: Vec<Promise>,
    pub(super) ballots: Ballots,
}

#[derive(Default)]
pub(super) struct AirdropBooks {
    promises: BTreeMap<Address, Promise>,
    pub(super) ballots: Ballots,
    leftover: U256,
}

#[derive(Default)]
pub(super) struct Books {
    bonds: BTreeMap<Address, u128>,
    endpoints: BTreeMap<Address, String>,
    sets: Vec<Set>,
    pub(super) allocation: Allocation,
    pub(super) airdrop: AirdropBooks,
}

impl Books {
    pub(super) fn read_keepers(&mut self, log: &Log) {
        match Keepers::decode_log(log).expect("an event of the keeper set").data {
            Keepers::Bonded(event) => *self.bonds.entry(event.keeper).or_default() += small(event.usdc),
            Keepers::BondWithdrawn(event) => less(self.bonds.entry(event.keeper).or_default(), small(event.usdc)),
            Keepers::BondSlashed(event) => less(self.bonds.entry(event.keeper).or_default(), small(event.usdc)),
            Keepers::EndpointChanged(event) => {
                self.endpoints.insert(event.keeper, event.endpoint);
            }
            Keepers::SetScheduled(event) => self.sets.push(Set {
                from_epoch: event.fromEpoch,
                digest: event.configDigest,
                keepers: event.keepers,
                threshold: event.threshold,
            }),
            _ => {}
        }
    }

    pub(super) fn read_allocation(&mut self, log: &Log) {
        let Allocation { promises, ballots } = &mut self.allocation;
        match Genesis::decode_log(log).expect("an event of the allocation").data {
            Genesis::Allocated(event) => {
                promises.push(Promise { beneficiary: event.beneficiary, amount: event.amount, released: U256::ZERO })
            }
            Genesis::Released(event) => promises[event.id.to::<usize>()].released += event.amount,
            Genesis::DelegateChanged(event) => ballots.delegated(event.delegator, event.toDelegate),
            Genesis::DelegateVotesChanged(event) => ballots.counted(event.delegate, event.newVotes),
            _ => {}
        }
    }

    pub(super) fn read_airdrop(&mut self, log: &Log) {
        let AirdropBooks { promises, ballots, leftover } = &mut self.airdrop;
        match Drop::decode_log(log).expect("an event of the airdrop").data {
            Drop::Registered(event) => {
                let promise = Promise { beneficiary: event.account, amount: event.amount, released: U256::ZERO };
                promises.insert(event.account, promise);
            }
            Drop::Released(event) => {
                promises.get_mut(&event.account).expect("registered first").released += event.amount;
            }
            Drop::LeftoverPaid(event) => *leftover += event.amount,
            Drop::DelegateChanged(event) => ballots.delegated(event.delegator, event.toDelegate),
            Drop::DelegateVotesChanged(event) => ballots.counted(event.delegate, event.newVotes),
            _ => {}
        }
    }

    /// TNDM that allocation and airdrop hold, `airdrop` being what the latter was born with.
    pub(super) fn unreleased(&self, airdrop: U256) -> [U256; 2] {
        let allocated = self.allocation.promises.iter().map(|promise| promise.amount - promise.released).sum();
        let released: U256 = self.airdrop.promises.values().map(|promise| promise.released).sum();
        [allocated, airdrop - released - self.airdrop.leftover]
    }

    /// USDC units of all bonds.
    pub(super) fn bonded(&self) -> u128 {
        self.bonds.values().sum()
    }

    pub(super) fn compare(&self, check: &mut Check<'_>) {
        self.compare_keepers(check);
        self.allocation.compare(check);
        self.airdrop.compare(check);
    }

    fn compare_keepers(&self, check: &mut Check<'_>) {
        let keeper_set = check.facts.suite.keeper_set;
        for (keeper, bond) in &self.bonds {
            let there = check.view(keeper_set, KeeperSet::bondOfCall { keeper: *keeper });
            check.same("keepers: bond", keeper, small(there), *bond);
        }
        for keeper in self.sets.iter().flat_map(|set| &set.keepers).collect::<BTreeSet<_>>() {
            let there = check.view(keeper_set, KeeperSet::endpointOfCall { keeper: *keeper });
            let endpoint = self.endpoints.get(keeper).cloned().unwrap_or_default();
            check.same("keepers: endpoint", keeper, there, endpoint);
        }
        let running = check.running();
        for epoch in [running, running + 1] {
            let there = check.view(keeper_set, KeeperSet::setAtCall { epoch });
            let there = Set {
                from_epoch: there.fromEpoch,
                digest: there.configDigest,
                keepers: there.keepers,
                threshold: there.threshold,
            };
            let books = self.sets.iter().rev().find(|set| set.from_epoch <= epoch);
            check.same("keepers: set", epoch, there, books.cloned().unwrap_or_default());
        }
    }
}

impl Allocation {
    fn compare(&self, check: &mut Check<'_>) {
        let allocation = check.facts.suite.genesis_allocation;
        let mut waiting: BTreeMap<Address, U256> = BTreeMap::new();
        for (id, promise) in self.promises.iter().enumerate() {
            let id = U256::from(id);
            let there = check.view(allocation, GenesisAllocation::allocationOfCall { id });
            check.same("allocation: amount", id, U256::from(there.amount), promise.amount);
            check.same("allocation: beneficiary", id, there.beneficiary, promise.beneficiary);
            let there = check.view(allocation, GenesisAllocation::releasedOfCall { id });
            check.same("allocation: released", id, there, promise.released);
            *waiting.entry(promise.beneficiary).or_default() += promise.amount - promise.released;
        }
        for (account, books) in waiting {
            let there = check.view(allocation, GenesisAllocation::unreleasedOfCall { account });
            check.same("allocation: unreleased", account, there, books);
        }
        let accounts = self.promises.iter().map(|promise| &promise.beneficiary);
        self.ballots.compare(check, ["allocation: delegate", "allocation: votes"], allocation, accounts);
        let there = check.view(allocation, GenesisAllocation::delegatedVotesCall {});
        check.same("allocation: delegated votes", (), there, self.ballots.sum());
    }
}

impl AirdropBooks {
    fn compare(&self, check: &mut Check<'_>) {
        let airdrop = check.facts.suite.airdrop;
        for (account, promise) in &self.promises {
            let there = check.view(airdrop, Airdrop::entitlementOfCall { account: *account });
            check.same("airdrop: entitlement", account, there, promise.amount);
            let there = check.view(airdrop, Airdrop::releasedOfCall { account: *account });
            check.same("airdrop: released", account, there, promise.released);
            let there = check.view(airdrop, Airdrop::unreleasedOfCall { account: *account });
            check.same("airdrop: unreleased", account, there, promise.amount - promise.released);
        }
        let votes = ["airdrop: delegate", "airdrop: votes"];
        self.ballots.compare(check, votes, airdrop, self.promises.keys());
        let there = check.view(airdrop, Airdrop::delegatedVotesCall {});
        check.same("airdrop: delegated votes", (), there, self.ballots.sum());
    }
}
