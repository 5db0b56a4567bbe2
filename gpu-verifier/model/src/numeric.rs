//! Elementary functions that give the same bits everywhere.
//!
//! A libm differs between systems, and by its last bit decides whether a proof verifies. These are polynomials in a
//! stated order of IEEE-754 operations (`+ - × ÷ √` and fused multiply-add, each correctly rounded), so that any
//! machine, and any GPU kernel that copies the same order, agrees bit for bit. Rust never contracts or reorders
//! floating-point operations by itself.
//!
//! The single-precision ones are Cephes' `expf` and `logf`, accurate to 2 units in the last place. They contain no
//! branches, so that loops over them vectorise. The double-precision ones are only used to make tables.

/// Adding and subtracting it rounds to the nearest integer: 1.5 · 2^23.
const ROUND_F32: f32 = 12_582_912.0;
/// The same for doubles: 1.5 · 2^52.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;

/// `e^x`. 0 below -87.3, infinite above 88.3, NaN for NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND_F32);
    let n = shifted - ROUND_F32;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let mantissa = p.mul_add(r * r, r) + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND_F32.to_bits()).wrapping_add(127) << 23;
    let value = mantissa * f32::from_bits(power);
    let value = if x < -87.3 { 0.0 } else { value };
    if x > 88.3 { f32::INFINITY } else { value }
}

/// Natural logarithm of a positive normal number; anything else gives an unspecified finite value or infinity.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Scaled by a power of two into [√½, √2): the offset moves the cut of the exponent from 1 to √½.
    let offset = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (offset as i32 >> 23) as f32;
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(std::f32::consts::FRAC_1_SQRT_2.to_bits())) - 1.0;
    let z = m * m;
    let mut p = 7.037_683_6e-2_f32;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p.mul_add(m, c);
    }
    let tail = exponent.mul_add(LN2_LOW, p * m * z);
    let tail = z.mul_add(-0.5, tail);
    exponent.mul_add(LN2_HIGH, m + tail)
}

/// `1/√x`, from a correctly rounded root and a correctly rounded division.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}

/// `x · sigmoid(x)`, the activation of SwiGLU.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// Sine and cosine of an angle of at least 0 and below 2^30 radians: computed in double, rounded once.
pub fn sin_cos(angle: f32) -> (f32, f32) {
    const HALF_PI_LOW: f64 = 6.123_233_995_736_766e-17;
    let x = f64::from(angle);
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND_F64);
    let n = shifted - ROUND_F64;
    let r = n.mul_add(-HALF_PI_LOW, n.mul_add(-std::f64::consts::FRAC_PI_2, x));
    let z = r * r;
    let sin = r * series(z, [3, 5, 7, 9, 11, 13, 15, 17]);
    let cos = series(z, [2, 4, 6, 8, 10, 12, 14, 16]);
    let (sin, cos) = match shifted.to_bits() & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    };
    (sin as f32, cos as f32)
}

/// `1 - z/((s-1)·s) + …`: the alternating series of sine (over r) and cosine, its factorials given by their last factor.
fn series(z: f64, last_factors: [u32; 8]) -> f64 {
    last_factors.iter().rev().fold(1.0, |sum, &s| {
        let factor = f64::from((s - 1) * s);
        (-z / factor).mul_add(sum, 1.0)
    })
}

/// `e^x`, for tables; `x` within ±700.
pub(crate) fn exp_f64(x: f64) -> f64 {
    const LN2_LOW: f64 = 2.319_046_813_846_3e-17;
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND_F64);
    let n = shifted - ROUND_F64;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-std::f64::consts::LN_2, x));
    let sum = (1..=18).rev().fold(1.0, |sum, i| (r / f64::from(i)).mul_add(sum, 1.0));
    let power = shifted.to_bits().wrapping_sub(ROUND_F64.to_bits()).wrapping_add(1_023) << 52;
    sum * f64::from_bits(power)
}

/// Natural logarithm of a positive normal number, for tables.
pub(crate) fn ln_f64(x: f64) -> f64 {
    let offset = x.to_bits().wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (offset as i64 >> 52) as f64;
    let m = f64::from_bits((offset & ((1 << 52) - 1)).wrapping_add(std::f64::consts::FRAC_1_SQRT_2.to_bits()));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let atanh = (0..=12).rev().fold(0.0, |sum: f64, i| sum.mul_add(z, 1.0 / f64::from(2 * i + 1)));
    exponent.mul_add(std::f64::consts::LN_2, 2.0 * s * atanh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rope, RopeScaling};

    fn close(ours: f64, theirs: f64, relative: f64) -> bool {
        (ours - theirs).abs() <= relative * theirs.abs().max(1e-30)
    }

    #[test]
    fn the_exponential_is_accurate_over_its_range_and_saturates_beyond() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1_000.0;
            assert!(close(exp(x).into(), f64::from(x).exp(), 2.5e-7), "exp({x}) = {}", exp(x));
        }
        assert_eq!((exp(-100.0), exp(f32::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!((exp(89.0), exp(f32::INFINITY)), (f32::INFINITY, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn the_logarithm_is_accurate_over_its_range() {
        for i in 1..200_000_u32 {
            for x in [i as f32 / 200_000.0, i as f32 / 7.0] {
                let error = (f64::from(ln(x)) - f64::from(x).ln()).abs();
                assert!(error <= 3e-7 * f64::from(x).ln().abs().max(0.3), "ln({x}) = {}", ln(x));
            }
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sines_and_cosines_are_the_nearest_single_or_its_neighbour() {
        for i in 0..300_000 {
            let angle = i as f32 * 3.7;
            let (sin, cos) = sin_cos(angle);
            assert!((f64::from(sin) - f64::from(angle).sin()).abs() < 6.1e-8, "sin({angle})");
            assert!((f64::from(cos) - f64::from(angle).cos()).abs() < 6.1e-8, "cos({angle})");
        }
    }

    #[test]
    fn rotary_frequencies_are_the_powers_of_the_base() {
        for theta in [1.0, 10_000.0, 500_000.0, 1e12] {
            let table = Rope { theta, scaling: RopeScaling::Default }.table(128);
            assert_eq!(table.magnitude, 1.0);
            for (i, f) in table.frequencies.into_iter().enumerate() {
                assert!(close(f.into(), theta.powf(-(i as f64) / 64.0), 7e-8), "{theta} {i} {f}");
            }
        }
    }
}
