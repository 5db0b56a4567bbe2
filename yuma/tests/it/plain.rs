//! The epoch once more, plainly: dense tables, one division after the other, nothing shared with the engine but liquid
//! alpha's α. An oracle for the tests, and what the engine is compared with in the benches.

use yuma::{Epoch, Hyperparameters, Profile, Q32, Rules};

const ONE: u128 = 1 << 32;

type Table = Vec<Vec<u128>>;

/// Scores in units of 2⁻³², floored in either profile.
pub(crate) struct Plain {
    pub(crate) active_stake: Vec<u64>,
    pub(crate) consensus: Vec<u64>,
    pub(crate) rank: Vec<u64>,
    pub(crate) clipped: Vec<u64>,
    pub(crate) trust: Vec<u64>,
    pub(crate) distance: Vec<u64>,
    pub(crate) incentive: Vec<u64>,
    pub(crate) dividends: Vec<u64>,
    pub(crate) permits: Vec<bool>,
    pub(crate) bonds: Vec<Vec<(u16, u16)>>,
}

fn mul(a: u128, b: u128) -> u128 {
    (a * b) >> 32
}

fn div(a: u128, b: u128) -> u128 {
    (a << 32).checked_div(b).unwrap_or(0)
}

fn from_u16(value: u16) -> u128 {
    (u128::from(value) << 32) / 65_535
}

fn to_u16(value: u128) -> u16 {
    ((value * 65_535) >> 32) as u16
}

fn normalise(values: &[u128]) -> Vec<u128> {
    let sum = values.iter().sum();
    values.iter().map(|&value| div(value, sum)).collect()
}

fn normalise_columns(table: &mut Table) {
    for column in 0..table.first().map_or(0, Vec::len) {
        let sum = table.iter().map(|row| row[column]).sum();
        table.iter_mut().for_each(|row| row[column] = div(row[column], sum));
    }
}

fn raw(values: &[u128]) -> Vec<u64> {
    values.iter().map(|&value| value as u64).collect()
}

/// Computes an epoch that the engine accepts.
pub(crate) fn plain(epoch: &Epoch, params: &Hyperparameters) -> Plain {
    let neurons = &epoch.neurons;
    let n = neurons.len();
    let tandem = params.profile == Profile::Tandem;
    let owner = |uid: usize| epoch.owner == Some(uid as u16);

    let counted = (0..n).map(|uid| match neurons[uid].stake {
        stake if stake < params.stake_threshold && !owner(uid) => 0,
        stake => stake,
    });
    let stake = normalise(&counted.collect::<Vec<_>>());
    let mut by_stake: Vec<usize> = (0..n).collect();
    by_stake.sort_by_key(|&uid| (stake[uid], uid));
    let dropped = n.saturating_sub(params.max_validators.into());
    let mut permits = vec![false; n];
    by_stake[dropped..].iter().filter(|&&uid| stake[uid] > 0).for_each(|&uid| permits[uid] = true);
    (0..n).filter(|&uid| owner(uid)).for_each(|uid| permits[uid] = true);
    let permitted: Vec<bool> = (0..n).map(|uid| neurons[uid].permit || owner(uid)).collect();
    let active =
        |uid: usize| u128::from(neurons[uid].last_update) + u128::from(params.activity_cutoff) >= epoch.now.into();
    let voting = (0..n).map(|uid| if active(uid) && permitted[uid] { stake[uid] } else { 0 });
    let active_stake = normalise(&voting.collect::<Vec<_>>());

    // Rows that nobody could fill are left away, all others have all columns.
    let rows: Vec<usize> =
        (0..n).filter(|&uid| !neurons[uid].weights.is_empty() || !neurons[uid].bonds.is_empty()).collect();
    let table = || vec![vec![0; n]; rows.len()];
    let (mut weights, mut given) = (table(), vec![vec![false; n]; rows.len()]);
    for (row, &uid) in rows.iter().enumerate().filter(|(_, uid)| permitted[**uid]) {
        let neuron = &neurons[uid];
        for &(target, weight) in &neuron.weights {
            let target = usize::from(target);
            let registered = neurons[target].registered;
            let late = neuron.committed.is_some_and(|committed| committed < registered);
            if (target != uid || owner(uid)) && neuron.last_update > registered && !late {
                (weights[row][target], given[row][target]) = (weight.into(), true);
            }
        }
        weights[row] = normalise(&weights[row]);
    }

    let stake_of = |row: usize| active_stake[rows[row]];
    let voices = normalise(&active_stake);
    let total: u128 = voices.iter().sum();
    let kappa = from_u16(params.kappa);
    let consensus: Vec<u128> = (0..n)
        .map(|column| {
            let mut votes: Vec<(u128, u128)> =
                rows.iter().zip(&weights).map(|(&uid, row)| (row[column], voices[uid])).filter(|v| v.1 > 0).collect();
            votes.push((0, total - votes.iter().map(|vote| vote.1).sum::<u128>()));
            votes.sort_unstable();
            votes.retain(|vote| vote.1 > 0);
            let mut below = 0;
            let mut chosen = votes.first().map_or(0, |vote| vote.0);
            for &(weight, voice) in &votes {
                if below + kappa <= total {
                    chosen = weight;
                }
                below += voice;
            }
            chosen
        })
        .collect();

    let clip = |row: usize, column: usize| weights[row][column].min(consensus[column]);
    let supported = |amount: &dyn Fn(usize, usize) -> u128| -> Vec<u128> {
        (0..n).map(|column| (0..rows.len()).map(|row| mul(stake_of(row), amount(row, column))).sum()).collect()
    };
    let rank = supported(&clip);
    let unclipped = supported(&|row, column| weights[row][column]);
    let incentive = normalise(&rank);
    let (mut trust, mut distance) = (vec![0; n], vec![0; n]);
    for (row, &uid) in rows.iter().enumerate() {
        trust[uid] = (0..n).map(|column| clip(row, column)).sum();
        if weights[row].iter().any(|&weight| weight > 0) {
            distance[uid] = (0..n).map(|column| weights[row][column].abs_diff(consensus[column])).sum();
        }
    }

    let penalty = from_u16(params.bonds_penalty);
    let target = |row: usize, column: usize| {
        weights[row][column] - (penalty * (weights[row][column] - clip(row, column))).div_ceil(ONE)
    };
    let graced =
        |uid: usize| u128::from(neurons[uid].permitted_at) + u128::from(params.permit_grace) >= epoch.now.into();
    let asleep = |uid: usize| tandem && params.permit_grace > 0 && !permitted[uid];
    let living = |uid: usize| {
        let former = tandem && neurons[uid].registered >= epoch.bonds_since;
        let old = move |&&(target, _): &&(u16, u16)| neurons[usize::from(target)].registered < epoch.bonds_since;
        neurons[uid].bonds.iter().filter(move |_| !former).filter(old)
    };
    let mut old = table();
    for (row, &uid) in rows.iter().enumerate().filter(|(_, uid)| !asleep(**uid)) {
        living(uid).for_each(|&(target, bond)| old[row][usize::from(target)] = bond.into());
    }
    let survives = div(params.bonds_moving_average.into(), 1_000_000);
    let alpha = ONE - survives;
    let mut bonds = table();
    let mut dividends = vec![0; n];
    let earned = |shares: &Table, row: usize| (0..n).map(|column| mul(shares[row][column], incentive[column])).sum();
    let mut exists = vec![vec![false; n]; rows.len()];
    match params.rules {
        Rules::Yuma2 => {
            normalise_columns(&mut old);
            let mut new = table();
            for (row, cells) in new.iter_mut().enumerate() {
                cells.iter_mut().enumerate().for_each(|(column, cell)| *cell = mul(target(row, column), stake_of(row)));
            }
            normalise_columns(&mut new);
            for row in 0..rows.len() {
                for column in 0..n {
                    bonds[row][column] = mul(alpha, new[row][column]) + mul(survives, old[row][column]);
                    exists[row][column] = bonds[row][column] > 0;
                }
            }
            normalise_columns(&mut bonds);
            rows.iter().enumerate().for_each(|(row, &uid)| dividends[uid] = earned(&bonds, row));
            for column in 0..n {
                let largest = bonds.iter().map(|row| row[column]).max().unwrap_or(0);
                bonds.iter_mut().for_each(|row| row[column] = div(row[column], largest));
            }
        }
        Rules::Yuma3 => {
            let liquid = params.liquid_alpha.filter(|_| consensus.iter().any(|&consensus| consensus > 0));
            let q32 = |value: u128| Q32::from_raw(value as u64);
            for row in 0..rows.len() {
                for column in 0..n {
                    let (new, old) = (target(row, column), from_u16(old[row][column] as u16));
                    let alpha = match liquid {
                        None => alpha,
                        Some(liquid) => liquid.alpha(q32(new), q32(old), q32(consensus[column])).raw().into(),
                    };
                    let renewed = match params.bonds_penalty {
                        0 => given[row][column],
                        u16::MAX => given[row][column] && (weights[row][column] == 0 || consensus[column] > 0),
                        _ => new > 0,
                    };
                    if tandem || liquid.is_none() || renewed {
                        bonds[row][column] = (mul(alpha, new) + mul(ONE - alpha, old)).min(ONE);
                    }
                    exists[row][column] = bonds[row][column] > 0;
                }
            }
            let mut shares = bonds.clone();
            normalise_columns(&mut shares);
            for (row, &uid) in rows.iter().enumerate() {
                dividends[uid] = mul(earned(&shares, row), active_stake[uid]);
            }
        }
    }
    let mut stored = vec![Vec::new(); n];
    for (row, &uid) in rows.iter().enumerate() {
        let graced = tandem && params.permit_grace > 0 && (permitted[uid] || graced(uid));
        if asleep(uid) && (permits[uid] || graced) {
            let decayed = living(uid).map(|&(target, bond)| (target, mul(survives, from_u16(bond))));
            stored[uid] = decayed.filter(|bond| bond.1 > 0).map(|(target, bond)| (target, to_u16(bond))).collect();
        } else if permits[uid] || graced {
            let cells = (0..n).filter(|&column| exists[row][column]);
            stored[uid] = cells.map(|column| (column as u16, to_u16(bonds[row][column]))).collect();
        }
    }
    Plain {
        active_stake: raw(&active_stake),
        clipped: unclipped.iter().zip(&rank).map(|(all, rank)| (all - rank) as u64).collect(),
        consensus: raw(&consensus),
        rank: raw(&rank),
        trust: raw(&trust),
        distance: raw(&distance),
        incentive: raw(&incentive),
        dividends: raw(&normalise(&dividends)),
        permits,
        bonds: stored,
    }
}
