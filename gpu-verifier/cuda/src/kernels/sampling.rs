//! Which token comes next, and how far a claimed one is from it.

use bytemuck::{NoUninit, Pod, Zeroable};

/// One token to draw or to judge.
#[repr(C)]
#[derive(Clone, Copy, Debug, NoUninit)]
pub struct Draw {
    /// Lower half of the seed.
    pub seed_low: u32,
    /// Upper half of the seed.
    pub seed_high: u32,
    /// Temperature; 0 is greedy.
    pub temperature: f32,
    /// Position in the sequence.
    pub position: u32,
    /// The token claimed; any number where none is.
    pub claimed: u32,
}

/// What came of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Drawn {
    /// The token that the rule gives.
    pub best: u32,
    /// Its score.
    pub best_score: f32,
    /// The claimed token's score; NaN where there is no such token.
    pub claimed_score: f32,
}

super::kernels! {
    "sampling":
    /// Draws tokens. Grid: rows.
    DrawTokens = "draw_tokens" {
        /// f32, `rows × vocabulary`.
        logits: u64,
        /// [`Draw`] per row.
        draws: u64,
        /// [`Drawn`] per row.
        drawn: u64,
        /// Tokens known.
        vocabulary: u32,
        /// Rows.
        rows: u32,
    }
    /// Noise for weights whose values do not matter. Grid: values / 256.
    FillNoise = "fill_noise" {
        /// bf16.
        out: u64,
        /// Values.
        count: u64,
        /// What they depend on.
        seed: u64,
        /// Their mean.
        mean: f32,
        /// Their deviation.
        deviation: f32,
    }
}
