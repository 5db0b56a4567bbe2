//! Every difference between the two profiles, and what they share.

use yuma::{Epoch, Hyperparameters, Neuron, Outcome, Payout, Profile, Q32, Rules};

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
