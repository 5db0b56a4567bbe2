//! An indexer: whoever reads the events from the first block on, and nothing else, knows every balance.
//!
//! The books here are filled from logs alone, as the bindings decode them. What no event tells is fixed at birth and stands in a
//! deployment's manifest: addresses, genesis, the epoch's length, shares and percentages ([`Facts`]). [`Indexer::compare`] holds the
//! books against every view of the contracts, to the unit.

mod compute;
mod errands;
mod market;
mod registry;
mod rewards;
mod staking;
mod tokens;
mod town;
mod tree;
mod vesting;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolEventInterface},
};
use tandem_contracts::{
    bindings::{
        EpochOracle, LaunchGate, Outages, RateCard, Slashing, SuiteFactory, TandemAccess, TandemGovernor,
        TandemTimelock, WeightCommits,
    },
    suite::{GenesisConfig, Suite},
    world::{Emitted, World},
};

use crate::support::Net;

/// What a manifest says.
#[derive(Clone)]
pub(crate) struct Facts {
    suite: Suite,
    config: GenesisConfig,
    genesis: u64,
}

impl Facts {
    /// The epoch of a time; before genesis, epoch 0.
    fn epoch(&self, timestamp: u64) -> u64 {
        timestamp.saturating_sub(self.genesis) / self.config.epochs.length.0
    }
}

/// Where an event stands.
#[derive(Clone, Copy)]
struct At {
    timestamp: u64,
    epoch: u64,
}

/// Everything that events have told so far.
pub(crate) struct Indexer {
    facts: Facts,
    /// How many events are in the books.
    read: usize,
    /// How often it was asked whether it agrees.
    asked: u32,
    /// A kind of event that it does not hear, by its topic.
    deaf_to: Option<B256>,
    /// Tokens by address: TNDM, USDC, the credit's ERC-20 face, and each alpha from its pool's creation on.
    tokens: BTreeMap<Address, tokens::Token>,
    /// Events of contracts that are not known yet: an alpha token speaks before its pool says that it is one.
    early: Vec<Emitted>,
    compute: compute::Books,
    market: market::Books,
    rewards: rewards::Books,
    staking: staking::Books,
    registry: registry::Books,
    vesting: vesting::Books,
}

impl Indexer {
    pub(crate) fn new(net: &Net) -> Self {
        let suite = net.suite();
        let tokens = [suite.tandem_token, suite.usdc, suite.compute_credit];
        Self {
            facts: Facts { config: net.config.clone(), genesis: net.plan.genesis, suite },
            read: 0,
            asked: 0,
            deaf_to: None,
            tokens: tokens.into_iter().map(|token| (token, tokens::Token::default())).collect(),
            early: Vec::new(),
            compute: compute::Books::default(),
            market: market::Books::default(),
            rewards: rewards::Books::default(),
            staking: staking::Books::default(),
            registry: registry::Books::default(),
            vesting: vesting::Books::default(),
        }
    }

    /// Reads what is new.
    pub(crate) fn follow(&mut self, world: &World) {
        for emitted in &world.logs()[self.read..] {
            if self.deaf_to.is_none_or(|kind| emitted.log.topics().first() != Some(&kind)) {
                self.read(emitted);
            }
        }
        self.read = world.logs().len();
        let strangers: BTreeSet<Address> = self.early.iter().map(|emitted| emitted.log.address).collect();
        assert!(strangers.is_empty(), "nobody has said who {strangers:?} are");
    }

    fn read(&mut self, emitted: &Emitted) {
        let Emitted { timestamp, ref log, .. } = *emitted;
        let at = At { timestamp, epoch: self.facts.epoch(timestamp) };
        let suite = self.facts.suite.clone();
        let from = log.address;
        if let Some(token) = self.tokens.get_mut(&from) {
            let read = token.read(log);
            assert!(read || from == suite.compute_credit || from == suite.usdc, "{from}: an unknown event {log:?}");
            if from == suite.compute_credit {
                self.compute.read_credit(&suite, log);
            }
        } else if from == suite.settlement {
            self.compute.read_settlement(log);
        } else if from == suite.credit_desk {
            self.compute.read_desk(at, log);
        } else if from == suite.alpha_pools {
            if let Some(token) = self.market.read_pools(at, log) {
                self.tokens.insert(token, tokens::Token::default());
                for emitted in std::mem::take(&mut self.early) {
                    self.read(&emitted);
                }
            }
        } else if from == suite.burn_auction {
            self.market.read_auction(at, log);
        } else if from == suite.emission_controller {
            for grant in self.rewards.read_controller(log) {
                self.market.granted(&grant);
            }
        } else if from == suite.reward_distributor {
            self.rewards.read_distributor(log);
        } else if from == suite.staking {
            self.staking.read(at, log);
        } else if from == suite.subnet_registry {
            self.registry.read(at, log);
        } else if from == suite.keeper_set {
            self.vesting.read_keepers(log);
        } else if from == suite.genesis_allocation {
            self.vesting.read_allocation(log);
        } else if from == suite.airdrop {
            self.vesting.read_airdrop(log);
        } else if !is_of_no_balance(&suite, emitted) {
            self.early.push(emitted.clone());
        }
    }

    /// Reads what is new and holds every book against what the contracts say: the first time, and every sixteenth after it,
    /// since there is much to ask.
    pub(crate) fn agrees_with(&mut self, net: &Net) {
        const SELDOM: u32 = 16;
        self.follow(&net.world);
        if self.asked.is_multiple_of(SELDOM) {
            self.compare(net, &mut Witnesses::new());
        }
        self.asked += 1;
    }

    /// Holds every book against what the contracts say; whatever is not zero is a witness.
    pub(crate) fn compare(&self, net: &Net, witnesses: &mut Witnesses) {
        let mut check = Check { net, facts: &self.facts, witnesses };
        self.compare_tokens(&mut check);
        self.compute.compare(&mut check);
        self.market.compare(&mut check);
        self.rewards.compare(&mut check, &self.registry);
        self.staking.compare(&mut check);
        self.registry.compare(&mut check);
        self.vesting.compare(&mut check);
    }
}

/// Whether a contract's bindings know an event.
type Reader = fn(&Emitted) -> bool;

/// Contracts that hold nothing: their events are read all the same, so that none is unknown.
fn is_of_no_balance(suite: &Suite, emitted: &Emitted) -> bool {
    fn known<E: SolEventInterface>(emitted: &Emitted) -> bool {
        E::decode_log(&emitted.log).is_ok()
    }
    let readers: [(Address, Reader); 10] = [
        (suite.suite_factory, known::<SuiteFactory::SuiteFactoryEvents>),
        (suite.tandem_access, known::<TandemAccess::TandemAccessEvents>),
        (suite.tandem_timelock, known::<TandemTimelock::TandemTimelockEvents>),
        (suite.rate_card, known::<RateCard::RateCardEvents>),
        (suite.outages, known::<Outages::OutagesEvents>),
        (suite.epoch_oracle, known::<EpochOracle::EpochOracleEvents>),
        (suite.weight_commits, known::<WeightCommits::WeightCommitsEvents>),
        (suite.slashing, known::<Slashing::SlashingEvents>),
        (suite.launch_gate, known::<LaunchGate::LaunchGateEvents>),
        (suite.tandem_governor, known::<TandemGovernor::TandemGovernorEvents>),
    ];
    let reader = readers.iter().find(|(address, _)| *address == emitted.log.address);
    reader.is_some_and(|(address, known)| {
        assert!(known(emitted), "{address}: an unknown event {:?}", emitted.log);
        true
    })
}

/// How often each kind of figure was compared while it was not zero.
pub(crate) type Witnesses = BTreeMap<&'static str, u64>;

/// A comparison under way.
struct Check<'a> {
    net: &'a Net,
    facts: &'a Facts,
    witnesses: &'a mut Witnesses,
}

impl Check<'_> {
    fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        self.net.view(to, call)
    }

    /// The same in the contracts and in the books.
    #[track_caller]
    fn same<T: PartialEq + Default + Debug>(&mut self, what: &'static str, whose: impl Debug, chain: T, books: T) {
        assert_eq!(chain, books, "{what} of {whose:?}: left the contracts, right the indexer");
        *self.witnesses.entry(what).or_default() += u64::from(books != T::default());
    }

    fn running(&self) -> u64 {
        self.facts.epoch(self.net.world.timestamp())
    }
}

/// An amount of an event; all are below 2^128 by their contracts' bounds.
fn small(amount: U256) -> u128 {
    amount.to()
}

/// Takes away what an event tells.
#[track_caller]
fn less(from: &mut u128, amount: u128) {
    *from = from.checked_sub(amount).expect("more left than there was");
}
