//! What runs a model. One trait; the CPU implementation is the reference that every other must agree with.

pub mod cpu;
mod shared;

use std::any::Any;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::audit::{self, Audit, UnderWay};
use crate::model::{ModelConfig, ModelError, ModelFiles};
use crate::sampling::Draw;

pub use self::shared::Shared;

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
    /// A sequence that another backend, or another model's, began.
    #[error("the sequence belongs to another backend or model")]
    Foreign,
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

/// How a backend adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numerics {
    /// In the order that [`cpu`] lays down: the same bits from every backend, whatever the batch and the threads.
    #[default]
    Exact,
    /// In whatever order is fastest: equal up to rounding.
    Fast,
}

/// Tokens to append to one sequence.
pub struct Feed<'a> {
    /// The sequence, from [`Backend::start`] of the same backend.
    pub session: &'a mut dyn Session,
    /// The tokens; none is no error.
    pub tokens: &'a [u32],
}

/// A loaded model. Rows do not depend on how tokens are grouped into calls, or sequences into batches: exactly so for
/// [`Numerics::Exact`], up to rounding for [`Numerics::Fast`].
pub trait Backend: Send + Sync {
    /// What it is, for people.
    fn name(&self) -> &'static str;

    /// How it adds.
    fn numerics(&self) -> Numerics;

    /// The model's shape.
    fn config(&self) -> &ModelConfig;

    /// Begins an empty sequence.
    ///
    /// # Errors
    /// [`BackendError::Device`].
    fn start(&self) -> Result<Box<dyn Session>, BackendError>;

    /// Appends tokens to several sequences in one pass over the weights: prompts of any lengths, next tokens of answers
    /// under way, or both. Final hidden states per sequence, one row per token. On an error nothing was appended to any.
    ///
    /// # Errors
    /// [`BackendError`] for an unknown token, a sequence that is too long or of another backend.
    fn feed(&self, batch: &mut [Feed<'_>]) -> Result<Vec<HiddenStates>, BackendError>;

    /// Final hidden states of a whole sequence at once, one row per token.
    ///
    /// # Errors
    /// [`BackendError`] for an unknown token or a sequence that is too long.
    fn prefill(&self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        self.start()?.feed(tokens)
    }

    /// [`prefill`](Self::prefill) of several sequences of any lengths, packed.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    fn prefill_batch(&self, sequences: &[&[u32]]) -> Result<Vec<HiddenStates>, BackendError> {
        let mut sessions = sequences.iter().map(|_| self.start()).collect::<Result<Vec<_>, _>>()?;
        let pairs = sessions.iter_mut().zip(sequences);
        let mut batch: Vec<Feed<'_>> =
            pairs.map(|(session, tokens)| Feed { session: session.as_mut(), tokens }).collect();
        self.feed(&mut batch)
    }

    /// Tokens that one pass over the weights has room for when responses are re-run: memory grows with them. A longer sequence
    /// is a pass of its own.
    fn pass(&self) -> usize {
        16_384
    }

    /// Re-runs responses in one packed prefill: the first half of their [`audit`]. It may return before the device is done, and
    /// others may be begun before these are finished.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill), for the sequence of any of them.
    fn begin(&self, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
        audit::on_host(self, audits)
    }

    /// Logits of rows of final hidden states (raw bf16 bits, whole rows): `vocab_size` values per row.
    ///
    /// # Errors
    /// [`BackendError::Shape`] when the rows are not whole.
    fn logits(&self, rows: &[u16]) -> Result<Vec<f32>, BackendError>;

    /// The tokens that are drawn from rows of final hidden states, given one draw per row.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    fn choose(&self, rows: &[u16], draws: &[Draw<'_>]) -> Result<Vec<u32>, BackendError> {
        let logits = self.logits(rows)?;
        let rows = logits.chunks_exact(self.config().vocab_size);
        Ok(rows.zip(draws).map(|(logits, draw)| draw.sampler.choose(draw.position, logits)).collect())
    }
}

/// A sequence under way, with its cache of keys and values. It does not borrow from the backend, so that it can move to
/// another thread.
pub trait Session: Any + Send {
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
    /// How to add.
    pub numerics: Numerics,
}

impl Default for Options {
    /// Exact, on one thread: many processes share a small machine better than many threads do.
    fn default() -> Self {
        Self { threads: 1, numerics: Numerics::Exact }
    }
}

/// Loads a model into the CPU backend.
///
/// # Errors
/// [`ModelError`] naming the tensor that is missing or misshapen.
pub fn open(files: &ModelFiles, options: &Options) -> Result<Arc<dyn Backend>, ModelError> {
    Ok(Arc::new(cpu::CpuBackend::load(files, options)?))
}
