//! Wash usage: a user who is the contributor, the validators and the owner as well, and perhaps the buyer of the lots.

use alloy::primitives::U256;

use super::{Arena, FAIR, LONG};

/// Over a grid of volumes, repetitions and buyers, usage that one pays oneself loses more than what burning keeps. `[EC-4]`
#[test]
fn usage_that_one_sells_to_oneself_loses_at_every_volume_whoever_buys_the_lots() {
    let mut arena = Arena::new();
    arena.give("washer", 100_000);
    for credits in [20, 200, 2_000] {
        for rounds in [1, 4] {
            for taker in ["trader", "washer"] {
                let loss = lost(arena.clone(), credits, rounds, taker);
                // Of the margin a half is burned, of which φ comes back at most; of the other half keepers get 4 per cent.
                let margin = credits * rounds * 150_000;
                let least = margin / 2 / 10 + margin / 2 * 4 / 100;
                assert!(
                    loss > i128::from(least * 99 / 100),
                    "{credits} × {rounds}, lots to {taker}: {loss} lost, {least} due"
                );
            }
        }
    }
}

/// What the washer has lost in the end, in units of USDC.
fn lost(mut arena: Arena, credits: u64, rounds: u64, taker: &str) -> i128 {
    let began = arena.tndm_of("washer");
    for _ in 0..rounds {
        // The credits are bought with USDC made for the purpose: they are what it spends.
        arena.work("washer", credits);
        arena.cash_out(credits, "washer");
        arena.sell_lot(taker, FAIR);
        arena.pass(Some(("washer", &[1])));
    }
    for _ in 0..LONG {
        arena.pass(Some(("washer", &[1])));
    }
    assert!(arena.ledger(1).emitted > 0, "its burning did earn emission");
    arena.sell_all("washer", 1);
    let value = |tndm: U256| -> i128 { arena.in_usdc(tndm).to::<u128>() as i128 };
    let spent = value(began) + i128::from(credits * rounds) * 1_000_000;
    let has = value(arena.tndm_of("washer")) + arena.usdc_of("washer").to::<u128>() as i128;
    spent - has
}
