//! Explanations as text and as data.

use serde_json::{Value, json};
use yuma::tool::Case;
use yuma::{Ignored, Position, Support};

use super::{answer, yuma};

fn example() -> Value {
    serde_json::from_str(yuma::tool::EXAMPLE).unwrap()
}

#[test]
fn a_miner_is_told_who_supported_it_and_where_the_median_fell() {
    let output = yuma(&["explain", "--uid", "3"], yuma::tool::EXAMPLE.as_bytes());
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "uid 3 earns 31.2500 % of what miners are paid",
        "consensus 25.0000 %: 100.0000 % of the stake gave that or more",
        "the next weight, 75.0000 %, has 40.0000 %; a majority is 49.9992 %",
        "  1    40.0000 %    75.0000 %    25.0000 %    10.0000 %    20.0000 %\n",
        "  0    60.0000 %    25.0000 %    25.0000 %    15.0000 %     0.0000 %\n",
        "uid 3 earns nothing of what validators are paid: it has neither a permit nor stake that counts\n",
    ] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
}

#[test]
fn a_validator_whose_stake_is_too_little_for_a_bond_is_told_that_it_has_none_with_who_earns() {
    let mut input = example();
    input["rules"]["version"] = json!("yuma2");
    input["stakes"] = json!(["7", "10000000000", "0", "0"]);
    input["bonds"] = json!([[], [[2, 65_535], [3, 65_535]], [], []]);
    let output = yuma(&["explain", "--uid", "0"], input.to_string().as_bytes());
    let told = String::from_utf8(output.stdout).unwrap();
    let reason = "uid 0 earns nothing of what validators are paid: it has no bond with a miner that earns\n";
    assert!(told.contains(reason), "{told}");
}

/// Data and text come from one explanation; nothing is rounded in the data.
#[test]
fn data_equals_what_the_engine_explains() {
    let mut input = example();
    input["bonds"] = json!([[[3, 7]], [[2, 60_000], [3, 1]], [], []]);
    input["weights"][1] = json!([[1, 9], [3, 3], [2, 1]]);
    let case = Case::parse(input.to_string().as_bytes()).unwrap();
    let explanation = case.with(|snapshot| snapshot.explain(&case.params).unwrap());
    let mut ignored = 0;
    for uid in 0..4u16 {
        let name = uid.to_string();
        let data = answer(&["explain", "--uid", &name, "--json"], &input);
        let (miner, validator) = (explanation.miner(uid).unwrap(), explanation.validator(uid).unwrap());
        let text = yuma(&["explain", "--uid", &name], input.to_string().as_bytes()).stdout;
        assert_eq!(String::from_utf8(text).unwrap(), format!("{miner}\n{validator}"));
        let not_counted = |list: &[Ignored]| -> Vec<Value> {
            let entry = |one: &Ignored| {
                json!({
                    "validator": one.validator, "miner": one.miner, "weight": one.weight,
                    "reason": one.obstacle.to_string(),
                })
            };
            list.iter().map(entry).collect()
        };
        ignored += validator.ignored.len();
        let support = |one: &Support| {
            json!({
                "validator": one.validator, "stake": one.stake.raw(), "weight": one.weight.raw(),
                "counted": one.counted.raw(), "rank": one.rank.raw(), "clipped": one.clipped.raw(),
                "in_favour": one.in_favour.raw(),
            })
        };
        let position = |one: &Position| {
            json!({
                "miner": one.miner, "weight": one.weight.raw(), "consensus": one.consensus.raw(),
                "clipped": one.clipped.raw(), "bond_before": one.bond_before, "bond_after": one.bond_after,
                "share": one.share.raw(), "incentive": one.incentive.raw(), "earned": one.earned.raw(),
            })
        };
        let expected = json!({
            "uid": uid,
            "miner": {
                "consensus": miner.consensus.raw(), "kappa": miner.kappa.raw(), "in_favour": miner.in_favour.raw(),
                "rank": miner.rank.raw(), "clipped": miner.clipped.raw(), "incentive": miner.incentive.raw(),
                "support": miner.support.iter().map(support).collect::<Vec<_>>(),
                "ignored": not_counted(&miner.ignored),
            },
            "validator": {
                "active": validator.active, "permitted": validator.permitted, "permit": validator.permit,
                "stake": validator.stake.raw(), "active_stake": validator.active_stake.raw(),
                "trust": validator.trust.raw(), "clipped": validator.clipped.raw(),
                "distance": validator.distance.raw(), "dividends": validator.dividends.raw(),
                "positions": validator.positions.iter().map(position).collect::<Vec<_>>(),
                "ignored": not_counted(&validator.ignored),
            },
        });
        assert_eq!(data, expected);
    }
    assert_eq!(ignored, 1);
}

#[test]
fn a_uid_that_does_not_exist_is_refused() {
    let output = yuma(&["explain", "--uid", "4"], yuma::tool::EXAMPLE.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error[Y-UID-1]: --uid: uid 4 is beyond the 4 uids\n");
}
