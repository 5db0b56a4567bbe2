//! Proofs that no model stands behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;

use crate::commitment::PARAMS;
use crate::engine::{Engine, EngineError, Next, Watcher};
use crate::generate::{Completion, Finish, Request};
use crate::model::ModelConfig;

/// Runs nothing: random tokens, and for every block the constant polynomial of a likely value.
pub struct ConstantProof(pub ModelConfig);

impl Engine for ConstantProof {
    fn config(&self) -> &ModelConfig {
        &self.0
    }

    fn answer(&self, request: &Request, watch: &mut Watcher<'_>) -> Result<Completion, EngineError> {
        if watch(None) != Next::Continue {
            return Err(EngineError::Stopped { drawn: None });
        }
        Ok(constant_proof(&self.0, request))
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
