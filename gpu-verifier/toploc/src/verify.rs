//! Checking proofs against one's own activations.

use thiserror::Error;

use crate::activations::{ActivationError, Activations, Params, is_finite};
use crate::field::{PRIME, mul_add};
use crate::proof::{ParseError, Proof};
use crate::select::{Top, top};

/// Mantissa error reported when not one exponent matched; the Python library's value.
pub const NO_MATCH: f64 = 18_446_744_073_709_551_616.0;

/// Points at which a polynomial is asked about elements that it should know nothing about.
pub const DECOYS: usize = 512;

/// Decoys are the fifth powers of 1, 2, 3, …: five does not divide the order of the field's multiplicative group, so they
/// all differ, and unlike equal steps they meet no pattern in a polynomial of low degree.
fn decoy(x: u32) -> u32 {
    let square = mul_add(x, x, 0);
    mul_add(mul_add(square, square, 0), x, 0)
}

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
    let top = top(block, params.topk);
    if !is_finite(top.largest) {
        return Err(ActivationError::NotFinite { block: index }.into());
    }
    // A proof parsed for another top-k is of the wrong length for this one.
    if proof.coefficients().len() != params.topk {
        let (expected, got) = (params.proof_bytes(), 2 + 2 * proof.coefficients().len());
        return Err(VerifyError::Malformed { index, error: ParseError::Length { topk: params.topk, expected, got } });
    }
    if proof.coefficients()[top.points..].iter().any(|&c| c != 0) {
        return Err(VerifyError::Padding { index, points: top.points });
    }
    if block.len() <= PRIME as usize && u32::from(proof.modulus()) != PRIME {
        return Err(VerifyError::Modulus { index, modulus: proof.modulus(), elements: block.len() });
    }
    let above = differences(block, proof, &top.above);
    let mut ties = differences(block, proof, &top.ties);
    // Which of the tied elements were committed is the prover's free choice: take those that agree best.
    ties.sort_by_key(|d| (!d.exponent, d.sign, d.mantissa));
    ties.truncate(top.points - above.len());

    let chosen = above.iter().chain(&ties);
    let mut errors: Vec<u16> = chosen.clone().filter(|d| d.exponent).map(|d| d.mantissa).collect();
    errors.sort_unstable();
    let (mean, median) = match errors.len() {
        0 => (NO_MATCH, NO_MATCH),
        n => (errors.iter().map(|&e| f64::from(e)).sum::<f64>() / n as f64, f64::from(errors[n / 2])),
    };
    let decoys = ask_decoys(block, proof, &top);
    Ok(BlockReport {
        points: top.points,
        candidates: top.above.len() + top.ties.len(),
        modulus: proof.modulus(),
        exp_mismatches: top.points - errors.len(),
        mant_err_mean: mean,
        mant_err_median: median,
        sign_mismatches: chosen.filter(|d| d.exponent && d.sign).count(),
        decoys: decoys.asked,
        decoy_hits: decoys.hits,
        decoy_limit: decoys.limit,
    })
}

/// How one claim differs from the element itself.
struct Difference {
    exponent: bool,
    sign: bool,
    mantissa: u16,
}

fn differences(block: &[u16], proof: &Proof, indices: &[usize]) -> Vec<Difference> {
    let compare = |(&index, claim): (&usize, u16)| {
        let own = block[index];
        Difference {
            exponent: exponent(own) == exponent(claim),
            sign: (own ^ claim) & 0x8000 != 0,
            mantissa: (own & 0x7f).abs_diff(claim & 0x7f),
        }
    };
    indices.iter().zip(proof.claims(indices)).map(compare).collect()
}

fn exponent(bits: u16) -> u8 {
    (bits >> 7) as u8
}

#[derive(Default)]
struct Decoys {
    asked: usize,
    hits: usize,
    limit: usize,
}

/// Asks the polynomial about points that are none of the largest elements. One drawn through real activations answers
/// at random; a forger's constant, or any polynomial that hopes to be right everywhere, answers with the exponents of
/// large values. The points are public: of degree below 128, a polynomial cannot dodge 512 of them and still be in the
/// right range at elements that the forger does not know.
fn ask_decoys(block: &[u16], proof: &Proof, top: &Top) -> Decoys {
    if top.above.is_empty() {
        return Decoys::default();
    }
    let own: Vec<usize> = top.above.iter().chain(&top.ties).copied().collect();
    let mut expected = [false; 256];
    for &index in &own {
        expected[usize::from(exponent(block[index]))] = true;
    }
    let mut excluded: Vec<u32> = own.iter().map(|&i| proof.fold(i)).collect();
    excluded.sort_unstable();
    let walk = (1..PRIME).map(decoy);
    let points: Vec<u32> = walk.filter(|x| excluded.binary_search(x).is_err()).take(DECOYS).collect();

    let asked = points.len();
    let hits = proof.at(&points).into_iter().filter(|&y| expected[usize::from(exponent(y))]).count();
    // Each exponent covers 256 of the field's elements: two signs, 128 mantissas.
    let share = expected.iter().filter(|&&e| e).count() as f64 * 256.0 / f64::from(PRIME);
    let mean = asked as f64 * share;
    let limit = mean + 8.0 * (mean * (1.0 - share).max(0.0)).sqrt() + 8.0;
    Decoys { asked, hits, limit: limit.ceil() as usize }
}
