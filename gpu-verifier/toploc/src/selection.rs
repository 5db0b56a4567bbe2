//! What a check knows of a block: its largest elements, wherever they were found.

use crate::activations::{ActivationError, Params, is_finite, magnitude};
use crate::field::{PRIME, mul_add};
use crate::proof::{ParseError, Proof};
use crate::select::top;
use crate::verify::{BlockReport, DECOYS, NO_MATCH, VerifyError};

/// An element of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its flat index in the block.
    pub index: usize,
    /// Its bf16 bits.
    pub bits: u16,
}

/// The largest elements of a block by magnitude, which is all that a check needs of it. [`of`](Self::of) finds them; a
/// device may find them where the block lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// All elements above the smallest magnitude that is committed, in any order; fewer than are committed.
    pub above: Vec<Element>,
    /// All elements of that magnitude, in any order; with those above at least as many as are committed.
    pub ties: Vec<Element>,
    /// Elements that the block has.
    pub elements: usize,
}

impl Selection {
    /// Finds them in a block of raw bf16 bits.
    pub fn of(block: &[u16], params: Params) -> Self {
        let top = top(block, params.topk);
        let element = |index: usize| Element { index, bits: block[index] };
        Self {
            above: top.above.into_iter().map(element).collect(),
            ties: top.ties.into_iter().map(element).collect(),
            elements: block.len(),
        }
    }

    fn candidates(&self) -> impl Iterator<Item = &Element> {
        self.above.iter().chain(&self.ties)
    }

    /// Elements that are committed.
    fn points(&self, params: Params) -> usize {
        params.topk.min(self.elements)
    }

    /// What is to be asked of `proof`, the one for block number `index`.
    ///
    /// # Errors
    /// [`VerifyError`] for a proof that cannot be of this block, and for a block that is not finite.
    pub fn question<'a>(&'a self, proof: &'a Proof, params: Params, index: usize) -> Result<Question<'a>, VerifyError> {
        let params = params.check()?;
        if self.candidates().any(|element| !is_finite(magnitude(element.bits))) {
            return Err(ActivationError::NotFinite { block: index }.into());
        }
        let points = self.points(params);
        // A proof parsed for another top-k is of the wrong length for this one.
        if proof.coefficients().len() != params.topk {
            let (expected, got) = (params.proof_bytes(), 2 + 2 * proof.coefficients().len());
            return Err(VerifyError::Malformed {
                index,
                error: ParseError::Length { topk: params.topk, expected, got },
            });
        }
        if proof.coefficients()[points..].iter().any(|&c| c != 0) {
            return Err(VerifyError::Padding { index, points });
        }
        if self.elements <= PRIME as usize && u32::from(proof.modulus()) != PRIME {
            return Err(VerifyError::Modulus { index, modulus: proof.modulus(), elements: self.elements });
        }
        let mut asked: Vec<u32> = self.candidates().map(|element| proof.fold(element.index)).collect();
        // Where all elements are equally large, even an honest polynomial may be constant.
        if !self.above.is_empty() {
            let mut excluded = asked.clone();
            excluded.sort_unstable();
            let walk = (1..PRIME).map(decoy);
            asked.extend(walk.filter(|x| excluded.binary_search(x).is_err()).take(DECOYS));
        }
        Ok(Question { selection: self, modulus: proof.modulus(), points, asked })
    }
}

/// Decoys are the fifth powers of 1, 2, 3, …: five does not divide the order of the field's multiplicative group, so they
/// all differ, and unlike equal steps they meet no pattern in a polynomial of low degree.
fn decoy(x: u32) -> u32 {
    let square = mul_add(x, x, 0);
    mul_add(mul_add(square, square, 0), x, 0)
}

/// What a proof's polynomial is asked: for the largest elements, and then for points that are none of them. One drawn
/// through real activations answers the latter at random; a forger's constant, or any polynomial that hopes to be right
/// everywhere, answers with the exponents of large values. The points are public: of degree below 128, a polynomial cannot
/// dodge 512 of them and still be in the right range at elements that the forger does not know.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    selection: &'a Selection,
    modulus: u16,
    points: usize,
    asked: Vec<u32>,
}

impl Question<'_> {
    /// Points at which the polynomial is to be evaluated, below [`PRIME`].
    pub fn asked(&self) -> &[u32] {
        &self.asked
    }

    /// The comparison, given the polynomial's values at all [`asked`](Self::asked), in order; one that is missing agrees
    /// with nothing.
    pub fn report(&self, answers: &[u16]) -> BlockReport {
        let Selection { above, ties, .. } = self.selection;
        let (of_above, rest) = answers.split_at(above.len().min(answers.len()));
        let (of_ties, of_decoys) = rest.split_at(ties.len().min(rest.len()));
        let above = differences(above, of_above);
        let mut ties = differences(ties, of_ties);
        // Which of the tied elements were committed is the prover's free choice: take those that agree best.
        ties.sort_by_key(|d| (!d.exponent, d.sign, d.mantissa));
        ties.truncate(self.points.saturating_sub(above.len()));

        let chosen = above.iter().chain(&ties);
        let mut errors: Vec<u16> = chosen.clone().filter(|d| d.exponent).map(|d| d.mantissa).collect();
        errors.sort_unstable();
        let (mean, median) = match errors.len() {
            0 => (NO_MATCH, NO_MATCH),
            n => (errors.iter().map(|&e| f64::from(e)).sum::<f64>() / n as f64, f64::from(errors[n / 2])),
        };
        let mut expected = [false; 256];
        self.selection.candidates().for_each(|element| expected[usize::from(exponent(element.bits))] = true);
        let candidates = self.selection.candidates().count();
        let decoys = self.asked.len() - candidates;
        BlockReport {
            points: self.points,
            candidates,
            modulus: self.modulus,
            exp_mismatches: self.points - errors.len(),
            mant_err_mean: mean,
            mant_err_median: median,
            sign_mismatches: chosen.filter(|d| d.exponent && d.sign).count(),
            decoys,
            decoy_hits: of_decoys.iter().filter(|&&y| expected[usize::from(exponent(y))]).count(),
            decoy_limit: if decoys == 0 { 0 } else { decoy_limit(decoys, &expected) },
        }
    }
}

/// Hits that hardly ever happen by chance. Each exponent covers 256 of the field's elements: two signs, 128 mantissas.
fn decoy_limit(decoys: usize, expected: &[bool; 256]) -> usize {
    let share = expected.iter().filter(|&&e| e).count() as f64 * 256.0 / f64::from(PRIME);
    let mean = decoys as f64 * share;
    let limit = mean + 8.0 * (mean * (1.0 - share).max(0.0)).sqrt() + 8.0;
    limit.ceil() as usize
}

/// How one claim differs from the element itself.
struct Difference {
    exponent: bool,
    sign: bool,
    mantissa: u16,
}

fn differences(elements: &[Element], claims: &[u16]) -> Vec<Difference> {
    let compare = |(element, &claim): (&Element, &u16)| Difference {
        exponent: exponent(element.bits) == exponent(claim),
        sign: (element.bits ^ claim) & 0x8000 != 0,
        mantissa: (element.bits & 0x7f).abs_diff(claim & 0x7f),
    };
    elements.iter().zip(claims).map(compare).collect()
}

fn exponent(bits: u16) -> u8 {
    (bits >> 7) as u8
}
