//! Matrices packed for the loops, and the threads that share them.

use rayon::ThreadPool;
use rayon::prelude::*;

use super::isa::Isa;
use super::kernels::{PANEL, panel_product};
use crate::model::{ModelError, Weights};

/// Where loops run: which instructions, which threads.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) isa: Isa,
    pool: Option<ThreadPool>,
}

impl Machine {
    pub(super) fn new(isa: Isa, threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = match threads {
            0 | 1 => None,
            n => Some(rayon::ThreadPoolBuilder::new().num_threads(n).build()?),
        };
        Ok(Self { isa, pool })
    }

    /// Calls `work(index, part)` for each part of `parts`, in any order. Parts are independent, so that results do not
    /// depend on the number of threads.
    pub(super) fn each_part(&self, parts: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        match &self.pool {
            None => parts.chunks_mut(size).enumerate().for_each(|(index, part)| work(index, part)),
            Some(pool) => pool.install(|| {
                parts.par_chunks_mut(size).enumerate().for_each(|(index, part)| work(index, part));
            }),
        }
    }
}

/// A matrix `out × in` of bf16, stored as panels of 32 outputs with ascending input, the last panel filled with zeros.
#[derive(Debug)]
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<u16>,
}

impl Linear {
    pub(super) fn load(weights: &Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self, ModelError> {
        let bytes = weights.bf16(name, &[outputs, inputs])?;
        let mut panels = vec![0; outputs.div_ceil(PANEL) * PANEL * inputs];
        for (output, row) in bytes.chunks_exact(2 * inputs).enumerate() {
            let column = output / PANEL * PANEL * inputs + output % PANEL;
            for (input, value) in row.chunks_exact(2).enumerate() {
                panels[column + input * PANEL] = u16::from_le_bytes([value[0], value[1]]);
            }
        }
        Ok(Self { inputs, outputs, panels })
    }

    /// `x · Wᵀ` for rows of `inputs` values; rows of `outputs` values.
    pub(super) fn apply(&self, machine: &Machine, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut by_panel = vec![0.0; self.panels.len() / self.inputs * rows];
        machine.each_part(&mut by_panel, rows.max(1) * PANEL, |index, out| {
            let size = PANEL * self.inputs;
            let panel = &self.panels[index * size..(index + 1) * size];
            panel_product(machine.isa, panel, x, self.inputs, out);
        });
        let mut out = vec![0.0; rows * self.outputs];
        for (index, panel) in by_panel.chunks_exact(rows.max(1) * PANEL).enumerate() {
            let start = index * PANEL;
            let width = PANEL.min(self.outputs - start);
            for (row, values) in panel.chunks_exact(PANEL).enumerate() {
                let at = row * self.outputs + start;
                out[at..at + width].copy_from_slice(&values[..width]);
            }
        }
        out
    }
}
