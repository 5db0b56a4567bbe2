//! The epoch, step by step.

use alloc::vec;
use alloc::vec::Vec;

use crate::ballot::{Ballot, Obstacle};
use crate::explain::Basis;
use crate::growth::{Growth, stored};
use crate::median::Voter;
use crate::payout::{exact_shares, floored_shares};
use crate::standing::Standing;
use crate::workspace::{Column, Scratch};
use crate::{
    Epoch, Error, Explanation, Hyperparameters, Outcome, Profile, Q32, Rules, Snapshot, Workspace, yuma2, yuma3,
};

impl Epoch {
    /// Computes the epoch. Time and memory grow with the weights and bonds that are given, not with the square of the
    /// number of uids.
    ///
    /// # Errors
    /// An [`Error`] naming the place if the input is malformed; see [`Neuron`](crate::Neuron) for what is expected.
    pub fn run(&self, params: &Hyperparameters) -> Result<Outcome, Error> {
        self.run_in(params, &mut Workspace::new())
    }

    /// [`run`](Self::run) with memory that was used before.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_in(&self, params: &Hyperparameters, workspace: &mut Workspace) -> Result<Outcome, Error> {
        params.validate()?;
        let standing = Standing::of_epoch(self, params)?;
        let ballot = Ballot::of_epoch(self, params, &standing, &mut workspace.copies)?;
        count(params, standing, &ballot, &mut workspace.scratch)
    }

    /// Computes the epoch and keeps what it takes to tell why it came out so.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(&self, params: &Hyperparameters) -> Result<Explanation, Error> {
        params.validate()?;
        let mut workspace = Workspace::new();
        let standing = Standing::of_epoch(self, params)?;
        let ballot = Ballot::of_epoch(self, params, &standing, &mut workspace.copies)?;
        let rows = self.neurons.iter().map(|neuron| neuron.weights.as_slice());
        let basis = Basis::new(params, &standing, &ballot, rows, |uid, target| self.obstacle(uid, target));
        let outcome = count(params, standing, &ballot, &mut workspace.scratch)?;
        Ok(basis.explain(outcome, params.rules, &workspace.scratch))
    }

    /// Who gets a permit for the next epoch: the K largest stakes above zero, among equals the higher uid, and the owner.
    ///
    /// # Errors
    /// If stakes, the owner or the number of uids cannot be.
    pub fn next_permits(&self, params: &Hyperparameters) -> Result<Vec<bool>, Error> {
        Ok(Standing::of_epoch(self, params)?.permits)
    }

    pub(crate) fn is_owner(&self, uid: usize) -> bool {
        self.owner.map(usize::from) == Some(uid)
    }
}

impl Snapshot<'_> {
    /// Computes the epoch, as [`Epoch::run`] does.
    ///
    /// # Errors
    /// An [`Error`] naming the place if the input is malformed.
    pub fn run(&self, params: &Hyperparameters) -> Result<Outcome, Error> {
        self.run_in(params, &mut Workspace::new())
    }

    /// [`run`](Self::run) with memory that was used before.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_in(&self, params: &Hyperparameters, workspace: &mut Workspace) -> Result<Outcome, Error> {
        params.validate()?;
        let standing = Standing::of_snapshot(self)?;
        let ballot = Ballot::of_snapshot(self, &standing, &mut workspace.copies)?;
        count(params, standing, &ballot, &mut workspace.scratch)
    }

    /// Computes the epoch and keeps what it takes to tell why it came out so.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(&self, params: &Hyperparameters) -> Result<Explanation, Error> {
        params.validate()?;
        let mut workspace = Workspace::new();
        let standing = Standing::of_snapshot(self)?;
        let ballot = Ballot::of_snapshot(self, &standing, &mut workspace.copies)?;
        let oneself = |uid, target| (uid == target).then_some(Obstacle::Oneself);
        let basis = Basis::new(params, &standing, &ballot, self.weights.iter().copied(), oneself);
        let outcome = count(params, standing, &ballot, &mut workspace.scratch)?;
        Ok(basis.explain(outcome, params.rules, &workspace.scratch))
    }
}

/// What validators bring in and get out, by uid, in Q32 but for the sums of rows.
pub(crate) struct Voices {
    /// Share of the stake that votes.
    pub(crate) stake: Vec<u64>,
    /// Sum of the admitted weights.
    pub(crate) wholes: Vec<u32>,
    /// Sum of the weights as shares: 1, but for their floors.
    pub(crate) given: Vec<u64>,
    pub(crate) trust: Vec<u64>,
    pub(crate) dividends: Vec<Q32>,
}

fn count(
    params: &Hyperparameters,
    standing: Standing,
    ballot: &Ballot<'_>,
    scratch: &mut Scratch,
) -> Result<Outcome, Error> {
    let uids = standing.stake.len();
    let mut voices = Voices {
        stake: standing.active_stake.iter().map(|stake| stake.raw()).collect(),
        // At most 65,536 weights of 65,535.
        wholes: ballot.weights.iter().map(|row| row.iter().map(|cell| u32::from(cell.1)).sum()).collect(),
        given: vec![0; uids],
        trust: vec![0; uids],
        dividends: vec![Q32::ZERO; uids],
    };
    scratch.columns.clear();
    scratch.columns.resize(uids, Column::default());
    let agreed = consensus(params, &standing, ballot, &voices, scratch)?;
    let growth = Growth::of(params, agreed);
    match params.rules {
        Rules::Yuma2 => yuma2::trade(ballot, &growth, &mut voices, scratch),
        Rules::Yuma3 => yuma3::trade(ballot, &growth, &mut voices, scratch),
    }

    let rank: Vec<Q32> = scratch.columns.iter().map(|column| Q32::from_raw(column.rank)).collect();
    // Dividends are computed from floored incentives in either profile, so that handing out the units left over, which
    // needs a tie rule, moves nobody else's share.
    let incentive = floored_shares(&rank);
    let mut bonds = vec![Vec::new(); uids];
    match params.rules {
        Rules::Yuma2 => yuma2::settle(&standing, &mut voices, &incentive, scratch, &mut bonds),
        Rules::Yuma3 => yuma3::settle(&standing, &mut voices, &incentive, scratch, &mut bonds),
    }
    for &(uid, row) in &ballot.sleeping {
        let decayed = row.iter().map(|&(target, bond)| (target, growth.renew::<true>(0, bond)));
        bonds[usize::from(uid)] =
            decayed.filter(|cell| cell.1 > 0).map(|(target, bond)| (target, stored(bond))).collect();
    }

    let exact = params.profile == Profile::Tandem;
    let columns = &scratch.columns;
    let agreement: u64 = columns.iter().map(|column| column.consensus).sum();
    let distance = |(&given, &trust): (&u64, &u64)| match given {
        0 => Q32::ZERO,
        given => Q32::from_raw(given + agreement - 2 * trust),
    };
    Ok(Outcome {
        profile: params.profile,
        consensus: columns.iter().map(|column| Q32::from_raw(column.consensus)).collect(),
        clipped: columns.iter().map(|column| Q32::from_raw(column.unclipped - column.rank)).collect(),
        incentive: if exact { exact_shares(&rank) } else { incentive },
        rank,
        distance: voices.given.iter().zip(&voices.trust).map(distance).collect(),
        validator_trust: voices.trust.into_iter().map(Q32::from_raw).collect(),
        dividends: if exact { exact_shares(&voices.dividends) } else { floored_shares(&voices.dividends) },
        bonds,
        active: standing.active,
        stake: standing.stake,
        active_stake: standing.active_stake,
        permits: standing.permits,
    })
}

/// Finds the κ-median of each column; true if any is not 0.
fn consensus(
    params: &Hyperparameters,
    standing: &Standing,
    ballot: &Ballot<'_>,
    voices: &Voices,
    scratch: &mut Scratch,
) -> Result<bool, Error> {
    // Normalised a second time, as on the chain: the first pass left a few units in the last place below 1.
    let stake = floored_shares(&standing.active_stake);
    let voters: Vec<Voter<'_>> = stake
        .iter()
        .enumerate()
        .filter(|(_, stake)| **stake > Q32::ZERO)
        .map(|(uid, stake)| Voter { row: ballot.weights[uid], whole: voices.wholes[uid], stake: stake.raw() })
        .collect();
    let cells = voters.iter().map(|voter| voter.row.len()).sum::<usize>();
    if u32::try_from(cells).is_err() {
        return Err(Error::TooManyWeights { count: cells });
    }
    let (columns, kappa) = (&mut scratch.columns, Q32::from_u16(params.kappa).raw());
    let mut agreed = false;
    scratch.medians.medians(&voters, kappa, columns.len(), |column, median| {
        columns[column].consensus = median;
        agreed |= median > 0;
    });
    Ok(agreed)
}
