//! What the command computes is what the engine computes, and what the chain did.

use proptest::prelude::*;
use serde_json::{Value, json};
use yuma::{Hyperparameters, LiquidAlpha, Outcome, Profile, Q32, Row, Rules, Snapshot};

use super::{answer, decimal, profile, rules};
use crate::vectors::{Vector, parse};

/// Answers, chain's numbers and names of the scores, in that order.
fn compare(gz: &[u8], score_tolerance: u64, emission_tolerance: u64) {
    let vector = parse(gz);
    let stakes: Vec<u128> = vector.stake.iter().map(|stake| stake.0).collect();
    let Vector { rules: version, liquid_alpha, bonds_moving_average, weights, bonds, .. } = &vector;
    let input = json!({
        "profile": "subtensor",
        "rules": rules(*version, *liquid_alpha, *bonds_moving_average),
        "emission": 1_000_000_000u64,
        "stakes": decimal(&stakes),
        "permits": stakes.iter().map(|&stake| stake > 0).collect::<Vec<_>>(),
        "weights": weights,
        "bonds": bonds,
    });
    let answer = answer(&["epoch"], &input);
    let keys = [
        ("server_emission", 4, emission_tolerance),
        ("validator_emission", 5, emission_tolerance),
        ("combined_emission", 6, emission_tolerance),
        ("consensus", 7, 0),
        ("incentive", 8, 0),
        ("dividends", 9, score_tolerance),
        ("validator_trust", 10, 0),
    ];
    for (key, field, tolerance) in keys {
        let given: Vec<u64> = serde_json::from_value(answer[key].clone()).unwrap();
        assert_eq!(given.len(), vector.output.len());
        for (uid, (given, expected)) in given.iter().zip(&vector.output).enumerate() {
            assert!(given.abs_diff(expected[field]) <= tolerance, "{key} of uid {uid}");
        }
    }
    let given: Vec<Vec<(u16, u16)>> = serde_json::from_value(answer["bonds"].clone()).unwrap();
    assert_eq!(given.len(), vector.new_bonds.len());
    for (uid, (given, expected)) in given.iter().zip(&vector.new_bonds).enumerate() {
        assert_eq!(given.len(), expected.len());
        for (given, expected) in given.iter().zip(expected) {
            let near = u64::from(given.1.abs_diff(expected.1)) <= score_tolerance;
            assert!(given.0 == expected.0 && near, "bond of {uid} on {}", given.0);
        }
    }
}

/// `[YU-1]`
#[test]
fn the_command_repeats_the_chains_epochs_to_the_last_digit() {
    compare(include_bytes!("../../vectors/16x240-dense-uniform-yuma2.txt.gz"), 0, 0);
    compare(include_bytes!("../../vectors/64x192-dense-agree-yuma2.txt.gz"), 0, 0);
    compare(include_bytes!("../../vectors/64x192-dense-agree-yuma3.txt.gz"), 0, 0);
}

/// The chain's exponential is another one. `[YU-1]`
#[test]
fn the_command_repeats_the_chains_epoch_with_liquid_alpha_but_for_its_exponential() {
    compare(include_bytes!("../../vectors/64x192-dense-agree-yuma3l.txt.gz"), 1, 1_000);
}

/// An epoch with ten validators that weigh each other and a hundred miners has no room for mistakes about who is who.
#[test]
fn what_is_left_out_counts_as_everybody_and_no_bonds() {
    let mut input: Value = serde_json::from_str(yuma::tool::EXAMPLE).unwrap();
    let keys = input.as_object_mut().unwrap();
    keys.remove("permits");
    let brief = answer(&["epoch"], &input);
    input["permits"] = json!(vec![true; 4]);
    input["active"] = json!(vec![true; 4]);
    input["bonds"] = json!([[], [], [], []]);
    assert_eq!(answer(&["epoch"], &input), brief);
    input["active"] = json!([true, false, true, true]);
    assert_ne!(answer(&["epoch"], &input), brief);
    input["active"] = json!(vec![true; 4]);
    input["bonds"] = json!([[[2, 65_535]], [], [], []]);
    assert_ne!(answer(&["epoch"], &input), brief);
}

/// As on the chain, where the diagonal is masked before rows are normalised.
#[test]
fn weight_on_oneself_does_not_count() {
    let mut input: Value = serde_json::from_str(yuma::tool::EXAMPLE).unwrap();
    input["profile"] = json!("subtensor");
    let without = answer(&["epoch"], &input);
    input["weights"] = json!([[[0, 9], [2, 3], [3, 1]], [[2, 1], [3, 3], [1, 65_535]], [], []]);
    assert_eq!(answer(&["epoch"], &input), without);
    assert_eq!(without["consensus"], json!([0, 0, 49_151, 16_383]));
}

/// Whoever has no permit does not vote and keeps no bonds.
#[test]
fn the_permits_given_are_those_of_this_epoch_and_of_the_next() {
    let mut input: Value = serde_json::from_str(yuma::tool::EXAMPLE).unwrap();
    input["permits"] = json!([true, false, false, false]);
    input["bonds"] = json!([[[2, 100]], [[2, 60_000]], [], []]);
    let answer = answer(&["epoch"], &input);
    assert_eq!(answer["validator_trust"], json!([65_535, 0, 0, 0]));
    assert_eq!(answer["dividends"], json!([65_535, 0, 0, 0]));
    assert_eq!(answer["bonds"][1], json!([]));
}

/// The most that a subnet has: every uid weighs and bonds with every other one.
#[test]
fn a_full_dense_subnet_is_answered() {
    let uids: u16 = 256;
    let row = |uid: u16| -> Vec<(u16, u16)> {
        (0..uids).filter(|&other| other != uid).map(|other| (other, 1 + other.wrapping_mul(uid) % 999)).collect()
    };
    let table: Vec<_> = (0..uids).map(row).collect();
    let input = json!({
        "profile": "tandem",
        "rules": rules(Rules::Yuma3, Some(LiquidAlpha::default()), 900_000),
        "emission": u64::MAX,
        "stakes": vec!["309485009821345068724781055"; 256],
        "weights": table,
        "bonds": table,
    });
    let answer = answer(&["epoch"], &input);
    let paid: Vec<u64> = serde_json::from_value(answer["combined_emission"].clone()).unwrap();
    assert_eq!(paid.iter().map(|&paid| u128::from(paid)).sum::<u128>(), u128::from(u64::MAX));
}

#[derive(Clone, Debug)]
struct Random {
    profile: Profile,
    rules: Rules,
    liquid_alpha: Option<LiquidAlpha>,
    bonds_moving_average: u32,
    emission: u64,
    stakes: Vec<u128>,
    permits: Vec<bool>,
    active: Vec<bool>,
    weights: Vec<Vec<(u16, u16)>>,
    bonds: Vec<Vec<(u16, u16)>>,
    /// Turns rows by this many places.
    turn: usize,
}

fn random() -> impl Strategy<Value = Random> {
    let table = |uids: usize| {
        let row = proptest::collection::btree_map(0..uids as u16, any::<u16>(), 0..=uids);
        proptest::collection::vec(row.prop_map(|row| row.into_iter().collect::<Vec<_>>()), uids)
    };
    (1usize..12).prop_flat_map(move |uids| {
        let flags = || proptest::collection::vec(any::<bool>(), uids);
        let liquid = proptest::option::of((any::<[u16; 2]>(), any::<i16>()).prop_map(|(ends, steepness)| {
            let [low, high] = [ends[0].min(ends[1]), ends[0].max(ends[1])];
            LiquidAlpha { low, high, steepness }
        }));
        let choices = (any::<bool>(), any::<bool>(), liquid, 0..=1_000_000u32, any::<u64>(), 0..uids);
        let stakes = proptest::collection::vec(0u128..1 << 92, uids);
        (choices, stakes, flags(), flags(), table(uids), table(uids)).prop_map(
            |((tandem, old, liquid_alpha, average, emission, turn), stakes, permits, active, weights, bonds)| Random {
                profile: if tandem { Profile::Tandem } else { Profile::Subtensor },
                rules: if old { Rules::Yuma2 } else { Rules::Yuma3 },
                liquid_alpha,
                bonds_moving_average: average,
                emission,
                stakes,
                permits,
                active,
                weights,
                bonds,
                turn,
            },
        )
    })
}

fn turned(table: &[Vec<(u16, u16)>], turn: usize) -> Vec<Vec<(u16, u16)>> {
    let mut table = table.to_vec();
    for row in table.iter_mut().filter(|row| !row.is_empty()) {
        let places = turn % row.len();
        row.rotate_left(places);
    }
    table
}

fn direct(random: &Random) -> Outcome {
    let weights: Vec<Row<'_>> = random.weights.iter().map(Vec::as_slice).collect();
    let bonds: Vec<Row<'_>> = random.bonds.iter().map(Vec::as_slice).collect();
    let (stakes, permits, active) = (&random.stakes, &random.permits, &random.active);
    let params = Hyperparameters {
        profile: random.profile,
        liquid_alpha: random.liquid_alpha,
        bonds_moving_average: random.bonds_moving_average,
        ..Hyperparameters::subtensor(random.rules)
    };
    Snapshot { stakes, permits, active, weights: &weights, bonds: &bonds }.run(&params).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 2_000 } else { 40 }))]

    /// Rows may come in any order.
    #[test]
    fn the_command_answers_what_the_engine_computes(random in random()) {
        let input = json!({
            "profile": profile(random.profile),
            "rules": rules(random.rules, random.liquid_alpha, random.bonds_moving_average),
            "emission": random.emission,
            "stakes": decimal(&random.stakes),
            "permits": random.permits,
            "active": random.active,
            "weights": turned(&random.weights, random.turn),
            "bonds": turned(&random.bonds, random.turn),
        });
        let outcome = direct(&random);
        let emission = outcome.emission(random.emission);
        let scores = |scores: &[Q32]| scores.iter().map(|score| score.to_u16()).collect::<Vec<_>>();
        let expected = json!({
            "consensus": scores(&outcome.consensus),
            "incentive": scores(&outcome.incentive),
            "dividends": scores(&outcome.dividends),
            "validator_trust": scores(&outcome.validator_trust),
            "bonds": outcome.bonds,
            "server_emission": emission.server,
            "validator_emission": emission.validator,
            "combined_emission": emission.combined,
        });
        prop_assert_eq!(answer(&["epoch"], &input), expected);
    }
}
