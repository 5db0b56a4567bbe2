//! Sums of integers that grow with the evidence, and the exact probabilities with which they reach a bound.
//!
//! Every response has a grade, every grade a weight in thousandths of a nat (a natural logarithm of a likelihood ratio). The
//! sum of the weights is the evidence. If `E[exp(weight)] <= 1` for an honest contributor, then `exp(sum)` is a
//! supermartingale, and Ville's inequality bounds the probability that it *ever* reaches `1/α` by `α`: whoever looks, how
//! often, and whenever they stop. The sum does not know the order of the responses.

use serde::{Deserialize, Serialize};

/// Units of evidence per nat.
pub const NAT: f64 = 1000.0;

/// What is known of a contributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Serves what it claims.
    Pass,
    /// Does not.
    Fail,
    /// More responses are needed.
    Undecided,
}

/// A sum and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk<'a> {
    /// Weight of each grade, in units of [`NAT`].
    pub weights: &'a [i32],
    /// At this sum or above the contributor fails.
    pub fail_at: i32,
    /// At this sum *plus the number of responses* or below it passes. The number makes up for weights that were rounded down.
    pub pass_at: Option<i32>,
}

/// How a walk goes, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Probability that it fails the contributor within the horizon.
    pub fail: f64,
    /// Probability that it passes it within the horizon.
    pub pass: f64,
    /// Expected number of responses until it decides; one that is still undecided at the horizon counts as the horizon.
    pub expected: f64,
    /// Responses by which at least half of all walks have decided, if the horizon is not too short.
    pub median: Option<u32>,
}

/// How far below zero a sum is followed. Lower ones are counted there, from where they come back sooner: what this gives for
/// failing is an upper bound, by less than 1e-12.
const DEPTH: i32 = -30_000;

impl Walk<'_> {
    /// The evidence in so many responses of each grade.
    pub fn sum(&self, counts: &[u64]) -> i64 {
        let product =
            |(&weight, &count): (&i32, &u64)| i64::from(weight) * i64::try_from(count).unwrap_or(i64::MAX >> 32);
        self.weights.iter().zip(counts).map(product).sum()
    }

    /// The decision on so many responses of each grade, in any order.
    pub fn decide(&self, counts: &[u64]) -> Decision {
        let sum = self.sum(counts);
        let responses = i64::try_from(counts.iter().sum::<u64>()).unwrap_or(i64::MAX >> 1);
        self.settle(sum, responses)
    }

    fn settle(&self, sum: i64, responses: i64) -> Decision {
        if sum >= i64::from(self.fail_at) {
            Decision::Fail
        } else if self.pass_at.is_some_and(|bound| sum + responses <= i64::from(bound)) {
            Decision::Pass
        } else {
            Decision::Undecided
        }
    }

    /// Follows all walks at once: responses are independent, of grade `g` with probability `rates[g]`, and what is missing to
    /// 1 is a hard fault, which fails at once.
    pub fn course(&self, rates: &[f64], horizon: u32) -> Course {
        let low = self.pass_at.map_or(DEPTH, |bound| bound.min(0) - 1 - i32::try_from(horizon).unwrap_or(i32::MAX / 4));
        let cells = usize::try_from(i64::from(self.fail_at.max(1)) - i64::from(low)).unwrap_or(0);
        let start = low.unsigned_abs() as usize;
        let mut mass = vec![0.0; cells];
        let mut next = vec![0.0; cells];
        mass[start] = 1.0;
        let hard = (1.0 - rates.iter().sum::<f64>()).max(0.0);
        let (mut course, mut open) = (Course { fail: 0.0, pass: 0.0, expected: 0.0, median: None }, 1.0);
        // Cells that hold anything.
        let (mut first, mut last) = (start, start);
        for step in 1..=horizon {
            course.expected += open;
            next.fill(0.0);
            let (mut new_first, mut new_last) = (cells, 0);
            for (cell, &here) in mass.iter().enumerate().take(last + 1).skip(first).filter(|(_, here)| **here > 0.0) {
                course.fail += here * hard;
                for (&weight, &rate) in self.weights.iter().zip(rates) {
                    let sum = low as i64 + cell as i64 + i64::from(weight);
                    match self.settle(sum, i64::from(step)) {
                        Decision::Fail => course.fail += here * rate,
                        Decision::Pass => course.pass += here * rate,
                        Decision::Undecided => {
                            let to = usize::try_from(sum - i64::from(low)).unwrap_or(0);
                            next[to] += here * rate;
                            (new_first, new_last) = (new_first.min(to), new_last.max(to));
                        }
                    }
                }
            }
            std::mem::swap(&mut mass, &mut next);
            (first, last) = (new_first, new_last);
            open = (1.0 - course.fail - course.pass).max(0.0);
            if open <= 0.5 && course.median.is_none() {
                course.median = Some(step);
            }
            if first > last {
                break;
            }
        }
        course
    }
}

/// The largest weight that is not above `ln(ratio)`.
pub(crate) fn weight(ratio: f64) -> i32 {
    (ratio.ln() * NAT).floor() as i32
}

/// The bound that evidence against an honest contributor reaches with probability `ppm` millionths at most: `ln(1/α)`, rounded
/// up.
pub(crate) fn bound(ppm: u32) -> i32 {
    ((1e6 / f64::from(ppm.max(1))).ln() * NAT).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All sequences of a short walk, one by one.
    #[test]
    fn the_course_is_what_enumerating_all_sequences_gives() {
        let walk = Walk { weights: &[-700, 300, 2_500], fail_at: 3_000, pass_at: Some(-1_900) };
        let rates = [0.6, 0.25, 0.1];
        let (mut fail, mut pass, mut expected) = (0.0, 0.0, 0.0);
        let mut open = vec![(0_i64, 1.0)];
        for step in 1..=7 {
            expected += open.iter().map(|(_, p)| p).sum::<f64>();
            let mut still = Vec::new();
            for (sum, p) in open {
                fail += p * 0.05;
                for (weight, rate) in walk.weights.iter().zip(rates) {
                    let (sum, p) = (sum + i64::from(*weight), p * rate);
                    if sum >= 3_000 {
                        fail += p;
                    } else if sum + step <= -1_900 {
                        pass += p;
                    } else {
                        still.push((sum, p));
                    }
                }
            }
            open = still;
        }
        let course = walk.course(&rates, 7);
        assert!((course.fail - fail).abs() < 1e-12 && (course.pass - pass).abs() < 1e-12);
        assert!((course.expected - expected).abs() < 1e-12);
    }

    #[test]
    fn a_hard_fault_alone_decides_and_nothing_does_not() {
        let walk = Walk { weights: &[0], fail_at: 5, pass_at: None };
        let course = walk.course(&[0.75], 100);
        assert!((course.fail - 1.0).abs() < 1e-9 && (course.expected - 4.0).abs() < 1e-6);
        assert_eq!(course.median, Some(3));
        assert_eq!(walk.course(&[1.0], 50), Course { fail: 0.0, pass: 0.0, expected: 50.0, median: None });
    }
}
