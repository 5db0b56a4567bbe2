//! From measurements to a verdict on one block.

use crate::verify::BlockReport;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Fault {
    /// The polynomial claims large values everywhere: it was not drawn through activations.
    Decoy,
    /// Signs disagree.
    Sign,
    /// Too many exponents differ.
    Exponents,
    /// Mantissas differ too much on average.
    MantissaMean,
    /// Mantissas differ too much in the middle.
    MantissaMedian,
}

impl Fault {
    /// Whether one occurrence proves bad faith. The others are statistical: noise of honest hardware can cause them.
    pub fn is_hard(self) -> bool {
        self == Self::Decoy
    }
}

/// Limits on a block's measurements; at the limit is still good. Shares are of the points compared, so that short
/// blocks are judged by the same measure.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Thresholds {
    /// Share of exponents that may differ.
    pub exp_mismatch_share: f64,
    /// Mean mantissa difference, of 127.
    pub mant_err_mean: f64,
    /// Median mantissa difference, of 127.
    pub mant_err_median: f64,
    /// Share of signs that may differ.
    pub sign_mismatch_share: f64,
}

impl Default for Thresholds {
    /// The published experiments' 38 of 128, 10 and 8, and 8 of 128 signs. They tolerate about 5 % of relative noise;
    /// calibrate per model to tell precisions apart.
    fn default() -> Self {
        Self {
            exp_mismatch_share: 38.0 / 128.0,
            mant_err_mean: 10.0,
            mant_err_median: 8.0,
            sign_mismatch_share: 8.0 / 128.0,
        }
    }
}

impl Thresholds {
    /// Limits for a backend whose arithmetic is reproduced bit for bit: nothing may differ.
    pub fn exact() -> Self {
        Self { exp_mismatch_share: 0.0, mant_err_mean: 0.0, mant_err_median: 0.0, sign_mismatch_share: 0.0 }
    }

    /// All faults of a block, gravest first; empty means that it passes.
    pub fn judge(&self, report: &BlockReport) -> Vec<Fault> {
        let points = report.points as f64;
        let over = [
            (Fault::Decoy, report.decoy_hits > report.decoy_limit),
            (Fault::Sign, report.sign_mismatches as f64 > self.sign_mismatch_share * points),
            (Fault::Exponents, report.exp_mismatches as f64 > self.exp_mismatch_share * points),
            (Fault::MantissaMean, report.mant_err_mean > self.mant_err_mean),
            (Fault::MantissaMedian, report.mant_err_median > self.mant_err_median),
        ];
        over.into_iter().filter(|&(_, broken)| broken).map(|(fault, _)| fault).collect()
    }
}
