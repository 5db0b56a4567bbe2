//! Work for measurements.

use tandem_model::audit::Audit;
use tandem_model::backend::BackendError;
use tandem_model::commitment::PARAMS;
use tandem_model::model::ModelConfig;
use tandem_model::sampling::Sampler;
use toploc::{Activations, Proof};

use super::MeasureError;

/// Responses of noise, with proofs of states of noise: what is wrong with them takes no less time to find out.
pub(super) struct Work {
    sequences: Vec<Vec<u32>>,
    prompts: Vec<usize>,
    outputs: Vec<Vec<u32>>,
    proofs: Vec<Vec<Proof>>,
    sampler: Sampler,
}

impl Work {
    pub(super) fn new(
        config: &ModelConfig,
        sequences: Vec<Vec<u32>>,
        prompt: impl Fn(usize) -> usize,
    ) -> Result<Self, MeasureError> {
        let prompts: Vec<usize> = sequences.iter().map(|tokens| prompt(tokens.len()).max(1)).collect();
        let outputs: Vec<Vec<u32>> = sequences
            .iter()
            .zip(&prompts)
            .map(|(tokens, &prompt)| tokens[prompt..].iter().copied().chain([0]).collect())
            .collect();
        // One block's proof serves for all.
        let row = |i: usize| half::bf16::from_f32(((i * 7_919) % 8_191) as f32 / 8_191.0 - 0.5).to_bits();
        let block: Vec<u16> = (0..PARAMS.block_rows * config.hidden_size).map(row).collect();
        let proofs =
            toploc::build(Activations::new(&block, config.hidden_size).map_err(toploc::BuildError::from)?, PARAMS)?;
        let count = |output: &Vec<u32>| vec![proofs[0].clone(); PARAMS.proof_count(output.len())];
        let proofs = outputs.iter().map(count).collect();
        let sampler = Sampler::new(7, 1.0).map_err(|error| BackendError::Device(error.to_string()))?;
        Ok(Self { sequences, prompts, outputs, proofs, sampler })
    }

    pub(super) fn audits(&self) -> Vec<Audit> {
        let parts = self.sequences.iter().zip(&self.prompts).zip(self.outputs.iter().zip(&self.proofs));
        parts
            .map(|((sequence, &prompt), (output, proofs))| Audit {
                sequence: sequence.clone(),
                prompt,
                output: output.clone(),
                proofs: proofs.clone(),
                sampler: self.sampler,
            })
            .collect()
    }
}

/// Tokens that differ from sequence to sequence.
pub(super) fn tokens(config: &ModelConfig, length: usize, sequence: usize) -> Vec<u32> {
    let token = |i: usize| ((i * 2_654_435_761 + sequence * 40_503 + 11) % config.vocab_size) as u32;
    (0..length).map(token).collect()
}
