//! Recycling of flows: buying a subnet's alpha to draw emission to it, and selling it again, over and over.

use alloy::primitives::U256;

use super::{Arena, LONG, Rhythm, tndm};

/// TNDM that the recycler begins with.
const PURSE: u64 = 40_000;
/// TNDM that others burned for each of two subnets.
const BURNED: u64 = 3_000;

const RHYTHMS: [Rhythm; 4] = [
    ("buys for every other epoch", |arena, epoch| match epoch % 2 {
        0 => _ = arena.buy("recycler", 2, 5_000),
        _ => arena.sell_all("recycler", 2),
    }),
    ("buys for five epochs, then sells", |arena, epoch| match epoch {
        0 => _ = arena.buy("recycler", 2, 20_000),
        5 => arena.sell_all("recycler", 2),
        _ => {}
    }),
    ("buys in each epoch and sells before it ends", |arena, _| {
        arena.buy("recycler", 2, 5_000);
        arena.net.world.warp(arena.net.config.epochs.length.0 - 5);
        arena.sell_all("recycler", 2);
    }),
    ("buys just before each epoch ends and sells when it is over", |arena, _| {
        arena.sell_all("recycler", 2);
        arena.net.world.warp(arena.net.config.epochs.length.0 - 5);
        arena.buy("recycler", 2, 20_000);
    }),
];

/// What is left to the recycler in the end, and to whoever was granted all that subnet 2 was granted, and sold it at once.
fn play(mut arena: Arena, act: impl Fn(&mut Arena, u64)) -> (U256, U256) {
    for epoch in 0..LONG {
        act(&mut arena, epoch);
        arena.pass(Some(("owner 2", &[2])));
        arena.sell_all("owner 2", 2);
    }
    for netuid in [1, 2] {
        let ledger = arena.ledger(netuid);
        assert!(ledger.allowance < ledger.burned / 100, "nothing is left to be drawn");
    }
    arena.sell_all("recycler", 2);
    (arena.tndm_of("recycler"), arena.tndm_of("owner 2"))
}

/// Price decides who is served first, not how much: whoever buys to be served, in whichever rhythm, loses more than it gains even if
/// four fifths of all that the subnet is granted are its own. Who owns all of it, and has nobody else sell into the price, has no more of it than
/// what was burned for. `[EC-5]`
#[test]
fn buying_alpha_to_draw_emission_and_selling_it_again_loses_with_up_to_four_fifths_of_what_is_granted() {
    let mut arena = Arena::new();
    arena.give("recycler", PURSE);
    // As much was burned for both, and the ceiling is less than both are due.
    for netuid in [1, 2] {
        arena.sponsor("trader", netuid, BURNED);
    }
    let (_, granted_to_the_idle) = play(arena.clone(), |_, _| ());
    for (name, act) in RHYTHMS {
        let (purse, granted) = play(arena.clone(), act);
        assert!(purse < tndm(PURSE), "{name}: the purse itself loses");
        let fifths = |of: U256| of * U256::from(4) / U256::from(5);
        let (has, had) = (purse + fifths(granted), tndm(PURSE) + fifths(granted_to_the_idle));
        assert!(has < had, "{name}: {has} TNDM against {had}");
        assert!(purse + granted <= tndm(PURSE) + arena.phi_of(tndm(BURNED)), "{name}: {purse} and {granted}");
    }
}
