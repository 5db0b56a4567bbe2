//! Which hidden states a response commits to. Builder and verifier share this one definition.
//!
//! A response of `n` tokens to a prompt of `m` tokens commits the final hidden states at positions `m - 1` to
//! `m + n - 2`: the row from which each output token was drawn, one row per token, in order. The last output token has
//! no row, because nothing was drawn after it. Rows are cut into blocks of 32 from the first on; there is no proof of
//! the prompt's own rows.

use toploc::{Activations, BuildError, Params, Proof};

use crate::backend::HiddenStates;

/// Shape of the proofs of the network: 128 elements per block of 32 rows.
pub const PARAMS: Params = Params { topk: 128, block_rows: 32 };

/// The committed rows of one response, collected from hidden states as they are computed.
#[derive(Clone, Debug)]
pub struct CommittedRows {
    hidden: usize,
    first: usize,
    next: usize,
    bits: Vec<u16>,
}

impl CommittedRows {
    /// Collects for a prompt of `prompt` tokens (at least one) and a model of width `hidden`.
    pub fn new(prompt: usize, hidden: usize) -> Self {
        Self { hidden, first: prompt.saturating_sub(1), next: 0, bits: Vec::new() }
    }

    /// Takes the states of the next positions of the sequence, of the prompt or after it.
    pub fn absorb(&mut self, states: &HiddenStates) {
        let skip = self.first.saturating_sub(self.next);
        self.bits.extend_from_slice(states.rows_from(skip));
        self.next += states.rows();
    }

    /// Rows collected.
    pub fn rows(&self) -> usize {
        self.bits.len() / self.hidden
    }

    /// The rows, raw bf16 bits, row-major.
    pub fn bits(&self) -> &[u16] {
        &self.bits
    }

    /// The rows as `toploc` takes them.
    ///
    /// # Errors
    /// None for rows that came through [`absorb`](Self::absorb) from a model of the stated width.
    pub fn activations(&self) -> Result<Activations<'_>, toploc::ActivationError> {
        Activations::new(&self.bits, self.hidden)
    }

    /// Proofs of all blocks, in base64.
    ///
    /// # Errors
    /// [`BuildError`] when the model computes infinities or nothing but zeros.
    pub fn prove(&self) -> Result<Vec<String>, BuildError> {
        Ok(toploc::build(self.activations()?, PARAMS)?.iter().map(Proof::to_base64).collect())
    }
}
