//! Bonds, and the dividends they earn.

use alloc::vec;
use alloc::vec::Vec;
use core::iter::Peekable;

use crate::matrix::Rows;
use crate::{Epoch, Hyperparameters, Neuron, Q32, Rules};

/// What the bonds of an epoch are made of.
pub(crate) struct Market<'a> {
    pub(crate) epoch: &'a Epoch,
    pub(crate) params: &'a Hyperparameters,
    /// Admitted weights, rows normalised.
    pub(crate) weights: &'a Rows,
    pub(crate) consensus: &'a [Q32],
    pub(crate) active_stake: &'a [Q32],
    /// Floored shares, which sum to at most 1.
    pub(crate) incentive: &'a [Q32],
}

/// New bonds, scaled as they are stored, and what each validator's bonds earned before normalisation.
pub(crate) struct Earned {
    pub(crate) bonds: Rows,
    pub(crate) dividends: Vec<Q32>,
}

impl Market<'_> {
    pub(crate) fn trade(&self) -> Earned {
        match self.params.rules {
            Rules::Yuma2 => self.yuma2(),
            Rules::Yuma3 => self.yuma3(),
        }
    }

    /// `B = α·ΔB + (1 − α)·b` over column-normalised `ΔB = W·S` and `b`, normalised again; `D = Σ_j B·I`.
    fn yuma2(&self) -> Earned {
        let columns = self.consensus.len();
        let mut delta = Rows::with_capacity(columns, 0);
        for (row, &stake) in self.weights.iter().zip(self.active_stake) {
            for (uid, weight) in self.bond_weights(row) {
                delta.push(uid, weight.mul_down(stake));
            }
            delta.end_row();
        }
        delta.normalise_columns(columns);

        let mut sums = vec![0u64; columns];
        for neuron in &self.epoch.neurons {
            for (uid, bond) in self.living_bonds(neuron) {
                sums[usize::from(uid)] += u64::from(bond);
            }
        }
        let share = |(uid, bond)| (uid, Q32::ratio(u64::from(bond), sums[usize::from(uid)]));
        let mut bonds = self.moving_average(
            delta.iter().map(|row| row.iter().copied()),
            self.epoch.neurons.iter().map(|neuron| self.living_bonds(neuron).map(share)),
        );
        bonds.normalise_columns(columns);
        let dividends = self.earnings(&bonds);
        bonds.upscale_columns(columns);
        Earned { bonds, dividends }
    }

    /// `B = α·W + (1 − α)·b`, pair by pair; `D = S · Σ_j Bn·I` with `Bn` the column-normalised `B`.
    fn yuma3(&self) -> Earned {
        let scale = |(uid, bond)| (uid, Q32::from_u16(bond));
        let bonds = self.moving_average(
            self.weights.iter().map(|row| self.bond_weights(row)),
            self.epoch.neurons.iter().map(|neuron| self.living_bonds(neuron).map(scale)),
        );
        let mut shares = bonds.clone();
        shares.normalise_columns(self.consensus.len());
        let earnings = self.earnings(&shares);
        let dividends = earnings.iter().zip(self.active_stake).map(|(earned, stake)| earned.mul_down(*stake)).collect();
        Earned { bonds, dividends }
    }

    /// `W + penalty·(W̄ − W)` with `W̄ = min(W, C)`: the weights by which bonds grow.
    fn bond_weights<'a>(&'a self, row: &'a [(u16, Q32)]) -> impl Iterator<Item = (u16, Q32)> + 'a {
        let penalty = Q32::from_u16(self.params.bonds_penalty);
        row.iter().map(move |&(uid, weight)| {
            let clipped = weight.min(self.consensus[usize::from(uid)]);
            (uid, weight - penalty.mul_up(weight - clipped))
        })
    }

    /// A validator's old bonds but for those that a former holder of either uid had.
    fn living_bonds<'a>(&'a self, neuron: &'a Neuron) -> impl Iterator<Item = (u16, u16)> + 'a {
        let lives = |neuron: &Neuron| neuron.registered < self.epoch.bonds_since;
        let row = if lives(neuron) { neuron.bonds.as_slice() } else { &[] };
        row.iter().copied().filter(move |&(uid, _)| lives(&self.epoch.neurons[usize::from(uid)]))
    }

    /// `α·new + (1 − α)·old` cell by cell; a bond without a new weight decays, a bond of 0 is left out.
    fn moving_average<N, O>(&self, new: impl Iterator<Item = N>, old: impl Iterator<Item = O>) -> Rows
    where
        N: Iterator<Item = (u16, Q32)>,
        O: Iterator<Item = (u16, Q32)>,
    {
        let survives = Q32::ratio(u64::from(self.params.bonds_moving_average), 1_000_000);
        let alpha = Q32::ONE - survives;
        let mut result = Rows::with_capacity(self.consensus.len(), 0);
        for (new, old) in new.zip(old) {
            let (mut new, mut old) = (new.peekable(), old.peekable());
            while let Some(uid) = new.peek().into_iter().chain(old.peek()).map(|cell| cell.0).min() {
                let (fresh, kept) = (take(&mut new, uid), take(&mut old, uid));
                let bond = alpha.mul_down(fresh) + survives.mul_down(kept);
                if bond > Q32::ZERO {
                    result.push(uid, bond);
                }
            }
            result.end_row();
        }
        result
    }

    /// `Σ_j B_ij · I_j` for each row.
    fn earnings(&self, bonds: &Rows) -> Vec<Q32> {
        let earned = |&(uid, share): &(u16, Q32)| share.mul_down(self.incentive[usize::from(uid)]);
        bonds.iter().map(|row| row.iter().map(earned).sum()).collect()
    }
}

/// The value at `uid`, which is next or not there at all.
fn take(row: &mut Peekable<impl Iterator<Item = (u16, Q32)>>, uid: u16) -> Q32 {
    row.next_if(|cell| cell.0 == uid).map_or(Q32::ZERO, |cell| cell.1)
}
