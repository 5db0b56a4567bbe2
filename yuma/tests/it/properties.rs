//! What holds for every epoch.

use proptest::prelude::*;
use proptest::sample::select;
use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Payout, Profile, Q32, Rules};

fn liquid_alpha() -> impl Strategy<Value = Option<LiquidAlpha>> {
    let bounds = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let steepness = prop_oneof![Just(1_000), -2_000..2_000i16, any::<i16>()];
    prop::option::of((bounds, steepness).prop_map(|((low, high), steepness)| LiquidAlpha { low, high, steepness }))
}

pub(crate) fn hyperparameters() -> impl Strategy<Value = Hyperparameters> {
    (
        (select(vec![Rules::Yuma2, Rules::Yuma3]), liquid_alpha()),
        select(vec![Profile::Subtensor, Profile::Tandem]),
        prop_oneof![Just(32_767), any::<u16>()],
        0..=1_000_000u32,
        prop_oneof![Just(0), Just(u16::MAX), any::<u16>()],
        0..12u16,
        0..4u64,
        0..3u128,
        0..3u64,
    )
        .prop_map(
            |(rules, profile, kappa, average, penalty, max_validators, activity_cutoff, stake_threshold, grace)| {
                Hyperparameters {
                    rules: rules.0,
                    liquid_alpha: rules.1,
                    profile,
                    kappa,
                    bonds_moving_average: average,
                    bonds_penalty: penalty,
                    max_validators,
                    activity_cutoff,
                    stake_threshold,
                    permit_grace: grace,
                }
            },
        )
}

pub(crate) fn row(count: u16) -> impl Strategy<Value = Vec<(u16, u16)>> {
    let value = prop_oneof![Just(0), Just(1), Just(u16::MAX), any::<u16>()];
    prop::collection::btree_map(0..count, value, 0..=usize::from(count)).prop_map(|row| row.into_iter().collect())
}

fn neuron(count: u16) -> impl Strategy<Value = Neuron> {
    let stake = prop_oneof![0..4u128, 0..1u128 << 92];
    let ticks = (1..5u64, 0..3u64, 0..4u64, prop::option::weighted(0.2, 0..4u64));
    (stake, prop::bool::weighted(0.8), ticks, row(count), row(count)).prop_map(
        |(stake, permit, (last_update, registered, permitted_at, committed), weights, bonds)| Neuron {
            stake,
            permit,
            permitted_at,
            last_update,
            committed,
            registered,
            weights,
            bonds,
        },
    )
}

pub(crate) fn epoch(most: u16) -> impl Strategy<Value = Epoch> {
    (1..most).prop_flat_map(|count| {
        (
            0..6u64,
            0..5u64,
            prop::option::weighted(0.3, 0..count),
            prop::collection::vec(neuron(count), usize::from(count)),
        )
            .prop_map(|(now, bonds_since, owner, neurons)| Epoch { now, bonds_since, owner, neurons })
    })
}

/// Rows of any shape and numbers of any size, most of it malformed.
fn hostile_epoch() -> impl Strategy<Value = Epoch> {
    let row = || prop::collection::vec((prop_oneof![0..6u16, any::<u16>()], any::<u16>()), 0..4);
    let stake = (any::<u128>(), 0..128u32).prop_map(|(stake, shift)| stake >> shift);
    let ticks = (any::<u64>(), any::<u64>(), any::<u64>(), any::<Option<u64>>());
    let neuron = (stake, any::<bool>(), ticks, row(), row()).prop_map(
        |(stake, permit, (last_update, registered, permitted_at, committed), weights, bonds)| Neuron {
            stake,
            permit,
            permitted_at,
            last_update,
            committed,
            registered,
            weights,
            bonds,
        },
    );
    (any::<u64>(), any::<u64>(), prop::option::of(0..8u16), prop::collection::vec(neuron, 0..6))
        .prop_map(|(now, bonds_since, owner, neurons)| Epoch { now, bonds_since, owner, neurons })
}

/// The same subnet with its uids renamed: uid `u` becomes `names[u]`.
fn renamed(epoch: &Epoch, names: &[u16]) -> Epoch {
    let name = |uid: u16| names[usize::from(uid)];
    let rename = |row: &[(u16, u16)]| {
        let mut row: Vec<_> = row.iter().map(|&(uid, value)| (name(uid), value)).collect();
        row.sort_unstable();
        row
    };
    let mut neurons = epoch.neurons.clone();
    for (neuron, &name) in epoch.neurons.iter().zip(names) {
        neurons[usize::from(name)] =
            Neuron { weights: rename(&neuron.weights), bonds: rename(&neuron.bonds), ..neuron.clone() };
    }
    Epoch { owner: epoch.owner.map(name), neurons, ..epoch.clone() }
}

fn sum(shares: &[Q32]) -> Q32 {
    shares.iter().copied().sum()
}

fn paid(payout: Payout) -> Option<u128> {
    match payout {
        Payout::Paid(amounts) => Some(amounts.iter().sum()),
        Payout::Carried => None,
    }
}

fn next(epoch: &Epoch, outcome: &Outcome) -> Epoch {
    let mut next = epoch.clone();
    for (uid, neuron) in next.neurons.iter_mut().enumerate() {
        neuron.permit = outcome.permits[uid];
        neuron.bonds.clone_from(&outcome.bonds[uid]);
    }
    next
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// `[YU-3]`
    #[test]
    fn what_is_paid_is_the_whole_pot_or_nothing(epoch in epoch(10), params in hyperparameters(), pot in any::<u128>()) {
        let outcome = epoch.run(&params).unwrap();
        for (shares, payout) in [
            (&outcome.incentive, outcome.pay_incentives(pot)),
            (&outcome.dividends, outcome.pay_dividends(pot)),
        ] {
            let total = sum(shares);
            prop_assert_eq!(paid(payout), (total > Q32::ZERO).then_some(pot));
            match params.profile {
                Profile::Tandem => prop_assert!(total == Q32::ZERO || total == Q32::ONE),
                Profile::Subtensor => prop_assert!(total <= Q32::ONE),
            }
        }
        let amount = pot as u64;
        let emission = outcome.emission(amount);
        let [server, validator, combined] = [emission.server, emission.validator, emission.combined]
            .map(|parts| parts.iter().map(|&part| u128::from(part)).sum::<u128>());
        match params.profile {
            Profile::Subtensor => prop_assert!(server + validator <= amount.into() && combined <= amount.into()),
            Profile::Tandem => {
                let half = |earned: bool, half: u64| if earned { u128::from(half) } else { 0 };
                prop_assert_eq!(server, half(sum(&outcome.incentive) > Q32::ZERO, amount / 2));
                prop_assert_eq!(validator, half(sum(&outcome.dividends) > Q32::ZERO, amount - amount / 2));
                prop_assert_eq!(combined, server + validator);
            }
        }
    }

    /// Exactly on the chain; in Tandem's profile but for the one unit that a tie may move. Permits are left to all, for
    /// the last of them is decided by uid. `[YU-3]`
    #[test]
    fn nobodys_share_depends_on_the_order_of_uids(
        (epoch, names) in epoch(10).prop_flat_map(|epoch| {
            let names: Vec<u16> = (0..epoch.neurons.len() as u16).collect();
            (Just(epoch), Just(names).prop_shuffle())
        }),
        params in hyperparameters(),
    ) {
        let params = Hyperparameters { max_validators: u16::MAX, ..params };
        let outcome = epoch.run(&params).unwrap();
        let moved = renamed(&epoch, &names).run(&params).unwrap();
        let slack = u64::from(params.profile == Profile::Tandem);
        for (uid, &name) in names.iter().enumerate() {
            let name = usize::from(name);
            prop_assert_eq!(outcome.consensus[uid], moved.consensus[name]);
            prop_assert_eq!(outcome.rank[uid], moved.rank[name]);
            prop_assert_eq!(outcome.clipped[uid], moved.clipped[name]);
            prop_assert_eq!(outcome.validator_trust[uid], moved.validator_trust[name]);
            prop_assert!(outcome.incentive[uid].raw().abs_diff(moved.incentive[name].raw()) <= slack);
            prop_assert!(outcome.dividends[uid].raw().abs_diff(moved.dividends[name].raw()) <= slack);
            let mut bonds: Vec<_> =
                outcome.bonds[uid].iter().map(|&(uid, bond)| (names[usize::from(uid)], bond)).collect();
            bonds.sort_unstable();
            prop_assert_eq!(&bonds, &moved.bonds[name]);
        }
    }

    #[test]
    fn scores_stay_in_range_and_bonds_feed_the_next_epoch(epoch in epoch(10), params in hyperparameters()) {
        let mut epoch = epoch;
        for _ in 0..4 {
            let outcome = epoch.run(&params).unwrap();
            let scores = [
                &outcome.stake, &outcome.active_stake, &outcome.consensus, &outcome.rank, &outcome.clipped,
                &outcome.incentive, &outcome.validator_trust, &outcome.dividends,
            ];
            prop_assert!(scores.iter().all(|scores| scores.iter().all(|&score| score <= Q32::ONE)));
            epoch = next(&epoch, &outcome);
        }
    }

    #[test]
    fn only_ratios_of_stake_matter(epoch in epoch(10), params in hyperparameters(), factor in 1..1_000u128) {
        let params = Hyperparameters { stake_threshold: 0, ..params };
        let mut epoch = epoch;
        epoch.neurons.iter_mut().for_each(|neuron| neuron.stake >>= 14);
        let outcome = epoch.run(&params).unwrap();
        epoch.neurons.iter_mut().for_each(|neuron| neuron.stake *= factor);
        prop_assert_eq!(outcome, epoch.run(&params).unwrap());
    }

    /// A larger weight on a miner leaves less of the row for all others: it never lowers the miner's incentive, but for the
    /// unit that an exact split may hand to somebody else.
    #[test]
    fn more_support_never_lowers_a_miners_incentive(
        epoch in epoch(10), params in hyperparameters(), validator in any::<prop::sample::Index>(),
        miner in any::<prop::sample::Index>(), weight in any::<u16>(),
    ) {
        let count = epoch.neurons.len();
        let (validator, miner) = (validator.index(count), miner.index(count));
        let before = epoch.run(&params).unwrap();
        let mut epoch = epoch;
        let row = &mut epoch.neurons[validator].weights;
        match row.binary_search_by_key(&(miner as u16), |cell| cell.0) {
            Ok(place) => row[place].1 = row[place].1.max(weight),
            Err(place) => row.insert(place, (miner as u16, weight)),
        }
        let after = epoch.run(&params).unwrap();
        prop_assert!(after.consensus[miner] >= before.consensus[miner]);
        prop_assert!(after.rank[miner] >= before.rank[miner]);
        let slack = u64::from(params.profile == Profile::Tandem);
        prop_assert!(after.incentive[miner].raw() + slack >= before.incentive[miner].raw());
    }

    /// Whatever a minority gives, a miner counts with a weight between the least and the most that the others give.
    #[test]
    fn less_stake_than_kappa_neither_lifts_nor_sinks_a_miner_alone(
        epoch in epoch(10), params in hyperparameters(), cartel in prop::collection::vec(any::<bool>(), 10),
    ) {
        let explanation = epoch.explain(&params).unwrap();
        let stake = &explanation.outcome.active_stake;
        let honest = |uid: u16| !cartel[usize::from(uid)];
        let uids = 0..epoch.neurons.len() as u16;
        let part = |side: bool| -> u64 {
            uids.clone().filter(|&uid| honest(uid) == side).map(|uid| stake[usize::from(uid)].raw()).sum()
        };
        // Normalising stake twice moves a unit per uid.
        let (slack, kappa) = (2 * uids.len() as u64, (u64::from(params.kappa) << 32) / 65_535);
        for uid in uids.clone() {
            let story = explanation.miner(uid).unwrap();
            let given: Vec<Q32> = uids
                .clone()
                .filter(|&voter| honest(voter) && stake[usize::from(voter)] > Q32::ZERO)
                .map(|voter| {
                    story.support.iter().find(|support| support.validator == voter).map_or(Q32::ZERO, |s| s.weight)
                })
                .collect();
            if part(false) + slack < kappa {
                prop_assert!(story.consensus <= given.iter().copied().max().unwrap_or_default());
            }
            if part(true) > kappa + slack {
                prop_assert!(story.consensus >= given.iter().copied().min().unwrap_or_default());
            }
        }
    }

    #[test]
    fn no_input_makes_it_panic_and_the_same_input_gives_the_same_answer(
        epoch in hostile_epoch(), params in hyperparameters(), average in any::<u32>(), amount in any::<u64>(),
    ) {
        let params = Hyperparameters { bonds_moving_average: average >> 10, activity_cutoff: u64::MAX, ..params };
        let answer = epoch.run(&params);
        prop_assert_eq!(&answer, &epoch.clone().run(&params));
        match answer {
            Ok(outcome) => prop_assert_eq!(outcome.emission(amount).combined.len(), epoch.neurons.len()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
