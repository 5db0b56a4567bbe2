//! What attackers do in an epoch.

use std::vec::Vec;

use super::scenario::Turn;
use super::world::{EPOCH, World};
use crate::Outcome;

/// The epoch in which an attacker stops working, or a uid changes hands.
pub(super) const EXIT: u64 = 50;

impl Turn<'_> {
    /// Sets the row of each of the attacker's validators.
    fn vote(&mut self, row: impl Fn(&World, usize) -> Vec<(u16, u16)>) {
        for uid in self.world.attackers() {
            self.epoch.neurons[uid].weights = row(self.world, uid);
        }
    }
}

/// As everybody.
pub(super) fn honest(_: &mut Turn<'_>) {}

pub(super) fn copy_late(turn: &mut Turn<'_>) {
    let row = turn.last.map(row_of_consensus).unwrap_or_default();
    turn.vote(|_, _| row.clone());
}

/// Sees the rows of the others before it sets its own.
pub(super) fn copy_at_once(turn: &mut Turn<'_>) {
    turn.vote(|_, _| Vec::new());
    let row = turn.epoch.run(turn.params).map(|outcome| row_of_consensus(&outcome)).unwrap_or_default();
    turn.vote(|_, _| row.clone());
}

fn row_of_consensus(outcome: &Outcome) -> Vec<(u16, u16)> {
    (0..=u16::MAX).zip(outcome.consensus.iter().map(|score| score.to_u16())).collect()
}

/// Half on a miner of its own that does no work, half on the fellows, since nobody may weigh itself.
pub(super) fn weigh_own(turn: &mut Turn<'_>) {
    turn.vote(|world, uid| {
        let fellows = world.attackers().filter(|&fellow| fellow != uid).map(|fellow| (fellow as u16, 1));
        fellows.chain([(world.idler() as u16, 1)]).collect()
    });
}

pub(super) fn dump(turn: &mut Turn<'_>) {
    turn.vote(|world, _| [(world.target() as u16, 1)].to_vec());
}

pub(super) fn shun(turn: &mut Turn<'_>) {
    let number = turn.number;
    turn.vote(|world, uid| {
        let mut row = world.judgement(uid, number);
        row.retain(|cell| usize::from(cell.0) != world.target());
        row
    });
}

/// Honest but for one miner, which counts double.
pub(super) fn favour(turn: &mut Turn<'_>) {
    shade(turn, |weight| weight * 2);
}

/// Honest but for one miner, which counts half.
pub(super) fn belittle(turn: &mut Turn<'_>) {
    shade(turn, |weight| weight / 2);
}

fn shade(turn: &mut Turn<'_>, change: impl Fn(u16) -> u16) {
    let number = turn.number;
    turn.vote(|world, uid| {
        let mut row = world.judgement(uid, number);
        for cell in row.iter_mut().filter(|cell| usize::from(cell.0) == world.target()) {
            cell.1 = change(cell.1);
        }
        row
    });
}

pub(super) fn fall_silent(turn: &mut Turn<'_>) {
    if turn.number >= EXIT {
        turn.vote(|_, _| Vec::new());
    }
}

pub(super) fn repeat(turn: &mut Turn<'_>) {
    let seen = turn.number.min(EXIT - 1);
    turn.vote(|world, uid| world.judgement(uid, seen));
}

pub(super) fn concentrate(turn: &mut Turn<'_>) {
    let number = turn.number;
    turn.vote(|world, _| [(world.best(number) as u16, 1)].to_vec());
}

pub(super) fn rotate(turn: &mut Turn<'_>) {
    let number = turn.number as usize;
    turn.vote(|world, _| [((world.miners().start + number % world.miners().len()) as u16, 1)].to_vec());
}

pub(super) fn level(turn: &mut Turn<'_>) {
    turn.vote(|world, _| world.miners().map(|uid| (uid as u16, 1)).collect());
}

pub(super) fn foresee(turn: &mut Turn<'_>) {
    let number = turn.number + 3;
    turn.vote(|world, uid| world.judgement(uid, number));
}

/// One validator bonds with the miners at even uids, one with those at odd ones; nearly all stake goes to the one whose
/// bonds earned more with the incentives of the last epoch. It leaves the other enough to keep its permit.
pub(super) fn hop(turn: &mut Turn<'_>) {
    let number = turn.number;
    let homes: Vec<usize> = turn.world.attackers().collect();
    let &[even, odd] = homes.as_slice() else { return };
    turn.vote(|world, uid| {
        let mut row = world.judgement(uid, number);
        row.retain(|cell| cell.0 % 2 == u16::from(uid == odd));
        row
    });
    let worth = |uid: usize| -> u64 {
        let bonds = turn.last.map(|last| (&last.bonds[uid], &last.incentive));
        bonds.map_or(0, |(bonds, incentive)| {
            bonds.iter().map(|&(miner, bond)| u64::from(bond) * incentive[usize::from(miner)].raw()).sum()
        })
    };
    let (home, left) = if worth(even) >= worth(odd) { (even, odd) } else { (odd, even) };
    let all = turn.epoch.neurons[even].stake + turn.epoch.neurons[odd].stake;
    turn.epoch.neurons[left].stake = all / 1_000;
    turn.epoch.neurons[home].stake = all - all / 1_000;
}

/// After everybody voted.
pub(super) fn take_miner(turn: &mut Turn<'_>) {
    if turn.number == EXIT {
        turn.epoch.neurons[turn.world.best(EXIT)].registered = turn.epoch.now - EPOCH / 4;
    }
}

/// Everybody had committed before, and revealed after.
pub(super) fn take_miner_committed(turn: &mut Turn<'_>) {
    take_miner(turn);
    for neuron in &mut turn.epoch.neurons {
        neuron.committed = Some(neuron.last_update);
        neuron.last_update = turn.epoch.now;
    }
}

/// With as much stake as the former holder had, and in time to vote.
pub(super) fn take_validator(turn: &mut Turn<'_>) {
    if turn.number == EXIT {
        for uid in turn.world.attackers() {
            turn.epoch.neurons[uid].registered = turn.epoch.now - EPOCH;
        }
    }
}
