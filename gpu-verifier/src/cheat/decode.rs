//! Decoding as a cheat likes it. Honest decoding is [`generate`](crate::generate)'s and knows nothing of this.

use crate::backend::{Backend, BackendError};
use crate::commitment::CommittedRows;
use crate::engine::{EngineError, Next, Watcher};
use crate::generate::{Completion, Finish, GenerateError, Request};
use crate::model::ModelConfig;

/// Tokens of a prompt that are fed at once.
const CHUNK: usize = 128;

/// What is run, and how far. Hidden states are those of what is really fed, and so are the proofs.
pub(super) struct Draft<'a> {
    pub(super) backend: &'a dyn Backend,
    /// What the model is fed in place of the prompt; not empty.
    pub(super) fed: &'a [u32],
    /// Longest answer, tokens.
    pub(super) limit: usize,
    /// Whether a token that ends an answer ends this one.
    pub(super) stops: bool,
}

/// An answer whose proofs are not made yet.
pub(super) struct Drafted {
    pub(super) output: Vec<u32>,
    finish: Finish,
    rows: CommittedRows,
}

impl Drafted {
    /// The answer with proofs of the states that were computed.
    pub(super) fn prove(self) -> Result<Completion, EngineError> {
        let proofs = self.rows.prove().map_err(GenerateError::from)?;
        Ok(Completion { output: self.output, finish: self.finish, proofs })
    }

    pub(super) fn rows(&self) -> &CommittedRows {
        &self.rows
    }
}

impl<'a> Draft<'a> {
    /// What an honest node does.
    pub(super) fn honest(backend: &'a dyn Backend, request: &'a Request) -> Self {
        let limit = request.longest_output(backend.config().max_positions);
        Self { backend, fed: &request.prompt, limit, stops: true }
    }

    /// Decodes; `draw` chooses the token with the given index of the output from the logits, which it may change.
    pub(super) fn run(
        &self,
        watch: &mut Watcher<'_>,
        mut draw: impl FnMut(usize, &mut [f32]) -> Result<u32, EngineError>,
    ) -> Result<Drafted, EngineError> {
        if watch(None) != Next::Continue {
            return Err(EngineError::Stopped { drawn: None });
        }
        let config = self.backend.config();
        let mut session = self.backend.start().map_err(failed)?;
        let mut rows = CommittedRows::new(self.fed.len(), config.hidden_size);
        let (mut output, mut finish) = (Vec::new(), Finish::Length);
        let (early, late) = self.fed.split_at(self.fed.len().saturating_sub(1) / CHUNK * CHUNK);
        let mut pending = late.to_vec();
        for chunk in early.chunks(CHUNK) {
            rows.absorb(&session.feed(chunk).map_err(failed)?);
            if watch(Some(&[])) != Next::Continue {
                return Err(EngineError::Stopped { drawn: Some(0) });
            }
        }
        // A prompt may be longer than what was asked, and then there is less room.
        let limit = self.limit.min((config.max_positions + 1).saturating_sub(self.fed.len())).max(1);
        loop {
            let states = session.feed(&pending).map_err(failed)?;
            rows.absorb(&states);
            let last = states.rows_from(states.rows().saturating_sub(1));
            let mut logits = self.backend.logits(last).map_err(failed)?;
            let token = draw(output.len(), &mut logits)?;
            output.push(token);
            if self.stops && config.is_eos(token) {
                finish = Finish::Stop;
                break;
            }
            if output.len() >= limit {
                break;
            }
            match watch(Some(&output)) {
                Next::Continue => {}
                Next::Finish => break,
                Next::Stop => return Err(EngineError::Stopped { drawn: Some(output.len()) }),
            }
            pending = vec![token];
        }
        Ok(Drafted { output, finish, rows })
    }
}

/// Makes tokens that end an answer impossible.
pub(super) fn never_end(config: &ModelConfig, logits: &mut [f32]) {
    for &token in &config.eos_token_ids {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

pub(super) fn failed(error: BackendError) -> EngineError {
    GenerateError::from(error).into()
}
