//! From measurements to verdicts: pure functions, no model, no clock.
//!
//! A *hard* fault, of which one proves bad faith, fails a contributor at once. Everything else is statistical: an honest
//! machine may produce it now and then. Each response is then clean or suspect, and Wald's sequential probability ratio
//! test over responses decides between "suspect as rarely as an honest one" and "suspect as often as a cheat", with
//! stated error rates, or asks for more.

use serde::{Deserialize, Serialize};
use toploc::Fault;

use crate::verify::{ResponseFeatures, Termination};

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// Limits and error rates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Limits on hidden states, per block.
    pub thresholds: toploc::Thresholds,
    /// Least share of tokens that are exactly the verifier's draw.
    pub min_agreement: f64,
    /// Largest mean margin, in units of logits.
    pub max_mean_margin: f64,
    /// Share of an honest contributor's responses that may be suspect.
    pub honest_suspect: f64,
    /// Share of a cheat's responses that is at least suspect.
    pub cheat_suspect: f64,
    /// Probability that the test fails an honest contributor.
    pub false_fail: f64,
    /// Probability that the test passes a cheat.
    pub false_pass: f64,
}

impl Default for Policy {
    /// The published limits on hidden states; 90 % of tokens exact, which is under the 98 % measured between different
    /// machines and far over what another model reaches; one honest contributor in a thousand failed, one cheat in a
    /// hundred passed. Two suspect responses fail, three clean ones pass.
    fn default() -> Self {
        Self {
            thresholds: toploc::Thresholds::default(),
            min_agreement: 0.9,
            max_mean_margin: 0.3,
            honest_suspect: 0.01,
            cheat_suspect: 0.9,
            false_fail: 0.001,
            false_pass: 0.01,
        }
    }
}

impl Policy {
    /// Judges one response.
    pub fn judge(&self, features: &ResponseFeatures) -> ResponseVerdict {
        let mut reasons: Vec<Reason> = Vec::new();
        if features.malformed.is_some() || features.tokens == 0 {
            reasons.push(Reason::Malformed);
        }
        reasons.extend(features.blocks.iter().flat_map(|block| self.thresholds.judge(block)).map(Reason::from));
        if let Some(sampling) = &features.sampling {
            let agreement = sampling.agreeing as f64 / sampling.tokens.max(1) as f64;
            if agreement < self.min_agreement || sampling.mean_margin > self.max_mean_margin {
                reasons.push(Reason::Sampling);
            }
        }
        if matches!(features.termination, Some(Termination::Early | Termination::Late)) {
            reasons.push(Reason::Termination);
        }
        reasons.sort_unstable();
        reasons.dedup();
        if reasons.is_empty() {
            ResponseVerdict::Pass
        } else if reasons.iter().any(|reason| reason.is_hard()) {
            ResponseVerdict::HardFault(reasons)
        } else {
            ResponseVerdict::Suspect(reasons)
        }
    }
}

/// What is known of a contributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Serves what it claims.
    Pass,
    /// Does not.
    Fail,
    /// More responses are needed; earns nothing until then.
    Undecided,
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
        if self.hard > 0 {
            return Decision::Fail;
        }
        let (p0, p1) = (policy.honest_suspect, policy.cheat_suspect);
        let ratio = f64::from(self.suspect) * (p1 / p0).ln() + f64::from(self.clean) * ((1.0 - p1) / (1.0 - p0)).ln();
        if ratio >= ((1.0 - policy.false_pass) / policy.false_fail).ln() {
            Decision::Fail
        } else if ratio <= (policy.false_pass / (1.0 - policy.false_fail)).ln() {
            Decision::Pass
        } else {
            Decision::Undecided
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(clean: u32, suspect: u32, hard: u32) -> Decision {
        Aggregate { clean, suspect, hard, tokens: 0 }.decide(&Policy::default())
    }

    #[test]
    fn one_hard_fault_fails_whatever_else_was_seen() {
        assert_eq!(decide(1_000, 0, 1), Decision::Fail);
    }

    #[test]
    fn clean_responses_pass_suspect_ones_fail_and_a_single_one_decides_nothing() {
        assert_eq!([decide(0, 0, 0), decide(1, 0, 0), decide(0, 1, 0), decide(1, 1, 0)], [Decision::Undecided; 4]);
        assert_eq!([decide(3, 0, 0), decide(50, 3, 0)], [Decision::Pass; 2]);
        assert_eq!([decide(0, 2, 0), decide(2, 5, 0)], [Decision::Fail; 2]);
    }

    #[test]
    fn malformed_responses_are_hard_and_early_endings_are_not() {
        let mut features = ResponseFeatures {
            tokens: 5,
            malformed: None,
            termination: Some(Termination::Early),
            blocks: vec![],
            sampling: None,
        };
        let policy = Policy::default();
        assert_eq!(policy.judge(&features), ResponseVerdict::Suspect(vec![Reason::Termination]));
        features.tokens = 0;
        assert_eq!(policy.judge(&features), ResponseVerdict::HardFault(vec![Reason::Malformed, Reason::Termination]));
    }
}
