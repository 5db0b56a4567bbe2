//! Proofs that no model stands behind, and records that are no proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Cheat;
use super::decode::Draft;
use crate::backend::Backend;
use crate::commitment::PARAMS;
use crate::engine::{EngineError, Next};
use crate::generate::Request;
use crate::sampling::Sampler;

/// Answers that are measured, and their length in tokens.
const SAMPLES: u32 = 8;
const SAMPLE_TOKENS: usize = 64;

/// bf16 bits that are no number.
const NAN: u16 = 0x7fc0;

/// What somebody who ran the model once, for a while, knows of all its hidden states.
pub(super) struct Measured {
    /// The middle one of the magnitudes that are committed, as bf16 bits.
    typical: u16,
    /// Mean of each dimension, as bf16 bits.
    means: Vec<u16>,
    /// Dimensions by magnitude of their mean, largest first.
    largest: Vec<usize>,
}

impl Measured {
    pub(super) fn new(backend: &dyn Backend) -> Result<Self, EngineError> {
        let config = backend.config();
        let hidden = config.hidden_size;
        let (mut sums, mut rows, mut committed) = (vec![0.0_f64; hidden], 0, Vec::new());
        for sample in 0..SAMPLES {
            let request = Request {
                prompt: vec![sample % config.vocab_size as u32],
                max_tokens: SAMPLE_TOKENS,
                seed: u64::from(sample),
                temperature: 1.0,
            };
            let sampler = request.check(config.max_positions)?;
            let draft = Draft { stops: false, ..Draft::honest(backend, &request) };
            let draw = |index, logits: &mut [f32]| Ok(sampler.choose(1 + index as u32, logits));
            let drafted = draft.run(&mut |_| Next::Continue, draw)?;
            let bits = drafted.rows().bits();
            for row in bits.chunks_exact(hidden) {
                sums.iter_mut().zip(row).for_each(|(sum, &bits)| *sum += f64::from(value(bits)));
                rows += 1;
            }
            for block in bits.chunks_exact(PARAMS.block_rows * hidden) {
                let mut magnitudes: Vec<u16> = block.iter().map(|bits| bits & 0x7fff).collect();
                magnitudes.sort_unstable_by(|a, b| b.cmp(a));
                committed.extend(magnitudes.into_iter().take(PARAMS.topk));
            }
        }
        committed.sort_unstable();
        let mean = |sum: &f64| half::bf16::from_f64(sum / f64::from(rows.max(1))).to_bits();
        let means: Vec<u16> = sums.iter().map(mean).collect();
        let mut largest: Vec<usize> = (0..hidden).collect();
        largest.sort_by_key(|&dim| std::cmp::Reverse(means[dim] & 0x7fff));
        Ok(Self { typical: committed.get(committed.len() / 2).copied().unwrap_or_default(), means, largest })
    }

    /// One proof per block of an answer of `tokens` tokens, each saying the typical value everywhere.
    pub(super) fn constant(&self, tokens: usize) -> Vec<String> {
        vec![record(toploc::PRIME as u16, &[self.typical]); PARAMS.proof_count(tokens)]
    }

    /// Proofs drawn through the means of the dimensions that are large on average, in every row.
    pub(super) fn static_outliers(&self, tokens: usize) -> Vec<String> {
        let block = |rows: usize| {
            let dims = PARAMS.topk.div_ceil(rows).min(self.largest.len());
            let mut row = vec![0; self.means.len()];
            self.largest[..dims].iter().for_each(|&dim| row[dim] = self.means[dim]);
            let proof = toploc::build_block(&row.repeat(rows), PARAMS);
            proof.map_or_else(|_| record(toploc::PRIME as u16, &[self.typical]), |proof| proof.to_base64())
        };
        let starts = (0..tokens).step_by(PARAMS.block_rows);
        starts.map(|start| block((tokens - start).min(PARAMS.block_rows))).collect()
    }

    /// One proof per block whose modulus folds all indices into one, so that a constant is right everywhere.
    pub(super) fn modulus_one(&self, tokens: usize) -> Vec<String> {
        vec![record(1, &[self.typical]); PARAMS.proof_count(tokens)]
    }
}

fn value(bits: u16) -> f32 {
    half::bf16::from_bits(bits).to_f32()
}

/// A record of the right length: modulus, coefficients, zeros.
fn record(modulus: u16, coefficients: &[u16]) -> String {
    let mut words = vec![modulus];
    words.extend(coefficients);
    words.resize(1 + PARAMS.topk, 0);
    encode(&words)
}

fn encode(words: &[u16]) -> String {
    STANDARD.encode(words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
}

/// What `cheat` makes of true proofs; the proofs themselves if it leaves them alone.
pub(super) fn damage(cheat: Cheat, mut proofs: Vec<String>) -> Vec<String> {
    let change = |change: fn(Vec<u16>) -> Vec<u16>| {
        let words = |proof: &String| {
            let bytes = STANDARD.decode(proof).unwrap_or_default();
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        };
        proofs.iter().map(|proof| encode(&change(words(proof)))).collect()
    };
    match cheat {
        Cheat::NullProof => change(|words| vec![0; words.len()]),
        Cheat::ShortProof => change(|words| words[..words.len() / 2 + 1].to_vec()),
        Cheat::LongProof => change(|words| [words.as_slice(), &words[1..]].concat()),
        Cheat::NonCanonicalProof => change(second_spelling),
        Cheat::NanBits => change(|words| vec![words[0], NAN].into_iter().chain(vec![0; words.len() - 2]).collect()),
        Cheat::MissingProof => {
            proofs.pop();
            proofs
        }
        Cheat::ExtraProof => {
            proofs.extend(proofs.last().cloned());
            proofs
        }
        _ => proofs,
    }
}

/// The same polynomial, with the prime added to the first coefficient that has room for it; if none has, one is replaced.
fn second_spelling(mut words: Vec<u16>) -> Vec<u16> {
    const P: u16 = toploc::PRIME as u16;
    match words[1..].iter_mut().find(|word| **word < u16::MAX - P) {
        Some(word) => *word += P,
        None => words[1] = u16::MAX,
    }
    words
}

/// Tokens drawn from nothing: as many as were asked for, none of which ends an answer.
pub(super) fn random_tokens(sampler: Sampler, ends: &[u32], vocab: usize, count: usize) -> Vec<u32> {
    let mut logits = vec![0.0; vocab];
    for &token in ends {
        logits[token as usize] = f32::NEG_INFINITY;
    }
    (0..count as u32).map(|position| sampler.choose(position, &logits)).collect()
}
