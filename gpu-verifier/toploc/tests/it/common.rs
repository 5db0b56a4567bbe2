//! Synthetic activations, the same on every machine.

use toploc::Params;

pub(crate) const HIDDEN: usize = 256;
pub(crate) const PARAMS: Params = Params { topk: 128, block_rows: 32 };

/// A proof's bytes, honest or not.
pub(crate) fn wire(modulus: u16, coefficients: impl IntoIterator<Item = u16>) -> Vec<u8> {
    std::iter::once(modulus).chain(coefficients).flat_map(u16::to_be_bytes).collect()
}

/// The generator named in `vectors/toploc.json`.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Roughly Gaussian: the sum of four 16-bit lanes, centred.
    pub(crate) fn gaussian(&mut self) -> f32 {
        let z = self.next();
        let sum: i64 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i64).sum();
        (sum - 131_070) as f32 / 16_384.0
    }
}

/// Upper half of an `f32`: truncation to bf16.
pub(crate) fn bf16(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

pub(crate) fn activations(seed: u64, elements: usize) -> Vec<u16> {
    let mut rng = SplitMix64(seed);
    (0..elements).map(|_| bf16(rng.gaussian())).collect()
}
