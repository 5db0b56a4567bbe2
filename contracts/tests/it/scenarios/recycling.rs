//! Recycling of flows: buying a subnet's alpha to draw emission to it, and selling it again, over and over.

use alloy::primitives::U256;

use super::{Arena, LONG, Rhythm, tndm};

/// TNDM that the recycler begins with.
const PURSE: u64 = 40_000;

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

/// How a play ended.
struct End {
    recycler: U256,
    /// Of whoever was granted all that subnet 2 was granted, and sold it at once.
    granted: U256,
    /// Emission that did not reach the pool yet.
    pending: U256,
}

/// Two subnets for which as much was burned, under a ceiling that is less than both are due.
fn arena() -> Arena {
    let mut arena = Arena::new();
    arena.give("recycler", PURSE);
    for netuid in [1, 2] {
        arena.sponsor("trader", netuid, 3_000);
    }
    arena
}

fn play(mut arena: Arena, act: impl Fn(&mut Arena, u64)) -> End {
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
    let pending = U256::from(arena.pool(2).pending);
    End { recycler: arena.tndm_of("recycler"), granted: arena.tndm_of("owner 2"), pending }
}

/// Price decides who is served first, not how much: whoever buys to be served, in whichever rhythm, loses more than it gains even if
/// four fifths of all that the subnet is granted are its own. `[EC-5]`
#[test]
fn buying_alpha_to_draw_emission_and_selling_it_again_loses_with_up_to_four_fifths_of_what_is_granted() {
    let arena = arena();
    let idle = play(arena.clone(), |_, _| ());
    for (name, act) in RHYTHMS {
        let end = play(arena.clone(), act);
        assert!(end.recycler < tndm(PURSE), "{name}: the purse itself loses");
        let fifths = |of: U256| of * U256::from(4) / U256::from(5);
        let (has, had) = (end.recycler + fifths(end.granted), tndm(PURSE) + fifths(idle.granted));
        assert!(has < had, "{name}: {has} TNDM against {had}");
    }
}

/// Who is granted everything, and has nobody else sell into a price that it holds up, gets at what the pool is given for liquidity: no
/// more than what is poured while the price stands, which was burned for.
#[test]
fn whoever_owns_all_alpha_gains_by_a_held_price_no_more_than_it_has_poured_by_it() {
    let arena = arena();
    let idle = play(arena.clone(), |_, _| ());
    for (name, act) in RHYTHMS {
        let end = play(arena.clone(), act);
        let gained = (end.recycler + end.granted).saturating_sub(tndm(PURSE) + idle.granted);
        let poured = idle.pending.saturating_sub(end.pending);
        assert!(gained <= poured, "{name}: {gained} TNDM, and {poured} were poured sooner");
    }
}
