//! Checking proofs against one's own activations.

use thiserror::Error;

use crate::activations::{ActivationError, Activations, Params};
use crate::field::PRIME;
use crate::proof::{ParseError, Proof};
use crate::selection::Selection;

/// Mantissa error reported when not one exponent matched; the Python library's value.
pub const NO_MATCH: f64 = 18_446_744_073_709_551_616.0;

/// Points at which a polynomial is asked about elements that it should know nothing about.
pub const DECOYS: usize = 512;

/// Why proofs could not be compared at all.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// The verifier's own activations are unusable. This says nothing about the prover.
    #[error(transparent)]
    Activations(#[from] ActivationError),
    /// Too few or too many proofs.
    #[error("{expected} proofs expected, {got} given")]
    Count {
        /// Blocks in the activations.
        expected: usize,
        /// Proofs given.
        got: usize,
    },
    /// Bytes that are not a proof.
    #[error("proof {index}: {error}")]
    Malformed {
        /// Which proof.
        index: usize,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A modulus other than the prime for a block too small for indices to meet: no honest search ends there.
    #[error("proof {index} has modulus {modulus}, but {elements} elements need none below {PRIME}")]
    Modulus {
        /// Which proof.
        index: usize,
        /// The modulus.
        modulus: u16,
        /// Elements that the block has.
        elements: usize,
    },
    /// A block with fewer elements than coefficients whose spare coefficients are not zero.
    #[error("proof {index} has a coefficient beyond the {points} elements of its block")]
    Padding {
        /// Which proof.
        index: usize,
        /// Elements that the block has.
        points: usize,
    },
}

impl VerifyError {
    /// Whether the prover is at fault. If not, the verifier's own input was unusable.
    pub fn blames_prover(&self) -> bool {
        !matches!(self, Self::Activations(_))
    }
}

/// What the comparison of one block measured. Judged by [`Thresholds`](crate::Thresholds).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BlockReport {
    /// Elements compared: the top-k, or all elements of a smaller block.
    pub points: usize,
    /// Elements that may be among the largest, ties at the boundary included; at least `points`.
    pub candidates: usize,
    /// The proof's modulus.
    pub modulus: u16,
    /// Elements whose exponent (bits 14 to 7) differs.
    pub exp_mismatches: usize,
    /// Mean difference of the mantissas (bits 6 to 0) where the exponent matches; [`NO_MATCH`] where none does.
    pub mant_err_mean: f64,
    /// Upper median of the same differences.
    pub mant_err_median: f64,
    /// Elements whose exponent matches and whose sign does not.
    pub sign_mismatches: usize,
    /// Decoys asked; 0 where the test has no power because the largest elements are all equally large, so that even an
    /// honest polynomial may be constant.
    pub decoys: usize,
    /// Decoys whose exponent is one of those of the largest elements.
    pub decoy_hits: usize,
    /// More hits than this do not happen to a polynomial drawn through real activations: the mean plus eight standard
    /// deviations plus eight.
    pub decoy_limit: usize,
}

/// Compares parsed `proofs` with `activations`, block by block.
///
/// # Errors
/// [`VerifyError`] when the count is wrong, a small block's modulus is not the prime or its padding not zero, or the
/// activations are unusable.
pub fn verify(activations: Activations<'_>, proofs: &[Proof], params: Params) -> Result<Vec<BlockReport>, VerifyError> {
    let params = params.check()?;
    check_count(activations, proofs.len(), params)?;
    let blocks = activations.blocks(params).zip(proofs).enumerate();
    blocks.map(|(index, (block, proof))| compare(block, proof, params, index)).collect()
}

/// Parses base64 `proofs` strictly, then compares them as [`verify`] does. The count is checked first, so that the work
/// is bounded by the verifier's own activations.
///
/// # Errors
/// As [`verify`], and [`VerifyError::Malformed`].
pub fn verify_base64<S: AsRef<str>>(
    activations: Activations<'_>,
    proofs: &[S],
    params: Params,
) -> Result<Vec<BlockReport>, VerifyError> {
    check_count(activations, proofs.len(), params.check()?)?;
    let parse = |(index, text): (usize, &S)| {
        Proof::parse_base64(text.as_ref(), params.topk).map_err(|error| VerifyError::Malformed { index, error })
    };
    let parsed = proofs.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
    verify(activations, &parsed, params)
}

/// Compares one proof with one block of raw bf16 bits.
///
/// # Errors
/// As [`verify`].
pub fn verify_block(block: &[u16], proof: &Proof, params: Params) -> Result<BlockReport, VerifyError> {
    compare(block, proof, params.check()?, 0)
}

fn check_count(activations: Activations<'_>, got: usize, params: Params) -> Result<(), VerifyError> {
    let expected = params.proof_count(activations.rows());
    if got == expected { Ok(()) } else { Err(VerifyError::Count { expected, got }) }
}

fn compare(block: &[u16], proof: &Proof, params: Params, index: usize) -> Result<BlockReport, VerifyError> {
    let selection = Selection::of(block, params);
    let question = selection.question(proof, params, index)?;
    Ok(question.report(&proof.at(question.asked())))
}
