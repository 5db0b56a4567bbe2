//! From measurements to verdicts: pure functions, no model, no clock.
//!
//! A *hard* fault, of which one proves bad faith, fails a contributor at once. Everything else is statistical: an honest
//! machine may produce it now and then. Each response gets a grade, and is clean or suspect; sequential tests over responses
//! say whether they are those of an honest contributor, with stated error rates, or ask for more. Limits and tests are
//! published ones, or those of a [calibration](crate::calibration). See `docs/verification.md`.

mod measure;
mod test;

use serde::{Deserialize, Serialize};
use toploc::Fault;

pub use self::measure::{GRADES, LEVELS, MEASURES, Measure, Measures, SUSPECT, Scale};
pub use self::test::{BETS, Drift, Sprt, TestError, worst};
pub use crate::sequential::Decision;
use crate::verify::{ResponseFeatures, Termination};

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The response is malformed (hard).
    Malformed,
    /// A proof was not drawn through activations (hard).
    Decoy,
    /// Signs of hidden states disagree.
    Sign,
    /// Exponents of hidden states disagree.
    Exponents,
    /// Mantissas of hidden states disagree on average.
    MantissaMean,
    /// Mantissas of hidden states disagree in the middle.
    MantissaMedian,
    /// Tokens are not those that the seed draws.
    Sampling,
    /// The answer ended too early or went on too long.
    Termination,
}

impl Reason {
    /// Whether one occurrence proves bad faith.
    pub fn is_hard(self) -> bool {
        matches!(self, Self::Malformed | Self::Decoy)
    }
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Decoy => Self::Decoy,
            Fault::Sign => Self::Sign,
            Fault::Exponents => Self::Exponents,
            Fault::MantissaMean => Self::MantissaMean,
            Fault::MantissaMedian => Self::MantissaMedian,
        }
    }
}

/// Judgement of one response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reasons")]
pub enum ResponseVerdict {
    /// Nothing is wrong.
    Pass,
    /// Something is off that may happen to an honest contributor.
    Suspect(Vec<Reason>),
    /// Bad faith is proved; the reasons include at least one hard one.
    HardFault(Vec<Reason>),
}

/// Limits on the measurements of one response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limits {
    /// The same for every model.
    Published {
        /// On hidden states, per block.
        thresholds: toploc::Thresholds,
        /// Least share of tokens that are exactly the verifier's draw.
        min_agreement: f64,
        /// Largest mean margin, in units of logits.
        max_mean_margin: f64,
    },
    /// Measured for one model, in the order of [`Measure::ALL`].
    Calibrated([Scale; MEASURES]),
}

impl Limits {
    /// The published limits with other ones on hidden states: 90 % of tokens exact, which is under the 98 % measured between
    /// different machines and far over what another model reaches.
    pub const fn published(thresholds: toploc::Thresholds) -> Self {
        Self::Published { thresholds, min_agreement: 0.9, max_mean_margin: 0.3 }
    }
}

/// How responses and contributors are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Limits on one response.
    pub limits: Limits,
    /// The test that decides within an epoch.
    pub sprt: Sprt,
    /// The bets of the test over many epochs, where a calibration provides them.
    pub drift: Option<[Drift; BETS]>,
    /// SHA-256 of the calibration file; zero for the published limits. Grades are comparable only under the same one.
    pub calibration: [u8; 32],
}

impl Default for Policy {
    /// The published limits. One honest contributor in a thousand fails, one cheat in a hundred passes: two suspect responses
    /// fail, three clean ones pass.
    fn default() -> Self {
        Self::published(toploc::Thresholds::default())
    }
}

impl Policy {
    /// The published limits with other ones on hidden states. Nobody measured the rates that its test assumes: 1 % of honest
    /// responses suspect, 90 % of a cheat's.
    pub fn published(thresholds: toploc::Thresholds) -> Self {
        // `Sprt::new(10_000, 900_000, 1_000, 10_000)`, as a test checks.
        let sprt = Sprt {
            honest_suspect: 10_000,
            cheat_suspect: 900_000,
            false_fail: 1_000,
            false_pass: 10_000,
            clean: -2_293,
            suspect: 4_499,
            fail_at: 6_908,
            pass_at: -4_606,
        };
        Self { limits: Limits::published(thresholds), sprt, drift: None, calibration: [0; 32] }
    }

    /// Judges one response.
    pub fn judge(&self, features: &ResponseFeatures) -> ResponseVerdict {
        self.examine(features).0
    }

    /// Judges one response and grades it: 0 to [`LEVELS`]. Hard faults and what is beyond statistics have the highest grade.
    pub fn examine(&self, features: &ResponseFeatures) -> (ResponseVerdict, usize) {
        let mut grade = 0;
        let mut found: Vec<(Reason, usize)> = Vec::new();
        if features.malformed.is_some() || features.tokens == 0 {
            found.push((Reason::Malformed, LEVELS));
        }
        if matches!(features.termination, Some(Termination::Early | Termination::Late)) {
            found.push((Reason::Termination, LEVELS));
        }
        match &self.limits {
            Limits::Published { thresholds, min_agreement, max_mean_margin } => {
                let faults = features.blocks.iter().flat_map(|block| thresholds.judge(block));
                found.extend(faults.map(|fault| (Reason::from(fault), SUSPECT)));
                if let Some(sampling) = &features.sampling {
                    let agreement = sampling.agreeing as f64 / sampling.tokens.max(1) as f64;
                    if agreement < *min_agreement || sampling.mean_margin > *max_mean_margin {
                        found.push((Reason::Sampling, SUSPECT));
                    }
                }
            }
            Limits::Calibrated(scales) => {
                if features.blocks.iter().any(|block| block.decoy_hits > block.decoy_limit) {
                    found.push((Reason::Decoy, LEVELS));
                }
                if let Some(measures) = Measures::of(features) {
                    let values = Measure::ALL.into_iter().zip(scales).zip(measures.values);
                    found.extend(values.map(|((measure, scale), value)| {
                        (measure.reason(), scale.grade(measure, value, measures.tokens))
                    }));
                }
            }
        }
        found.iter().for_each(|(_, level)| grade = grade.max(*level));
        let mut reasons: Vec<Reason> = found.into_iter().filter(|(_, g)| *g >= SUSPECT).map(|(r, _)| r).collect();
        reasons.sort_unstable();
        reasons.dedup();
        if reasons.is_empty() {
            (ResponseVerdict::Pass, grade)
        } else if reasons.iter().any(|reason| reason.is_hard()) {
            (ResponseVerdict::HardFault(reasons), LEVELS)
        } else {
            (ResponseVerdict::Suspect(reasons), grade)
        }
    }
}

/// The responses of one contributor, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Responses with nothing wrong.
    pub clean: u32,
    /// Responses with a statistical fault.
    pub suspect: u32,
    /// Responses with a hard fault.
    pub hard: u32,
    /// Tokens audited, over all responses that were not malformed.
    pub tokens: u64,
}

impl Aggregate {
    /// Adds a judged response.
    pub fn add(&mut self, features: &ResponseFeatures, verdict: &ResponseVerdict) {
        match verdict {
            ResponseVerdict::Pass => self.clean += 1,
            ResponseVerdict::Suspect(_) => self.suspect += 1,
            ResponseVerdict::HardFault(_) => self.hard += 1,
        }
        if features.malformed.is_none() {
            self.tokens += features.tokens as u64;
        }
    }

    /// Wald's test on the counts so far. One hard fault fails.
    pub fn decide(&self, policy: &Policy) -> Decision {
        if self.hard > 0 { Decision::Fail } else { policy.sprt.decide(self.clean, self.suspect) }
    }
}
