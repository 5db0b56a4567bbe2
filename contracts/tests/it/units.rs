//! Numbers with units, as a configuration writes them.

use alloy::primitives::U256;
use proptest::prelude::*;
use tandem_contracts::suite::{Fraction, QuantityError, Seconds, Tndm, Usdc, UsdcPerCredit};

proptest! {
    #[test]
    fn what_is_written_is_read_back(limbs in any::<[u64; 2]>(), seconds in any::<u64>()) {
        let value = U256::from_limbs([limbs[0], limbs[1], 0, 0]);
        prop_assert_eq!(Tndm(value).to_string().parse(), Ok(Tndm(value)));
        prop_assert_eq!(Usdc(value).to_string().parse(), Ok(Usdc(value)));
        prop_assert_eq!(Fraction(value).to_string().parse(), Ok(Fraction(value)));
        prop_assert_eq!(Seconds(seconds).to_string().parse(), Ok(Seconds(seconds)));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,40}") {
        let _ = (text.parse::<Tndm>(), text.parse::<Fraction>(), text.parse::<Seconds>());
    }
}

#[test]
fn amounts_are_scaled_by_their_unit() {
    assert_eq!("4_000 TNDM".parse(), Ok(Tndm(U256::from(4_000) * Fraction::ONE.0)));
    assert_eq!("0.85 USDC/CREDIT".parse(), Ok(UsdcPerCredit(U256::from(850_000))));
    assert_eq!("0.5".parse::<Fraction>().unwrap().0 * U256::from(2), Fraction::ONE.0);
    assert_eq!("14 d".parse(), Ok(Seconds(1_209_600)));
    assert_eq!("2min".parse(), Ok(Seconds(120)));
}

#[test]
fn a_wrong_unit_or_number_is_refused() {
    let unit = |error| matches!(error, QuantityError::Unit { .. });
    assert!("1".parse::<Tndm>().is_err_and(unit));
    assert!("1 USDC".parse::<Tndm>().is_err_and(unit));
    assert!("1 weeks".parse::<Seconds>().is_err_and(unit));
    assert!("24".parse::<Seconds>().is_err_and(unit));
    for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0x10", "_1", "1 2", "1.-5", "½"] {
        assert!(text.parse::<Fraction>().is_err(), "{text:?}");
    }
    assert!("0.0000001 USDC".parse::<Usdc>().is_err_and(|error| matches!(error, QuantityError::TooFine { .. })));
    let huge = "9".repeat(80);
    assert!(huge.parse::<Fraction>().is_err_and(|error| matches!(error, QuantityError::TooLarge { .. })));
    assert!("999999999999999999999 d".parse::<Seconds>().is_err_and(|e| matches!(e, QuantityError::TooLarge { .. })));
}
