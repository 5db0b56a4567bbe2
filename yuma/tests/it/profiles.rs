//! Every difference between the two profiles, and what they share.

use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Outcome, Payout, Profile, Q32, Rules};

fn run(neurons: &[Neuron], rules: Rules, profile: Profile) -> Outcome {
    let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.to_vec() };
    epoch.run(&Hyperparameters { profile, ..Hyperparameters::subtensor(rules) }).unwrap()
}

fn validator(stake: u128, weights: &[(u16, u16)]) -> Neuron {
    Neuron { stake, permit: true, last_update: 1, weights: weights.to_vec(), ..Neuron::default() }
}

/// Three equal miners: thirds do not divide a power of two.
fn thirds() -> [Neuron; 4] {
    let miner = Neuron::default;
    [validator(1, &[(1, 1), (2, 1), (3, 1)]), miner(), miner(), miner()]
}

/// `[YU-2]` `[YU-3]`
#[test]
fn shares_are_floored_on_the_chain_and_sum_to_one_in_tandem() {
    let third = (1 << 32) / 3;
    let raw = |profile| run(&thirds(), Rules::Yuma3, profile).incentive.iter().map(|s| s.raw()).collect::<Vec<_>>();
    assert_eq!(raw(Profile::Subtensor), [0, third, third, third]);
    assert_eq!(raw(Profile::Tandem), [0, third + 1, third, third]);
}

/// `[YU-2]` `[YU-3]`
#[test]
fn emission_loses_its_dust_on_the_chain_and_none_in_tandem() {
    let emission = |profile| run(&thirds(), Rules::Yuma3, profile).emission(1_001);
    let chain = emission(Profile::Subtensor);
    assert_eq!((chain.server, chain.validator), (vec![0, 166, 166, 166], vec![500, 0, 0, 0]));
    let tandem = emission(Profile::Tandem);
    assert_eq!((tandem.server, tandem.validator), (vec![0, 167, 167, 166], vec![501, 0, 0, 0]));
    assert_eq!(tandem.combined, [501, 167, 167, 166]);
}

/// An α of 0 lets no bond grow, so that dividends are zero beside a full incentive. `[YU-2]` `[EP-4]`
#[test]
fn a_side_that_earned_nothing_leaves_all_to_the_other_on_the_chain_and_is_carried_in_tandem() {
    let outcome = |profile| {
        let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: thirds().to_vec() };
        let params = Hyperparameters { profile, bonds_moving_average: 1_000_000, ..Hyperparameters::default() };
        epoch.run(&params).unwrap()
    };
    let chain = outcome(Profile::Subtensor).emission(1_000);
    assert_eq!((chain.server, chain.validator), (vec![0, 333, 333, 333], vec![0; 4]));
    let tandem = outcome(Profile::Tandem);
    assert_eq!(tandem.pay_dividends(1_000), Payout::Carried);
    assert_eq!(tandem.pay_incentives(1_000), Payout::Paid(vec![0, 334, 333, 333]));
    assert_eq!(tandem.emission(1_000).combined, [0, 167, 167, 166]);
}

/// `[YU-2]` `[EP-4]`
#[test]
fn with_no_consensus_the_chain_pays_by_stake_and_tandem_carries_both_sides() {
    let silent = [validator(3, &[]), validator(1, &[])];
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let chain = run(&silent, rules, Profile::Subtensor).emission(1_000);
        assert_eq!((chain.server, chain.validator), (vec![0, 0], vec![750, 250]));
        let tandem = run(&silent, rules, Profile::Tandem);
        assert_eq!((tandem.pay_incentives(1_000), tandem.pay_dividends(1_000)), (Payout::Carried, Payout::Carried));
        assert_eq!(tandem.emission(1_000).combined, [0, 0]);
    }
    let asleep = silent.map(|neuron| Neuron { permit: false, ..neuron });
    assert_eq!(run(&asleep, Rules::Yuma3, Profile::Subtensor).emission(1_000).validator, [750, 250]);
}

/// A validator that says nothing about a miner, and one whose weight on it is clipped to nothing, keep
/// `bonds_moving_average` of the bond, here 90 %. `[YU-2]`
#[test]
fn an_omitted_or_clipped_bond_decays_in_both_profiles() {
    let bonded = |weights: &[(u16, u16)]| Neuron { bonds: vec![(3, 10_000)], ..validator(1, weights) };
    let neurons = [bonded(&[(4, 1)]), bonded(&[(3, 1)]), validator(9, &[(4, 1)]), Neuron::default(), Neuron::default()];
    for profile in [Profile::Subtensor, Profile::Tandem] {
        let outcome = run(&neurons, Rules::Yuma3, profile);
        assert_eq!(outcome.consensus[3], Q32::ZERO);
        assert_eq!(outcome.bonds[0].first(), Some(&(3, 8_999)));
        assert_eq!(outcome.bonds[1].first(), Some(&(3, 8_999)));
        // Yuma2 stores shares of the largest: both kept the same.
        let outcome = run(&neurons, Rules::Yuma2, profile);
        assert_eq!((outcome.bonds[0][0], outcome.bonds[1][0]), ((3, u16::MAX), (3, u16::MAX)));
    }
}

/// With liquid alpha the chain keeps only bonds that a weight renews. `[YU-2]`
#[test]
fn an_omitted_or_clipped_bond_vanishes_under_liquid_alpha_on_the_chain_and_decays_in_tandem() {
    let bonded = |weights: &[(u16, u16)]| Neuron { bonds: vec![(3, 10_000)], ..validator(1, weights) };
    // One says nothing about uid 3, one is outvoted on it, one gives it an explicit 0.
    let neurons = [
        bonded(&[(4, 1)]),
        bonded(&[(3, 1)]),
        validator(9, &[(4, 1)]),
        Neuron::default(),
        Neuron::default(),
        bonded(&[(3, 0), (4, 1)]),
    ];
    let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.to_vec() };
    let bonds = |profile, bonds_penalty| {
        let liquid_alpha = Some(LiquidAlpha { low: 6_554, high: 6_554, steepness: 1_000 });
        let params =
            Hyperparameters { profile, liquid_alpha, bonds_penalty, ..Hyperparameters::subtensor(Rules::Yuma3) };
        let outcome = epoch.run(&params).unwrap();
        assert_eq!(outcome.consensus[3], Q32::ZERO);
        [0, 1, 5].map(|uid| outcome.bonds[uid].iter().find(|bond| bond.0 == 3).map(|bond| bond.1))
    };
    // A tenth is lost, whatever the reason.
    assert_eq!(bonds(Profile::Tandem, u16::MAX), [Some(8_999); 3]);
    assert_eq!(bonds(Profile::Subtensor, u16::MAX), [None, None, Some(8_999)]);
    // Without the penalty, an outvoted weight still grows its bond; in between, explicit zeros are lost on the way.
    assert_eq!(bonds(Profile::Subtensor, 0), [None, Some(15_553), Some(8_999)]);
    assert_eq!(bonds(Profile::Subtensor, 30_000)[2], None);
    assert_eq!(bonds(Profile::Tandem, 30_000)[2], Some(8_999));
}

/// `[YU-2]`
#[test]
fn bonds_end_with_the_permit_on_the_chain_and_sleep_for_a_while_in_tandem() {
    let bonded = |stake| Neuron { bonds: vec![(2, 20_000)], ..validator(stake, &[(2, 1)]) };
    let subnet = |now, permit, permitted_at| {
        let sleeper = Neuron { permit, permitted_at, last_update: now, ..bonded(1) };
        let fellow = Neuron { last_update: now, ..bonded(9) };
        Epoch { now, bonds_since: 1, owner: None, neurons: vec![sleeper, fellow, Neuron::default()] }
    };
    let run = |epoch: Epoch, profile, rules, max_validators, permit_grace| {
        let params = Hyperparameters { profile, max_validators, permit_grace, ..Hyperparameters::subtensor(rules) };
        epoch.run(&params).unwrap()
    };
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let chain = run(subnet(100, true, 0), Profile::Subtensor, rules, 1, 50);
        assert!(chain.bonds[0].is_empty());
        // The permit ends with this epoch: the bond counts once more, and stays.
        let lost = run(subnet(100, true, 0), Profile::Tandem, rules, 1, 50);
        assert_eq!(lost.bonds[0].len(), 1);
        assert!(lost.dividends[0] > Q32::ZERO);
        // Asleep, it decays by the one α of all, earns nothing and takes nothing from others.
        let asleep = run(subnet(150, false, 100), Profile::Tandem, rules, 1, 50);
        assert_eq!(asleep.bonds[0], [(2, 17_999)]);
        assert_eq!(asleep.dividends, [Q32::ZERO, Q32::ONE, Q32::ZERO]);
        let alone = Epoch {
            neurons: vec![Neuron::default(), Neuron { last_update: 150, ..bonded(9) }, Neuron::default()],
            ..subnet(150, false, 100)
        };
        assert_eq!(asleep.bonds[1], run(alone, Profile::Tandem, rules, 1, 50).bonds[1]);
        // One tick later its time is over, but for a validator who has the permit back.
        assert!(run(subnet(151, false, 100), Profile::Tandem, rules, 1, 50).bonds[0].is_empty());
        assert_eq!(run(subnet(151, false, 100), Profile::Tandem, rules, 2, 50).bonds[0], [(2, 17_999)]);
        // Without grace it is as on the chain.
        assert!(run(subnet(100, true, 0), Profile::Tandem, rules, 1, 0).bonds[0].is_empty());
    }
}

/// The chain empties the row when the uid changes hands; its epoch does not look again.
#[test]
fn a_row_of_a_former_holder_counts_on_the_chain_and_ends_in_tandem() {
    let heir = Neuron { registered: 5, last_update: 9, bonds: vec![(2, 60_000)], ..validator(1, &[]) };
    let voter = Neuron { last_update: 9, ..validator(9, &[(2, 1)]) };
    let epoch = Epoch { now: 9, bonds_since: 5, owner: None, neurons: vec![heir, voter, Neuron::default()] };
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let bonds = |profile| {
            epoch.run(&Hyperparameters { profile, ..Hyperparameters::subtensor(rules) }).unwrap().bonds[0].len()
        };
        assert_eq!((bonds(Profile::Subtensor), bonds(Profile::Tandem)), (1, 0));
    }
}

/// Liquid alpha belongs to Yuma3, and rests while there is no consensus to be far from.
#[test]
fn liquid_alpha_changes_nothing_in_yuma2_nor_without_a_consensus() {
    let bonded = |stake, target| Neuron { bonds: vec![(3, 10_000)], ..validator(stake, &[(target, 1)]) };
    let split = [bonded(1, 3), bonded(1, 4), bonded(1, 5)];
    let mut neurons = split.to_vec();
    neurons.resize(6, Neuron::default());
    let run = |rules, liquid_alpha| {
        let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.clone() };
        epoch.run(&Hyperparameters { liquid_alpha, ..Hyperparameters::subtensor(rules) }).unwrap()
    };
    for rules in [Rules::Yuma2, Rules::Yuma3] {
        let outcome = run(rules, Some(LiquidAlpha::default()));
        assert!(outcome.consensus.iter().all(|&consensus| consensus == Q32::ZERO));
        assert_eq!(outcome, run(rules, None));
    }
    neurons[1].weights = vec![(3, 1)];
    let run = |rules, liquid_alpha| {
        let epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons: neurons.clone() };
        epoch.run(&Hyperparameters { liquid_alpha, ..Hyperparameters::subtensor(rules) }).unwrap()
    };
    assert_eq!(run(Rules::Yuma2, Some(LiquidAlpha::default())), run(Rules::Yuma2, None));
    assert_ne!(run(Rules::Yuma3, Some(LiquidAlpha::default())), run(Rules::Yuma3, None));
}
