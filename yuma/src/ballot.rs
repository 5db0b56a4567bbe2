//! Which weights and bonds count.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::{Error, Table};
use crate::input::validate_row;
use crate::standing::{Fate, Standing};
use crate::{Epoch, Hyperparameters, Profile, Row, Snapshot};

/// The rows that count, by uid; those that do not are empty. Rows stay where they are, unless something of them is left out.
#[derive(Debug, Default)]
pub(crate) struct Ballot<'a> {
    pub(crate) weights: Vec<Row<'a>>,
    pub(crate) bonds: Vec<Row<'a>>,
    /// Bonds of uids that sleep.
    pub(crate) sleeping: Vec<(u16, Row<'a>)>,
}

/// Why a weight does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// Whoever gave it has no permit in this epoch.
    NoPermit,
    /// It is on oneself.
    Oneself,
    /// It is not newer than the registration of the uid it is on.
    Outdated,
    /// It was committed before the uid it is on registered.
    CommittedEarlier,
}

impl Epoch {
    /// Why the weight of a permitted uid on another does not count, if it does not.
    pub(crate) fn obstacle(&self, uid: u16, target: u16) -> Option<Obstacle> {
        let (neuron, registered) = (&self.neurons[usize::from(uid)], self.neurons[usize::from(target)].registered);
        if uid == target && !self.is_owner(uid.into()) {
            Some(Obstacle::Oneself)
        } else if neuron.last_update <= registered {
            Some(Obstacle::Outdated)
        } else if neuron.committed.is_some_and(|committed| committed < registered) {
            Some(Obstacle::CommittedEarlier)
        } else {
            None
        }
    }
}

/// Copies of the rows of which something is left out.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    cells: Vec<(u16, u16)>,
    /// How many cells there can be.
    most: usize,
    weights: Vec<Kept>,
    bonds: Vec<Kept>,
}

#[derive(Clone, Debug)]
enum Kept {
    Nothing,
    All,
    Some(Range<usize>),
}

impl Copies {
    fn begin(&mut self, uids: usize, most: usize) {
        self.cells.clear();
        self.most = most;
        for rows in [&mut self.weights, &mut self.bonds] {
            rows.clear();
            rows.reserve_exact(uids);
        }
    }

    fn copy(&mut self, row: Row<'_>, keep: impl Fn(u16) -> bool) -> Kept {
        let start = self.cells.len();
        // All room at once, and only if it is needed: a list that grows as it goes takes twice as much.
        self.cells.reserve_exact(self.most - start);
        self.cells.extend(row.iter().filter(|cell| keep(cell.0)));
        Kept::Some(start..self.cells.len())
    }

    fn get<'a>(&'a self, kept: &Kept, row: Row<'a>) -> Row<'a> {
        match kept {
            Kept::Nothing => &[],
            Kept::All => row,
            Kept::Some(range) => &self.cells[range.clone()],
        }
    }

    fn ballot<'a>(&'a self, standing: &Standing, row: impl Fn(Table, usize) -> Row<'a>) -> Ballot<'a> {
        let mut ballot = Ballot::default();
        ballot
            .weights
            .extend(self.weights.iter().enumerate().map(|(uid, kept)| self.get(kept, row(Table::Weights, uid))));
        ballot.bonds.reserve(self.bonds.len());
        for (uid, (kept, fate)) in self.bonds.iter().zip(&standing.fates).enumerate() {
            let bonds = self.get(kept, row(Table::Bonds, uid));
            let counts = matches!(fate, Fate::Stay | Fate::End);
            ballot.bonds.push(if counts { bonds } else { &[] });
            if *fate == Fate::Sleep && !bonds.is_empty() {
                ballot.sleeping.push((uid as u16, bonds));
            }
        }
        ballot
    }
}

impl<'a> Ballot<'a> {
    /// Rows of permitted validators, without weights on oneself (but for the owner) and without weights that are not
    /// newer than the target's registration; bonds without those on, and in Tandem's profile of, former holders of a uid.
    pub(crate) fn of_epoch(
        epoch: &'a Epoch,
        params: &Hyperparameters,
        standing: &Standing,
        copies: &'a mut Copies,
    ) -> Result<Self, Error> {
        let count = epoch.neurons.len();
        copies.begin(count, epoch.neurons.iter().map(|neuron| neuron.weights.len() + neuron.bonds.len()).sum());
        let newest = epoch.neurons.iter().map(|neuron| neuron.registered).max().unwrap_or_default();
        let registered = |uid: u16| epoch.neurons[usize::from(uid)].registered;
        for (uid, neuron) in (0..=u16::MAX).zip(&epoch.neurons) {
            if neuron.weights.is_empty() && neuron.bonds.is_empty() {
                copies.weights.push(Kept::Nothing);
                copies.bonds.push(Kept::Nothing);
                continue;
            }
            validate_row(Table::Weights, uid, &neuron.weights, count)?;
            validate_row(Table::Bonds, uid, &neuron.bonds, count)?;
            let settled = neuron.last_update > newest && neuron.committed.is_none_or(|commit| commit >= newest);
            let myself = epoch.is_owner(uid.into()) || !names(&neuron.weights, uid);
            let kept = match (standing.permitted[usize::from(uid)], settled && myself) {
                (false, _) => Kept::Nothing,
                (true, true) => Kept::All,
                (true, false) => copies.copy(&neuron.weights, |target| epoch.obstacle(uid, target).is_none()),
            };
            copies.weights.push(kept);
            let former = params.profile == Profile::Tandem && neuron.registered >= epoch.bonds_since;
            let kept = match (former, newest < epoch.bonds_since) {
                (true, _) => Kept::Nothing,
                (false, true) => Kept::All,
                (false, false) => copies.copy(&neuron.bonds, |target| registered(target) < epoch.bonds_since),
            };
            copies.bonds.push(kept);
        }
        let copies = &*copies;
        Ok(copies.ballot(standing, |table, uid| match table {
            Table::Weights => &epoch.neurons[uid].weights,
            Table::Bonds => &epoch.neurons[uid].bonds,
        }))
    }

    /// Rows of permitted validators without weights on oneself, and all bonds.
    pub(crate) fn of_snapshot(
        snapshot: &Snapshot<'a>,
        standing: &Standing,
        copies: &'a mut Copies,
    ) -> Result<Self, Error> {
        let count = snapshot.stakes.len();
        copies.begin(count, snapshot.weights.iter().map(|row| row.len()).sum());
        let rows = snapshot.weights.iter().zip(snapshot.bonds).zip(&standing.permitted);
        for (uid, ((weights, bonds), permitted)) in (0..=u16::MAX).zip(rows) {
            validate_row(Table::Weights, uid, weights, count)?;
            validate_row(Table::Bonds, uid, bonds, count)?;
            let kept = match (permitted, names(weights, uid)) {
                (false, _) => Kept::Nothing,
                (true, false) => Kept::All,
                (true, true) => copies.copy(weights, |target| target != uid),
            };
            copies.weights.push(kept);
            copies.bonds.push(Kept::All);
        }
        let (copies, snapshot) = (&*copies, *snapshot);
        Ok(copies.ballot(standing, move |table, uid| match table {
            Table::Weights => snapshot.weights[uid],
            Table::Bonds => snapshot.bonds[uid],
        }))
    }
}

fn names(row: Row<'_>, uid: u16) -> bool {
    row.binary_search_by_key(&uid, |cell| cell.0).is_ok()
}
