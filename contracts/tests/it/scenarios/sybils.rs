//! Sybil subnets: many in place of one, each with validators of its own.

use alloy::primitives::{Address, U256};
use tandem_contracts::bindings::{Staking, SubnetRegistry};

use super::{Arena, LONG, tndm};

/// TNDM that the attacker begins with.
const PURSE: u64 = 100_000;
/// Alpha that each of its validators stakes, more than the minimum.
const STAKE: u64 = 2_000;

/// Locks earn emission once, for half of what they cost, and nothing else does: more subnets lose more, and who works is emitted what it
/// had earned. `[EC-6]`
#[test]
fn subnets_made_to_be_emitted_to_lose_most_of_their_locks_and_more_of_them_lose_more() {
    let mut arena = Arena::new();
    arena.give("sybil", PURSE);
    for n in 1..=3 {
        arena.give(&format!("sybil {n}"), 5_000);
    }
    arena.sponsor("trader", 1, 2_000);
    let mut alone = arena.clone();
    for _ in 0..LONG {
        alone.pass(None);
    }
    let mut losses = vec![U256::ZERO];
    for count in [1, 3] {
        let mut arena = arena.clone();
        let before = wealth(&arena);
        let netuids: Vec<u16> = (0..count).map(|_| found(&mut arena)).collect();
        for _ in 0..LONG {
            arena.pass(Some(("sybil", &netuids)));
        }
        for &netuid in &netuids {
            let ledger = arena.ledger(netuid);
            assert!(ledger.emitted > 0, "it was eligible");
            assert!(U256::from(ledger.emitted) <= arena.phi_of(U256::from(ledger.burned)));
            leave(&mut arena, netuid);
        }
        let (mine, had) = (arena.ledger(1).emitted, alone.ledger(1).emitted);
        assert!(mine > had / 100 * 99, "who works is emitted {mine} instead of {had}");
        let after = wealth(&arena);
        assert!(after < before, "{count}: {after} of {before} TNDM are left");
        losses.push(before - after);
    }
    assert!(losses.is_sorted_by(|fewer, more| fewer < more), "{losses:?}");
}

fn names() -> impl Iterator<Item = String> {
    (1..=3).map(|n| format!("sybil {n}"))
}

fn wealth(arena: &Arena) -> U256 {
    names().map(|name| arena.tndm_of(&name)).sum::<U256>() + arena.tndm_of("sybil")
}

fn hotkey(arena: &Arena, name: &str) -> Address {
    arena.net.world.account(&format!("{name}'s hotkey"))
}

/// Makes a subnet with three validators of distinct owners, each of whom buys the stake that it needs.
fn found(arena: &mut Arena) -> u16 {
    let suite = arena.net.suite();
    let call = SubnetRegistry::registerSubnetCall { name: "sybils".into(), maxLock: U256::MAX };
    let netuid = arena.net.as_account("sybil", suite.subnet_registry, call).unwrap().ret;
    for name in names() {
        arena.net.register_in_markets(netuid, &name, &format!("{name}'s hotkey"));
        let bought = arena.buy(&name, netuid, 300);
        assert!(bought > tndm(STAKE), "{bought} alpha");
        let (account, token) = (arena.net.world.account(&name), arena.alpha(netuid));
        arena.net.world.approve(token, account, suite.staking, U256::MAX).unwrap();
        let stake = Staking::stakeCall { netuid, hotkey: hotkey(arena, &name), alphaAmount: tndm(STAKE) };
        arena.net.as_account(&name, suite.staking, stake).unwrap();
    }
    arena.netuids.push(netuid);
    netuid
}

/// Takes everything out of a subnet.
fn leave(arena: &mut Arena, netuid: u16) {
    let suite = arena.net.suite();
    let unbonding: Vec<U256> = names()
        .map(|name| {
            let unstake = Staking::unstakeCall { netuid, hotkey: hotkey(arena, &name), alphaAmount: U256::MAX };
            arena.net.as_account(&name, suite.staking, unstake).unwrap().ret
        })
        .collect();
    arena.net.world.warp(arena.net.config.staking.unbonding.0);
    for id in unbonding {
        arena.net.as_account("anybody", suite.staking, Staking::withdrawCall { unbondingId: id }).unwrap();
    }
    for name in names().chain(["sybil".to_owned()]) {
        arena.sell_all(&name, netuid);
    }
}
