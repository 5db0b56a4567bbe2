//! Explanations add up to what they explain.

use proptest::prelude::*;
use yuma::{Epoch, Explainer, Explanation, Hyperparameters, LiquidAlpha, Neuron, Profile, Q32, Rules, Snapshot};

use crate::properties::{epoch, hyperparameters};

fn sum(scores: impl Iterator<Item = Q32>) -> Q32 {
    scores.sum()
}

fn share(part: Q32, whole: Q32) -> u64 {
    if whole == Q32::ZERO { 0 } else { ((u128::from(part.raw()) << 32) / u128::from(whole.raw())) as u64 }
}

fn uid(explainer: &Explainer<'_>, uid: usize) -> Explanation {
    explainer.uid(uid as u16).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 10_000 } else { 400 }))]

    /// What is told about supporters and votes sums up to the scores, bit for bit.
    #[test]
    fn explanations_sum_up_to_the_scores(epoch in epoch(8), params in hyperparameters()) {
        let explainer = epoch.explain(&params).unwrap();
        let outcome = &explainer.outcome;
        prop_assert_eq!(outcome, &epoch.run(&params).unwrap());
        let all: Vec<Explanation> = (0..epoch.neurons.len()).map(|place| uid(&explainer, place)).collect();
        let earned = sum(all.iter().map(|one| one.validator.earned));
        let ranks = sum(all.iter().map(|one| one.miner.rank));
        for (place, Explanation { miner, validator, .. }) in all.iter().enumerate() {
            prop_assert_eq!(sum(miner.supporters.iter().map(|one| one.adds)), outcome.rank[place]);
            prop_assert_eq!(sum(miner.supporters.iter().map(|one| one.clipped)), outcome.clipped[place]);
            prop_assert_eq!(sum(validator.votes.iter().map(|vote| vote.counted)), outcome.validator_trust[place]);
            let odd = u64::from(params.profile == Profile::Tandem);
            prop_assert!(miner.incentive.raw() - share(miner.rank, ranks) <= odd);
            prop_assert!(validator.dividends.raw() - share(validator.earned, earned) <= odd);
            for vote in &validator.votes {
                let stored = outcome.bonds[place].iter().find(|cell| cell.0 == vote.miner).map_or(0, |cell| cell.1);
                prop_assert!(params.rules == Rules::Yuma2 || stored == vote.bond.to_u16() || stored == 0);
            }
        }
    }

    /// κ is reached at the consensus, and at no larger weight. `[YU-1]`
    #[test]
    fn the_median_falls_where_the_explanation_says(epoch in epoch(8), params in hyperparameters()) {
        let explainer = epoch.explain(&params).unwrap();
        for place in 0..epoch.neurons.len() {
            let miner = uid(&explainer, place).miner;
            if miner.consensus > Q32::ZERO {
                prop_assert!(miner.supporters.iter().any(|one| one.weight == miner.consensus));
                prop_assert!(miner.reached >= miner.kappa);
            }
            // With κ = 0 the largest weight of all is the consensus.
            prop_assert!(miner.above < miner.kappa || miner.above == Q32::ZERO);
            prop_assert!(miner.supporters.is_sorted_by(|a, b| a.weight >= b.weight && a.reached <= b.reached));
        }
    }
}

/// Three validators of which one lies, two miners.
fn story() -> Epoch {
    let validator = |stake, weights: &[(u16, u16)]| Neuron {
        stake,
        permit: true,
        last_update: 1,
        weights: weights.to_vec(),
        ..Neuron::default()
    };
    Epoch {
        now: 1,
        bonds_since: 1,
        owner: None,
        neurons: vec![
            validator(50, &[(3, 1), (4, 1)]),
            validator(30, &[(3, 1), (4, 1)]),
            validator(20, &[(2, 9), (4, 1)]),
            Neuron::default(),
            Neuron::default(),
        ],
    }
}

#[test]
fn the_story_of_a_miner_names_its_supporters_and_the_median() {
    let epoch = story();
    let explainer = epoch.explain(&Hyperparameters::subtensor(Rules::Yuma3)).unwrap();
    let half = Q32::from_raw(1 << 31);
    let miner = uid(&explainer, 4).miner;
    assert_eq!(miner.supporters.iter().map(|one| one.validator).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!((miner.consensus, miner.supporters[0].counted, miner.supporters[1].counted), (half, half, half));
    assert_eq!(miner.clipped, miner.supporters[0].clipped);
    let near = |score: Q32, percent: u64| score.raw().abs_diff((percent << 32) / 100) < 4;
    assert!(near(miner.above, 20) && near(miner.reached, 100) && near(miner.supporters[0].reached, 20));

    let told = uid(&explainer, 4).to_string();
    assert!(told.starts_with("uid 4 as a miner\n  incentive  0.5"), "{told}");
    assert!(told.contains("0.5000000000 (32767/65535)"), "{told}");
    let marked: Vec<_> = told.lines().filter(|line| line.ends_with("  <- consensus")).collect();
    assert!(marked.len() == 1 && marked[0].trim_start().starts_with("0 "), "{told}");
    assert!(told.contains("uid 4 as a validator\n  It has no stake that votes."), "{told}");
}

/// Its only honest weight is clipped, and the one on itself does not count.
#[test]
fn the_story_of_a_validator_tells_what_it_lost() {
    let epoch = story();
    let explainer = epoch.explain(&Hyperparameters::subtensor(Rules::Yuma3)).unwrap();
    let Explanation { validator, .. } = uid(&explainer, 2);
    assert_eq!(validator.left_out, [2]);
    assert_eq!((validator.votes.len(), validator.votes[0].miner), (1, 4));
    let half = Q32::from_raw(1 << 31);
    assert_eq!((validator.trust, validator.lost, validator.distance), (half, half, Q32::ONE));
    let told = uid(&explainer, 2).to_string();
    assert!(told.contains("left out   weights on 2\n"), "{told}");
    assert!(told.contains("clipping took 0.5000000000"), "{told}");
    let nobody = explainer.uid(5);
    assert_eq!(nobody, None);
}

/// Each reason why somebody earns nothing is told.
#[test]
fn whoever_has_no_voice_is_told_why() {
    let told = |change: fn(&mut Neuron), asked: usize| {
        let mut epoch = story();
        change(&mut epoch.neurons[asked]);
        let epoch = Epoch { now: 10, ..epoch };
        let params = Hyperparameters { activity_cutoff: 9, ..Hyperparameters::subtensor(Rules::Yuma2) };
        uid(&epoch.explain(&params).unwrap(), asked).to_string()
    };
    assert!(
        told(|neuron| neuron.permit = false, 0)
            .contains("It has no permit: its stake does not vote, its weights do not count.")
    );
    assert!(told(|neuron| neuron.last_update = 0, 0).contains("It is not active: its stake does not vote."));
    assert!(told(|neuron| neuron.stake = 0, 0).contains("It has no stake that votes."));
    assert!(told(|neuron| neuron.weights.clear(), 0).contains("It has neither weights that count nor bonds"));
    assert!(told(|_| (), 0).contains("No validator whose stake votes weighs it"));
    let minority = told(|_| (), 3);
    assert!(minority.contains("0.5000000000 (32767/65535)"), "{minority}");
    let mut epoch = story();
    epoch.neurons[0].weights = vec![(4, 1)];
    let explainer = epoch.explain(&Hyperparameters::subtensor(Rules::Yuma3)).unwrap();
    let clipped = uid(&explainer, 3).to_string();
    assert!(clipped.contains("Those who weigh it have 0.29") && clipped.contains("less than κ = 0.49999"), "{clipped}");
}

/// Liquid alpha and old bonds, through the snapshot: the same numbers as through the epoch.
#[test]
fn both_ways_in_explain_the_same() {
    let mut epoch = story();
    epoch.neurons[1].bonds = vec![(3, 40_000), (4, 10)];
    let stakes: Vec<u128> = epoch.neurons.iter().map(|neuron| neuron.stake).collect();
    let permits: Vec<bool> = stakes.iter().map(|&stake| stake > 0).collect();
    let weights: Vec<_> = epoch.neurons.iter().map(|neuron| neuron.weights.as_slice()).collect();
    let bonds: Vec<_> = epoch.neurons.iter().map(|neuron| neuron.bonds.as_slice()).collect();
    let snapshot =
        Snapshot { stakes: &stakes, permits: &permits, active: &[true; 5], weights: &weights, bonds: &bonds };
    let params =
        Hyperparameters { liquid_alpha: Some(LiquidAlpha::default()), ..Hyperparameters::subtensor(Rules::Yuma3) };
    let (direct, whole) = (snapshot.explain(&params).unwrap(), epoch.explain(&params).unwrap());
    for place in 0..5 {
        assert_eq!(uid(&direct, place), uid(&whole, place));
    }
    assert_eq!(uid(&direct, 1).validator.votes[0].old_bond, 40_000);
}
