//! Matrices packed for the loops, and the threads that share them.

use half::bf16;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::Quirks;
use super::isa::Isa;
use super::kernels::{self, PAIR, PANEL};
use crate::backend::Numerics;
use crate::model::{ModelError, Weights};

/// Where loops run and how they add: which instructions, which threads, which numeric mode.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) isa: Isa,
    pub(super) numerics: Numerics,
    pub(super) quirks: Quirks,
    pool: Option<ThreadPool>,
}

impl Machine {
    pub(super) fn new(
        isa: Isa,
        numerics: Numerics,
        threads: usize,
        quirks: Quirks,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = match threads {
            0 | 1 => None,
            n => Some(rayon::ThreadPoolBuilder::new().num_threads(n).build()?),
        };
        Ok(Self { isa, numerics, quirks, pool })
    }

    /// Where the results of an operation pass on their way to the next.
    pub(super) fn leave(&self, results: &mut [f32]) {
        if let Some(quirk) = self.quirks.results {
            quirk(results);
        }
    }

    /// Calls `work` for each of `parts`, in any order. Parts are independent, so that results do not depend on the number
    /// of threads.
    pub(super) fn each<T: Send>(&self, parts: Vec<T>, work: impl Fn(T) + Sync + Send) {
        match &self.pool {
            Some(pool) if parts.len() > 1 => pool.install(|| parts.into_par_iter().for_each(work)),
            _ => parts.into_iter().for_each(work),
        }
    }
}

/// A matrix `out × in` of bf16, stored as panels of 32 outputs with ascending input, the last panel filled with zeros, and
/// perhaps a bias per output.
#[derive(Debug)]
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<u16>,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Packs the tensor `name.weight`, and `name.bias` if there is to be one.
    pub(super) fn load(
        weights: &Weights,
        name: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Result<Self, ModelError> {
        let bytes = weights.bf16(&format!("{name}.weight"), &[outputs, inputs])?;
        let mut panels = vec![0; outputs.div_ceil(PANEL) * PANEL * inputs];
        for (output, row) in bytes.chunks_exact(2 * inputs).enumerate() {
            let column = output / PANEL * PANEL * inputs + output % PANEL;
            for (input, value) in row.chunks_exact(2).enumerate() {
                panels[column + input * PANEL] = u16::from_le_bytes([value[0], value[1]]);
            }
        }
        let bias = if bias { Some(vector(weights, &format!("{name}.bias"), outputs)?) } else { None };
        Ok(Self { inputs, outputs, panels, bias })
    }

    /// `x · Wᵀ + b` for rows of `inputs` values; rows of `outputs` values.
    pub(super) fn apply(&self, machine: &Machine, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut out = vec![0.0; rows * self.outputs];
        if rows == 0 {
            return out;
        }
        let product = match machine.numerics {
            Numerics::Exact => kernels::panel_product,
            Numerics::Fast => kernels::panel_product_fast,
        };
        let mut by_panel = vec![0.0; self.panels.len() / self.inputs * rows];
        let group = if rows == 1 { PAIR } else { 1 };
        let weights = self.panels.chunks(group * PANEL * self.inputs);
        let parts = weights.zip(by_panel.chunks_mut(group * rows * PANEL)).collect();
        machine.each(parts, |(panels, out)| product(machine.isa, panels, x, self.inputs, out));
        for (index, panel) in by_panel.chunks_exact(rows * PANEL).enumerate() {
            let start = index * PANEL;
            let width = PANEL.min(self.outputs - start);
            for (row, values) in panel.chunks_exact(PANEL).enumerate() {
                let at = row * self.outputs + start;
                out[at..at + width].copy_from_slice(&values[..width]);
            }
        }
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        machine.leave(&mut out);
        out
    }
}

/// Little-endian 16-bit words.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// A bf16 tensor of one dimension, widened.
pub(super) fn vector(weights: &Weights, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
    Ok(words(weights.bf16(name, &[length])?).map(|bits| bf16::from_bits(bits).to_f32()).collect())
}
