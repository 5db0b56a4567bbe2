//! What a card does per second, with weights whose values do not matter: the measurements behind `bench gpu`.
//!
//! Times are wall-clock times from a device that waits for nothing until it is done; of several runs the median counts. Hidden states of a pass
//! stay on the device, as an audit leaves them there.
//! Operations are counted as is usual: two for each multiplication and addition of a matrix product. A forward pass of `n`
//! tokens needs `2 · n · P + 4 · L · H · D · S` of them, `P` the elements of the matrices in the layers, `L` layers of `H` heads
//! of width `D`, and `S` the sum over tokens of the positions that each sees (`(n² + n) / 2` for one sequence without a window).

mod memory;
mod work;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tandem_model::audit::{self, Audit};
use tandem_model::backend::{Backend, BackendError, Feed, Numerics, Session};
use tandem_model::model::ModelConfig;
use tandem_model::sampling::{Draw, Sampler};
use thiserror::Error;

use crate::backend::{CudaBackend, LoadError};
use crate::device::{Buffer, Device, DeviceError, Element, Product};
use crate::model::noise;

pub use self::memory::{MemoryUse, activations};
use self::work::{Work, tokens};

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Side of the square matrices whose product shows what the card can do.
    pub matrix: usize,
    /// Lengths of single sequences to prefill.
    pub prefill: Vec<usize>,
    /// Lengths of the audits of a packed batch.
    pub packed: Vec<usize>,
    /// Tokens of the prompt and of the answer whose audit is compared with its generation.
    pub response: (usize, usize),
    /// How many such answers are generated side by side.
    pub batches: Vec<usize>,
    /// Length of the sequence that exact and fast mode are compared on.
    pub exact: usize,
    /// Audits to stream while memory is watched.
    pub stream: usize,
    /// Runs per measurement.
    pub runs: usize,
}

impl Plan {
    /// Prefill of 2,048 and 16,384 tokens; 64 audits of 128 to 1,024; answers of 256 tokens to prompts of 256 at 1, 8 and 64
    /// side by side; 1,000 audits streamed.
    pub fn full() -> Self {
        Self {
            matrix: 8_192,
            prefill: vec![2_048, 16_384],
            packed: (0..64).map(|i| 128 + i * 896 / 63).collect(),
            response: (256, 256),
            batches: vec![1, 8, 64],
            exact: 512,
            stream: 1_000,
            runs: 5,
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The model does not fit.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// States of noise that cannot be committed to.
    #[error("the states cannot be proved: {0}")]
    Proof(#[from] toploc::BuildError),
}

/// A forward pass over given tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pass {
    /// Tokens in all.
    pub tokens: usize,
    /// Sequences.
    pub sequences: usize,
    /// How long it took.
    pub seconds: f64,
    /// Operations per second, in units of 10^12.
    pub teraflops: f64,
    /// The same as a part of what the card's own matrix product reaches.
    pub of_matrix_product: f64,
}

/// Answers generated side by side, and the audit of one of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Response {
    /// Answers side by side.
    pub batch: usize,
    /// From the first token of the prompt to the last of the answer.
    pub generation_seconds: f64,
    /// Tokens answered per second, over all answers.
    pub tokens_per_second: f64,
    /// One audit's share of a batch of as many.
    pub audit_seconds: f64,
    /// An audit's time as a part of an answer's share of the generation's.
    pub audit_of_generation: f64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The card.
    pub device: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Operations per second of a square matrix product, bf16, in units of 10^12.
    pub matrix_teraflops: f64,
    /// Single sequences.
    pub prefill: Vec<Pass>,
    /// The packed batch.
    pub packed: Pass,
    /// What the comparison with proofs and tokens adds to the packed batch's prefill, as a part of it.
    pub check_of_prefill: f64,
    /// Answers generated and audited.
    pub responses: Vec<Response>,
    /// Time of exact mode as a multiple of fast mode's.
    pub exact_of_fast: f64,
    /// Memory.
    pub memory: MemoryUse,
}

/// Measures a model of the shape `config` on `device`. `progress` is told what comes next.
///
/// # Errors
/// [`MeasureError`].
pub fn measure(
    device: &Arc<dyn Device>,
    config: &ModelConfig,
    plan: &Plan,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, MeasureError> {
    progress("the card's own matrix product");
    let matrix_teraflops = matrix_product(device, plan)?;
    let before = device.memory()?.free;
    let used = || device.memory().map(|memory| before.saturating_sub(memory.free));

    progress("weights");
    let fast = CudaBackend::noise(Arc::clone(device), config, Numerics::Fast)?;
    device.synchronize()?;
    let loaded = used()?;
    let bench = Bench { config, plan, fast: &fast, matrix_teraflops };

    let mut prefill = Vec::new();
    for &length in &plan.prefill {
        progress(&format!("prefill of {length} tokens"));
        prefill.push(bench.pass(&[length])?);
    }
    progress("packed audits");
    let packed = bench.pass(&plan.packed)?;
    let check_of_prefill = bench.audits(&plan.packed)? / packed.seconds - 1.0;
    let mut responses = Vec::new();
    for &batch in &plan.batches {
        progress(&format!("answers, {batch} side by side"));
        responses.push(bench.response(batch)?);
    }

    progress("streamed audits");
    let memory = memory::stream(&bench, loaded, &used)?;

    progress("exact mode");
    let exact = CudaBackend::noise(Arc::clone(device), config, Numerics::Exact)?;
    let quick = bench.pass(&[plan.exact])?.seconds;
    let slow = median(plan.runs, || exact.compute(&[&tokens(config, plan.exact, 0)]))?;
    Ok(Report {
        device: device.describe(),
        parameters: config.parameters(),
        matrix_teraflops,
        prefill,
        packed,
        check_of_prefill,
        responses,
        exact_of_fast: slow / quick,
        memory,
    })
}

struct Bench<'a> {
    config: &'a ModelConfig,
    plan: &'a Plan,
    fast: &'a CudaBackend,
    matrix_teraflops: f64,
}

impl Bench<'_> {
    fn sequences(&self, lengths: &[usize]) -> Vec<Vec<u32>> {
        lengths.iter().enumerate().map(|(index, &length)| tokens(self.config, length, index)).collect()
    }

    fn pass(&self, lengths: &[usize]) -> Result<Pass, MeasureError> {
        let sequences = self.sequences(lengths);
        let borrowed: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let seconds = median(self.plan.runs, || self.fast.compute(&borrowed))?;
        let teraflops = operations(self.config, lengths) / seconds / 1e12;
        let tokens = lengths.iter().sum();
        let of_matrix_product = teraflops / self.matrix_teraflops;
        Ok(Pass { tokens, sequences: lengths.len(), seconds, teraflops, of_matrix_product })
    }

    /// Seconds of auditing responses of these lengths, half prompt and half answer.
    fn audits(&self, lengths: &[usize]) -> Result<f64, MeasureError> {
        self.audited(&Work::new(self.config, self.sequences(lengths), |length| length / 2)?)
    }

    /// Seconds of auditing all of it.
    fn audited(&self, work: &Work) -> Result<f64, MeasureError> {
        let mut ready: Vec<Vec<Audit>> = (0..=self.plan.runs.max(1)).map(|_| work.audits()).collect();
        let seconds = median(self.plan.runs, || audit::run(self.fast, ready.pop().unwrap_or_default()).map(drop));
        Ok(seconds?)
    }

    fn response(&self, batch: usize) -> Result<Response, MeasureError> {
        let (prompt, answer) = self.plan.response;
        let prompts = self.sequences(&vec![prompt; batch]);
        let generation_seconds = median(1, || self.generate(&prompts, answer))?;
        let sequences = self.sequences(&vec![prompt + answer - 1; batch]);
        let work = Work::new(self.config, sequences, |_| prompt)?;
        let seconds = self.audited(&work)?;
        Ok(Response {
            batch,
            generation_seconds,
            tokens_per_second: (batch * answer) as f64 / generation_seconds,
            audit_seconds: seconds / batch as f64,
            audit_of_generation: seconds / generation_seconds,
        })
    }

    fn generate(&self, prompts: &[Vec<u32>], answer: usize) -> Result<(), BackendError> {
        let sampler = Sampler::new(7, 1.0).map_err(|error| BackendError::Device(error.to_string()))?;
        let mut sessions = prompts.iter().map(|_| self.fast.start()).collect::<Result<Vec<_>, _>>()?;
        let mut next: Vec<Vec<u32>> = prompts.to_vec();
        for step in 0..answer {
            let states = {
                let pair = |(session, tokens): (_, &Vec<u32>)| -> (&mut Box<dyn Session>, Vec<u32>) {
                    (session, tokens.clone())
                };
                let mut fed: Vec<_> = sessions.iter_mut().zip(&next).map(pair).collect();
                let mut feeds: Vec<Feed<'_>> =
                    fed.iter_mut().map(|(session, tokens)| Feed { session: session.as_mut(), tokens }).collect();
                self.fast.feed(&mut feeds)?
            };
            let rows: Vec<u16> =
                states.iter().flat_map(|states| states.rows_from(states.rows().saturating_sub(1))).copied().collect();
            let draws: Vec<Draw<'_>> = prompts
                .iter()
                .map(|prompt| Draw { sampler: &sampler, position: (prompt.len() + step) as u32 })
                .collect();
            next = self.fast.choose(&rows, &draws)?.into_iter().map(|token| vec![token]).collect();
        }
        Ok(())
    }
}

/// Operations of a forward pass over sequences of these lengths.
pub fn operations(config: &ModelConfig, lengths: &[usize]) -> f64 {
    let in_layers = |name: &str| name.contains("_proj.weight");
    let matrices: u64 = config
        .tensors()
        .iter()
        .filter(|(name, _)| in_layers(name))
        .map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>())
        .sum();
    let seen = |window: &Option<usize>, length: usize| {
        let window = window.unwrap_or(length).min(length) as f64;
        // Positions below the window see all before them, the others the window.
        window * (window + 1.0) / 2.0 + (length as f64 - window) * window
    };
    let per_head = 4.0 * (config.heads * config.head_dim) as f64;
    let attention = |length: usize| config.windows.iter().map(|window| per_head * seen(window, length)).sum::<f64>();
    lengths.iter().map(|&length| 2.0 * length as f64 * matrices as f64 + attention(length)).sum()
}

fn matrix_product(device: &Arc<dyn Device>, plan: &Plan) -> Result<f64, MeasureError> {
    let side = plan.matrix;
    let filled = |seed| -> Result<Buffer, DeviceError> {
        let buffer = Buffer::of::<u16>(device, side * side)?;
        noise(device.as_ref(), buffer.address(), side * side, seed, 0.0, 1.0)?;
        Ok(buffer)
    };
    let (x, weights) = (filled(1)?, filled(2)?);
    let out = Buffer::of::<u16>(device, side * side)?;
    let side = side as u32;
    let product = Product {
        x: x.address(),
        weights: weights.address(),
        out: out.address(),
        rows: side,
        columns: side,
        depth: side,
        element: Element::Bf16,
        add: false,
    };
    let seconds = median(plan.runs, || {
        device.multiply(&product)?;
        device.synchronize()
    })?;
    Ok(2.0 * f64::from(side).powi(3) / seconds / 1e12)
}

/// The median time of `runs` runs after one that does not count, in seconds.
fn median<E>(runs: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    run()?;
    let mut times = Vec::with_capacity(runs.max(1));
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
