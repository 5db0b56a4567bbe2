//! Arithmetic in GF(65497), the field of the proofs. Everything fits 32 bits, and loops over independent points are
//! written so that the compiler vectorises them.

/// The field's prime, 0xFFD9. Every finite bf16 bit pattern is below it, so finite values survive unchanged.
pub const PRIME: u32 = 65_497;

/// `2^16 mod PRIME`, used to fold the high half of a product.
const FOLD: u32 = 39;

/// Points evaluated side by side.
const LANES: usize = 32;

/// `a·b + c` for operands below the prime. The largest intermediate is 65496·65497 < 2^32.
#[inline(always)]
pub(crate) fn mul_add(a: u32, b: u32, c: u32) -> u32 {
    let product = a * b + c;
    let once = (product >> 16) * FOLD + (product & 0xffff);
    let twice = (once >> 16) * FOLD + (once & 0xffff);
    // Now below 2·PRIME: where nothing is to be subtracted the difference wraps to a huge number.
    twice.min(twice.wrapping_sub(PRIME))
}

/// `-a`.
#[inline(always)]
pub(crate) fn neg(a: u32) -> u32 {
    if a == 0 { 0 } else { PRIME - a }
}

/// `1/a` by Fermat's little theorem; 0 for 0.
fn inverse(a: u32) -> u32 {
    let (mut base, mut exponent, mut result) = (a, PRIME - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_add(result, base, 0);
        }
        base = mul_add(base, base, 0);
        exponent >>= 1;
    }
    result
}

/// Values of the polynomial `Σ coefficients[j]·x^j` at each of `points` (all below the prime), by Horner's rule.
pub(crate) fn evaluate(coefficients: &[u16], points: &[u32]) -> Vec<u32> {
    let mut values = vec![0; points.len()];
    for (xs, out) in points.chunks(LANES).zip(values.chunks_mut(LANES)) {
        let mut x = [0; LANES];
        x[..xs.len()].copy_from_slice(xs);
        let mut acc = [0; LANES];
        for &c in coefficients.iter().rev() {
            for lane in 0..LANES {
                acc[lane] = mul_add(acc[lane], x[lane], u32::from(c));
            }
        }
        out.copy_from_slice(&acc[..xs.len()]);
    }
    values
}

/// Coefficients, lowest power first, of the polynomial of degree below `xs.len()` through the points `(xs[i], ys[i])`.
/// The `xs` must differ from each other; operands are below the prime.
///
/// Lagrange's formula by way of the master polynomial `N(x) = Π (x - x_i)`: the basis polynomial of point i is
/// `N(x)/(x - x_i)` divided by `N'(x_i)`. All its divisions run side by side, one lane per point. The interpolating
/// polynomial is unique, so this gives the bits that Newton's divided differences would.
pub(crate) fn interpolate(xs: &[u32], ys: &[u32]) -> Vec<u16> {
    debug_assert_eq!(xs.len(), ys.len());
    let k = xs.len();
    let master = master_polynomial(xs);

    // quotient[i] runs through the coefficients of N(x)/(x - x_i) from the highest down (synthetic division), and
    // slope[i] through Horner's rule for the value of that quotient at x_i, which is N'(x_i).
    let mut quotient = vec![0; k];
    let mut slope = vec![0; k];
    for &n in master[1..].iter().rev() {
        for ((q, s), &x) in quotient.iter_mut().zip(&mut slope).zip(xs) {
            *q = mul_add(*q, x, n);
            *s = mul_add(*s, x, *q);
        }
    }
    let weights: Vec<u32> = slope.iter().zip(ys).map(|(&s, &y)| mul_add(inverse(s), y, 0)).collect();

    quotient.fill(0);
    let mut coefficients = vec![0; k];
    for (slot, &n) in coefficients.iter_mut().zip(&master[1..]).rev() {
        let mut sum = 0_u64;
        for ((q, &x), &w) in quotient.iter_mut().zip(xs).zip(&weights) {
            *q = mul_add(*q, x, n);
            sum += u64::from(mul_add(*q, w, 0));
        }
        *slot = (sum % u64::from(PRIME)) as u16;
    }
    coefficients
}

/// `Π (x - x_i)`, lowest power first, `xs.len() + 1` coefficients.
fn master_polynomial(xs: &[u32]) -> Vec<u32> {
    let mut master = vec![0; xs.len() + 1];
    master[0] = 1;
    for (degree, &x) in xs.iter().enumerate() {
        let minus_x = neg(x);
        let mut below = 0;
        for c in &mut master[..=degree + 1] {
            (*c, below) = (mul_add(*c, minus_x, below), *c);
        }
    }
    master
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplication_agrees_with_division_at_the_edges_and_in_between() {
        let samples = [0, 1, 2, 38, 39, 40, 255, 256, 32_768, 65_457, 65_458, 65_495, 65_496];
        for a in samples {
            for b in samples {
                for c in samples {
                    let expected = (u64::from(a) * u64::from(b) + u64::from(c)) % u64::from(PRIME);
                    assert_eq!(u64::from(mul_add(a, b, c)), expected, "{a}·{b}+{c}");
                }
            }
        }
    }

    #[test]
    fn an_interpolated_polynomial_passes_through_its_points() {
        let xs: Vec<u32> = (0..128).map(|i| i * 509 % PRIME).collect();
        let ys: Vec<u32> = (0..128).map(|i| (i * i * 7 + 3) % PRIME).collect();
        let coefficients = interpolate(&xs, &ys);
        assert_eq!(evaluate(&coefficients, &xs), ys);
    }

    #[test]
    fn every_nonzero_element_times_its_inverse_is_one() {
        assert!((1..PRIME).all(|a| mul_add(a, inverse(a), 0) == 1));
    }
}
