//! What a proof is about: a matrix of hidden states, cut into blocks of rows.

use thiserror::Error;

/// Largest magnitude bits (sign cleared) of a finite bf16.
const MAX_FINITE: u16 = 0x7f7f;

/// Shape of the proofs that both sides must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Elements committed per block, and coefficients per proof.
    pub topk: usize,
    /// Rows per block; the last block of a response may have fewer.
    pub block_rows: usize,
}

impl Default for Params {
    /// 128 elements per block of 32 rows: 258 bytes.
    fn default() -> Self {
        Self { topk: 128, block_rows: 32 }
    }
}

impl Params {
    /// Largest accepted [`topk`](Self::topk); interpolation costs its square.
    pub const MAX_TOPK: usize = 4_096;

    pub(crate) fn check(self) -> Result<Self, ActivationError> {
        let sound = (1..=Self::MAX_TOPK).contains(&self.topk) && self.block_rows > 0;
        if sound { Ok(self) } else { Err(ActivationError::Params { topk: self.topk, block_rows: self.block_rows }) }
    }

    /// How many proofs a response of `rows` rows carries.
    pub fn proof_count(self, rows: usize) -> usize {
        rows.div_ceil(self.block_rows.max(1))
    }

    /// Length of one proof in bytes: the modulus and `topk` coefficients, two bytes each.
    pub fn proof_bytes(self) -> usize {
        2 + 2 * self.topk
    }
}

/// Why a matrix of activations cannot be proved or checked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ActivationError {
    /// The width is zero, or the elements do not fill whole rows.
    #[error("{elements} activations do not make whole rows of {hidden}")]
    Shape {
        /// Elements given.
        elements: usize,
        /// Width claimed.
        hidden: usize,
    },
    /// An infinite or not-a-number value: the model is broken, and nothing can be said about it.
    #[error("the activations of block {block} contain an infinity or a NaN")]
    NotFinite {
        /// Index of the block.
        block: usize,
    },
    /// Parameters outside the accepted range.
    #[error("unusable parameters: top-k {topk} (1 to {max}), {block_rows} rows per block (1 or more)", max = Params::MAX_TOPK)]
    Params {
        /// The top-k given.
        topk: usize,
        /// The rows per block given.
        block_rows: usize,
    },
}

/// A matrix of bf16 values as raw bits, row-major, `rows × hidden`.
#[derive(Clone, Copy, Debug)]
pub struct Activations<'a> {
    bits: &'a [u16],
    hidden: usize,
}

impl<'a> Activations<'a> {
    /// Wraps `bits` as rows of `hidden` elements.
    ///
    /// # Errors
    /// [`ActivationError::Shape`] when `hidden` is zero or the rows are not whole.
    pub fn new(bits: &'a [u16], hidden: usize) -> Result<Self, ActivationError> {
        if hidden == 0 || !bits.len().is_multiple_of(hidden) {
            return Err(ActivationError::Shape { elements: bits.len(), hidden });
        }
        Ok(Self { bits, hidden })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bits.len() / self.hidden
    }

    /// Elements per row.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The raw bits of each block, in order; only the last may be short.
    pub fn blocks(&self, params: Params) -> impl ExactSizeIterator<Item = &'a [u16]> + use<'a> {
        self.bits.chunks(self.hidden.saturating_mul(params.block_rows.max(1)))
    }
}

/// Magnitude bits: a total order on |value| that needs no floating point.
#[inline(always)]
pub(crate) fn magnitude(bits: u16) -> u16 {
    bits & 0x7fff
}

pub(crate) fn is_finite(magnitude: u16) -> bool {
    magnitude <= MAX_FINITE
}
