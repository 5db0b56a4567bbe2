//! Fewer bits than the model has: weights as int8, int4 or fp8, and keys and values likewise.
//!
//! Numbers are rounded to what the narrow format can hold and kept in the wide one, which gives the results of a machine that
//! computes with the narrow ones but for the order of its sums. As in practice, embeddings, norms and the output matrix keep
//! their bf16.

use half::bf16;

use crate::model::{ModelError, ModelFiles};

/// Weights that share a scale in int4; that of the common 4-bit formats.
const GROUP: usize = 128;

/// Values of a key or value vector that share a scale in int4.
const CACHE_GROUP: usize = 32;

/// Largest number of e4m3.
const E4M3_MAX: f32 = 448.0;

/// Symmetric int8, one scale per output.
pub(super) fn int8_weights(files: &ModelFiles) -> Result<ModelFiles, ModelError> {
    matrices(files, |inputs, values| values.chunks_mut(inputs).for_each(|row| integers(row, 127.0)))
}

/// Symmetric int4, one scale per 128 inputs of an output.
pub(super) fn int4_weights(files: &ModelFiles) -> Result<ModelFiles, ModelError> {
    let row = |row: &mut [f32]| row.chunks_mut(GROUP).for_each(|group| integers(group, 7.0));
    matrices(files, |inputs, values| values.chunks_mut(inputs).for_each(row))
}

/// fp8 with four bits of exponent and three of mantissa, one scale per matrix.
pub(super) fn fp8_weights(files: &ModelFiles) -> Result<ModelFiles, ModelError> {
    matrices(files, |_, values| {
        let scale = largest(values) / E4M3_MAX;
        if scale > 0.0 {
            values.iter_mut().for_each(|value| *value = e4m3(*value / scale) * scale);
        }
    })
}

/// A key or value in fp8, unscaled, which is what servers do unless told otherwise.
pub(super) fn fp8_cache(vector: &mut [f32]) {
    vector.iter_mut().for_each(|value| *value = e4m3(*value));
}

/// A key or value in int8, one scale per vector.
pub(super) fn int8_cache(vector: &mut [f32]) {
    integers(vector, 127.0);
}

/// A key or value in int4, one scale per 32 elements.
pub(super) fn int4_cache(vector: &mut [f32]) {
    vector.chunks_mut(CACHE_GROUP).for_each(|group| integers(group, 7.0));
}

/// Rounds to bf16 and back.
pub(super) fn to_bf16(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
}

/// Changes the matrices of all layers; `change` gets the number of inputs and a matrix, one row per output.
fn matrices(files: &ModelFiles, change: impl Fn(usize, &mut [f32])) -> Result<ModelFiles, ModelError> {
    files.edited(|name, shape, bytes| {
        let (true, &[_, inputs]) = (name.ends_with("_proj.weight"), shape) else { return };
        let read = |pair: &[u8]| bf16::from_le_bytes([pair[0], pair[1]]).to_f32();
        let mut values: Vec<f32> = bytes.chunks_exact(2).map(read).collect();
        change(inputs, &mut values);
        for (bytes, value) in bytes.chunks_exact_mut(2).zip(values) {
            bytes.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
        }
    })
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// The nearest of the `2 · steps + 1` multiples of a scale at which the largest value is exact.
fn integers(values: &mut [f32], steps: f32) {
    let scale = largest(values) / steps;
    if scale > 0.0 {
        values.iter_mut().for_each(|value| *value = (*value / scale).round_ties_even() * scale);
    }
}

/// The nearest number of e4m3, ties to even; what is too large becomes the largest.
fn e4m3(value: f32) -> f32 {
    const MIN_EXPONENT: i32 = -6;
    let magnitude = value.abs().min(E4M3_MAX);
    let exponent = ((magnitude.to_bits() >> 23) as i32 - 127).max(MIN_EXPONENT);
    let step = 2.0_f32.powi(exponent - 3);
    ((magnitude / step).round_ties_even() * step).copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the format's definition: all 127 magnitudes are kept, and everything else goes to the nearest of them.
    #[test]
    fn e4m3_rounds_to_the_nearest_number_of_the_format() {
        let subnormal = (0..8).map(|m| m as f32 / 8.0 * 2.0_f32.powi(-6));
        let normal = (1..16).flat_map(|e| (0..8).map(move |m| (1.0 + m as f32 / 8.0) * 2.0_f32.powi(e - 7)));
        let all: Vec<f32> = subnormal.chain(normal).filter(|&value| value <= E4M3_MAX).collect();
        assert_eq!(all.len(), 127);
        for pair in all.windows(2) {
            assert_eq!((e4m3(pair[0]), e4m3(-pair[1])), (pair[0], -pair[1]));
            let (below, above) = (pair[0] + (pair[1] - pair[0]) * 0.49, pair[0] + (pair[1] - pair[0]) * 0.51);
            assert_eq!((e4m3(below), e4m3(above)), (pair[0], pair[1]));
        }
        assert_eq!((e4m3(1e9), e4m3(-460.0)), (448.0, -448.0));
    }

    #[test]
    fn integers_keep_the_largest_and_have_no_more_than_their_steps() {
        let mut values: Vec<f32> = (0..1_000).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let before = values.clone();
        integers(&mut values, 7.0);
        let mut distinct: Vec<u32> = values.iter().map(|value| value.abs().to_bits()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
        let scale = largest(&before) / 7.0;
        assert!(values.iter().zip(&before).all(|(after, before)| (after - before).abs() <= scale * 0.5001));
        let mut zeros = [0.0; 4];
        integers(&mut zeros, 7.0);
        assert_eq!(zeros, [0.0; 4]);
    }
}
