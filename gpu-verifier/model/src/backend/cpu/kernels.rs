//! The loops of the forward pass. Rules that make the exact ones exact: one accumulator per output, summed with ascending
//! index, fused multiply-add wherever a product is accumulated, functions from [`numeric`](crate::numeric) only. The fast
//! ones differ in that long sums of one row run in several accumulators, which are added at the end.

use super::isa::dispatch;
use crate::numeric::{exp, rsqrt, silu};

/// Outputs computed side by side, and the width of a panel of packed weights.
pub(super) const PANEL: usize = 32;

/// Panels that a single row is multiplied with at once, so that enough sums are under way to hide the latency of one.
pub(super) const PAIR: usize = 2;

/// Rows that share one pass over columns of a panel: six of them with 16 outputs each just fit sixteen vector registers of
/// eight, with 32 outputs each half of 32 registers of sixteen.
const TILE: usize = 6;

/// Accumulators of a long sum in fast mode.
const LANES: usize = 16;

dispatch! {
    /// `out[m][j] = Σ_k x[m][k] · panel[k][j]` for rows of `depth` inputs; the panel is bf16. With one row there may be
    /// two panels.
    fn panel_product = panel_product_body::<16, 1>, panel_product_body::<32, 1>,
    (panels: &[u16], x: &[f32], depth: usize, out: &mut [f32])
}

dispatch! {
    /// [`panel_product`] with two accumulators for each output of a single row.
    fn panel_product_fast = panel_product_body::<16, 2>, panel_product_body::<32, 4>,
    (panels: &[u16], x: &[f32], depth: usize, out: &mut [f32])
}

dispatch! {
    /// Each row of `x` divided by its root mean square, times `weight`, in place.
    fn rms_norm = rms_norm_body::<1>, rms_norm_body::<1>, (x: &mut [f32], weight: &[f32], eps: f32)
}

dispatch! {
    /// [`rms_norm`] with sixteen accumulators.
    fn rms_norm_fast = rms_norm_body::<LANES>, rms_norm_body::<LANES>, (x: &mut [f32], weight: &[f32], eps: f32)
}

dispatch! {
    /// `gate = silu(gate) · up`.
    fn silu_product = silu_product_body, silu_product_body, (gate: &mut [f32], up: &[f32])
}

dispatch! {
    /// Rotates each head of each row: `angles` holds, per row, all cosines and then all sines of half a head's width.
    fn rotate = rotate_body, rotate_body, (x: &mut [f32], width: usize, head_dim: usize, angles: &[f32])
}

dispatch! {
    /// Causal attention of one head.
    fn attend = attend_body::<16, 1>, attend_body::<32, 1>, (head: &Head<'_>, queries: &[f32], out: &mut [f32])
}

dispatch! {
    /// [`attend`] with sixteen accumulators for the sum of the weights.
    fn attend_fast = attend_body::<16, LANES>, attend_body::<32, LANES>, (head: &Head<'_>, queries: &[f32], out: &mut [f32])
}

/// What the queries of one head meet: row `i` of them stands at position `first + i`, and sees the last `window` positions
/// up to its own.
pub(super) struct Head<'a> {
    /// Blocks of [`PANEL`] positions, within a block by dimension.
    pub(super) keys: &'a [f32],
    /// By position.
    pub(super) values: &'a [f32],
    pub(super) head_dim: usize,
    pub(super) first: usize,
    pub(super) window: usize,
}

#[inline(always)]
fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// `ROWS × WIDTH` outputs in registers: those of the panel's columns from `COLUMN` on. Plain indices over arrays of known
/// size, and rows exactly as long as the panel, are what lets the compiler keep the accumulators there, with debug
/// assertions too.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn tile<const ROWS: usize, const COLUMN: usize, const WIDTH: usize, W: Copy>(
    panel: &[[W; PANEL]],
    widen: impl Fn(W) -> f32,
    x: &[f32],
) -> [[f32; WIDTH]; ROWS] {
    let depth = panel.len();
    let rows: [&[f32]; ROWS] = std::array::from_fn(|r| &x[r * depth..][..depth]);
    let mut acc = [[0.0_f32; WIDTH]; ROWS];
    for (k, bits) in panel.iter().enumerate() {
        let mut weights = [0.0_f32; WIDTH];
        for j in 0..WIDTH {
            weights[j] = widen(bits[COLUMN + j]);
        }
        for r in 0..ROWS {
            let factor = rows[r][k];
            for j in 0..WIDTH {
                acc[r][j] = factor.mul_add(weights[j], acc[r][j]);
            }
        }
    }
    acc
}

/// Writes a tile into its columns of rows that are [`PANEL`] wide.
#[inline(always)]
fn put<const ROWS: usize, const COLUMN: usize, const WIDTH: usize>(tile: [[f32; WIDTH]; ROWS], out: &mut [f32]) {
    let (rows, _) = out.as_chunks_mut::<PANEL>();
    for (row, tile) in rows.iter_mut().zip(tile) {
        row[COLUMN..COLUMN + WIDTH].copy_from_slice(&tile);
    }
}

/// All of a panel's columns, 16 or 32 at a time.
#[inline(always)]
fn columns<const ROWS: usize, const WIDTH: usize, W: Copy>(
    panel: &[[W; PANEL]],
    widen: impl Fn(W) -> f32 + Copy,
    x: &[f32],
    out: &mut [f32],
) {
    if WIDTH == PANEL {
        put::<ROWS, 0, PANEL>(tile::<ROWS, 0, PANEL, _>(panel, widen, x), out);
    } else {
        put::<ROWS, 0, 16>(tile::<ROWS, 0, 16, _>(panel, widen, x), out);
        put::<ROWS, 16, 16>(tile::<ROWS, 16, 16, _>(panel, widen, x), out);
    }
}

#[inline(always)]
fn panel_product_body<const WIDTH: usize, const SPLIT: usize>(
    panels: &[u16],
    x: &[f32],
    depth: usize,
    out: &mut [f32],
) {
    let (panels, _) = panels.as_chunks::<PANEL>();
    if let Some(row) = x.get(..depth).filter(|row| row.len() == x.len()) {
        return match panels.split_at_checked(depth) {
            Some((a, b)) if b.len() == depth => row_product::<SPLIT>(a, b, row, out),
            _ => columns::<1, PANEL, _>(panels, widen, row, out),
        };
    }
    let panel = &panels[..depth];
    for (x, out) in x.chunks(TILE * depth).zip(out.chunks_mut(TILE * PANEL)) {
        match x.len() / depth {
            6 => columns::<6, WIDTH, _>(panel, widen, x, out),
            5 => columns::<5, WIDTH, _>(panel, widen, x, out),
            4 => columns::<4, WIDTH, _>(panel, widen, x, out),
            3 => columns::<3, WIDTH, _>(panel, widen, x, out),
            2 => columns::<2, PANEL, _>(panel, widen, x, out),
            _ => columns::<1, PANEL, _>(panel, widen, x, out),
        }
    }
}

/// One row times two panels; input `k` goes into accumulator `k mod SPLIT`, and these are added in order.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn row_product<const SPLIT: usize>(a: &[[u16; PANEL]], b: &[[u16; PANEL]], x: &[f32], out: &mut [f32]) {
    let mut acc = [[[0.0_f32; PANEL]; PAIR]; SPLIT];
    let steps = x.len() / SPLIT;
    let (a, b, x) = (&a[..x.len()], &b[..x.len()], x);
    for step in 0..steps {
        for s in 0..SPLIT {
            let k = step * SPLIT + s;
            for j in 0..PANEL {
                acc[s][0][j] = x[k].mul_add(widen(a[k][j]), acc[s][0][j]);
            }
            for j in 0..PANEL {
                acc[s][1][j] = x[k].mul_add(widen(b[k][j]), acc[s][1][j]);
            }
        }
    }
    for k in steps * SPLIT..x.len() {
        for j in 0..PANEL {
            acc[0][0][j] = x[k].mul_add(widen(a[k][j]), acc[0][0][j]);
            acc[0][1][j] = x[k].mul_add(widen(b[k][j]), acc[0][1][j]);
        }
    }
    for (half, out) in out.chunks_exact_mut(PANEL).enumerate() {
        for j in 0..PANEL {
            out[j] = (1..SPLIT).fold(acc[0][half][j], |sum, s| sum + acc[s][half][j]);
        }
    }
}

/// `Σ term(x[i])` by fused or plain additions of `add`; index `i` goes into accumulator `i mod SPLIT`.
#[inline(always)]
fn long_sum<const SPLIT: usize>(x: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let mut acc = [0.0_f32; SPLIT];
    let (steps, rest) = x.as_chunks::<SPLIT>();
    for step in steps {
        for (acc, &x) in acc.iter_mut().zip(step) {
            *acc = add(*acc, x);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = add(*acc, x);
    }
    acc[1..].iter().fold(acc[0], |sum, a| sum + a)
}

#[inline(always)]
fn rms_norm_body<const SPLIT: usize>(x: &mut [f32], weight: &[f32], eps: f32) {
    let width = weight.len();
    for x in x.chunks_exact_mut(width) {
        let squares = long_sum::<SPLIT>(x, |sum, v| v.mul_add(v, sum));
        let scale = rsqrt(squares / width as f32 + eps);
        for (x, &w) in x.iter_mut().zip(weight) {
            *x = *x * scale * w;
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

/// Rows of queries that meet a block of keys together.
const QUERIES: usize = 4;

#[inline(always)]
fn attend_body<const WIDTH: usize, const SPLIT: usize>(head: &Head<'_>, queries: &[f32], out: &mut [f32]) {
    let dim = head.head_dim;
    let mut scores = Vec::new();
    for (step, (queries, out)) in queries.chunks(QUERIES * dim).zip(out.chunks_mut(QUERIES * dim)).enumerate() {
        let first = head.first + step * QUERIES;
        let rows = queries.len() / dim;
        // Scores of all these rows for all blocks that any of them sees, a row's scores being `PANEL` wide in each block.
        let start = (first + 1).saturating_sub(head.window) / PANEL;
        let blocks = (first + rows).div_ceil(PANEL) - start;
        scores.clear();
        scores.resize(blocks * rows * PANEL, 0.0);
        let keys = head.keys[start * PANEL * dim..].chunks_exact(PANEL * dim);
        for (block, scores) in keys.zip(scores.chunks_exact_mut(rows * PANEL)) {
            let (block, _) = block.as_chunks::<PANEL>();
            match rows {
                4 => columns::<4, WIDTH, _>(block, |key| key, queries, scores),
                3 => columns::<3, WIDTH, _>(block, |key| key, queries, scores),
                2 => columns::<2, PANEL, _>(block, |key| key, queries, scores),
                _ => columns::<1, PANEL, _>(block, |key| key, queries, scores),
            }
        }
        let mut weights = vec![0.0; blocks * PANEL];
        for (row, out) in out.chunks_exact_mut(dim).enumerate() {
            for (weights, scores) in weights.chunks_exact_mut(PANEL).zip(scores.chunks_exact(rows * PANEL)) {
                weights.copy_from_slice(&scores[row * PANEL..][..PANEL]);
            }
            let end = first + row + 1;
            let low = end.saturating_sub(head.window);
            let weights = &mut weights[low - start * PANEL..end - start * PANEL];
            let total = softmax::<SPLIT>(weights, rsqrt(dim as f32));
            weighted_sum(weights, &head.values[low * dim..], total, out);
        }
    }
}

/// Turns scores into weights and returns their sum.
#[inline(always)]
fn softmax<const SPLIT: usize>(scores: &mut [f32], scale: f32) -> f32 {
    let mut largest = f32::NEG_INFINITY;
    for score in scores.iter_mut() {
        *score *= scale;
        largest = largest.max(*score);
    }
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    long_sum::<SPLIT>(scores, |sum, p| sum + p)
}

#[inline(always)]
fn weighted_sum(weights: &[f32], values: &[f32], total: f32, out: &mut [f32]) {
    let dim = out.len();
    let mut start = 0;
    while start < dim {
        let out = &mut out[start..];
        start += match out.len() {
            64.. => weighted_columns::<64>(weights, &values[start..], dim, total, out),
            32.. => weighted_columns::<32>(weights, &values[start..], dim, total, out),
            8.. => weighted_columns::<8>(weights, &values[start..], dim, total, out),
            _ => weighted_columns::<1>(weights, &values[start..], dim, total, out),
        };
    }
}

#[inline(always)]
fn weighted_columns<const WIDTH: usize>(
    weights: &[f32],
    values: &[f32],
    dim: usize,
    total: f32,
    out: &mut [f32],
) -> usize {
    let mut acc = [0.0_f32; WIDTH];
    for (&w, value) in weights.iter().zip(values.chunks(dim)) {
        let value = &value[..WIDTH];
        for (acc, &v) in acc.iter_mut().zip(value) {
            *acc = w.mul_add(v, *acc);
        }
    }
    for (out, acc) in out.iter_mut().zip(acc) {
        *out = acc / total;
    }
    WIDTH
}
