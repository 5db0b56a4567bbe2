//! Building proofs.

use thiserror::Error;

use crate::activations::{ActivationError, Activations, Params, is_finite};
use crate::field::{PRIME, interpolate};
use crate::proof::{MIN_MODULUS, Proof};
use crate::select::top;

/// Why no proof can be built.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    /// The activations themselves are unusable.
    #[error(transparent)]
    Activations(#[from] ActivationError),
    /// Every element of a block is zero, so its polynomial would be the null proof.
    #[error("block {0} holds nothing but zeros")]
    AllZero(usize),
    /// No modulus keeps the indices apart: they were given twice, or chosen to collide.
    #[error("no modulus keeps the indices of block {0} apart")]
    NoModulus(usize),
    /// Chosen indices that do not fit the block or the proof.
    #[error("{got} chosen indices for {points} points in a block of {elements} elements, or one is out of range")]
    Indices {
        /// Indices given.
        got: usize,
        /// Points a proof of this block has.
        points: usize,
        /// Elements in the block.
        elements: usize,
    },
}

/// Proofs of all blocks of `activations`, in order. Blocks start at row 0, there is no proof of a prefill, and no rows
/// give no proofs. Among equal magnitudes the lowest index is committed.
///
/// A block of fewer than `topk` elements commits all of them: the polynomial through `m` points has `m` coefficients,
/// and the rest of the record is zero, so that every record has the same length.
///
/// # Errors
/// [`BuildError`] where the values are not finite or all zero.
pub fn build(activations: Activations<'_>, params: Params) -> Result<Vec<Proof>, BuildError> {
    let params = params.check()?;
    activations.blocks(params).enumerate().map(|(index, block)| prove(block, params, index)).collect()
}

/// The proof of one block, given as raw bf16 bits.
///
/// # Errors
/// As [`build`].
pub fn build_block(block: &[u16], params: Params) -> Result<Proof, BuildError> {
    prove(block, params.check()?, 0)
}

/// The proof of one block over a chosen set of elements. Another implementation may break ties differently; given its
/// set, the bytes are the same.
///
/// # Errors
/// As [`build`], and when the indices are too few, too many, repeated or outside the block.
pub fn build_from_indices(block: &[u16], indices: &[usize], params: Params) -> Result<Proof, BuildError> {
    let params = params.check()?;
    let points = params.topk.min(block.len());
    if indices.len() != points || indices.iter().any(|&i| i >= block.len()) {
        return Err(BuildError::Indices { got: indices.len(), points, elements: block.len() });
    }
    if indices.iter().any(|&i| !is_finite(block[i] & 0x7fff)) {
        return Err(ActivationError::NotFinite { block: 0 }.into());
    }
    through(block, indices, params, 0)
}

fn prove(block: &[u16], params: Params, number: usize) -> Result<Proof, BuildError> {
    let top = top(block, params.topk);
    if !is_finite(top.largest) {
        return Err(ActivationError::NotFinite { block: number }.into());
    }
    through(block, &top.lowest(), params, number)
}

fn through(block: &[u16], indices: &[usize], params: Params, number: usize) -> Result<Proof, BuildError> {
    let modulus = modulus(indices).ok_or(BuildError::NoModulus(number))?;
    let xs: Vec<u32> = indices.iter().map(|&i| (i % usize::from(modulus)) as u32).collect();
    let ys: Vec<u32> = indices.iter().map(|&i| u32::from(block[i])).collect();
    let mut coefficients = interpolate(&xs, &ys);
    if coefficients.iter().all(|&c| c == 0) {
        return Err(BuildError::AllZero(number));
    }
    coefficients.resize(params.topk, 0);
    Ok(Proof::new(modulus, coefficients))
}

/// The largest modulus, from the prime down, that keeps the folded indices distinct.
fn modulus(indices: &[usize]) -> Option<u16> {
    const WORDS: usize = (PRIME as usize).div_ceil(64);
    (MIN_MODULUS + 1..=PRIME as u16).rev().find(|&m| {
        let mut seen = [0_u64; WORDS];
        indices.iter().all(|&i| {
            let folded = i % usize::from(m);
            let (word, bit) = (&mut seen[folded / 64], 1 << (folded % 64));
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    })
}
