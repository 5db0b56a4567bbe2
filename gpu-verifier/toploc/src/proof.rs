//! One proof: its wire format and the strict parser.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

use crate::field::{PRIME, evaluate};

/// A modulus is above this. The search starts at [`PRIME`] and stops at the first value that keeps the indices apart,
/// so an honest one stays close to the prime; a small one would let a forger cover many indices with few coefficients.
pub const MIN_MODULUS: u16 = 32_768;

/// Why bytes are not a proof.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not exactly `2 + 2k` bytes.
    #[error("a proof of {topk} elements has {expected} bytes, this one has {got}")]
    Length {
        /// Elements per proof.
        topk: usize,
        /// Bytes expected.
        expected: usize,
        /// Bytes (or, for base64 of a wrong length, characters) found.
        got: usize,
    },
    /// Not canonical RFC 4648 base64 with padding.
    #[error("a proof is not canonical base64")]
    Base64,
    /// The null proof that the Python library emits when it fails.
    #[error("a null proof proves nothing")]
    Null,
    /// The modulus cannot come from an honest search.
    #[error("modulus {0} is outside {min} to {PRIME}", min = MIN_MODULUS + 1)]
    Modulus(u16),
    /// A coefficient that is not below the prime: a second spelling of the same polynomial.
    #[error("coefficient {index} is {value}, not below {PRIME}")]
    Coefficient {
        /// Which power.
        index: usize,
        /// What was written.
        value: u16,
    },
}

/// A parsed proof: the polynomial and the modulus by which flat indices are folded into the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    modulus: u16,
    coefficients: Vec<u16>,
}

impl Proof {
    pub(crate) fn new(modulus: u16, coefficients: Vec<u16>) -> Self {
        Self { modulus, coefficients }
    }

    /// Parses the wire format: modulus, then `topk` coefficients from the lowest power up, each a big-endian `u16`.
    ///
    /// # Errors
    /// [`ParseError`] for any byte string that [`Proof::to_bytes`] of an honest proof would not give.
    pub fn parse(bytes: &[u8], topk: usize) -> Result<Self, ParseError> {
        let expected = 2 + 2 * topk;
        if bytes.len() != expected || topk == 0 {
            return Err(ParseError::Length { topk, expected, got: bytes.len() });
        }
        let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let modulus = words.next().unwrap_or(0);
        let coefficients: Vec<u16> = words.collect();
        if coefficients.iter().all(|&c| c == 0) {
            return Err(ParseError::Null);
        }
        if modulus <= MIN_MODULUS || u32::from(modulus) > PRIME {
            return Err(ParseError::Modulus(modulus));
        }
        match coefficients.iter().position(|&c| u32::from(c) >= PRIME) {
            Some(index) => Err(ParseError::Coefficient { index, value: coefficients[index] }),
            None => Ok(Self { modulus, coefficients }),
        }
    }

    /// Parses the base64 form. The length is checked before anything is decoded.
    ///
    /// # Errors
    /// As [`Proof::parse`], and [`ParseError::Base64`].
    pub fn parse_base64(text: &str, topk: usize) -> Result<Self, ParseError> {
        let expected = 2 + 2 * topk;
        if text.len() != expected.div_ceil(3) * 4 {
            return Err(ParseError::Length { topk, expected, got: text.len() });
        }
        let bytes = STANDARD.decode(text).map_err(|_| ParseError::Base64)?;
        Self::parse(&bytes, topk)
    }

    /// The wire format, `2 + 2k` bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(&self.modulus).chain(&self.coefficients).flat_map(|word| word.to_be_bytes()).collect()
    }

    /// The wire format in standard base64 with padding: 344 characters for 128 elements.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.to_bytes())
    }

    /// The number by which flat indices are reduced.
    pub fn modulus(&self) -> u16 {
        self.modulus
    }

    /// Coefficients, lowest power first, each below [`PRIME`].
    pub fn coefficients(&self) -> &[u16] {
        &self.coefficients
    }

    /// What the proof says about the elements at `indices` (flat, within the block): their bf16 bits, if honest.
    pub fn claims(&self, indices: &[usize]) -> Vec<u16> {
        let points: Vec<u32> = indices.iter().map(|&i| self.fold(i)).collect();
        self.at(&points)
    }

    pub(crate) fn fold(&self, index: usize) -> u32 {
        (index % usize::from(self.modulus)) as u32
    }

    pub(crate) fn at(&self, points: &[u32]) -> Vec<u16> {
        evaluate(&self.coefficients, points).into_iter().map(|y| y as u16).collect()
    }
}
