//! The price of the token falls by more than 70 per cent.

use alloy::primitives::U256;

use super::{Arena, FAIR};

const CREDITS: u64 = 100;

/// Contributors are paid the same, to the unit, and so is everybody who shares in the pot. `[EC-3]`
#[test]
fn a_fall_of_both_prices_by_more_than_70_per_cent_changes_no_contributors_income() {
    let mut calm = Arena::new();
    calm.give("whale", 20_000);
    let alpha = calm.buy("whale", 1, 10_000);
    calm.pass(None);
    let mut crashed = calm.clone();

    let before = crashed.price(1);
    crashed.sell("whale", 1, alpha);
    assert!(crashed.price(1) < before * U256::from(3) / U256::from(10), "{} after {before}", crashed.price(1));
    for (arena, price) in [(&mut calm, [FAIR, FAIR]), (&mut crashed, [2 * FAIR, 4 * FAIR])] {
        for price in price {
            arena.work("user", CREDITS);
            arena.sell_lot("trader", price);
            arena.pass(Some(("miner 1", &[1])));
        }
    }
    assert!(crashed.lot_price() > calm.lot_price() * U256::from(10) / U256::from(3), "TNDM buys less than a third");

    let [income, income_after] = [&mut calm, &mut crashed].map(|arena| {
        let paid = arena.cash_out(2 * CREDITS, "miner 1");
        assert_eq!(paid, U256::from(2 * CREDITS * 850_000));
        assert!(arena.usdc_of("miner 1") > paid, "the pot pays on top");
        arena.usdc_of("miner 1")
    });
    assert_eq!(income_after, income);
    assert!(crashed.ledger(1).burned > calm.ledger(1).burned, "a dollar buys more back");
}
