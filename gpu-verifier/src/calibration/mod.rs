//! What was measured of one model on one operator's machines, and the limits and tests that follow from it.
//!
//! A calibration is a JSON file of whole numbers: rates are in millionths, evidence in thousandths of a nat. It says how often
//! honest machines and cheats exceeded each level, and everything that is promised follows from these counts; a file whose
//! promises do not is refused. It holds neither time nor place, so that the same seed on the same machine gives the same bytes.

mod fit;

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use self::fit::{ErrorRates, FitError, HONEST_LEAST, conclude, fit};
use crate::backend::Numerics;
use crate::stats::{MILLION, lower_ppm, upper_ppm};
use crate::verdict::{BETS, Drift, GRADES, LEVELS, Limits, MEASURES, Policy, SUSPECT, Scale, Sprt};

/// Version of the file's format.
pub const SCHEMA: u32 = 1;
/// Confidence of every bound that is called one.
pub const CONFIDENCE: f64 = 0.95;
/// Confidence of each of the bounds that the drift test uses, so that all of them hold together with [`CONFIDENCE`].
pub const JOINT: f64 = 1.0 - (1.0 - CONFIDENCE) / LEVELS as f64;
/// Responses that the tests' probabilities are stated for: what two audits an epoch give in a week of hourly epochs.
pub const HORIZON: u32 = 336;

/// Largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;
/// Largest of any limit: a thousandth of an excess of a million deviations.
const LIMIT: u32 = 1_000_000_000;
/// Most responses of one series.
const RESPONSES: u64 = 1_000_000;

/// A file that is no calibration, or not of this model.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It is not the JSON that it should be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It contradicts itself or exceeds a bound.
    #[error("{0}")]
    Content(String),
    /// It is about another model.
    #[error("the calibration is of model {theirs}, this one is {own}")]
    Model {
        /// Digest in the file.
        theirs: String,
        /// Digest of the model at hand.
        own: String,
    },
}

/// How the responses came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Seed of prompts, lengths, temperatures and sampling seeds.
    pub seed: u64,
    /// Longest answer asked for, tokens.
    pub max_tokens: u64,
    /// SHA-256 of the text that passages were taken from.
    pub text: String,
    /// How the verifier adds.
    pub verifier: Numerics,
}

/// What honest machines give, measure by measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "one field for each variant of `Measure`")]
pub struct Scales {
    pub signs: Scale,
    pub exponents: Scale,
    pub mantissas: Scale,
    pub margin: Scale,
    pub worst_margin: Scale,
    pub disagreement: Scale,
}

impl Scales {
    /// In the order of [`Measure::ALL`](crate::verdict::Measure::ALL).
    pub const fn array(&self) -> [Scale; MEASURES] {
        [self.signs, self.exponents, self.mantissas, self.margin, self.worst_margin, self.disagreement]
    }

    /// The inverse of [`array`](Self::array).
    pub const fn from_array(scales: [Scale; MEASURES]) -> Self {
        let [signs, exponents, mantissas, margin, worst_margin, disagreement] = scales;
        Self { signs, exponents, mantissas, margin, worst_margin, disagreement }
    }
}

/// A series of responses, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Of which machine or cheat.
    pub name: String,
    /// Responses of each grade, hard faults left out.
    pub grades: [u32; GRADES],
    /// Responses with a hard fault.
    pub hard: u32,
    /// Tokens of all responses.
    pub tokens: u64,
}

impl Counts {
    /// Counts a response.
    pub fn add(&mut self, grade: usize, hard: bool, tokens: usize) {
        if hard {
            self.hard += 1;
        } else {
            self.grades[grade.min(LEVELS)] += 1;
        }
        self.tokens += tokens as u64;
    }

    /// All responses.
    pub fn responses(&self) -> u64 {
        self.grades.iter().map(|&count| u64::from(count)).sum::<u64>() + u64::from(self.hard)
    }

    /// Responses of a grade or above, hard faults included.
    pub fn from_grade(&self, grade: usize) -> u64 {
        self.grades.iter().skip(grade).map(|&count| u64::from(count)).sum::<u64>() + u64::from(self.hard)
    }
}

/// How a test goes within [`HORIZON`] responses, computed exactly for rates at the unfavourable end of their intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Probability that it fails the contributor, millionths.
    pub fails: u32,
    /// Probability that it passes it, millionths.
    pub passes: u32,
    /// Expected number of responses until it decides, thousandths; one that does not decide counts as the horizon.
    pub responses: u32,
}

/// A machine or a cheat, and what may be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What was counted.
    pub counts: Counts,
    /// One-sided bound on the share of suspect responses, millionths: of a machine at most, of a cheat at least so many.
    pub suspect: u32,
    /// The test within an epoch.
    pub sprt: Course,
    /// The test over many epochs: of a cheat, the bet that fails it most probably; of a machine, the sum over all bets.
    pub drift: Course,
}

/// Which test tells a cheat from an honest contributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separation {
    /// Wald's test, within an epoch if there are a few responses.
    Sprt,
    /// Only the drift test, over many epochs.
    Drift,
    /// None: this cheat is not caught.
    None,
}

impl Series {
    /// Which test fails such a contributor with a probability of nine tenths within the horizon.
    pub const fn separation(&self) -> Separation {
        const POWER: u32 = MILLION / 10 * 9;
        if self.sprt.fails >= POWER {
            Separation::Sprt
        } else if self.drift.fails >= POWER {
            Separation::Drift
        } else {
            Separation::None
        }
    }
}

/// The content of a calibration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Digest of the model's files in hexadecimal, see [`ModelFiles::digest`](crate::model::ModelFiles::digest).
    pub model: String,
    /// Where the responses came from.
    pub origin: Origin,
    /// Limits on one response.
    pub scales: Scales,
    /// Bounds on how often an honest response exceeds each level, millionths, which all hold together.
    pub tails: [u32; LEVELS],
    /// The test within an epoch.
    pub sprt: Sprt,
    /// The bets of the test over many epochs.
    pub drift: [Drift; BETS],
    /// Honest machines; responses that limits were fitted to are not among those counted.
    pub machines: Vec<Series>,
    /// Cheats.
    pub cheats: Vec<Series>,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, CalibrationError> {
    Err(CalibrationError::Content(reason.into()))
}

impl Calibration {
    /// Reads a file and makes the policy for the model with this digest.
    ///
    /// # Errors
    /// [`CalibrationError`].
    pub fn policy_for(path: &Path, model: &[u8; 32]) -> Result<Policy, CalibrationError> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        let calibration = Self::parse(&bytes)?;
        let own = hex::encode(model);
        if calibration.model != own {
            return Err(CalibrationError::Model { theirs: calibration.model, own });
        }
        Ok(calibration.policy())
    }

    /// Parses and checks a file's content.
    ///
    /// # Errors
    /// [`CalibrationError`] for anything that is not exactly a calibration whose promises follow from its counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, CalibrationError> {
        if bytes.len() as u64 > LARGEST {
            return refuse(format!("larger than {LARGEST} bytes"));
        }
        let calibration: Self = serde_json::from_slice(bytes)?;
        calibration.check()?;
        Ok(calibration)
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        // Numbers and strings only: nothing that JSON cannot hold.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// How to judge by it.
    pub fn policy(&self) -> Policy {
        Policy {
            limits: Limits::Calibrated(self.scales.array()),
            sprt: self.sprt,
            drift: Some(self.drift),
            calibration: Sha256::digest(self.to_json()).into(),
        }
    }

    fn check(&self) -> Result<(), CalibrationError> {
        if self.schema != SCHEMA {
            return refuse(format!("schema {} is not {SCHEMA}", self.schema));
        }
        for (what, text) in [("model", &self.model), ("origin.text", &self.origin.text)] {
            if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                return refuse(format!("{what} is no SHA-256 in lower-case hexadecimal"));
            }
        }
        for scale in self.scales.array() {
            if scale.limits.windows(2).any(|pair| pair[0] > pair[1]) || scale.limits[LEVELS - 1] > LIMIT {
                return refuse("the limits of a measure do not ascend, or are too large");
            }
        }
        if self.machines.is_empty() || self.machines.len() > 16 || self.cheats.len() > 64 {
            return refuse("a calibration has 1 to 16 machines and at most 64 cheats");
        }
        let mut names = HashSet::new();
        for series in self.machines.iter().chain(&self.cheats) {
            let name = &series.counts.name;
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) || !names.insert(name) {
                return refuse(format!("{name:?} is no name, or used twice"));
            }
            let probabilities = [series.sprt, series.drift].map(|c| u64::from(c.fails) + u64::from(c.passes));
            if series.counts.responses() > RESPONSES || probabilities.iter().any(|&p| p > u64::from(MILLION) + 1) {
                return refuse(format!("{name} has too many responses, or probabilities above 1"));
            }
        }
        self.check_tails()?;
        self.sprt.check().map_err(|error| CalibrationError::Content(error.to_string()))?;
        self.drift
            .iter()
            .try_for_each(|bet| bet.check(&self.tails))
            .map_err(|error| CalibrationError::Content(error.to_string()))
    }

    /// What is promised of honest contributors must follow from what honest machines did.
    fn check_tails(&self) -> Result<(), CalibrationError> {
        if self.tails.windows(2).any(|pair| pair[0] < pair[1]) || self.tails[0] > MILLION {
            return refuse("the tails do not descend");
        }
        for machine in &self.machines {
            let Counts { name, hard, .. } = &machine.counts;
            if *hard > 0 || machine.counts.responses() < HONEST_LEAST {
                return refuse(format!(
                    "{name} has hard faults or fewer than {HONEST_LEAST} responses: no honest machine"
                ));
            }
            let bounds = machine.counts.tails(JOINT);
            if bounds.iter().zip(&self.tails).any(|(bound, tail)| *bound > tail.saturating_add(1)) {
                return refuse(format!("{name} exceeds levels more often than the tails allow"));
            }
            let suspect = machine.counts.suspect_at_most();
            if suspect > machine.suspect.saturating_add(1) || suspect > self.sprt.honest_suspect.saturating_add(1) {
                return refuse(format!("{name} is suspect more often than the test assumes of honest contributors"));
            }
        }
        let claims_too_much = |cheat: &&Series| cheat.suspect > cheat.counts.suspect_at_least().saturating_add(1);
        match self.cheats.iter().find(claims_too_much) {
            Some(cheat) => refuse(format!("{} is suspect less often than is claimed", cheat.counts.name)),
            None => Ok(()),
        }
    }
}

impl Counts {
    /// Upper bounds, millionths, on how often each level is exceeded.
    fn tails(&self, confidence: f64) -> [u32; LEVELS] {
        std::array::from_fn(|level| upper_ppm(self.from_grade(level + 1), self.responses(), confidence))
    }

    fn suspect_at_most(&self) -> u32 {
        upper_ppm(self.from_grade(SUSPECT), self.responses(), CONFIDENCE)
    }

    fn suspect_at_least(&self) -> u32 {
        lower_ppm(self.from_grade(SUSPECT), self.responses(), CONFIDENCE)
    }
}
