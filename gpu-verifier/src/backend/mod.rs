//! What runs a model. One trait; the CPU implementation is the reference that every other must agree with.

pub mod cpu;

use std::sync::Arc;

use thiserror::Error;

use crate::model::{ModelConfig, ModelError, ModelFiles};

/// Why a backend could not compute.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BackendError {
    /// A token that the model does not know.
    #[error("token {token} is not below the vocabulary's {vocab}")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// The sequence would outgrow what the model was made for.
    #[error("{positions} positions are more than the model's {max}")]
    TooLong {
        /// Positions asked for.
        positions: usize,
        /// Positions possible.
        max: usize,
    },
    /// Hidden states that are not whole rows of this model's width.
    #[error("{elements} elements are not rows of {hidden}")]
    Shape {
        /// Elements given.
        elements: usize,
        /// Width of the model.
        hidden: usize,
    },
    /// The machine failed: no memory, no driver, a lost device.
    #[error("device: {0}")]
    Device(String),
}

/// Final hidden states: after the last norm, before the output matrix, rounded to bf16; one row per position. They are
/// what is committed, and logits are a function of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenStates {
    hidden: usize,
    bits: Vec<u16>,
}

impl HiddenStates {
    /// Rows of `hidden` bf16 values as raw bits, row-major.
    ///
    /// # Errors
    /// [`BackendError::Shape`] when the rows are not whole.
    pub fn new(hidden: usize, bits: Vec<u16>) -> Result<Self, BackendError> {
        if hidden == 0 || !bits.len().is_multiple_of(hidden) {
            return Err(BackendError::Shape { elements: bits.len(), hidden });
        }
        Ok(Self { hidden, bits })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bits.len() / self.hidden
    }

    /// Elements per row.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// All rows, raw bits, row-major.
    pub fn bits(&self) -> &[u16] {
        &self.bits
    }

    /// The rows from `first` on; empty if there are none.
    pub fn rows_from(&self, first: usize) -> &[u16] {
        self.bits.get(first.saturating_mul(self.hidden)..).unwrap_or_default()
    }
}

/// A loaded model. Rows do not depend on how tokens are grouped into calls: exactly so for an exact backend, up to
/// rounding for a fast one.
pub trait Backend: Send + Sync {
    /// What it is, for people.
    fn name(&self) -> &'static str;

    /// Whether results are reproduced bit for bit by every exact backend.
    fn is_exact(&self) -> bool;

    /// The model's shape.
    fn config(&self) -> &ModelConfig;

    /// Begins an empty sequence.
    ///
    /// # Errors
    /// [`BackendError::Device`].
    fn start(&self) -> Result<Box<dyn Session>, BackendError>;

    /// Final hidden states of a whole sequence at once, one row per token.
    ///
    /// # Errors
    /// [`BackendError`] for an unknown token or a sequence that is too long.
    fn prefill(&self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        self.start()?.feed(tokens)
    }

    /// Logits of rows of final hidden states (raw bf16 bits, whole rows): `vocab_size` values per row.
    ///
    /// # Errors
    /// [`BackendError::Shape`] when the rows are not whole.
    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError>;
}

/// A sequence under way, with its cache of keys and values. It does not borrow from the backend, so that it can move to
/// another thread.
pub trait Session: Send {
    /// Tokens fed so far.
    fn position(&self) -> usize;

    /// Appends tokens; returns their rows. On an error nothing was appended.
    ///
    /// # Errors
    /// [`BackendError`] for an unknown token or a sequence that is too long.
    fn feed(&mut self, tokens: &[u32]) -> Result<HiddenStates, BackendError>;
}

/// How to run a model.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that one forward pass may use. Results do not depend on it.
    pub threads: usize,
}

impl Default for Options {
    /// One thread: many processes share a small machine better than many threads do.
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// Loads a model into the CPU backend.
///
/// # Errors
/// [`ModelError`] naming the tensor that is missing or misshapen.
pub fn open(files: &ModelFiles, options: &Options) -> Result<Arc<dyn Backend>, ModelError> {
    Ok(Arc::new(cpu::CpuBackend::load(files, options)?))
}
