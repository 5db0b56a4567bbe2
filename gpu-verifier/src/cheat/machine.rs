//! Honest machines that do not agree to the last bit.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::quantise::to_bf16;
use crate::backend::cpu::{CpuBackend, Quirks};
use crate::backend::{Backend, Numerics, Options};
use crate::model::{ModelError, ModelFiles};

/// A machine that runs the whole model, and whose responses must pass: what false positives are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Machine {
    /// Exact mode: no noise at all.
    Exact,
    /// Fast mode: long sums in another order.
    Fast,
    /// Fast mode, and everything that one operation hands to the next is rounded to bf16, logits and angles too: what the
    /// libraries of graphics processors do, and some hundred times the noise of fast mode.
    Rounding,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Fast, Self::Rounding];

    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
            Self::Rounding => "rounding",
        }
    }

    /// Loads a model into it.
    ///
    /// # Errors
    /// As [`backend::open`](crate::backend::open).
    pub fn open(self, files: &ModelFiles, threads: usize) -> Result<Arc<dyn Backend>, ModelError> {
        let numerics = if self == Self::Exact { Numerics::Exact } else { Numerics::Fast };
        let results: Option<fn(&mut [f32])> = (self == Self::Rounding).then_some(to_bf16);
        let quirks = Quirks { results, ..Quirks::default() };
        Ok(Arc::new(CpuBackend::load_with(files, &Options { threads, numerics }, quirks)?))
    }
}
