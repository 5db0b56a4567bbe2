//! One response in six numbers, and how far each is from what honest machines give.

use serde::{Deserialize, Serialize};

use crate::verdict::Reason;
use crate::verify::ResponseFeatures;

/// Levels of suspicion above none.
pub const LEVELS: usize = 4;
/// Grades of a response: 0 is unremarkable, each further one rarer among honest responses.
pub const GRADES: usize = LEVELS + 1;
/// From this grade on a response is suspect.
pub const SUSPECT: usize = 3;

/// What is measured of a response. Each is larger the worse the response agrees with the verifier's own model, and each is
/// pooled over the whole response, so that mild differences add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of compared elements whose sign differs.
    Signs,
    /// Share of compared elements whose exponent differs.
    Exponents,
    /// Mean difference of mantissas, of 127, over all elements whose exponent agrees.
    Mantissas,
    /// Mean margin of the tokens, each capped, in units of logits.
    Margin,
    /// Largest capped margin of a token.
    WorstMargin,
    /// Share of tokens that are not the verifier's draw.
    Disagreement,
}

/// Number of measures.
pub const MEASURES: usize = 6;

impl Measure {
    /// All of them, in the order in which values are stored.
    pub const ALL: [Self; MEASURES] =
        [Self::Signs, Self::Exponents, Self::Mantissas, Self::Margin, Self::WorstMargin, Self::Disagreement];

    /// The smallest difference worth telling, in the measure's own unit. It keeps a machine without any noise from making a
    /// mountain of a molehill.
    const fn resolution(self) -> f64 {
        match self {
            Self::Signs | Self::Exponents => 1.0 / 1024.0,
            Self::Mantissas | Self::WorstMargin => 1.0 / 64.0,
            Self::Margin => 1.0 / 1024.0,
            Self::Disagreement => 1.0 / 256.0,
        }
    }

    /// What a response is called that exceeds the limit of this measure.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Signs => Reason::Sign,
            Self::Exponents => Reason::Exponents,
            Self::Mantissas => Reason::MantissaMean,
            Self::Margin | Self::WorstMargin | Self::Disagreement => Reason::Sampling,
        }
    }
}

/// The measures of one response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Values in the order of [`Measure::ALL`].
    pub values: [f64; MEASURES],
    /// Tokens that they were pooled over, at least 1.
    pub tokens: usize,
}

impl Measures {
    /// The measures of a response that was re-run; `None` for one that is malformed.
    pub fn of(features: &ResponseFeatures) -> Option<Self> {
        let sampling = features.sampling.as_ref()?;
        if features.malformed.is_some() || sampling.tokens == 0 {
            return None;
        }
        let (mut points, mut signs, mut exponents, mut matching, mut mantissas) = (0, 0, 0, 0, 0.0);
        for block in &features.blocks {
            points += block.points;
            signs += block.sign_mismatches;
            exponents += block.exp_mismatches;
            let same = block.points.saturating_sub(block.exp_mismatches);
            matching += same;
            if same > 0 {
                mantissas += block.mant_err_mean * same as f64;
            }
        }
        let share = |count: usize| count as f64 / points.max(1) as f64;
        let mean = if matching > 0 { mantissas / matching as f64 } else { 127.0 };
        let disagreement = (sampling.tokens - sampling.agreeing.min(sampling.tokens)) as f64 / sampling.tokens as f64;
        Some(Self {
            values: [share(signs), share(exponents), mean, sampling.mean_margin, sampling.max_margin, disagreement],
            tokens: sampling.tokens,
        })
    }
}

/// What honest machines give of one measure, in whole numbers so that a file says exactly what is meant. Deviations and means
/// are in millionths of the measure's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Mean.
    pub mean: u32,
    /// Standard deviation between responses, however long.
    pub between: u32,
    /// Standard deviation between tokens of a response: of a response of `n` tokens it moves the mean by `within / √n`.
    pub within: u32,
    /// Largest excess of each level, in thousandths, ascending: one above `limits[i]` has grade `i + 1`.
    pub limits: [u32; LEVELS],
}

impl Scale {
    /// How many standard deviations of honest responses of this length a value lies above their mean.
    pub fn excess(&self, measure: Measure, value: f64, tokens: usize) -> f64 {
        let parts = |millionths: u32| f64::from(millionths) / 1e6;
        let (between, within) = (parts(self.between), parts(self.within));
        let resolution = measure.resolution();
        let variance = resolution * resolution + between * between + within * within / tokens.max(1) as f64;
        (value - parts(self.mean)) / variance.sqrt()
    }

    /// Levels whose limit a value exceeds.
    pub fn grade(&self, measure: Measure, value: f64, tokens: usize) -> usize {
        let excess = self.excess(measure, value, tokens);
        if excess.is_nan() {
            // Whatever cannot be compared is no agreement.
            return LEVELS;
        }
        self.limits.iter().filter(|limit| excess > f64::from(**limit) / 1e3).count()
    }
}
