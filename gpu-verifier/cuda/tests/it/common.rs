//! What the tests share.

use std::sync::Arc;

use tandem_cuda::device::Device;
use tandem_cuda::device::emulator::{Emulator, Options};

/// The device whose threads take turns in order, and the one whose threads do so backwards.
pub(crate) fn devices() -> [Arc<dyn Device>; 2] {
    [false, true].map(|backwards| Emulator::open(Options { backwards, ..Options::default() }).unwrap())
}

/// Numbers that look random: SplitMix64.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// About normally distributed, deviation 1.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.next() as u16 as f32).sum::<f32>().mul_add(1.0 / 37_837.0, -131_070.0 / 37_837.0)
    }
}
