//! Liquid alpha: the speed of a bond's moving average, decided pair by pair.

use crate::Q32;
use crate::divide::{high, mul_down};

/// How fast each bond follows its weight, between a lowest and a highest α.
///
/// α rises with the distance `d` between a weight and the consensus (when buying), or between a bond and the weight it
/// falls to (when selling): `α = low + (high − low) / (1 + exp(−steepness/100 · (d − ½)))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LiquidAlpha {
    /// α of a weight that agrees with the consensus, in 1/65535.
    pub low: u16,
    /// α of a weight far from it, in 1/65535; not below `low`.
    pub high: u16,
    /// Steepness of the sigmoid in hundredths. Negative, it turns the sigmoid around.
    pub steepness: i16,
}

/// The chain's: 0.7, 0.9, and a steepness of 10.
impl Default for LiquidAlpha {
    fn default() -> Self {
        Self { low: 45_875, high: 58_982, steepness: 1_000 }
    }
}

impl LiquidAlpha {
    /// α of one bond: `weight` is the one by which bonds grow (after the bonds penalty), `bond` the old bond, all of them 1 at
    /// most.
    ///
    /// `low + ⌊σ · (high − low)⌋` where σ is within 2.07 units in the last place of the formula's sigmoid; the exponent is
    /// brought into −20 to 20 first, as on the chain. The proof stands beside the exponential in `src/liquid.rs`.
    pub fn alpha(&self, weight: Q32, bond: Q32, consensus: Q32) -> Q32 {
        Q32::from_raw(Curve::of(*self).alpha(weight.raw(), bond.raw(), consensus.raw()))
    }
}

/// [`LiquidAlpha`] in the numbers it is computed with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Curve {
    low: u64,
    span: u64,
    exponent: Exponent,
}

impl Curve {
    /// The caller has made sure that `high >= low`.
    pub(crate) fn of(liquid: LiquidAlpha) -> Self {
        let low = Q32::from_u16(liquid.low).raw();
        let span = Q32::from_u16(liquid.high).raw().saturating_sub(low);
        Self { low, span, exponent: Exponent::of(liquid.steepness) }
    }

    /// Whether α, or what it leaves to 1, can be 1.
    pub(crate) fn is_wide(&self) -> bool {
        self.low == 0 || self.low == Q32::ONE.raw()
    }

    #[inline(always)]
    pub(crate) fn alpha(&self, weight: u64, bond: u64, consensus: u64) -> u64 {
        let distance = if weight >= bond { weight.saturating_sub(consensus) } else { bond - weight };
        let below_one = (1 << 32) + self.exponent.exp(distance as i64 - (1 << 31));
        // ⌊2⁶⁴ / below_one⌋: one less in the dividend matters if, and only if, the division has no remainder.
        let (quotient, remainder) = (u64::MAX / below_one, u64::MAX % below_one);
        let sigmoid = quotient + u64::from(remainder == below_one - 1);
        // Below 1, because `below_one` is more than 1.
        self.low + mul_down::<false>(sigmoid, self.span)
    }
}

/// `e^(−steepness/100 · x)` for one steepness.
#[derive(Clone, Copy, Default)]
struct Exponent {
    /// `−steepness/100 · log2(e)` in units of 2⁻⁵³.
    slope: i64,
    /// The largest `|x|` whose exponent is 20 at most, in units of 2⁻³².
    limit: i64,
}

/// `⌊log2(e) · 2⁶⁰⌋`.
const LOG2_E: i128 = 1_663_314_137_230_540_311;
/// `⌊ln(2) · 2⁶⁴⌋`.
const LN_2: u64 = 12_786_308_645_202_655_659;
/// `2^(i/1024)` in units of 2⁻⁶².
const POWERS: [u64; 1_024] = powers();

impl Exponent {
    fn of(steepness: i16) -> Self {
        // 2⁻⁵³ from 2⁻⁶⁰: by 2⁷, and by 100.
        let slope = (-LOG2_E * i128::from(steepness) / 12_800) as i64;
        let limit = ((2_000i64 << 32) / i64::from(steepness.unsigned_abs().max(1))).min(1 << 32);
        Self { slope, limit }
    }

    /// The power of an `x` in units of 2⁻³², which is first brought into `−limit..=limit`, in those units, too.
    ///
    /// Off by less than `1 + p · 2³² · 2⁻³⁴` of them if `p` is the power itself.
    ///
    /// Proof. The power is `2^(k + i/1024 + ρ)` with integers `k` and `0 <= i < 1024` and `0 <= ρ < 1/1024`.
    /// * *Logarithm.* The slope is off by less than `2⁻⁶⁰ · |steepness|/100 + 2⁻⁵³`, and `|x · steepness/100| <= 20` with
    ///   `|x| <= 1`: the product is off by less than `20 · 2⁻⁶⁰ + 2⁻⁵³`, and its fraction is cut off after 2⁻⁶⁴. That is below
    ///   2⁻⁵², and the relative error it makes is that times `ln 2`.
    /// * *Table.* `2^(i/1024)` by its series with 63 fractional bits: fewer than 24 terms, each cut off twice, so that its
    ///   relative error is below `48 · 2⁻⁶³ + 2⁻⁶² < 2⁻⁵⁷`.
    /// * *Polynomial.* With `y = ρ · ln 2 < 0.000677`, `e^y − 1 = y + y²/2` leaves out less than `y³/6 · 1.001 < 2⁻³⁴·¹`. Each of
    ///   its three multiplications cuts off less than 2⁻⁶³ of the result.
    /// * Together `2⁻⁵² + 2⁻⁵⁷ + 2⁻³⁴·¹ + 3 · 2⁻⁶³ < 2⁻³⁴`; the last shift cuts off less than one unit.
    ///
    /// The sigmoid `1 / (1 + p)` then errs by less than `(2⁻³² + p · 2⁻³⁴) / (1 + p)² + 2⁻³²`, the last term for its own floor. As
    /// `p / (1 + p)² <= 1/4`, that is less than `2.07 · 2⁻³²`.
    #[inline(always)]
    fn exp(&self, x: i64) -> u64 {
        let x = x.min(self.limit).max(-self.limit);
        // In units of 2⁻⁸⁵.
        let log = i128::from(x) * i128::from(self.slope);
        let (whole, fraction) = ((log >> 85) as i64, (log >> 21) as u64);
        let table = POWERS[(fraction >> 54) as usize];
        // In units of 2⁻⁷⁴, as all fractions below 1/1024 are here.
        let y = high(fraction << 10, LN_2);
        let rise = y + (high(y, y) >> 11);
        let mantissa = table + (high(table, rise) >> 10);
        mantissa >> (30 - whole)
    }
}

const fn powers() -> [u64; 1_024] {
    let mut table = [0; 1_024];
    let mut i = 0;
    while i < table.len() {
        // i/1024 · ln 2, in units of 2⁻⁶³ as all that follows.
        let y = (LN_2 as u128 * i as u128) >> 11;
        let (mut term, mut sum, mut n) = (1u128 << 63, 0u128, 1u128);
        while term > 0 {
            sum += term;
            term = ((term * y) >> 63) / n;
            n += 1;
        }
        table[i] = (sum >> 1) as u64;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::{Curve, Exponent, LiquidAlpha, POWERS};
    use crate::Q32;

    /// Fractional bits of the reference.
    const BITS: u32 = 256;

    /// `e^(numerator/denominator)` by its series, after halving the argument often enough, to far more than 200 bits.
    fn exp(numerator: BigInt, denominator: BigInt) -> BigInt {
        const HALVINGS: u32 = 12;
        let one = BigInt::from(1) << (BITS + 64);
        let x: BigInt = (numerator << (BITS + 64 - HALVINGS)) / denominator;
        let (mut sum, mut term) = (one.clone(), one.clone());
        for n in 1..80 {
            term = ((term * &x) >> (BITS + 64)) / n;
            sum += &term;
        }
        for _ in 0..HALVINGS {
            sum = (&sum * &sum) >> (BITS + 64);
        }
        sum >> 64
    }

    #[test]
    fn the_reference_knows_e() {
        let digits = (exp(1.into(), 1.into()) * BigInt::from(10).pow(30)) >> BITS;
        assert_eq!(digits.to_string(), "2718281828459045235360287471352");
        let product = (exp((-20).into(), 1.into()) * exp(20.into(), 1.into())) >> BITS;
        let error: BigInt = product - (BigInt::from(1) << BITS);
        assert!(error.magnitude().bits() < 60);
    }

    /// Half way the sigmoid is exactly a half, the one place where 2⁶⁴ divides without remainder.
    #[test]
    fn half_way_alpha_is_half_way_to_the_bit() {
        for (low, high) in [(0, u16::MAX), (1_000, 60_000), (45_875, 58_982)] {
            let curve = Curve::of(LiquidAlpha { low, high, steepness: 1_000 });
            let (low, span) = (Q32::from_u16(low).raw(), Q32::from_u16(high).raw() - Q32::from_u16(low).raw());
            assert_eq!(curve.alpha(1 << 31, 0, 0), low + (span >> 1));
        }
    }

    #[test]
    fn the_table_is_as_exact_as_the_proof_needs() {
        // 2^(i/1024), squared ten times, is 2^i.
        for (i, &power) in POWERS.iter().enumerate() {
            let mut value = BigInt::from(power) << (BITS - 62);
            for _ in 0..10 {
                value = (&value * &value) >> BITS;
            }
            let error: BigInt = value - (BigInt::from(1) << (BITS as usize + i));
            // A relative error of 2⁻⁵⁷ grows 1,024 times.
            assert!(error.magnitude().bits() as usize <= BITS as usize + i - 57 + 10, "2^({i}/1024)");
        }
    }

    /// The power by which the sigmoid is defined.
    fn power(steepness: i16, x: i64) -> BigInt {
        let limit: BigInt = 20 * (BigInt::from(100) << 32);
        let exponent = (BigInt::from(-i64::from(steepness)) * x).clamp(-limit.clone(), limit);
        exp(exponent, BigInt::from(100) << 32)
    }

    fn check(liquid: LiquidAlpha, distance: i64) {
        let x = distance - (1 << 31);
        let power = power(liquid.steepness, x);
        let unit = BigInt::from(1) << (BITS - 32);
        // The power, with a limit that is a whole number of units and may cut off an x within one unit of it.
        let given = BigInt::from(Exponent::of(liquid.steepness).exp(x)) * &unit;
        let slack: BigInt = &unit + (&power >> 34) + (&power >> 23);
        let error: BigInt = &given - &power;
        assert!(error.magnitude() < slack.magnitude(), "{liquid:?} {distance}: {error}");

        // α, whose own floor takes at most another unit.
        let one = BigInt::from(1) << BITS;
        let sigmoid: BigInt = (&one << BITS) / (&one + power);
        let [low, high] = [liquid.low, liquid.high].map(|bound| BigInt::from(Q32::from_u16(bound).raw()));
        let alpha: BigInt = &low * &unit + ((sigmoid * (high - low)) >> 32);
        let given = BigInt::from(Curve::of(liquid).alpha(distance as u64, 0, 0)) * &unit;
        let error: BigInt = given - alpha;
        assert!(error.magnitude() * 100u32 <= unit.magnitude() * 307u32, "{liquid:?} {distance}: {error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 100_000 } else { 500 }))]

        /// `[YU-1]`
        #[test]
        fn the_exponential_keeps_its_bound(
            bounds in any::<(u16, u16)>(), steepness in prop_oneof![-2_000..2_000i16, any::<i16>()], distance in 0..=1i64 << 32,
        ) {
            check(LiquidAlpha { low: bounds.0.min(bounds.1), high: bounds.0.max(bounds.1), steepness }, distance);
        }
    }

    /// `[YU-1]`
    #[test]
    fn the_exponential_keeps_its_bound_at_the_edges() {
        for steepness in [i16::MIN, -4_001, -4_000, -1, 0, 1, 99, 1_000, 3_999, 4_000, 4_001, i16::MAX] {
            for distance in [0, 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, (1 << 32) - 1, 1 << 32] {
                for (low, high) in [(0, u16::MAX), (45_875, 58_982), (7, 7)] {
                    check(LiquidAlpha { low, high, steepness }, distance);
                }
            }
        }
    }

    #[test]
    fn alpha_rises_with_the_distance_and_stays_between_its_bounds() {
        let curve = Curve::of(LiquidAlpha::default());
        let alphas: Vec<u64> = (0..=4_096u64).map(|step| curve.alpha(step << 20, 0, 0)).collect();
        assert!(alphas.is_sorted());
        let [low, high] = [45_875, 58_982].map(|bound| Q32::from_u16(bound).raw());
        assert!(alphas.iter().all(|alpha| (low..=high).contains(alpha)));
        // Halfway, exactly halfway: e^0 = 1.
        assert_eq!(curve.alpha(1 << 31, 0, 0), low + (high - low) / 2);
        // Selling counts from the bond, buying from the consensus; below the consensus there is no distance.
        assert_eq!(curve.alpha(1 << 20, (1 << 20) + 5, 9), curve.alpha(5, 0, 0));
        assert_eq!(curve.alpha(1 << 20, 1 << 20, 1 << 21), curve.alpha(0, 0, 0));
        // A bond that stays is not sold.
        assert_eq!(curve.alpha(1 << 30, 1 << 30, 0), curve.alpha(1 << 30, 0, 0));
    }
}
