//! Random numbers, and bf16 back and forth.

use half::bf16;
use std::sync::Arc;

use tandem_cuda::device::Device;
use tandem_cuda::device::emulator::{Emulator, Options};

/// The emulated device, with threads in this order.
pub(crate) fn device(backwards: bool) -> Arc<dyn Device> {
    Emulator::open(Options { backwards, ..Options::default() }).unwrap()
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Nearly normal.
    pub(crate) fn normal(&mut self) -> f32 {
        let z = self.next();
        let sum: i32 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i32).sum();
        (sum - 131_070) as f32 / 37_837.0
    }

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
