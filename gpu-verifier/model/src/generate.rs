//! Decoding with proofs.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backend::{Backend, BackendError, Session};
use crate::commitment::CommittedRows;
use crate::sampling::{Draw, Sampler, TemperatureError};

/// Tokens of a prompt that are fed at once. Rows do not depend on it.
const CHUNK: usize = 128;

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Tokens of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// Longest answer, in tokens, at least one.
    pub max_tokens: usize,
    /// Seed of the draw.
    pub seed: u64,
    /// Temperature of the draw; 0 is greedy.
    pub temperature: f32,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model drew a token that ends the answer; that token is the last of the output.
    Stop,
    /// `max_tokens`, or the longest sequence that the model knows, was reached.
    Length,
}

/// An answer and the proofs of its hidden states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// Tokens drawn, at least one.
    pub output: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// One base64 TOPLOC proof per 32 output tokens.
    pub proofs: Vec<String>,
}

/// Why no answer can be given.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GenerateError {
    /// No token to start from.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// No room for a single token.
    #[error("max_tokens is 0")]
    NoTokens,
    /// A prompt that leaves no room for an answer.
    #[error("a prompt of {prompt} tokens leaves no room in {max} positions")]
    PromptTooLong {
        /// Tokens in the prompt.
        prompt: usize,
        /// Positions of the model.
        max: usize,
    },
    /// An unusable temperature.
    #[error(transparent)]
    Temperature(#[from] TemperatureError),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The hidden states cannot be proved: the model computes infinities.
    #[error("the model's hidden states cannot be proved: {0}")]
    Prove(#[from] toploc::BuildError),
}

impl Request {
    /// Longest answer that this request can get from a model of `max_positions`: the last token drawn is never fed
    /// back, so it needs no position.
    pub fn longest_output(&self, max_positions: usize) -> usize {
        self.max_tokens.min((max_positions + 1).saturating_sub(self.prompt.len()))
    }

    /// Checks that a model of `max_positions` can serve it; returns what draws its tokens.
    ///
    /// # Errors
    /// [`GenerateError`], never one of a backend.
    pub fn check(&self, max_positions: usize) -> Result<Sampler, GenerateError> {
        if self.prompt.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        if self.max_tokens == 0 {
            return Err(GenerateError::NoTokens);
        }
        if self.prompt.len() > max_positions {
            return Err(GenerateError::PromptTooLong { prompt: self.prompt.len(), max: max_positions });
        }
        Ok(Sampler::new(self.seed, self.temperature)?)
    }
}

/// An answer under way, token by token, so that a server can stream it or stop when it is no longer paid.
pub struct Generation<'a> {
    backend: &'a dyn Backend,
    session: Box<dyn Session>,
    sampler: Sampler,
    rows: CommittedRows,
    /// Fed before the next draw: first the prompt, then the last token drawn.
    pending: Vec<u32>,
    prompt: usize,
    limit: usize,
    output: Vec<u32>,
    finish: Option<Finish>,
}

impl<'a> Generation<'a> {
    /// Checks the request and opens a session. Nothing is computed yet.
    ///
    /// # Errors
    /// [`GenerateError`] for a request that cannot be served.
    pub fn start(backend: &'a dyn Backend, request: &Request) -> Result<Self, GenerateError> {
        let config = backend.config();
        let sampler = request.check(config.max_positions)?;
        Ok(Self {
            backend,
            session: backend.start()?,
            sampler,
            rows: CommittedRows::new(request.prompt.len(), config.hidden_size),
            pending: request.prompt.clone(),
            prompt: request.prompt.len(),
            limit: request.longest_output(config.max_positions),
            output: Vec::new(),
            finish: None,
        })
    }

    /// Feeds some of a prompt that is long, so that its owner can stop in between; `false` once [`step`](Self::step) needs to
    /// feed no more than as much.
    ///
    /// # Errors
    /// [`GenerateError::Backend`].
    pub fn feed_some(&mut self) -> Result<bool, GenerateError> {
        if self.pending.len() <= CHUNK {
            return Ok(false);
        }
        let states = self.session.feed(&self.pending[..CHUNK])?;
        self.rows.absorb(&states);
        self.pending.drain(..CHUNK);
        Ok(true)
    }

    /// Draws the next token; `None` once the answer has ended.
    ///
    /// # Errors
    /// [`GenerateError::Backend`].
    pub fn step(&mut self) -> Result<Option<u32>, GenerateError> {
        if self.finish.is_some() {
            return Ok(None);
        }
        while self.feed_some()? {}
        let states = self.session.feed(&self.pending)?;
        self.rows.absorb(&states);
        let draw = Draw { sampler: &self.sampler, position: (self.prompt + self.output.len()) as u32 };
        let drawn = self.backend.choose(states.rows_from(states.rows().saturating_sub(1)), &[draw])?;
        // Something was fed, so there is a row to draw from.
        let Some(&token) = drawn.first() else { return Ok(None) };
        self.output.push(token);
        self.pending = vec![token];
        if self.backend.config().is_eos(token) {
            self.finish = Some(Finish::Stop);
        } else if self.output.len() >= self.limit {
            self.finish = Some(Finish::Length);
        }
        Ok(Some(token))
    }

    /// Tokens drawn so far.
    pub fn output(&self) -> &[u32] {
        &self.output
    }

    /// Ends the answer here and proves what was drawn. An answer that is cut short counts as [`Finish::Length`].
    ///
    /// # Errors
    /// [`GenerateError::Prove`].
    pub fn finish(self) -> Result<Completion, GenerateError> {
        let proofs = self.rows.prove()?;
        Ok(Completion { output: self.output, finish: self.finish.unwrap_or(Finish::Length), proofs })
    }
}

/// A whole answer.
///
/// # Errors
/// [`GenerateError`].
pub fn run(backend: &dyn Backend, request: &Request) -> Result<Completion, GenerateError> {
    let mut generation = Generation::start(backend, request)?;
    while generation.step()?.is_some() {}
    generation.finish()
}
