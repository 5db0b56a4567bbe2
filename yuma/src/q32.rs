//! The one number of the engine.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Sub};

/// A non-negative fixed-point number with 32 fractional bits; one unit in the last place is 2⁻³².
///
/// Shares, weights, bonds and trust lie in `0..=1`, sums over all uids stay below 2¹⁶. Every operation that cannot be
/// exact rounds towards zero unless its name says otherwise, as Subtensor's `I32F32` does for non-negative numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Q32(u64);

impl Q32 {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1, that is 2³² units in the last place.
    pub const ONE: Self = Self(1 << 32);

    /// The number that is `raw · 2⁻³²`.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number in units of 2⁻³².
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// `⌊value / 65535⌋` in Q32: how weights, bonds and hyperparameters are read from their `u16` form.
    pub const fn from_u16(value: u16) -> Self {
        // 2³² = 65535 · 65537 + 1, so that the remainder fills a unit for the last value alone.
        Self(value as u64 * 65_537 + ((value as u64 + 1) >> 16))
    }

    /// `⌊self · 65535⌋`, at most 65535: how scores and bonds are written to their `u16` form. Floored, not rounded.
    pub const fn to_u16(self) -> u16 {
        let scaled = (self.0 as u128 * u16::MAX as u128) >> 32;
        if scaled > u16::MAX as u128 { u16::MAX } else { scaled as u16 }
    }
}

impl From<Q32> for u64 {
    fn from(value: Q32) -> Self {
        value.0
    }
}

impl Add for Q32 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Q32 {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Q32 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Q32 {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, Add::add)
    }
}

/// Ten decimals, cut off: enough to tell any two neighbouring numbers apart.
impl fmt::Display for Q32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = ((self.0 & 0xffff_ffff) as u128 * 10_000_000_000) >> 32;
        write!(f, "{}.{fraction:010}", self.0 >> 32)
    }
}

impl fmt::Debug for Q32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Q32({self})")
    }
}
