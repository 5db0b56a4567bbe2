//! Random numbers in bf16, and how close results in it are.

use half::bf16;

use crate::common::Random;

impl Random {
    pub(crate) fn floats(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| self.normal() * size).collect()
    }

    pub(crate) fn halves(&mut self, count: usize, size: f32) -> Vec<u16> {
        (0..count).map(|_| bf16::from_f32(self.normal() * size).to_bits()).collect()
    }
}

pub(crate) fn wide(bits: u16) -> f64 {
    bf16::from_bits(bits).to_f64()
}

/// Half a step of bf16 at 1.
pub(crate) const HALF_STEP: f64 = 1.0 / 256.0;

/// Whether a bf16 is `value` up to its own rounding, that of `slack` more half steps, and the smallest normal number.
pub(crate) fn rounds_to(bits: u16, value: f64, slack: f64) -> bool {
    (wide(bits) - value).abs() <= value.abs() * HALF_STEP * (1.0 + slack) + 2e-38
}
