//! Every ERC-20 of the suite: balances, supply, delegates and their votes.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::bindings::{
    AlphaPools, TandemToken, TandemVotes,
    tandem_token::TandemToken::{DelegateChanged, DelegateVotesChanged, TandemTokenEvents, Transfer},
};

use super::{Check, Indexer, Witnesses, small, staking::BOND};
use crate::{model::pools::SUPPLY, support::Net};

#[derive(Default)]
pub(super) struct Token {
    balances: BTreeMap<Address, U256>,
    supply: U256,
    pub(super) ballots: Ballots,
}

/// Who votes for whom, and with how much.
#[derive(Default)]
pub(super) struct Ballots {
    delegates: BTreeMap<Address, Address>,
    votes: BTreeMap<Address, U256>,
}

impl Ballots {
    pub(super) fn delegated(&mut self, account: Address, to: Address) {
        self.delegates.insert(account, to);
    }

    pub(super) fn counted(&mut self, delegate: Address, votes: U256) {
        self.votes.insert(delegate, votes);
    }

    pub(super) fn votes_of(&self, account: Address) -> U256 {
        self.votes.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn voters(&self) -> impl Iterator<Item = Address> + '_ {
        self.votes.keys().copied()
    }

    pub(super) fn delegate_of(&self, account: Address) -> Address {
        self.delegates.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn sum(&self) -> U256 {
        self.votes.values().sum()
    }

    /// Token, allocation and airdrop answer for votes alike.
    pub(super) fn compare<'a>(
        &self,
        check: &mut Check<'_>,
        what: [&'static str; 2],
        of: Address,
        accounts: impl Iterator<Item = &'a Address>,
    ) {
        for account in accounts {
            let there = check.view(of, TandemToken::delegatesCall { account: *account });
            check.same(what[0], account, there, self.delegate_of(*account));
        }
        for (account, votes) in &self.votes {
            let there = check.view(of, TandemToken::getVotesCall { account: *account });
            check.same(what[1], account, there, *votes);
        }
    }
}

impl Token {
    /// Whether the event is one that every token of the suite has.
    pub(super) fn read(&mut self, log: &Log) -> bool {
        let Ok(event) = TandemTokenEvents::decode_log(log) else { return false };
        match event.data {
            TandemTokenEvents::Transfer(Transfer { from, to, value }) => {
                if from.is_zero() {
                    self.supply += value;
                } else {
                    let balance = self.balances.entry(from).or_default();
                    *balance = balance.checked_sub(value).expect("nobody sends more than it has");
                }
                if to.is_zero() {
                    self.supply -= value;
                } else {
                    *self.balances.entry(to).or_default() += value;
                }
            }
            TandemTokenEvents::DelegateChanged(DelegateChanged { delegator, toDelegate, .. }) => {
                self.ballots.delegated(delegator, toDelegate);
            }
            TandemTokenEvents::DelegateVotesChanged(DelegateVotesChanged { delegate, newVotes, .. }) => {
                self.ballots.counted(delegate, newVotes);
            }
            _ => {}
        }
        true
    }

    pub(super) fn of(&self, account: Address) -> U256 {
        self.balances.get(&account).copied().unwrap_or_default()
    }
}

impl Indexer {
    pub(super) fn compare_tokens(&self, check: &mut Check<'_>) {
        let suite = &self.facts.suite;
        for (address, token) in &self.tokens {
            let (supply, balance) = match *address {
                it if it == suite.tandem_token => ("TNDM: supply", "TNDM: balance"),
                it if it == suite.usdc => ("USDC: supply", "USDC: balance"),
                it if it == suite.compute_credit => ("CREDIT: supply", "CREDIT: balance, as an ERC-20"),
                _ => ("alpha: supply", "alpha: balance"),
            };
            check.same(supply, address, check.net.world.total_supply(*address), token.supply);
            for (account, books) in &token.balances {
                check.same(balance, account, check.net.world.balance_of(*address, *account), *books);
            }
            let votes = if *address == suite.tandem_token {
                ["TNDM: delegate", "TNDM: votes"]
            } else {
                ["alpha: delegate", "alpha: votes"]
            };
            if *address != suite.usdc && *address != suite.compute_credit {
                token.ballots.compare(check, votes, *address, token.balances.keys());
            }
        }
        for (netuid, pool) in &self.market.pools {
            check.same(
                "alpha: token",
                netuid,
                check.view(suite.alpha_pools, AlphaPools::alphaOfCall { netuid: *netuid }),
                pool.token,
            );
        }
        let tndm = &self.tokens[&suite.tandem_token];
        let vaults = [suite.emission_controller, suite.launch_gate, suite.genesis_allocation, suite.airdrop];
        let circulating = tndm.supply - vaults.into_iter().map(|vault| tndm.of(vault)).sum::<U256>();
        check.same(
            "TNDM: circulating",
            (),
            check.view(suite.tandem_token, TandemToken::circulatingSupplyCall {}),
            circulating,
        );
        self.compare_governance(check);
    }

    /// What the governor counts: tokens, bonds and what still vests.
    fn compare_governance(&self, check: &mut Check<'_>) {
        let suite = &self.facts.suite;
        let tndm = &self.tokens[&suite.tandem_token].ballots;
        let sources = [tndm, &self.vesting.allocation.ballots, &self.vesting.airdrop.ballots];
        let mut voters: Vec<Address> = sources.iter().flat_map(|ballots| ballots.voters()).collect();
        voters.extend(self.staking.voters(BOND));
        for account in voters {
            let held: U256 = sources.iter().map(|ballots| ballots.votes_of(account)).sum();
            let books = held + self.staking.votes_of(BOND, account);
            let there = check.view(suite.tandem_votes, TandemVotes::getVotesCall { account });
            check.same("governance: votes", account, there, books);
        }
    }

    /// What the books of each contract say it owes, it holds: to the unit where nobody sends money unasked.
    pub(crate) fn compare_holdings(&self, net: &Net, witnesses: &mut Witnesses) {
        let mut check = Check { net, facts: &self.facts, witnesses };
        let suite = &self.facts.suite;
        let usdc = &self.tokens[&suite.usdc];
        let owed = [
            ("USDC: held by the desk", suite.credit_desk, self.compute.owed()),
            ("USDC: held by the auction", suite.burn_auction, self.market.for_sale()),
            ("USDC: held by the distributor", suite.reward_distributor, self.rewards.usdc_owed()),
            ("USDC: held by the keeper set", suite.keeper_set, self.vesting.bonded()),
        ];
        for (what, holder, books) in owed {
            check.same(what, holder, small(usdc.of(holder)), books);
        }
        let tndm = &self.tokens[&suite.tandem_token];
        let pools = self.market.pools.values().map(|pool| pool.tndm + pool.burnable + pool.pending).sum();
        check.same("TNDM: held by the pools", (), small(tndm.of(suite.alpha_pools)), pools);
        let [allocated, dropped] = self.vesting.unreleased(self.facts.config.launch.airdrop.0);
        check.same("TNDM: held by the allocation", (), tndm.of(suite.genesis_allocation), allocated);
        check.same("TNDM: held by the airdrop", (), tndm.of(suite.airdrop), dropped);
        check.same("TNDM: held by staking", (), small(tndm.of(suite.staking)), self.staking.held(BOND));
        for (netuid, pool) in &self.market.pools {
            let alpha = &self.tokens[&pool.token];
            check.same("alpha: held by staking", netuid, small(alpha.of(suite.staking)), self.staking.held(*netuid));
            let vault = SUPPLY - pool.issued + pool.alpha + self.rewards.alpha_unclaimed(*netuid);
            check.same("alpha: vault", netuid, small(alpha.of(suite.alpha_pools)), vault);
        }
    }
}
