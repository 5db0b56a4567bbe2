//! Many responses of one engine, measured by a verifier: what calibration and evidence are made of.
//!
//! What is asked is a function of a seed and an index, so that every engine can be asked the same, on every machine, in any
//! order. Half of the requests are the [probes](crate::probe) that workers send, the others continue a passage of text: longer,
//! and more like what the model was made for.

use std::ops::Range;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::backend::Backend;
use crate::engine::{Engine, EngineError, Next};
use crate::generate::{Completion, Request};
use crate::model::{Text, TextError};
use crate::probe::{Probe, opening};
use crate::verify::{Claim, ResponseFeatures, VerifyError, verify_responses};

/// Text that passages are taken from if nothing else is given: paragraphs of this project's documentation.
pub const PASSAGES: &str = include_str!("trial/passages.txt");

/// Lengths and temperatures (thousandths) that are asked for. What probes ask may change; what a recorded trial asked must not.
const LENGTHS: [u64; 8] = [16, 24, 32, 40, 48, 64, 80, 100];
const TEMPERATURES: [u32; 7] = [0, 300, 700, 700, 800, 1000, 1000];
/// Responses that are verified with one pass over the weights.
const BATCH: usize = 8;
/// Shortest and longest passage, tokens.
const PASSAGE: std::ops::RangeInclusive<usize> = 8..=192;

/// Why a trial ended early.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The text has no passage.
    #[error("the text has no paragraph")]
    NoText,
    /// The tokenizer refused a prompt.
    #[error("the tokenizer: {0}")]
    Tokenizer(String),
    /// The engine did not answer.
    #[error("request {index}: {error}")]
    Engine {
        /// Which request.
        index: u64,
        /// What it said.
        error: EngineError,
    },
    /// The verifier failed.
    #[error("request {index}: {error}")]
    Verify {
        /// Which request.
        index: u64,
        /// What it said.
        error: VerifyError,
    },
    /// No threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What is asked, and how it is measured.
pub struct Trial<'a> {
    /// The verifier's own copy of the model.
    pub verifier: &'a dyn Backend,
    /// The model's tokenizer.
    pub text: &'a Text,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Longest answer asked for, tokens.
    pub max_tokens: u64,
    passages: Vec<&'a str>,
    digest: [u8; 32],
}

/// One response, measured.
pub struct Measured {
    /// Which request.
    pub index: u64,
    /// What the verifier found.
    pub features: ResponseFeatures,
}

impl<'a> Trial<'a> {
    /// A trial whose passages are the paragraphs of `source`.
    ///
    /// # Errors
    /// [`TrialError::NoText`].
    pub fn new(
        verifier: &'a dyn Backend,
        text: &'a Text,
        seed: u64,
        max_tokens: u64,
        source: &'a str,
    ) -> Result<Self, TrialError> {
        let passages: Vec<&str> = source.split("\n\n").map(str::trim).filter(|passage| !passage.is_empty()).collect();
        if passages.is_empty() {
            return Err(TrialError::NoText);
        }
        let digest = Sha256::digest(source).into();
        Ok(Self { verifier, text, seed, max_tokens: max_tokens.max(1), passages, digest })
    }

    /// SHA-256 of the text that passages are taken from.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The request with this index.
    ///
    /// # Errors
    /// [`TrialError::Tokenizer`].
    pub fn request(&self, index: u64) -> Result<Request, TrialError> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        let failed = |error: TextError| TrialError::Tokenizer(error.to_string());
        let prompt = opening(&mut random);
        let max_tokens = (*LENGTHS.choose(&mut random).unwrap_or(&16)).min(self.max_tokens).max(1);
        let temperature_milli = TEMPERATURES.choose(&mut random).copied();
        let seed = random.random();
        let mut probe = Probe { prompt, max_tokens, temperature_milli, seed: Some(seed), chat: false, stream: false };
        let positions = self.verifier.config().max_positions;
        let prompt = if index.is_multiple_of(2) {
            probe.fit(self.text, positions).map_err(|error| TrialError::Tokenizer(error.to_string()))?
        } else {
            let passage = self.passages[random.random_range(0..self.passages.len())];
            let starts: Vec<usize> = passage.match_indices(' ').map(|(at, _)| at + 1).collect();
            let start = *starts.get(random.random_range(0..=starts.len() / 2)).unwrap_or(&0);
            let room = positions.saturating_sub(probe.max_tokens as usize).max(1);
            let mut tokens = self.text.encode(&passage[start..]).map_err(failed)?;
            tokens.truncate(random.random_range(PASSAGE).min(room));
            tokens
        };
        Ok(Request {
            prompt,
            max_tokens: probe.max_tokens as usize,
            seed,
            temperature: probe.temperature_drawn() as f32 / 1000.0,
        })
    }

    /// Asks `engine` the requests of `range` and measures its answers on `threads` threads. `each` gets them in order; no more
    /// than a few per thread are held at a time.
    ///
    /// # Errors
    /// [`TrialError`]. Faults of a response are no error but what is measured.
    pub fn run(
        &self,
        engine: &dyn Engine,
        range: Range<u64>,
        threads: usize,
        mut each: impl FnMut(Measured),
    ) -> Result<(), TrialError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build()?;
        let round = (threads.max(1) * 4 * BATCH) as u64;
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + round);
            let indices: Vec<u64> = (start..end).collect();
            let batches: Vec<Vec<Measured>> = pool.install(|| {
                indices.par_chunks(BATCH).map(|batch| self.batch(engine, batch)).collect::<Result<_, _>>()
            })?;
            batches.into_iter().flatten().for_each(&mut each);
            start = end;
        }
        Ok(())
    }

    fn batch(&self, engine: &dyn Engine, indices: &[u64]) -> Result<Vec<Measured>, TrialError> {
        let ask = |&index: &u64| {
            let request = self.request(index)?;
            let answer = engine.answer(&request, &mut |_| Next::Continue);
            Ok((index, request, answer.map_err(|error| TrialError::Engine { index, error })?))
        };
        let answers: Vec<(u64, Request, Completion)> = indices.iter().map(ask).collect::<Result<_, TrialError>>()?;
        let claims: Vec<Claim<'_>> = answers
            .iter()
            .map(|(_, request, answer)| Claim { request, output: &answer.output, proofs: &answer.proofs })
            .collect();
        let measured = verify_responses(self.verifier, &claims);
        let pair = |(&index, features): (&u64, Result<ResponseFeatures, VerifyError>)| match features {
            Ok(features) => Ok(Measured { index, features }),
            Err(error) => Err(TrialError::Verify { index, error }),
        };
        indices.iter().zip(measured).map(pair).collect()
    }
}
