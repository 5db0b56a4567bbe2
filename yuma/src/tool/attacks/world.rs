//! A subnet with honest validators and miners whose quality changes.

use std::vec::Vec;

use crate::{Epoch, Neuron, Outcome};

/// Honest validators, uids from 0.
pub(super) const HONEST: usize = 12;
/// Miners that do work.
pub(super) const MINERS: usize = 16;
/// Epochs that are played.
pub(super) const EPOCHS: u64 = 100;
/// Ticks of an epoch.
pub(super) const EPOCH: u64 = 1_000;
/// Epochs for which a miner keeps its quality.
const STEADY: u64 = 12;
const SEED: u64 = 0x7a6d_0004;
/// Stake of all validators.
const STAKE: u128 = 1_000_000;

/// A number that depends on nothing but its arguments: SplitMix64 over each in turn.
pub(super) fn dice(what: [u64; 3]) -> u64 {
    what.into_iter().fold(SEED, |state, part| {
        let mixed = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Who takes part: honest validators, then the attacker's, then miners that work, then one of the attacker's that does not.
pub(super) struct World {
    stakes: Vec<u128>,
    attackers: usize,
}

impl World {
    /// A world in which the attacker's validators have these shares of the stake, in per cent.
    pub(super) fn new(attackers: &[u8]) -> Self {
        let owned: Vec<u128> = attackers.iter().map(|&share| u128::from(share) * STAKE / 100).collect();
        let left = STAKE - owned.iter().sum::<u128>();
        let size = |uid: usize| u128::from(8 + dice([0, uid as u64, 0]) % 9);
        let sizes: u128 = (0..HONEST).map(size).sum();
        let mut stakes: Vec<u128> = (0..HONEST).map(|uid| left * size(uid) / sizes).collect();
        stakes.extend(owned);
        Self { stakes, attackers: attackers.len() }
    }

    /// The attacker's validators.
    pub(super) fn attackers(&self) -> core::ops::Range<usize> {
        HONEST..HONEST + self.attackers
    }

    /// Miners that do work.
    pub(super) fn miners(&self) -> core::ops::Range<usize> {
        let first = HONEST + self.attackers;
        first..first + MINERS
    }

    /// The miner that attacks are aimed at.
    pub(super) fn target(&self) -> usize {
        self.miners().start
    }

    /// The attacker's miner, which does none.
    pub(super) fn idler(&self) -> usize {
        self.miners().end
    }

    pub(super) fn uids(&self) -> usize {
        self.idler() + 1
    }

    /// What a miner's work is worth in an epoch, 20 to 100; nothing, if it does none. It changes at a time of its own.
    pub(super) fn quality(&self, uid: usize, epoch: u64) -> u64 {
        if !self.miners().contains(&uid) {
            return 0;
        }
        let miner = (uid - self.miners().start) as u64;
        let term = (epoch + dice([1, miner, 0]) % STEADY) / STEADY;
        20 + dice([2, miner, term]) % 81
    }

    /// The miner that works best.
    pub(super) fn best(&self, epoch: u64) -> usize {
        self.miners().max_by_key(|&uid| self.quality(uid, epoch)).unwrap_or_default()
    }

    /// The weights of a validator that measures the quality of an epoch with an error of up to 10 % either way.
    pub(super) fn judgement(&self, validator: usize, epoch: u64) -> Vec<(u16, u16)> {
        let measured = |uid: usize| {
            let error = dice([3 + validator as u64, uid as u64, epoch]) % 21;
            (uid as u16, (self.quality(uid, epoch) * (90 + error)) as u16)
        };
        self.miners().map(measured).collect()
    }

    /// The epoch in which everybody is honest, after another one.
    pub(super) fn epoch(&self, epoch: u64, last: Option<&Outcome>) -> Epoch {
        let now = (epoch + 1) * EPOCH;
        let neuron = |uid: usize| Neuron {
            stake: self.stakes.get(uid).copied().unwrap_or_default(),
            permit: last.map_or(uid < self.stakes.len(), |last| last.permits[uid]),
            last_update: now - EPOCH / 2,
            weights: if uid < self.stakes.len() { self.judgement(uid, epoch) } else { Vec::new() },
            bonds: last.map_or_else(Vec::new, |last| last.bonds[uid].clone()),
            ..Neuron::default()
        };
        Epoch { now, bonds_since: epoch * EPOCH, owner: None, neurons: (0..self.uids()).map(neuron).collect() }
    }

    /// Share of the stake, in units of 2⁻³².
    pub(super) fn stake_share(&self, uids: impl Iterator<Item = usize>) -> u64 {
        let stake: u128 = uids.filter_map(|uid| self.stakes.get(uid)).sum();
        ((stake << 32) / self.stakes.iter().sum::<u128>()) as u64
    }

    /// Share of the quality, in units of 2⁻³².
    pub(super) fn quality_share(&self, uid: usize, epoch: u64) -> u64 {
        let all: u64 = self.miners().map(|uid| self.quality(uid, epoch)).sum();
        (self.quality(uid, epoch) << 32) / all
    }
}
