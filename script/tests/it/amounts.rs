//! Amounts that people write.

use alloy::primitives::U256;
use tandem::units::{parse, show};

#[test]
fn what_is_written_is_read_back_to_the_last_unit() {
    for (text, decimals, units) in [("1", 6, 1_000_000u64), ("0.000001", 6, 1), ("12.5", 6, 12_500_000), ("7", 0, 7)] {
        let amount = parse(text, decimals).unwrap();
        assert_eq!(amount, U256::from(units));
        assert_eq!(show(amount, decimals), text);
    }
}

#[test]
fn what_is_no_amount_is_refused_not_rounded() {
    for text in ["", "0", "0.0", "-1", "1e3", "1,5", "0.0000001", ".", "1.2.3", " 1", "NaN", "0x10", "１"] {
        assert!(parse(text, 6).is_err(), "{text:?} was taken for an amount");
    }
    assert!(parse(&"9".repeat(90), 18).is_err());
}
