//! What answers requests: a model, or (see [`cheat`](crate::cheat)) something that pretends to be one.

use std::sync::Arc;

use thiserror::Error;

use crate::backend::Backend;
use crate::generate::{Completion, GenerateError, Generation, Request};
use crate::model::ModelConfig;

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EngineError {
    /// The model cannot serve the request.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The watcher stopped it.
    #[error("stopped after {drawn:?} tokens")]
    Stopped {
        /// Tokens drawn until then; none if nothing was computed, not even of the prompt.
        drawn: Option<usize>,
    },
}

/// What a [`Watcher`] says of an answer under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// End the answer here, with proofs of what was drawn.
    Finish,
    /// Give it up.
    Stop,
}

/// Asked before each step of an answer, with all the tokens drawn so far, or `None` while nothing is computed yet. It may
/// block: nothing is computed until it returns.
pub type Watcher<'a> = dyn FnMut(Option<&[u32]>) -> Next + 'a;

/// An answering machine.
pub trait Engine: Send + Sync {
    /// Shape of the model that is served or pretended.
    fn config(&self) -> &ModelConfig;

    /// Answers; blocks the thread.
    ///
    /// # Errors
    /// [`EngineError`].
    fn answer(&self, request: &Request, watch: &mut Watcher<'_>) -> Result<Completion, EngineError>;

    /// What is signed about an answer. An honest engine signs the truth.
    #[cfg(feature = "network")]
    fn commit(
        &self,
        truth: tandem_protocol::messages::ResponseCommitment,
    ) -> tandem_protocol::messages::ResponseCommitment {
        truth
    }
}

/// Runs the model.
pub struct Honest(pub Arc<dyn Backend>);

impl Engine for Honest {
    fn config(&self) -> &ModelConfig {
        self.0.config()
    }

    fn answer(&self, request: &Request, watch: &mut Watcher<'_>) -> Result<Completion, EngineError> {
        if watch(None) != Next::Continue {
            return Err(EngineError::Stopped { drawn: None });
        }
        let mut generation = Generation::start(self.0.as_ref(), request)?;
        while generation.feed_some()? {
            if watch(Some(&[])) != Next::Continue {
                return Err(EngineError::Stopped { drawn: Some(0) });
            }
        }
        while generation.step()?.is_some() {
            match watch(Some(generation.output())) {
                Next::Continue => {}
                Next::Finish => break,
                Next::Stop => return Err(EngineError::Stopped { drawn: Some(generation.output().len()) }),
            }
        }
        Ok(generation.finish()?)
    }
}
