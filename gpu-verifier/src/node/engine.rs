//! What answers: a model, or on test networks a cheat that pretends to have one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use thiserror::Error;

use crate::backend::Backend;
use crate::commitment::PARAMS;
use crate::generate::{Completion, Finish, GenerateError, Generation, Request};
use crate::model::ModelConfig;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The model cannot serve the request.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// It took too long.
    #[error("no answer in time")]
    Late {
        /// Tokens drawn until then; none if nothing was computed, not even of the prompt.
        drawn: Option<usize>,
    },
    /// The node is ending.
    #[error("the node is ending")]
    Ending,
}

/// An answering machine.
pub enum Engine {
    /// Runs the model.
    Model(Arc<dyn Backend>),
    /// Runs nothing: random tokens, and for every block the constant polynomial of a likely value. A test network's adversary.
    ConstantProof(ModelConfig),
}

impl Engine {
    /// Shape of the model that is served or pretended.
    pub fn config(&self) -> &ModelConfig {
        match self {
            Self::Model(backend) => backend.config(),
            Self::ConstantProof(config) => config,
        }
    }

    /// Answers; blocks the thread. Gives up at `deadline` or when `ending` is set.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn answer(&self, request: &Request, deadline: Instant, ending: &AtomicBool) -> Result<Completion, EngineError> {
        match self {
            Self::Model(backend) => {
                let check = |drawn| match () {
                    () if ending.load(Ordering::Relaxed) => Err(EngineError::Ending),
                    () if Instant::now() > deadline => Err(EngineError::Late { drawn }),
                    () => Ok(()),
                };
                check(None)?;
                let mut generation = Generation::start(backend.as_ref(), request)?;
                while generation.feed_some()? {
                    check(Some(0))?;
                }
                while generation.step()?.is_some() {
                    check(Some(generation.output().len()))?;
                }
                Ok(generation.finish()?)
            }
            Self::ConstantProof(config) => Ok(constant_proof(config, request)),
        }
    }
}

fn constant_proof(config: &ModelConfig, request: &Request) -> Completion {
    /// bf16 of 3.14, about where the largest of some thousand normalised values lie.
    const LIKELY: u16 = 0x4049;
    let mut random = rand::rng();
    let tokens = request.longest_output(config.max_positions);
    let output: Vec<u32> = std::iter::repeat_with(|| random.random_range(0..config.vocab_size as u32))
        .filter(|token| !config.is_eos(*token))
        .take(tokens)
        .collect();
    let mut proof = vec![0; PARAMS.proof_bytes()];
    proof[..2].copy_from_slice(&(toploc::PRIME as u16).to_be_bytes());
    proof[2..4].copy_from_slice(&LIKELY.to_be_bytes());
    let proofs = vec![STANDARD.encode(&proof); PARAMS.proof_count(output.len())];
    Completion { output, finish: Finish::Length, proofs }
}
