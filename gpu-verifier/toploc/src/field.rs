//! Arithmetic in GF(65497), the field of the proofs. It is exact: integers, and in the hottest loop whole numbers in doubles,
//! far below 2^53, for which alone every x86-64 has a vector multiplication of that size. Sums are reduced late.

/// The field's prime, 0xFFD9. Every finite bf16 bit pattern is below it, so finite values survive unchanged.
pub const PRIME: u32 = 65_497;

/// Points evaluated side by side.
const LANES: usize = 16;

/// Coefficients that are multiplied by their powers before the sum is reduced.
const STEP: usize = 8;

/// Points below which a polynomial through them is built one point after the other.
const LEAF: usize = 8;

/// `a·b + c` for operands below the prime. The largest intermediate is 65496·65497 < 2^32.
#[inline(always)]
pub(crate) fn mul_add(a: u32, b: u32, c: u32) -> u32 {
    (a * b + c) % PRIME
}

/// A whole number of magnitude at most 2^15 that is congruent to the whole number `x`, for `|x|` below 2^47: `x` less the
/// multiple of the prime nearest to it. Adding and subtracting 1.5·2^52 rounds the quotient, and an error in its last place
/// only changes which of two multiples counts as nearest where they are equally near.
#[inline(always)]
fn nearest_zero(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const P: f64 = PRIME as f64;
    x - (x * (1.0 / P) + ROUND - ROUND) * P
}

fn reduce(x: u64) -> u32 {
    (x % u64::from(PRIME)) as u32
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

/// Replaces all `values`, none of them 0, by their inverses, with a single inversion: of their product.
fn invert_all(values: &mut [u32]) {
    let mut before = Vec::with_capacity(values.len());
    let product = values.iter().fold(1, |product, &value| {
        before.push(product);
        mul_add(product, value, 0)
    });
    let mut rest = inverse(product);
    for (value, before) in values.iter_mut().zip(before).rev() {
        (*value, rest) = (mul_add(rest, before, 0), mul_add(rest, *value, 0));
    }
}

/// Values of the polynomial `Σ coefficients[j]·x^j` at each of `points`; all operands are below the prime.
///
/// Horner's rule in steps of eight powers: `(… + c15·x^7) · x^8 + c0 + c1·x + … + c7·x^7`. With powers and the value so
/// far no larger than 2^15, a step's sum is below `2^30 + 8·2^31 < 2^35`.
pub(crate) fn evaluate(coefficients: &[u16], points: &[u32]) -> Vec<u32> {
    let mut steps = vec![[0.0_f64; STEP]; coefficients.len().div_ceil(STEP)];
    for (c, &coefficient) in steps.as_flattened_mut().iter_mut().zip(coefficients) {
        *c = f64::from(coefficient);
    }
    let mut values = vec![0; points.len()];
    for (xs, out) in points.chunks(LANES).zip(values.chunks_mut(LANES)) {
        let mut powers = [[1.0; LANES]; STEP + 1];
        for (power, &x) in powers[1].iter_mut().zip(xs) {
            *power = nearest_zero(f64::from(x));
        }
        for exponent in 2..=STEP {
            let (a, b) = (powers[exponent / 2], powers[exponent - exponent / 2]);
            powers[exponent] = std::array::from_fn(|lane| nearest_zero(a[lane] * b[lane]));
        }
        let mut value = [0.0; LANES];
        horner(&steps, &powers, &mut value);
        for (out, value) in out.iter_mut().zip(value) {
            *out = reduce((value as i64 + i64::from(PRIME)) as u64);
        }
    }
    values
}

#[inline(never)]
#[allow(clippy::needless_range_loop, reason = "plain indices over arrays are what the compiler vectorises")]
fn horner(steps: &[[f64; STEP]], powers: &[[f64; LANES]; STEP + 1], value: &mut [f64; LANES]) {
    for step in steps.iter().rev() {
        for lane in 0..LANES {
            let mut sum = value[lane] * powers[STEP][lane];
            for exponent in 0..STEP {
                sum += step[exponent] * powers[exponent][lane];
            }
            value[lane] = nearest_zero(sum);
        }
    }
}

/// Coefficients, lowest power first, of the polynomial of degree below `xs.len()` through the points `(xs[i], ys[i])`.
/// The `xs` must differ from each other; operands are below the prime.
///
/// Lagrange's formula: with `N(x) = Π (x - x_i)` it is the sum of `y_i/N'(x_i) · N(x)/(x - x_i)`. Products and sum are
/// taken along a tree of halves. The interpolating polynomial is unique, so this gives the bits that Newton's divided
/// differences would.
pub(crate) fn interpolate(xs: &[u32], ys: &[u32]) -> Vec<u16> {
    debug_assert_eq!(xs.len(), ys.len());
    let tree = Tree::over(xs);
    let slope: Vec<u16> = (1..).zip(&tree.master[1..]).map(|(j, &c)| mul_add(j, c, 0) as u16).collect();
    let mut weights = evaluate(&slope, xs);
    invert_all(&mut weights);
    for (weight, &y) in weights.iter_mut().zip(ys) {
        *weight = mul_add(*weight, y, 0);
    }
    tree.numerator(xs, &weights).into_iter().map(|c| c as u16).collect()
}

/// The polynomials `Π (x - x_i)` over some points, over each half of them, and so on.
struct Tree {
    /// Lowest power first, one coefficient more than points.
    master: Vec<u32>,
    halves: Option<Box<[Tree; 2]>>,
}

impl Tree {
    fn over(xs: &[u32]) -> Self {
        if xs.len() <= LEAF {
            let mut master = vec![1];
            for &x in xs {
                times_root(&mut master, x);
            }
            return Self { master, halves: None };
        }
        let (left, right) = xs.split_at(xs.len() / 2);
        let halves = [Self::over(left), Self::over(right)];
        let master = sum_of_products([[&halves[0].master, &halves[1].master]]);
        Self { master, halves: Some(Box::new(halves)) }
    }

    /// `Σ weights[i] · Π_{j≠i} (x - x_j)`, as many coefficients as points.
    fn numerator(&self, xs: &[u32], weights: &[u32]) -> Vec<u32> {
        let Some(halves) = &self.halves else {
            let (mut sum, mut master) = (vec![], vec![1]);
            for (&x, &weight) in xs.iter().zip(weights) {
                times_root(&mut sum, x);
                sum.resize(master.len(), 0);
                for (sum, &m) in sum.iter_mut().zip(&master) {
                    *sum = mul_add(weight, m, *sum);
                }
                times_root(&mut master, x);
            }
            return sum;
        };
        let (left, right) = xs.split_at(xs.len() / 2);
        let (left_weights, right_weights) = weights.split_at(left.len());
        let left = halves[0].numerator(left, left_weights);
        let right = halves[1].numerator(right, right_weights);
        sum_of_products([[&left, &halves[1].master], [&right, &halves[0].master]])
    }
}

/// Multiplies a polynomial by `x - root`; no coefficients at all become the constant 0.
fn times_root(polynomial: &mut Vec<u32>, root: u32) {
    let minus_root = (PRIME - root) % PRIME;
    let mut below = 0;
    for c in polynomial.iter_mut() {
        (*c, below) = (mul_add(*c, minus_root, below), *c);
    }
    polynomial.push(below);
}

/// The sum of products of two polynomials, all products of the same degree. Sums of up to 2^31 products of numbers
/// below the prime fit 64 bits.
fn sum_of_products<const N: usize>(pairs: [[&Vec<u32>; 2]; N]) -> Vec<u32> {
    let mut sums = vec![0_u64; pairs.iter().map(|[a, b]| a.len() + b.len() - 1).max().unwrap_or(0)];
    for [a, b] in pairs {
        for (at, &a) in a.iter().enumerate() {
            for (sum, &b) in sums[at..].iter_mut().zip(b) {
                *sum += u64::from(a) * u64::from(b);
            }
        }
    }
    sums.into_iter().map(reduce).collect()
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

    /// Against Horner's rule with a division at every step, at sizes around the steps, the lanes and the leaves.
    #[test]
    fn evaluation_and_interpolation_undo_each_other_at_every_size() {
        for size in (1..=40).chain([63, 64, 65, 127, 128, 129, 500]) {
            let coefficients: Vec<u16> = (0..size).map(|i| ((i * 40_503 + size * 977) % PRIME) as u16).collect();
            let xs: Vec<u32> = (0..size).map(|i| (PRIME - 1).wrapping_sub(i * 131) % PRIME).collect();
            let slowly = |&x: &u32| coefficients.iter().rev().fold(0, |value, &c| mul_add(value, x, u32::from(c)));
            let ys = evaluate(&coefficients, &xs);
            assert_eq!(ys, xs.iter().map(slowly).collect::<Vec<_>>(), "{size}");
            assert_eq!(interpolate(&xs, &ys), coefficients, "{size}");
        }
    }

    #[test]
    fn the_largest_operands_overflow_nothing() {
        let coefficients = [PRIME as u16 - 1; 4_096];
        let slowly = (0..4_096).fold(0, |value, _| mul_add(value, PRIME - 1, PRIME - 1));
        assert_eq!(evaluate(&coefficients, &[PRIME - 1; 3]), [slowly; 3]);
        let p = i64::from(PRIME);
        let edges = [0, 1, p / 2, p / 2 + 1, p - 1, p, 1 << 35, (1 << 47) - 1];
        for x in (0..1 << 35).step_by(999_983).chain(edges).flat_map(|x| [x, -x]) {
            let near = nearest_zero(x as f64);
            assert!(near.abs() <= 32_768.0 && (near as i64 - x) % p == 0, "{x} became {near}");
        }
    }

    #[test]
    fn every_nonzero_element_times_its_inverse_is_one() {
        let mut inverses: Vec<u32> = (1..PRIME).collect();
        invert_all(&mut inverses);
        assert!((1..PRIME).zip(inverses).all(|(a, b)| mul_add(a, b, 0) == 1 && inverse(a) == b));
    }
}
