//! Division by multiplication, exact to the last bit.
//!
//! A row or a column is divided by one number throughout, so that number's reciprocal is computed once.

/// A divisor of `u16` numbers that are parts of it: `⌊part · 2³² / whole⌋` in one wide multiplication.
///
/// With `whole <= 2^L`, `k = max(32, 16 + L)` and `magic = ⌈2^(32+k) / whole⌉`, the product `part · magic / 2^k` exceeds
/// the quotient by less than `2^16 · whole / (whole · 2^k) <= 1 / whole`, and a quotient by `whole` that is no integer is
/// at least that far below the next one: its floor is exact. `scale = 2^(64−k)` makes that floor the upper word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whole {
    scale: u64,
    magic: u64,
}

impl Whole {
    /// A divisor of parts `<= whole`; whole 0 divides its only part to 0.
    pub(crate) fn of(whole: u32) -> Self {
        // One is doubled together with its parts, or the reciprocal would need a 65th bit.
        let (whole, doubled) = if whole == 1 { (2, 1) } else { (u64::from(whole), 0) };
        if whole == 0 {
            return Self::default();
        }
        let bits = u64::BITS - (whole - 1).leading_zeros();
        let k = (16 + bits).max(32);
        let magic = (1u128 << (32 + k)).div_ceil(u128::from(whole)) as u64;
        Self { scale: 1 << (64 - k + doubled), magic }
    }

    /// `⌊part · 2³² / whole⌋`.
    #[inline(always)]
    pub(crate) fn share(self, part: u16) -> u64 {
        high(u64::from(part) * self.scale, self.magic)
    }
}

/// A divisor of Q32 numbers that are parts of it: `⌊part · 2³² / whole⌋` for `part <= 2³²`, `part <= whole < 2⁴⁹`.
///
/// With `2^(L−1) <= whole < 2^L`, `z = max(0, 34 − L)` and `magic = ⌊2^(96−z) / whole⌋ + 1`, the product
/// `part · 2^z · magic / 2⁶⁴` exceeds the quotient by at most `part · 2^z / 2⁶⁴`, which is below 2⁻²⁹. It reaches the next
/// integer only if its fraction is smaller than that, which is looked at; then the remainder decides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    scale: u64,
    magic: u64,
    whole: u64,
}

impl Sum {
    /// A divisor of parts `<= whole`; whole 0 divides its only part to 0.
    pub(crate) fn of(whole: u64) -> Self {
        if whole == 0 {
            return Self::default();
        }
        let bits = u64::BITS - whole.leading_zeros();
        let shift = 34u32.saturating_sub(bits);
        let magic = ((1u128 << (96 - shift)) / u128::from(whole)) as u64 + 1;
        Self { scale: 1 << shift, magic, whole }
    }

    /// `⌊part · 2³² / whole⌋`.
    #[inline(always)]
    pub(crate) fn share(&self, part: u64) -> u64 {
        let scaled = part * self.scale;
        let product = u128::from(scaled) * u128::from(self.magic);
        let estimate = (product >> 64) as u64;
        if (product as u64) < scaled { self.settle(part, estimate) } else { estimate }
    }

    /// The estimate, or one less if it is too large.
    #[cold]
    fn settle(&self, part: u64, estimate: u64) -> u64 {
        estimate - u64::from(u128::from(estimate) * u128::from(self.whole) > u128::from(part) << 32)
    }
}

/// The upper word of a product.
#[inline(always)]
pub(crate) fn high(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// `⌊a · b / 2³²⌋`, for products that fit. Unless `WIDE`, they must fit before they are divided.
#[inline(always)]
pub(crate) fn mul_down<const WIDE: bool>(a: u64, b: u64) -> u64 {
    if WIDE { ((u128::from(a) * u128::from(b)) >> 32) as u64 } else { (a * b) >> 32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Sum, Whole};

    fn exact(part: u64, whole: u64) -> u64 {
        ((u128::from(part) << 32) / u128::from(whole)) as u64
    }

    #[test]
    fn quotients_at_the_edges_are_exact() {
        for whole in [1, 2, 3, 65_535, 65_536, 65_537, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX] {
            for part in [0, 1, 2, 3, 32_767, 32_768, 65_534, 65_535].into_iter().filter(|&part| part <= whole) {
                let given = Whole::of(whole).share(part as u16);
                assert_eq!(given, exact(u64::from(part), u64::from(whole)), "{part} / {whole}");
            }
        }
        assert_eq!((Whole::of(0).share(0), Sum::of(0).share(0)), (0, 0));
        let edges = (0..49).flat_map(|bit: u32| [(1u64 << bit).wrapping_sub(1), 1 << bit, (1 << bit) + 1]);
        for whole in edges.filter(|&whole| whole > 0 && whole < 1 << 49) {
            let largest = whole.min(1 << 32);
            for part in [0, 1, 2, largest / 3, largest / 2, largest - 1, largest].into_iter().filter(|&p| p <= largest)
            {
                assert_eq!(Sum::of(whole).share(part), exact(part, whole), "{part} / {whole}");
            }
        }
    }

    /// A floor is easily one off where the quotient almost reaches the next integer; between 2¹⁶ and 2²⁰ every divisor has a
    /// few such parts.
    #[test]
    fn all_parts_of_a_divisor_are_exact() {
        for whole in (0..160u32).map(|step| 65_537 + step * step * 37) {
            let divisor = Whole::of(whole);
            for part in 0..=u16::MAX {
                assert_eq!(divisor.share(part), exact(part.into(), whole.into()), "{part} / {whole}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_quotient_is_exact(whole in any::<u64>(), bits in 1..50u32, part in any::<u64>()) {
            let whole = (whole >> (64 - bits)).clamp(1, (1 << 49) - 1);
            let part = part % (whole.min(1 << 32) + 1);
            prop_assert_eq!(Sum::of(whole).share(part), exact(part, whole));
            // Just below and exactly at a multiple, where a floor is easily one off.
            let multiple = (part * (whole >> 32)).min(whole).min(1 << 32);
            prop_assert_eq!(Sum::of(whole).share(multiple), exact(multiple, whole));
            if let Ok(whole) = u32::try_from(whole) {
                let part = (part as u16).min(whole.min(65_535) as u16);
                prop_assert_eq!(Whole::of(whole).share(part), exact(u64::from(part), u64::from(whole)));
            }
        }
    }
}
