//! A subnet that does no work and is bought all the same.

use alloy::primitives::U256;

use super::{Arena, LONG, Rhythm, tndm};

/// Moves of the price while a subnet's emission is paid out.
const MOVES: [Rhythm; 4] = [
    ("keeps its alpha to the end", |_, _| ()),
    ("sells at once", |arena, _| arena.sell_all("owner 2", 2)),
    ("buys before the epoch and sells after it", |arena, epoch| match epoch % 2 {
        0 => _ = arena.buy("owner 2", 2, 10_000),
        _ => arena.sell_all("owner 2", 2),
    }),
    ("holds the price up all the time", |arena, epoch| {
        if epoch == 0 {
            arena.buy("owner 2", 2, 50_000);
        }
    }),
];

/// Its price has nothing to do with what others get, it gets nothing, and who bought it has paid for it. `[EC-1]`
#[test]
fn a_meme_subnet_without_work_is_emitted_nothing_takes_nothing_from_others_and_its_pump_loses() {
    let mut calm = Arena::new();
    calm.sponsor("trader", 1, 2_000);
    calm.give("whale", 120_000);
    let mut pumped = calm.clone();
    let before = pumped.tndm_of("whale");
    for _ in 0..6 {
        pumped.buy("whale", 2, 20_000);
        pumped.pass(Some(("whale", &[2])));
        calm.pass(None);
        let grant = pumped.grant(2);
        assert_eq!((grant.emitted, grant.alphaOut, grant.usdc), (0, 0, 0), "nothing was burned for it");
        assert_eq!(pumped.grant(1), calm.grant(1), "who works does not even notice");
    }
    assert!(pumped.ledger(1).emitted > 0);
    assert!(pumped.price(2) > pumped.price(1) * U256::from(100), "it leads by price: {}", pumped.price(2));
    assert_eq!(pumped.ledger(2).emitted, 0);
    pumped.sell_all("whale", 2);
    let after = pumped.tndm_of("whale");
    assert!(after < before, "{after} of {before} TNDM are left");
}

/// Emission that a subnet without users buys for itself costs more than it brings, however its price is moved meanwhile. `[EC-1]`
#[test]
fn a_subnet_that_burns_for_its_own_emission_loses_at_least_what_phi_keeps() {
    const BURNED: u64 = 3_000;
    let mut arena = Arena::new();
    arena.give("owner 2", 60_000);
    for (name, act) in MOVES {
        let mut arena = arena.clone();
        let before = arena.tndm_of("owner 2");
        arena.sponsor("owner 2", 2, BURNED);
        for epoch in 0..LONG {
            act(&mut arena, epoch);
            arena.pass(Some(("owner 2", &[2])));
        }
        let ledger = arena.ledger(2);
        assert!(ledger.allowance < ledger.burned / 100, "{name}: all of it was emitted");
        arena.sell_all("owner 2", 2);
        let (after, returned) = (arena.tndm_of("owner 2"), arena.phi_of(tndm(BURNED)));
        assert!(after <= before - tndm(BURNED) + returned, "{name}: {after} of {before} TNDM are left");
    }
}

/// A grant comes twice, as alpha for those who work and as liquidity for the pool. Where the alpha schedule does not bind, whoever owns all of a
/// subnet's alpha could harvest at a low price, hold a high one while the liquidity goes in, and sell everything: so it does not go in at a
/// higher price than it was granted at, however long that is held. `[EC-1]` `[EM-1]`
#[test]
fn whoever_harvests_first_and_then_holds_a_high_price_has_nothing_poured_at_it_and_loses_what_phi_keeps() {
    let arena = {
        let mut arena = Arena::with(|config| {
            // The schedule allows fifty times as much alpha per epoch.
            config.emission.alpha_per_day.0 *= U256::from(5);
            config.epochs.length.0 = 240;
            let staking = &mut config.staking.unbonding;
            for period in [&mut config.subnets.subnet_immunity, staking, &mut config.keepers.unbonding] {
                period.0 = 480;
            }
        });
        arena.give("owner 2", 100_000);
        arena
    };
    for burned in [1_000, 4_000, 8_000] {
        for pump in [1_000, 20_000, 80_000] {
            for start in [2, 4, 6] {
                let mut arena = arena.clone();
                let before = arena.tndm_of("owner 2");
                arena.sponsor("owner 2", 2, burned);
                for epoch in 0..40 {
                    if epoch == start {
                        arena.buy("owner 2", 2, pump);
                    }
                    arena.pass(Some(("owner 2", &[2])));
                }
                arena.sell_all("owner 2", 2);
                let (after, returned) = (arena.tndm_of("owner 2"), arena.phi_of(tndm(burned)));
                let most = before - tndm(burned) + returned;
                assert!(after <= most, "{burned} burned, {pump} held from {start} on: {after}, at most {most}");
            }
        }
    }
}
