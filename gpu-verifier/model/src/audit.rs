//! Comparing what somebody claims with one's own states: the part of a check that a device does where the states lie.

use toploc::{BlockReport, Proof};

use crate::backend::{Backend, BackendError, HiddenStates};
use crate::commitment::{CommittedRows, PARAMS};
use crate::sampling::Sampler;

/// Rows whose logits are held at a time.
const LOGIT_ROWS: usize = 16;

/// A response of good form that is to be re-run.
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a> {
    /// The prompt, and all tokens of the output but the last: nothing was drawn after it, so it has no row.
    pub sequence: &'a [u32],
    /// Tokens of the prompt; at least one.
    pub prompt: usize,
    /// Tokens answered; at least one.
    pub output: &'a [u32],
    /// One proof per block of committed rows.
    pub proofs: &'a [Proof],
    /// Draws the tokens of the request.
    pub sampler: &'a Sampler,
}

/// What one prefill says of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// Comparison of hidden states, one report per block.
    pub blocks: Result<Vec<BlockReport>, toploc::VerifyError>,
    /// How far each token falls short of one's own draw: [`Sampler::margin`].
    pub margins: Vec<f32>,
}

/// Compares `audit` with `states` of its sequence on the host, with logits of `backend`.
///
/// # Errors
/// [`BackendError`] of the logits.
pub fn with_states<B: Backend + ?Sized>(
    backend: &B,
    audit: &Audit<'_>,
    states: &HiddenStates,
) -> Result<Audited, BackendError> {
    let config = backend.config();
    let mut rows = CommittedRows::new(audit.prompt, config.hidden_size);
    rows.absorb(states);
    let activations = rows.activations().map_err(toploc::VerifyError::from);
    let blocks = activations.and_then(|activations| toploc::verify(activations, audit.proofs, PARAMS));
    let mut margins = Vec::with_capacity(audit.output.len());
    let chunks = rows.bits().chunks(LOGIT_ROWS * config.hidden_size);
    for (rows, outputs) in chunks.zip(audit.output.chunks(LOGIT_ROWS)) {
        let logits = backend.logits(rows)?;
        for (logits, &token) in logits.chunks_exact(config.vocab_size).zip(outputs) {
            let position = (audit.prompt + margins.len()) as u32;
            margins.push(audit.sampler.margin(position, logits, token));
        }
    }
    Ok(Audited { blocks, margins })
}
