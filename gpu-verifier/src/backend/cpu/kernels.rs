//! The loops of the forward pass. Rules that make them exact: one accumulator per output, summed with ascending index,
//! fused multiply-add wherever a product is accumulated, functions from [`numeric`](crate::numeric) only.

use super::isa::dispatch;
use crate::numeric::{exp, rsqrt, silu};

/// Outputs computed side by side, and the width of a panel of packed weights.
pub(super) const PANEL: usize = 32;

/// Rows that share one pass over half a panel: six of them with 16 outputs each just fit sixteen vector registers.
const TILE: usize = 6;

dispatch! {
    /// `out[m][j] = Σ_k x[m][k] · panel[k][j]` for `rows` rows of `depth` inputs; the panel is bf16.
    fn panel_product = panel_product_body(panel: &[u16], x: &[f32], depth: usize, out: &mut [f32])
}

dispatch! {
    /// Each row of `x` divided by its root mean square, times `weight`.
    fn rms_norm = rms_norm_body(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32])
}

dispatch! {
    /// `gate = silu(gate) · up`.
    fn silu_product = silu_product_body(gate: &mut [f32], up: &[f32])
}

dispatch! {
    /// Rotates each head of each row: `angles` holds, per row, all cosines and then all sines of half a head's width.
    fn rotate = rotate_body(x: &mut [f32], width: usize, head_dim: usize, angles: &[f32])
}

dispatch! {
    /// Causal attention of one head: row `i` of `queries` stands at position `first + i` and sees positions up to it.
    fn attend = attend_body(queries: &[f32], keys: &[f32], values: &[f32], first: usize, head_dim: usize, out: &mut [f32])
}

#[inline(always)]
fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// `ROWS × WIDTH` outputs in registers: those of the panel's columns from `COLUMN` on. Plain indices over arrays of known
/// size, and rows exactly as long as the panel, are what lets the compiler keep the accumulators there.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn tile<const ROWS: usize, const COLUMN: usize, const WIDTH: usize, W: Copy>(
    panel: &[[W; PANEL]],
    widen: impl Fn(W) -> f32,
    x: &[f32],
    out: &mut [f32],
) {
    let mut rows = [x; ROWS];
    for r in 0..ROWS {
        rows[r] = &x[r * panel.len()..][..panel.len()];
    }
    let mut acc = [[0.0_f32; WIDTH]; ROWS];
    for k in 0..panel.len() {
        let mut weights = [0.0_f32; WIDTH];
        for j in 0..WIDTH {
            weights[j] = widen(panel[k][COLUMN + j]);
        }
        for r in 0..ROWS {
            let factor = rows[r][k];
            for j in 0..WIDTH {
                acc[r][j] = factor.mul_add(weights[j], acc[r][j]);
            }
        }
    }
    for r in 0..ROWS {
        out[r * PANEL + COLUMN..][..WIDTH].copy_from_slice(&acc[r]);
    }
}

#[inline(always)]
fn panel_product_body(panel: &[u16], x: &[f32], depth: usize, out: &mut [f32]) {
    let (panel, _) = panel.as_chunks::<PANEL>();
    let panel = &panel[..depth];
    for (x, out) in x.chunks(TILE * depth).zip(out.chunks_mut(TILE * PANEL)) {
        match x.len() / depth {
            6 => halves::<6>(panel, x, out),
            5 => halves::<5>(panel, x, out),
            4 => halves::<4>(panel, x, out),
            3 => halves::<3>(panel, x, out),
            2 => halves::<2>(panel, x, out),
            _ => tile::<1, 0, PANEL, _>(panel, widen, x, out),
        }
    }
}

#[inline(always)]
fn halves<const ROWS: usize>(panel: &[[u16; PANEL]], x: &[f32], out: &mut [f32]) {
    tile::<ROWS, 0, 16, _>(panel, widen, x, out);
    tile::<ROWS, 16, 16, _>(panel, widen, x, out);
}

#[inline(always)]
fn rms_norm_body(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let squares = x.iter().fold(0.0_f32, |sum, &v| v.mul_add(v, sum));
        let scale = rsqrt(squares / width as f32 + eps);
        for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * w;
        }
    }
}

#[inline(always)]
fn silu_product_body(gate: &mut [f32], up: &[f32]) {
    for (gate, &up) in gate.iter_mut().zip(up) {
        *gate = silu(*gate) * up;
    }
}

#[inline(always)]
fn rotate_body(x: &mut [f32], width: usize, head_dim: usize, angles: &[f32]) {
    let half = head_dim / 2;
    for (row, angles) in x.chunks_exact_mut(width).zip(angles.chunks_exact(head_dim)) {
        let (cos, sin) = angles.split_at(half);
        for head in row.chunks_exact_mut(head_dim) {
            let (low, high) = head.split_at_mut(half);
            for (((a, b), &c), &s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let (x, y) = (*a, *b);
                *a = x.mul_add(c, -(y * s));
                *b = y.mul_add(c, x * s);
            }
        }
    }
}

/// Keys lie in blocks of [`PANEL`] positions, within a block by dimension; values by position.
#[inline(always)]
fn attend_body(queries: &[f32], keys: &[f32], values: &[f32], first: usize, head_dim: usize, out: &mut [f32]) {
    let scale = rsqrt(head_dim as f32);
    let mut scores = Vec::new();
    for (i, (query, out)) in queries.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim)).enumerate() {
        let seen = first + i + 1;
        scores.clear();
        scores.resize(seen.next_multiple_of(PANEL), 0.0);
        for (block, scores) in keys.chunks_exact(PANEL * head_dim).zip(scores.chunks_exact_mut(PANEL)) {
            let (block, _) = block.as_chunks::<PANEL>();
            tile::<1, 0, PANEL, _>(block, |key| key, query, scores);
        }
        let scores = &mut scores[..seen];
        let mut largest = f32::NEG_INFINITY;
        for score in scores.iter_mut() {
            *score *= scale;
            largest = largest.max(*score);
        }
        for score in scores.iter_mut() {
            *score = exp(*score - largest);
        }
        let total = scores.iter().fold(0.0_f32, |sum, &p| sum + p);
        weighted_sum(scores, values, head_dim, total, out);
    }
}

#[inline(always)]
fn weighted_sum(weights: &[f32], values: &[f32], head_dim: usize, total: f32, out: &mut [f32]) {
    for (chunk, out) in out.chunks_mut(PANEL).enumerate() {
        let start = chunk * PANEL;
        let mut acc = [0.0_f32; PANEL];
        if out.len() == PANEL {
            for (&w, value) in weights.iter().zip(values.chunks_exact(head_dim)) {
                let value = &value[start..start + PANEL];
                for (acc, &v) in acc.iter_mut().zip(value) {
                    *acc = w.mul_add(v, *acc);
                }
            }
        } else {
            for (&w, value) in weights.iter().zip(values.chunks_exact(head_dim)) {
                for (acc, &v) in acc.iter_mut().zip(&value[start..]) {
                    *acc = w.mul_add(v, *acc);
                }
            }
        }
        for (out, &acc) in out.iter_mut().zip(&acc) {
            *out = acc / total;
        }
    }
}
