//! Stories: that they add up to the outcome, and how they read.

use proptest::prelude::*;
use yuma::{Epoch, Hyperparameters, Neuron, Obstacle, Position, Profile, Q32, Rules, Snapshot, split_exact};

use crate::properties::{epoch, hyperparameters};

fn sum(values: impl Iterator<Item = Q32>) -> Q32 {
    values.sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn stories_add_up_to_the_outcome(epoch in epoch(8), params in hyperparameters()) {
        let explanation = epoch.explain(&params).unwrap();
        let outcome = &explanation.outcome;
        prop_assert_eq!(outcome, &epoch.run(&params).unwrap());
        for uid in 0..epoch.neurons.len() as u16 {
            let place = usize::from(uid);
            let story = explanation.miner(uid).unwrap();
            prop_assert_eq!(sum(story.support.iter().map(|support| support.rank)), outcome.rank[place]);
            prop_assert_eq!(sum(story.support.iter().map(|support| support.clipped)), outcome.clipped[place]);
            prop_assert!(story.support.is_sorted_by(|a, b| a.weight >= b.weight && a.in_favour <= b.in_favour));
            // The median is where the majority is reached, give or take what rounding took from all stake.
            let voting = outcome.active_stake.iter().any(|&stake| stake > Q32::ZERO);
            let slack = epoch.neurons.len() as u64;
            if voting && params.kappa > 0 {
                prop_assert!(story.in_favour.raw() + slack >= story.kappa.raw());
                for support in story.support.iter().filter(|support| support.weight > story.consensus) {
                    prop_assert!(support.in_favour.raw() <= story.kappa.raw() + slack);
                }
            }
            let story = explanation.validator(uid).unwrap();
            prop_assert_eq!(sum(story.positions.iter().map(|p| p.weight - p.clipped)), outcome.validator_trust[place]);
            prop_assert_eq!(sum(story.positions.iter().map(|p| p.earned)), outcome.dividends[place]);
            if params.profile == Profile::Subtensor {
                // Tandem's incentives have the last units, too, which dividends are not computed from.
                let credit = |p: &Position| ((u128::from(p.share.raw()) * u128::from(p.incentive.raw())) >> 32) as u64;
                let credits: Vec<u64> = story.positions.iter().map(credit).collect();
                let earned: Vec<u128> = story.positions.iter().map(|p| p.earned.raw().into()).collect();
                prop_assert_eq!(earned, split_exact(outcome.dividends[place].raw().into(), &credits));
            }
            let kept: Vec<(u16, u16)> =
                story.positions.iter().filter(|p| p.bond_after > 0).map(|p| (p.miner, p.bond_after)).collect();
            let bonds: Vec<(u16, u16)> = outcome.bonds[place].iter().copied().filter(|bond| bond.1 > 0).collect();
            prop_assert_eq!(kept, bonds);
            // Every weight is either in a position or ignored for a reason.
            for &(miner, _) in &epoch.neurons[place].weights {
                let ignored = story.ignored.iter().any(|ignored| ignored.miner == miner);
                let heard = explanation.miner(miner).unwrap().support.iter().any(|support| support.validator == uid);
                prop_assert!(ignored != heard);
            }
            prop_assert!(!explanation.miner(uid).unwrap().to_string().is_empty() && !story.to_string().is_empty());
        }
        // All bonds with a miner are shares of a whole, but for their floors.
        for miner in 0..epoch.neurons.len() as u16 {
            let stories = (0..epoch.neurons.len() as u16).map(|uid| explanation.validator(uid).unwrap());
            let shares: Vec<u64> = stories
                .flat_map(|story| story.positions)
                .filter(|position| position.miner == miner && position.share > Q32::ZERO)
                .map(|position| position.share.raw())
                .collect();
            let whole: u64 = shares.iter().sum();
            prop_assert!(whole <= 1 << 32 && (whole == 0 || whole + epoch.neurons.len() as u64 > 1 << 32));
        }
        prop_assert_eq!(explanation.miner(epoch.neurons.len() as u16), None);
        prop_assert_eq!(explanation.validator(epoch.neurons.len() as u16), None);
    }
}

fn validator(stake: u128, weights: &[(u16, u16)]) -> Neuron {
    Neuron { stake, permit: true, last_update: 5, weights: weights.to_vec(), ..Neuron::default() }
}

/// Three validators, one of whom overrates uid 4; and every reason for which a weight may not count.
fn subnet() -> Epoch {
    let neurons = vec![
        validator(60, &[(0, 1), (4, 1), (5, 3)]),
        validator(30, &[(4, 3), (5, 1), (6, 9)]),
        Neuron { committed: Some(1), ..validator(10, &[(4, 1), (5, 3), (7, 1)]) },
        Neuron { permit: false, ..validator(9, &[(4, 1)]) },
        Neuron::default(),
        Neuron::default(),
        Neuron { registered: 5, ..Neuron::default() },
        Neuron { registered: 2, ..Neuron::default() },
    ];
    Epoch { now: 5, bonds_since: 3, owner: None, neurons }
}

#[test]
fn every_weight_that_does_not_count_is_named_with_its_reason() {
    let explanation = subnet().explain(&Hyperparameters::subtensor(Rules::Yuma3)).unwrap();
    let reasons = |uid| {
        let story = explanation.validator(uid).unwrap();
        story.ignored.iter().map(|ignored| (ignored.miner, ignored.obstacle)).collect::<Vec<_>>()
    };
    assert_eq!(reasons(0), [(0, Obstacle::Oneself)]);
    assert_eq!(reasons(1), [(6, Obstacle::Outdated)]);
    assert_eq!(reasons(2), [(7, Obstacle::CommittedEarlier)]);
    assert_eq!(reasons(3), [(4, Obstacle::NoPermit)]);
    assert_eq!(explanation.miner(4).unwrap().ignored.len(), 1);

    let (stakes, flags) = ([1, 1], [true, true]);
    let weights: [&[(u16, u16)]; 2] = [&[(0, 7), (1, 1)], &[]];
    let snapshot = Snapshot { stakes: &stakes, permits: &flags, active: &flags, weights: &weights, bonds: &[&[], &[]] };
    let story = snapshot.explain(&Hyperparameters::default()).unwrap().validator(0).unwrap();
    assert_eq!((story.ignored[0].weight, story.ignored[0].obstacle), (7, Obstacle::Oneself));
}

#[test]
fn stories_read_well() {
    let explanation = subnet().explain(&Hyperparameters::subtensor(Rules::Yuma3)).unwrap();
    assert_eq!(
        explanation.miner(4).unwrap().to_string(),
        "uid 4 earns 29.4118 % of what miners are paid
  consensus 25.0000 %: 100.0000 % of the stake gave that or more
  the next weight, 75.0000 %, has 30.0000 %; a majority is 49.9992 %
  rank 25.0000 %, and clipping took another 15.0000 %
  validator        stake       weight      counted         rank      clipped
          1    30.0000 %    75.0000 %    25.0000 %     7.5000 %    15.0000 %
          0    60.0000 %    25.0000 %    25.0000 %    15.0000 %     0.0000 %
          2    10.0000 %    25.0000 %    25.0000 %     2.5000 %     0.0000 %
  the weight 1 from 3 does not count: given without a permit
"
    );
    assert_eq!(
        explanation.validator(1).unwrap().to_string(),
        "uid 1 earns 17.5453 % of what validators are paid
  stake 27.5229 % of all, 30.0000 % of what votes
  trust 50.0000 %: 50.0000 % of its weights was clipped
  distance from the consensus 100.0000 %
      miner       weight    consensus      clipped  bond was       is        share    incentive       earned
          4    75.0000 %    25.0000 %    50.0000 %         0     1638    33.3333 %    29.4118 %     8.6491 %
          5    25.0000 %    75.0000 %     0.0000 %         0     1638    14.2857 %    70.5882 %     8.8962 %
  the weight 9 on 6 does not count: not newer than the registration of the uid it is on
"
    );
}

#[test]
fn whoever_earns_nothing_is_told_why_in_one_sentence() {
    let mut neurons = vec![
        validator(1 << 32, &[(9, 1)]),
        Neuron { permit: false, ..validator(10, &[(9, 1)]) },
        validator(0, &[(9, 1)]),
        Neuron { permit: false, ..validator(0, &[(9, 1)]) },
        Neuron { last_update: 1, ..validator(10, &[(9, 1)]) },
        validator(10, &[]),
        // Bonds with a miner that earns nothing.
        Neuron { bonds: vec![(8, 1 << 15)], ..validator(10, &[(8, 1)]) },
        Neuron { bonds: vec![(9, 1)], ..validator(2, &[]) },
    ];
    neurons.resize(10, Neuron::default());
    let epoch = Epoch { now: 9, bonds_since: 3, owner: None, neurons };
    let params = Hyperparameters { activity_cutoff: 5, max_validators: 5, ..Hyperparameters::subtensor(Rules::Yuma3) };
    let explanation = epoch.explain(&params).unwrap();
    let told = |uid| explanation.validator(uid).unwrap().to_string();
    assert!(told(0).starts_with("uid 0 earns 100.0000 % of what validators are paid\n  stake 100.0000 % of all"));
    for (uid, why) in [
        (1, "it has no permit in this epoch\n  it has a permit for the next epoch\n  stake"),
        (2, "it has no stake that counts\n  its permit ends with this epoch\n  trust"),
        (3, "it has neither a permit nor stake that counts\n  the weight 1 on 9 does not count"),
        (4, "it is inactive, its last weights are too old\n  stake"),
        (5, "it gave no weight that counts, and has no bonds\n  stake"),
        (6, "it has no bond with a miner that earns\n  stake"),
        (7, "its bonds earn too small a part\n  its permit ends with this epoch\n  stake"),
        (8, "it has neither a permit nor stake that counts\n"),
    ] {
        let told = told(uid);
        let expected = format!("uid {uid} earns nothing of what validators are paid: {why}");
        assert!(told.starts_with(&expected), "{told}\nis not\n{expected}");
    }
    let told = |uid| explanation.miner(uid).unwrap().to_string();
    assert_eq!(told(7), "uid 7 earns nothing of what miners are paid: nobody gave it a weight that counts\n");
    assert!(told(8).starts_with("uid 8 earns nothing of what miners are paid: no majority of the stake supports it\n"));
}

/// A thousand validators agree on a weight of which nobody's part reaches one unit.
#[test]
fn a_rank_that_rounds_to_nothing_is_told_so() {
    let row: Vec<(u16, u16)> = (1_100..1_170).map(|uid| (uid, u16::MAX)).chain([(1_170, 1)]).collect();
    let mut neurons = vec![validator(1, &row); 1_100];
    neurons.resize(1_171, Neuron::default());
    let params = Hyperparameters { max_validators: 2_000, ..Hyperparameters::subtensor(Rules::Yuma3) };
    let explanation = Epoch { now: 5, bonds_since: 3, owner: None, neurons }.explain(&params).unwrap();
    let told = explanation.miner(1_170).unwrap();
    assert!(told.consensus > Q32::ZERO && told.rank == Q32::ZERO && told.clipped == Q32::ZERO);
    let told = told.to_string();
    assert!(
        told.starts_with("uid 1170 earns nothing of what miners are paid: its rank is too small a part of all ranks\n")
    );
}
