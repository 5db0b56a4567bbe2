//! The two sequential tests. Both are sums of integers; see [`sequential`](crate::sequential).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::measure::{GRADES, LEVELS};
use crate::sequential::{Course, Decision, NAT, Walk, bound, weight};
use crate::stats::MILLION;

/// Rates that no test can be made for, or weights that do not keep what they promise.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TestError(String);

fn refuse<T>(reason: impl Into<String>) -> Result<T, TestError> {
    Err(TestError(reason.into()))
}

/// Wald's sequential probability ratio test between "suspect as rarely as an honest contributor" and "suspect as often as a
/// cheat". Rates in millionths. The bounds are `ln(1/false_fail)` and `ln(false_pass)`, a little wider than Wald's: those keep
/// the error rates only approximately, these exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sprt {
    /// An honest contributor's responses are suspect at most as often.
    pub honest_suspect: u32,
    /// A cheat's responses are suspect at least as often.
    pub cheat_suspect: u32,
    /// Probability that an honest contributor ever fails.
    pub false_fail: u32,
    /// Probability that a cheat ever passes.
    pub false_pass: u32,
    /// Evidence in a clean response, thousandths of a nat, below zero.
    pub clean: i32,
    /// Evidence in a suspect one.
    pub suspect: i32,
    /// Fails at this sum.
    pub fail_at: i32,
    /// Passes at this sum, the number of responses added.
    pub pass_at: i32,
}

impl Sprt {
    /// The test for given rates, in millionths.
    ///
    /// # Errors
    /// [`TestError`] unless `0 < honest_suspect < cheat_suspect < 1` and both error rates lie between 0 and ½.
    pub fn new(honest_suspect: u32, cheat_suspect: u32, false_fail: u32, false_pass: u32) -> Result<Self, TestError> {
        if honest_suspect == 0 || honest_suspect >= cheat_suspect || cheat_suspect >= MILLION {
            return refuse(format!(
                "{honest_suspect} and {cheat_suspect} ppm of suspect responses cannot be told apart"
            ));
        }
        if [false_fail, false_pass].iter().any(|&rate| rate == 0 || rate >= MILLION / 2) {
            return refuse("error rates must lie between 0 and a half");
        }
        let (p0, p1) = (f64::from(honest_suspect), f64::from(cheat_suspect));
        let all = f64::from(MILLION);
        Ok(Self {
            honest_suspect,
            cheat_suspect,
            false_fail,
            false_pass,
            clean: weight((all - p1) / (all - p0)),
            suspect: weight(p1 / p0),
            fail_at: bound(false_fail),
            pass_at: -bound(false_pass),
        })
    }

    /// Checks that the weights keep the stated rates, whoever computed them.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn check(&self) -> Result<(), TestError> {
        let own = Self::new(self.honest_suspect, self.cheat_suspect, self.false_fail, self.false_pass)?;
        // Another library's logarithm may round the other way.
        let near = |a: i32, b: i32| (i64::from(a) - i64::from(b)).abs() <= 1;
        let pairs = [
            (self.clean, own.clean),
            (self.suspect, own.suspect),
            (self.fail_at, own.fail_at),
            (self.pass_at, own.pass_at),
        ];
        if pairs.iter().all(|&(a, b)| near(a, b)) {
            Ok(())
        } else {
            refuse("the test's weights do not follow from its rates")
        }
    }

    /// Decides on so many clean and suspect responses.
    pub fn decide(&self, clean: u32, suspect: u32) -> Decision {
        self.walk(&[self.clean, self.suspect]).decide(&[u64::from(clean), u64::from(suspect)])
    }

    /// How the test goes for a contributor of whose responses these shares are suspect and hard faults.
    pub fn course(&self, suspect: f64, hard: f64, horizon: u32) -> Course {
        self.walk(&[self.clean, self.suspect]).course(&[(1.0 - suspect - hard).max(0.0), suspect], horizon)
    }

    fn walk<'a>(&self, weights: &'a [i32; 2]) -> Walk<'a> {
        Walk { weights, fail_at: self.fail_at, pass_at: Some(self.pass_at) }
    }
}

/// Bets of the drift test: one against cheats that are always a little off, one against those that rarely are, one to spare.
pub const BETS: usize = 3;

/// One bet of the test for mild cheats: against "honest", it grows with every response that is a little too far off. It never
/// passes anybody; over many responses it fails whoever is worse than the worst honest machine. Several bets share the error
/// rate, and whom any of them fails has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Probability, in millionths, that an honest contributor ever fails.
    pub false_fail: u32,
    /// Evidence in a response of each grade, thousandths of a nat, not descending.
    pub weights: [i32; GRADES],
    /// Fails at this sum.
    pub fail_at: i32,
}

/// Evidence of one response is limited, so that no single one decides.
const LARGEST: i32 = 4_000;

impl Drift {
    /// The bet that grows fastest against a contributor whose responses have grade `g` with probability `cheat[g]`, among
    /// those that stay fair when at most `tails[i]` millionths of an honest contributor's responses exceed level `i + 1`.
    pub fn new(tails: &[u32; LEVELS], cheat: &[f64; GRADES], false_fail: u32) -> Self {
        let honest = worst(tails);
        // Likelihood ratios, made ascending by pooling neighbours (the pool-adjacent-violators rule): then the honest
        // distribution with the heaviest tails is the worst case.
        let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(GRADES);
        for (&q, &r) in honest.iter().zip(cheat) {
            pools.push((q, r, 1));
            while let [.., (q0, r0, n0), (q1, r1, n1)] = *pools.as_slice()
                && r0 * q1 >= r1 * q0
            {
                pools.truncate(pools.len() - 2);
                pools.push((q0 + q1, r0 + r1, n0 + n1));
            }
        }
        let mut weights = [0; GRADES];
        let ratios = pools.iter().flat_map(|&(q, r, n)| std::iter::repeat_n(r / q.max(1e-9), n));
        for (slot, ratio) in weights.iter_mut().zip(ratios) {
            *slot = weight(ratio.max(1e-9)).clamp(-LARGEST, LARGEST);
        }
        // Clamping from below may have made the bet unfair.
        while fairness(tails, &weights) > 1.0 {
            weights.iter_mut().for_each(|weight| *weight -= 1);
        }
        Self { false_fail, weights, fail_at: bound(false_fail) }
    }

    /// Checks that the bet is fair when honest responses exceed the levels at most as often as `tails` says, so that Ville's
    /// inequality holds.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn check(&self, tails: &[u32; LEVELS]) -> Result<(), TestError> {
        if self.false_fail == 0 || self.false_fail >= MILLION / 2 {
            return refuse("the drift test's error rate must lie between 0 and a half");
        }
        if self.fail_at < bound(self.false_fail) - 1 || self.fail_at > 100_000 {
            return refuse("the drift test's bound does not follow from its error rate");
        }
        if self.weights.iter().any(|weight| weight.unsigned_abs() > 2 * LARGEST.unsigned_abs()) {
            return refuse("the drift test's weights are out of range");
        }
        if self.weights.windows(2).any(|pair| pair[0] > pair[1]) {
            return refuse("the drift test's weights descend");
        }
        if fairness(tails, &self.weights) > 1.0 + 1e-9 {
            return refuse("the drift test's bet is not fair to honest contributors");
        }
        Ok(())
    }

    /// Decides on so many responses of each grade.
    pub fn decide(&self, counts: &[u64; GRADES]) -> Decision {
        self.walk().decide(counts)
    }

    /// Whether any of several bets fails a contributor with so many responses of each grade.
    pub fn any_fails(bets: &[Self], counts: &[u64; GRADES]) -> bool {
        bets.iter().any(|bet| bet.decide(counts) == Decision::Fail)
    }

    /// How the test goes for a contributor whose responses have these grades; what is missing to 1 are hard faults.
    pub fn course(&self, rates: &[f64; GRADES], horizon: u32) -> Course {
        self.walk().course(rates, horizon)
    }

    /// Evidence per response, in nats, against a contributor whose responses have these grades.
    pub fn growth(&self, rates: &[f64; GRADES]) -> f64 {
        self.weights.iter().zip(rates).map(|(&weight, rate)| f64::from(weight) / NAT * rate).sum()
    }

    fn walk(&self) -> Walk<'_> {
        Walk { weights: &self.weights, fail_at: self.fail_at, pass_at: None }
    }
}

/// The grades of the worst contributor that still counts as honest: it exceeds every level exactly as often as is allowed.
pub fn worst(tails: &[u32; LEVELS]) -> [f64; GRADES] {
    let mut rates = [0.0; GRADES];
    let mut above = 1.0;
    for (rate, &tail) in rates.iter_mut().zip(tails) {
        let tail = f64::from(tail) / f64::from(MILLION);
        *rate = above - tail;
        above = tail;
    }
    rates[LEVELS] = above;
    rates
}

/// Largest expectation of `exp(weight)` over honest contributors, for ascending weights.
fn fairness(tails: &[u32; LEVELS], weights: &[i32; GRADES]) -> f64 {
    worst(tails).iter().zip(weights).map(|(rate, &weight)| rate * (f64::from(weight) / NAT).exp()).sum()
}
