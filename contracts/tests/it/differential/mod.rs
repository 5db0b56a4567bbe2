//! The models beside the bytecode: random calls go to both, and both must answer alike.
//!
//! A run is a function of its seed, which every failure names; `TANDEM_SEED=… cargo nextest run -p tandem-contracts
//! differential` repeats it. The feature `deep` runs more seeds for longer.

mod credits;
mod emission;
mod pools;
mod staking;

use std::{collections::BTreeMap, fmt::Debug};

use alloy::primitives::U256;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tandem_contracts::world::{Outcome, Revert};

use crate::model::Refused;

/// So many steps the models take together in every run, short or long.
const LEAST_STEPS: usize = 20_000;
const _: () = assert!(credits::STEPS + emission::STEPS + pools::STEPS + staking::STEPS >= LEAST_STEPS);

/// Seeds of a deep run, and how much longer each of them lasts.
const DEEP_SEEDS: u64 = 8;
const DEEP_FACTOR: usize = 3;

/// Where a run is, for its failures.
pub(crate) struct Dice {
    rng: ChaCha8Rng,
    seed: u64,
    step: usize,
    doing: String,
    call: &'static str,
    /// How often each call succeeded, and was refused.
    outcomes: BTreeMap<&'static str, (u64, u64)>,
    /// Why calls without a model were refused.
    refusals: BTreeMap<(&'static str, String), u64>,
    /// How often something happened that the run must not miss.
    seen: BTreeMap<&'static str, u64>,
}

impl Dice {
    fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            rng,
            seed,
            step: 0,
            doing: String::new(),
            call: "",
            outcomes: BTreeMap::new(),
            refusals: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Begins a call.
    pub(crate) fn doing(&mut self, call: &'static str, with: impl Debug) {
        self.call = call;
        self.doing = format!("{call} {with:?}");
    }

    /// One of `0..below`.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    pub(crate) fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.rng.random_range(least..=most)
    }

    /// At most `most`, of every order of magnitude alike; the ends more often than anything between.
    pub(crate) fn amount(&mut self, most: u128) -> u128 {
        match self.below(16) {
            0 => most,
            1 => most.min(1),
            2 => 0,
            _ => {
                let bits = u128::BITS - most.leading_zeros();
                let drawn = self.rng.random_range(0..=bits);
                let cap = if drawn == 0 { 0 } else { u128::MAX >> (u128::BITS - drawn) };
                self.rng.random_range(0..=cap).min(most)
            }
        }
    }

    /// Notes that something happened, if it did.
    pub(crate) fn saw(&mut self, what: &'static str, it: bool) {
        *self.seen.entry(what).or_default() += u64::from(it);
    }

    /// Something that must hold.
    #[track_caller]
    pub(crate) fn holds(&self, holds: bool, what: impl FnOnce() -> String) {
        assert!(holds, "{}: {}", self.place(), what());
    }

    /// The same on both sides.
    #[track_caller]
    pub(crate) fn same<T: PartialEq + Debug>(&self, what: &str, chain: T, model: T) {
        assert_eq!(chain, model, "{}: {what}: left the contracts, right the model", self.place());
    }

    fn place(&self) -> String {
        format!("seed {}, step {}, {}", self.seed, self.step, self.doing)
    }

    /// A call that may be refused, for any reason but a broken contract.
    #[track_caller]
    pub(crate) fn tried<C>(&mut self, chain: Result<Outcome<C>, Revert>) -> Option<Outcome<C>> {
        let outcomes = self.outcomes.entry(self.call).or_default();
        match chain {
            Ok(outcome) => {
                outcomes.0 += 1;
                Some(outcome)
            }
            Err(revert) => {
                outcomes.1 += 1;
                let broken = ["Panic", "Halt", "Unknown", "UnreadableAnswer"].contains(&revert.name.as_str());
                assert!(!broken, "{}: {}: {revert}", self.place(), revert.name);
                *self.refusals.entry((self.call, revert.name)).or_default() += 1;
                None
            }
        }
    }

    /// Both sides did it, or both refused it for the same reason; what both answered, if they did.
    #[track_caller]
    pub(crate) fn agree<C, M>(
        &mut self,
        chain: Result<Outcome<C>, Revert>,
        model: Result<M, Refused>,
    ) -> Option<(Outcome<C>, M)> {
        let outcomes = self.outcomes.entry(self.call).or_default();
        match (chain, model) {
            (Ok(chain), Ok(model)) => {
                outcomes.0 += 1;
                Some((chain, model))
            }
            (Err(revert), Err(refused)) => {
                outcomes.1 += 1;
                let named = refused.0.contains(revert.name.as_str());
                assert!(named, "{}: reverts with {revert}, the model expects {:?}", self.place(), refused.0);
                None
            }
            (Ok(_), Err(refused)) => panic!("{}: succeeds, the model expects {:?}", self.place(), refused.0),
            (Err(revert), Ok(_)) => panic!("{}: reverts with {revert}, the model succeeds", self.place()),
        }
    }
}

/// Plays so many steps, with the seed of the environment if it names one.
pub(crate) fn play<S>(steps: usize, mut begin: impl FnMut() -> S, mut step: impl FnMut(&mut S, &mut Dice)) {
    let named = std::env::var("TANDEM_SEED").ok().map(|seed| seed.parse().expect("TANDEM_SEED is a number"));
    let deep = cfg!(feature = "deep");
    let seeds = match named {
        Some(seed) => seed..seed + 1,
        None => 1..if deep { 1 + DEEP_SEEDS } else { 2 },
    };
    for seed in seeds {
        let (mut state, mut dice) = (begin(), Dice::new(seed));
        for number in 1..=if deep { steps * DEEP_FACTOR } else { steps } {
            dice.step = number;
            step(&mut state, &mut dice);
        }
        // Nothing is proved by what never happens.
        let idle: Vec<_> = dice.outcomes.iter().filter(|(_, outcomes)| outcomes.0 == 0).collect();
        let missed: Vec<_> = dice.seen.iter().filter(|(_, times)| **times == 0).collect();
        let calls: u64 = dice.outcomes.values().map(|(done, refused)| done + refused).sum();
        eprintln!(
            "seed {seed}: {} steps, {calls} calls, succeeded and refused: {:?}; seen: {:?}",
            dice.step, dice.outcomes, dice.seen
        );
        assert!(dice.step >= steps, "{} of {steps} steps", dice.step);
        assert!(
            idle.is_empty() && missed.is_empty(),
            "seed {seed}: never succeeded: {idle:?} {:?}, never seen: {missed:?}",
            dice.refusals
        );
    }
}

/// `value` is `exact / scale` rounded up, and no more than that.
pub(crate) fn is_up(value: u128, exact: U256, scale: u128) -> bool {
    let scaled = U256::from(value) * U256::from(scale);
    scaled >= exact && scaled - exact < U256::from(scale)
}

/// `value` is `exact / scale` rounded down, and no less than that.
pub(crate) fn is_down(value: u128, exact: U256, scale: u128) -> bool {
    let scaled = U256::from(value) * U256::from(scale);
    scaled <= exact && exact - scaled < U256::from(scale)
}

/// `a · b`.
pub(crate) fn product(a: u128, b: u128) -> U256 {
    U256::from(a) * U256::from(b)
}
