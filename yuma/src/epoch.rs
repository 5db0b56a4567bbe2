//! The epoch, step by step.

use alloc::vec;
use alloc::vec::Vec;

use crate::bonds::{Earned, Market};
use crate::consensus::consensus;
use crate::input::validate;
use crate::matrix::Rows;
use crate::payout::split_exact;
use crate::{Epoch, Error, Hyperparameters, Outcome, Profile, Q32, normalise};

impl Epoch {
    /// Computes the epoch. Time and memory grow with the weights and bonds that are given, not with the square of the
    /// number of uids.
    ///
    /// # Errors
    /// An [`Error`] naming the place if the input is malformed; see [`Neuron`](crate::Neuron) for what is expected.
    pub fn run(&self, params: &Hyperparameters) -> Result<Outcome, Error> {
        validate(self, params)?;

        let active: Vec<bool> = self
            .neurons
            .iter()
            .map(|neuron| neuron.last_update.saturating_add(params.activity_cutoff) >= self.now)
            .collect();
        let stake = self.stake(params);
        let permitted: Vec<bool> =
            self.neurons.iter().enumerate().map(|(uid, neuron)| neuron.permit || self.is_owner(uid)).collect();
        let permits = self.next_permits(&stake, params);
        let voting: Vec<Q32> = stake
            .iter()
            .enumerate()
            .map(|(uid, &stake)| if active[uid] && permitted[uid] { stake } else { Q32::ZERO })
            .collect();
        let active_stake = normalise(&voting);

        let weights = self.admitted_weights(&permitted);
        let consensus = consensus(&weights, &active_stake, Q32::from_u16(params.kappa));
        let Support { rank, clipped, validator_trust } = support(&weights, &consensus, &active_stake);

        let incentive = normalise(&rank);
        let market = Market {
            epoch: self,
            params,
            weights: &weights,
            consensus: &consensus,
            active_stake: &active_stake,
            incentive: &incentive,
        };
        let Earned { bonds, dividends } = market.trade();
        let stored = |(row, &permit): (&[(u16, Q32)], &bool)| match permit {
            true => row.iter().map(|&(uid, bond)| (uid, bond.to_u16())).collect(),
            false => Vec::new(),
        };

        Ok(Outcome {
            profile: params.profile,
            bonds: bonds.iter().zip(&permits).map(stored).collect(),
            // Dividends were computed from floored incentives in either profile, so that handing out the units left
            // over, which needs a tie rule, moves nobody else's share.
            incentive: shares(params.profile, &rank),
            dividends: shares(params.profile, &dividends),
            active,
            stake,
            active_stake,
            permits,
            consensus,
            rank,
            clipped,
            validator_trust,
        })
    }

    fn is_owner(&self, uid: usize) -> bool {
        self.owner.map(usize::from) == Some(uid)
    }

    /// `⌊stake · 2³² / total⌋` of the stake that reaches the threshold.
    fn stake(&self, params: &Hyperparameters) -> Vec<Q32> {
        let counted = |(uid, neuron): (usize, &crate::Neuron)| {
            if neuron.stake < params.stake_threshold && !self.is_owner(uid) { 0 } else { neuron.stake }
        };
        let counted: Vec<u128> = self.neurons.iter().enumerate().map(counted).collect();
        // At least 1, so that no stake at all divides to 0. The total is below 2⁹⁶, hence the shift loses nothing.
        let total = counted.iter().sum::<u128>().max(1);
        counted.into_iter().map(|stake| Q32::from_raw(((stake << 32) / total) as u64)).collect()
    }

    /// The K largest stakes above zero, the higher uid first among equals, and the owner.
    fn next_permits(&self, stake: &[Q32], params: &Hyperparameters) -> Vec<bool> {
        let mut permits: Vec<bool> = stake.iter().map(|&stake| stake > Q32::ZERO).collect();
        let k = usize::from(params.max_validators);
        if let Some(dropped) = stake.len().checked_sub(k).filter(|&dropped| dropped > 0) {
            let mut order: Vec<usize> = (0..stake.len()).collect();
            order.select_nth_unstable_by_key(dropped - 1, |&uid| (stake[uid], uid));
            for &uid in &order[..dropped] {
                permits[uid] = false;
            }
        }
        if let Some(owner) = self.owner {
            permits[usize::from(owner)] = true;
        }
        permits
    }

    /// Rows of permitted validators, without weights on oneself (but for the owner) and without weights that are not
    /// newer than the target's registration, normalised.
    fn admitted_weights(&self, permitted: &[bool]) -> Rows {
        let cells = self.neurons.iter().zip(permitted).filter(|(_, permit)| **permit);
        let mut weights = Rows::with_capacity(self.neurons.len(), cells.map(|(neuron, _)| neuron.weights.len()).sum());
        for (uid, neuron) in self.neurons.iter().enumerate() {
            let admitted = |&&(target, _): &&(u16, u16)| {
                let target = usize::from(target);
                (target != uid || self.is_owner(uid)) && neuron.last_update > self.neurons[target].registered
            };
            if permitted[uid] {
                let sum = neuron.weights.iter().filter(admitted).map(|&(_, weight)| u64::from(weight)).sum();
                for &(target, weight) in neuron.weights.iter().filter(admitted) {
                    weights.push(target, Q32::ratio(u64::from(weight), sum));
                }
            }
            weights.end_row();
        }
        weights
    }
}

/// What the stake behind the weights says once they are clipped at the consensus.
struct Support {
    /// `R_j = Σ_i S_i · min(W_ij, C_j)`.
    rank: Vec<Q32>,
    /// `Σ_i S_i · W_ij − R_j`.
    clipped: Vec<Q32>,
    /// `Tv_i = Σ_j min(W_ij, C_j)`.
    validator_trust: Vec<Q32>,
}

fn support(weights: &Rows, consensus: &[Q32], active_stake: &[Q32]) -> Support {
    let columns = consensus.len();
    let mut rank = vec![Q32::ZERO; columns];
    let mut clipped = vec![Q32::ZERO; columns];
    let mut validator_trust = Vec::with_capacity(columns);
    for (row, &stake) in weights.iter().zip(active_stake) {
        let mut trust = Q32::ZERO;
        for &(uid, weight) in row {
            let column = usize::from(uid);
            let agreed = weight.min(consensus[column]);
            let counted = stake.mul_down(agreed);
            trust += agreed;
            rank[column] += counted;
            clipped[column] += stake.mul_down(weight) - counted;
        }
        validator_trust.push(trust);
    }
    Support { rank, clipped, validator_trust }
}

/// Amounts as shares of 1, or all zero.
fn shares(profile: Profile, amounts: &[Q32]) -> Vec<Q32> {
    match profile {
        Profile::Subtensor => normalise(amounts),
        Profile::Tandem => {
            let exact = split_exact(u128::from(Q32::ONE.raw()), amounts);
            exact.into_iter().map(|units| Q32::from_raw(units as u64)).collect()
        }
    }
}
