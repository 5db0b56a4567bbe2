//! What an epoch decides, and how it is paid.

use alloc::vec;
use alloc::vec::Vec;

use crate::divide::Sum;
use crate::payout::floored_shares;
use crate::{Profile, Q32, split_exact};

/// The result of an epoch; every list is indexed by uid. [`Q32::to_u16`] gives the chain's `u16` form of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The profile it was computed in.
    pub profile: Profile,
    /// Whether the uid was active.
    pub active: Vec<bool>,
    /// Share of all stake.
    pub stake: Vec<Q32>,
    /// Share of the stake of active validators with a permit, by which votes were weighed.
    pub active_stake: Vec<Q32>,
    /// Who holds a permit in the next epoch.
    pub permits: Vec<bool>,
    /// `C`: the largest weight that κ of the active stake supports.
    pub consensus: Vec<Q32>,
    /// `R`: the weights on this uid, clipped at the consensus and weighed by active stake; what the incentive is a
    /// share of.
    pub rank: Vec<Q32>,
    /// What clipping took from the rank.
    pub clipped: Vec<Q32>,
    /// `I`: share of what miners are paid. Sums to at most 1, in Tandem's profile to exactly 1, or all is 0.
    pub incentive: Vec<Q32>,
    /// `Tv`: how much of this uid's normalised weights survived clipping.
    pub validator_trust: Vec<Q32>,
    /// `Σ_j |W − C|`: how far this uid's normalised weights are from the consensus, omitted ones included; 0 if it gave none
    /// that count.
    pub distance: Vec<Q32>,
    /// `D`: share of what validators are paid. Sums as the incentive does.
    pub dividends: Vec<Q32>,
    /// Bonds for the next epoch: rows of `(uid, u16)` with ascending uids, empty without a permit for it.
    pub bonds: Vec<Vec<(u16, u16)>>,
}

/// What becomes of a pot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Payout {
    /// Amounts by uid that sum to exactly the pot.
    Paid(Vec<u128>),
    /// Nobody earned any of it: it waits, and is never paid to the other side.
    Carried,
}

/// One pot of emission, split between miners ("servers") and validators, by uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// For incentive.
    pub server: Vec<u64>,
    /// For dividends.
    pub validator: Vec<u64>,
    /// For both.
    pub combined: Vec<u64>,
}

impl Outcome {
    /// Splits a pot of base units among miners by incentive.
    pub fn pay_incentives(&self, pot: u128) -> Payout {
        pay(pot, &self.incentive)
    }

    /// Splits a pot of base units among validators by dividends.
    pub fn pay_dividends(&self, pot: u128) -> Payout {
        pay(pot, &self.dividends)
    }

    /// Splits one amount over both sides, half and half.
    ///
    /// In the `Subtensor` profile every part is floored; if one side earned nothing the other gets all, and if neither
    /// did, validators get all by (active) stake. In the `Tandem` profile the halves (the odd unit with the
    /// validators) are split exactly, and a side that earned nothing gets nothing.
    pub fn emission(&self, amount: u64) -> Emission {
        match self.profile {
            Profile::Subtensor => self.floored_emission(amount),
            Profile::Tandem => {
                let side = |half: u64, shares: &[Q32]| -> Vec<u64> {
                    split_exact(u128::from(half), shares).into_iter().map(|part| part as u64).collect()
                };
                let server = side(amount / 2, &self.incentive);
                let validator = side(amount - amount / 2, &self.dividends);
                let combined = server.iter().zip(&validator).map(|(server, validator)| server + validator).collect();
                Emission { server, validator, combined }
            }
        }
    }

    fn floored_emission(&self, amount: u64) -> Emission {
        let combined: Vec<Q32> = self.incentive.iter().zip(&self.dividends).map(|(&i, &d)| i + d).collect();
        let sum: Q32 = combined.iter().copied().sum();
        let pay = |shares: &[Q32]| -> Vec<u64> {
            shares.iter().map(|share| ((u128::from(share.raw()) * u128::from(amount)) >> 32) as u64).collect()
        };
        if sum == Q32::ZERO {
            let idle = self.active_stake.iter().all(|&stake| stake == Q32::ZERO);
            let by_stake = pay(if idle { &self.stake } else { &self.active_stake });
            return Emission { server: vec![0; combined.len()], validator: by_stake.clone(), combined: by_stake };
        }
        let sum = Sum::of(sum.raw());
        let part =
            |shares: &[Q32]| pay(&shares.iter().map(|share| Q32::from_raw(sum.share(share.raw()))).collect::<Vec<_>>());
        Emission {
            server: part(&self.incentive),
            validator: part(&self.dividends),
            combined: pay(&floored_shares(&combined)),
        }
    }
}

fn pay(pot: u128, shares: &[Q32]) -> Payout {
    if shares.iter().all(|&share| share == Q32::ZERO) {
        return Payout::Carried;
    }
    Payout::Paid(split_exact(pot, shares))
}
