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
    /// α of one bond: `weight` is the one by which bonds grow (after the bonds penalty), `bond` the old bond.
    ///
    /// Within 2.001 units in the last place of the formula's sigmoid, before that is multiplied by `high − low` and
    /// floored; see [`exp`] for where the error comes from.
    pub fn alpha(&self, weight: Q32, bond: Q32, consensus: Q32) -> Q32 {
        Q32::from_raw(Curve::of(*self).alpha(weight.raw(), bond.raw(), consensus.raw()))
    }
}

/// [`LiquidAlpha`] in the numbers it is computed with.
#[derive(Clone, Copy)]
pub(crate) struct Curve {
    low: u64,
    span: u64,
    /// `−steepness/100`, rounded towards zero, in Q32.
    slope: i64,
}

impl Curve {
    /// The caller has made sure that `high >= low`.
    pub(crate) fn of(liquid: LiquidAlpha) -> Self {
        let low = Q32::from_u16(liquid.low).raw();
        let span = Q32::from_u16(liquid.high).raw().saturating_sub(low);
        Self { low, span, slope: (i64::from(liquid.steepness) << 32) / -100 }
    }

    #[inline(always)]
    pub(crate) fn alpha(&self, weight: u64, bond: u64, consensus: u64) -> u64 {
        let distance = if weight >= bond { weight.saturating_sub(consensus) } else { bond - weight };
        let centred = distance.min(1 << 32) as i64 - (1 << 31);
        let exponent = (i128::from(self.slope) * i128::from(centred)) >> 32;
        let below_one = (1 << 32) + exp_raw(exponent as i64);
        // ⌊2⁶⁴ / below_one⌋: one less in the dividend matters if, and only if, the division has no remainder.
        let (quotient, remainder) = (u64::MAX / below_one, u64::MAX % below_one);
        let sigmoid = quotient + u64::from(remainder == below_one - 1);
        self.low + mul_down(sigmoid, self.span)
    }
}

/// `e^x` for an `x` in units of 2⁻³², which is first brought into `−20..=20`; the result is in units of 2⁻³², too.
///
/// Off by less than `1 + e^x · 2³² · 2⁻⁴⁹` of those units, that is, by less than two for any `x` up to 11.
///
/// Proof. `x = (k + i/256 + ρ) · ln 2` with integers `k` and `0 <= i < 256` and `0 <= ρ < 1/256`.
/// * *Range.* `x · log2(e)` is computed with a constant that is off by at most 2⁻⁶² and cut off after 2⁻⁶⁴. As `|x| <= 20`, the
///   result is off by at most `20 · 2⁻⁶² + 2⁻⁶⁴ < 2⁻⁵⁷`, which is the relative error it makes (times `ln 2`).
/// * *Table.* `2^(i/256)` by its series with 63 fractional bits: fewer than 24 terms, each cut off twice, so that its relative
///   error is below `48 · 2⁻⁶³ + 2⁻⁶² < 2⁻⁵⁷`.
/// * *Polynomial.* With `y = ρ · ln 2 < 0.00271`, `e^y − 1 = y + y²/2 + y³/6 + y⁴/24` leaves out less than
///   `y⁵/120 · 1.001 < 2⁻⁴⁹·⁵`. Each of its seven multiplications cuts off less than 2⁻⁶³ of the result.
/// * Together `2⁻⁵⁷ + 2⁻⁵⁷ + 2⁻⁴⁹·⁵ + 7 · 2⁻⁶³ < 2⁻⁴⁹`; the last shift cuts off less than one unit.
///
/// The sigmoid `1 / (1 + e^x)` then errs by less than `(2⁻³² + e^x · 2⁻⁴⁹) / (1 + e^x)² + 2⁻³²`, the last term for
/// its own floor: less than `2.001 · 2⁻³²`.
pub fn exp(x: i64) -> Q32 {
    Q32::from_raw(exp_raw(x))
}

const LIMIT: i64 = 20 << 32;
/// `⌊log2(e) · 2⁶²⌋`.
const LOG2_E: i64 = 6_653_256_548_922_161_245;
/// `⌊ln(2) · 2⁶⁴⌋`.
const LN_2: u64 = 12_786_308_645_202_655_659;
/// `2^(i/256)` in units of 2⁻⁶².
const POWERS: [u64; 256] = powers();
const SIXTH: u64 = u64::MAX / 6;
const TWENTY_FOURTH: u64 = u64::MAX / 24;

#[inline(always)]
fn exp_raw(x: i64) -> u64 {
    let x = x.clamp(-LIMIT, LIMIT);
    // In units of 2⁻⁹⁴: a Q32 by a Q62.
    let log = i128::from(x) * i128::from(LOG2_E);
    let whole = (log >> 94) as i64;
    let fraction = (log >> 30) as u64;
    let table = POWERS[(fraction >> 56) as usize];
    // In units of 2⁻⁷², as all fractions below 1/256 are here.
    let y = high(fraction << 8, LN_2);
    let cubic = SIXTH + (high(y, TWENTY_FOURTH) >> 8);
    let square = (1 << 63) + (high(y, cubic) >> 8);
    let rise = y + (high(y, high(y, square)) >> 8);
    let mantissa = table + (high(table, rise) >> 8);
    mantissa >> (30 - whole)
}

const fn powers() -> [u64; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < table.len() {
        // i/256 · ln 2, in units of 2⁻⁶³ as all that follows.
        let y = (LN_2 as u128 * i as u128) >> 9;
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
