//! What fuzzing looks at; the targets in `fuzz/` and the tests share it.

use yuma::tool::{Case, epoch_json, explain};
use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Profile, Q32, Row, Rules, Snapshot, Workspace};

use crate::plain::plain;

/// Any bytes are refused in one line or answered in full.
pub(crate) fn parser(data: &[u8]) {
    let case = match Case::parse(data) {
        Ok(case) => case,
        Err(refusal) => {
            let told = refusal.to_string();
            assert!(!told.is_empty() && told.len() < 1_200 && !told.contains(char::is_control), "{told:?}");
            return;
        }
    };
    let outcome = case.run().unwrap();
    promises(&outcome, case.emission);
    for uid in 0..case.stakes.len().min(8) as u16 {
        let stories = explain(&case, uid).unwrap();
        assert!(stories.to_string().lines().count() > 6);
        serde_json::from_str::<serde_json::Value>(&stories.json()).unwrap();
    }
    let answer: serde_json::Value = serde_json::from_str(&epoch_json(&case).unwrap()).unwrap();
    let keys = [
        "consensus",
        "incentive",
        "dividends",
        "validator_trust",
        "bonds",
        "server_emission",
        "validator_emission",
        "combined_emission",
    ];
    assert_eq!(answer.as_object().unwrap().len(), keys.len());
    assert!(keys.iter().all(|key| answer[key].as_array().unwrap().len() == case.stakes.len()));
}

/// Any bytes are an epoch, which keeps every promise and equals the plain computation.
pub(crate) fn engine(data: &[u8]) {
    let mut bytes = Bytes(data);
    let params = bytes.params();
    let epoch = bytes.epoch();
    let amount = bytes.number(8);
    let mut workspace = Workspace::new();
    let outcome = epoch.run_in(&params, &mut workspace).unwrap();
    promises(&outcome, amount);
    assert_eq!(epoch.run_in(&params, &mut workspace).as_ref(), Ok(&outcome), "memory was used before");

    let plain = plain(&epoch, &params);
    let raw = |scores: &[Q32]| scores.iter().map(|score| score.raw()).collect::<Vec<_>>();
    assert_eq!(raw(&outcome.consensus), plain.consensus);
    assert_eq!(raw(&outcome.rank), plain.rank);
    assert_eq!(raw(&outcome.clipped), plain.clipped);
    assert_eq!(raw(&outcome.validator_trust), plain.trust);
    assert_eq!(raw(&outcome.distance), plain.distance);
    assert_eq!((&outcome.permits, &outcome.bonds), (&plain.permits, &plain.bonds));
    for (given, floored) in [(&outcome.incentive, &plain.incentive), (&outcome.dividends, &plain.dividends)] {
        assert!(raw(given).iter().zip(floored).all(|(given, floored)| given - floored <= 1));
    }

    let column = |pick: fn(&Neuron) -> bool| epoch.neurons.iter().map(pick).collect::<Vec<_>>();
    let stakes: Vec<u128> = epoch.neurons.iter().map(|neuron| neuron.stake).collect();
    let (permits, active) = (column(|neuron| neuron.permit), column(|neuron| neuron.last_update > 1));
    let weights: Vec<Row<'_>> = epoch.neurons.iter().map(|neuron| neuron.weights.as_slice()).collect();
    let bonds: Vec<Row<'_>> = epoch.neurons.iter().map(|neuron| neuron.bonds.as_slice()).collect();
    let snapshot = Snapshot { stakes: &stakes, permits: &permits, active: &active, weights: &weights, bonds: &bonds };
    promises(&snapshot.run_in(&params, &mut workspace).unwrap(), amount);
}

/// What holds for every outcome.
fn promises(outcome: &Outcome, amount: u64) {
    let exact = outcome.profile == Profile::Tandem;
    let sum = |scores: &[Q32]| scores.iter().copied().sum::<Q32>();
    for shares in [&outcome.incentive, &outcome.dividends] {
        let sum = sum(shares);
        assert!(sum <= Q32::ONE && (!exact || sum == Q32::ZERO || sum == Q32::ONE), "shares sum to {sum}");
    }
    assert!(sum(&outcome.stake) <= Q32::ONE && sum(&outcome.active_stake) <= Q32::ONE);
    assert!(outcome.consensus.iter().chain(&outcome.validator_trust).all(|&score| score <= Q32::ONE));
    assert!(outcome.rank.iter().zip(&outcome.clipped).all(|(&rank, &clipped)| rank + clipped <= Q32::ONE));
    for row in &outcome.bonds {
        assert!(row.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(row.iter().all(|cell| usize::from(cell.0) < outcome.stake.len()));
    }

    let emission = outcome.emission(amount);
    let total = |parts: &[u64]| parts.iter().map(|&part| u128::from(part)).sum::<u128>();
    assert!(total(&emission.combined) <= u128::from(amount));
    if exact {
        let half = |shares: &[Q32], half: u64| if sum(shares) == Q32::ZERO { 0 } else { u128::from(half) };
        assert_eq!(total(&emission.server), half(&outcome.incentive, amount / 2));
        assert_eq!(total(&emission.validator), half(&outcome.dividends, amount - amount / 2));
    }
}

/// Reads numbers until the bytes end, and zeros from there.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self, bytes: usize) -> u64 {
        let (head, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        head.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    fn params(&mut self) -> Hyperparameters {
        let flags = self.number(1);
        let [a, b] = [self.number(2) as u16, self.number(2) as u16];
        let liquid = LiquidAlpha { low: a.min(b), high: a.max(b), steepness: self.number(2) as i16 };
        Hyperparameters {
            rules: if flags & 1 == 0 { Rules::Yuma3 } else { Rules::Yuma2 },
            profile: if flags & 2 == 0 { Profile::Tandem } else { Profile::Subtensor },
            liquid_alpha: (flags & 4 != 0).then_some(liquid),
            kappa: self.number(2) as u16,
            bonds_moving_average: (self.number(3) % 1_000_001) as u32,
            // The ends of the range take ways of their own.
            bonds_penalty: if flags & 8 == 0 { u16::MAX } else { self.number(2) as u16 },
            max_validators: self.number(1) as u16,
            activity_cutoff: self.number(1),
            stake_threshold: if flags & 16 == 0 { 0 } else { self.number(2).into() },
            permit_grace: self.number(1),
        }
    }

    fn epoch(&mut self) -> Epoch {
        let (now, bonds_since) = (self.number(1), self.number(1));
        let uids = self.number(1) % 24;
        let owner = self.number(1);
        let neurons = (0..uids).map(|_| self.neuron(uids)).collect();
        Epoch { now, bonds_since, owner: (owner < uids).then_some(owner as u16), neurons }
    }

    fn neuron(&mut self, uids: u64) -> Neuron {
        let flags = self.number(1);
        Neuron {
            // Some small, some near the largest that two dozen of them may be.
            stake: u128::from(self.number(2)) << if flags & 1 == 0 { 0 } else { 72 },
            permit: flags & 2 == 0,
            permitted_at: if flags & 4 == 0 { 0 } else { self.number(1) },
            last_update: if flags & 8 == 0 { u64::from(u8::MAX) } else { self.number(1) },
            committed: (flags & 16 != 0).then(|| self.number(1)),
            registered: if flags & 32 == 0 { 0 } else { self.number(1) },
            weights: self.row(uids, flags & 64 != 0),
            bonds: self.row(uids, flags & 128 != 0),
        }
    }

    /// Each uid's value, or of a row with gaps those whose first byte is even.
    fn row(&mut self, uids: u64, gaps: bool) -> Vec<(u16, u16)> {
        (0..uids as u16)
            .filter_map(|uid| {
                let given = !gaps || self.number(1).is_multiple_of(2);
                given.then(|| (uid, self.number(2) as u16))
            })
            .collect()
    }
}
