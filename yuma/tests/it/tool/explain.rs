//! Explanations as text and as data.

use serde_json::{Value, json};
use yuma::tool::Case;

use super::{answer, yuma};

fn example() -> Value {
    serde_json::from_str(yuma::tool::EXAMPLE).unwrap()
}

#[test]
fn a_miner_is_told_who_supported_it_and_where_the_median_fell() {
    let output = yuma(&["explain", "--uid", "3"], yuma::tool::EXAMPLE.as_bytes());
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [
        "incentive  0.3125000000 (20479/65535)",
        "consensus  0.2500000000 (16383/65535)",
        "  1  0.3999999999  0.7500000000  0.2500000000  0.0999999998  0.1999999999  0.3999999999\n",
        "  0  0.5999999998  0.2500000000  0.2500000000  0.1499999999  0.0000000000  0.9999999997  <- consensus\n",
    ] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
}

/// Data and text come from one explanation; nothing is rounded in either.
#[test]
fn data_equals_what_the_engine_explains() {
    let case = Case::parse(yuma::tool::EXAMPLE.as_bytes()).unwrap();
    for uid in 0..4u16 {
        let name = uid.to_string();
        let data = answer(&["explain", "--uid", &name, "--json"], &example());
        let expected = case.with(|snapshot| snapshot.explain(&case.params).unwrap().uid(uid).unwrap());
        let text = yuma(&["explain", "--uid", &name], yuma::tool::EXAMPLE.as_bytes()).stdout;
        assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
        assert_eq!(data["uid"], uid);
        let (miner, validator) = (&expected.miner, &expected.validator);
        assert_eq!(
            [&data["miner"]["consensus"], &data["miner"]["rank"], &data["miner"]["above"], &data["miner"]["kappa"]],
            [miner.consensus, miner.rank, miner.above, miner.kappa].map(|score| json!(score.raw())).each_ref()
        );
        let supporters: Vec<Value> = miner
            .supporters
            .iter()
            .map(|one| {
                json!({
                    "validator": one.validator, "stake": one.stake.raw(), "weight": one.weight.raw(),
                    "counted": one.counted.raw(), "adds": one.adds.raw(), "clipped": one.clipped.raw(),
                    "reached": one.reached.raw(),
                })
            })
            .collect();
        assert_eq!(data["miner"]["supporters"], json!(supporters));
        let votes: Vec<Value> = validator
            .votes
            .iter()
            .map(|vote| {
                json!({
                    "miner": vote.miner, "weight": vote.weight.raw(), "consensus": vote.consensus.raw(),
                    "counted": vote.counted.raw(), "old_bond": vote.old_bond, "bond": vote.bond.raw(),
                    "share": vote.share.raw(), "earned": vote.earned.raw(),
                })
            })
            .collect();
        assert_eq!(data["validator"]["votes"], json!(votes));
        assert_eq!(data["validator"]["dividends"], validator.dividends.raw());
        assert_eq!(data["validator"]["permitted"], validator.permitted);
    }
}

#[test]
fn a_uid_that_does_not_exist_is_refused() {
    let output = yuma(&["explain", "--uid", "4"], yuma::tool::EXAMPLE.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error[Y-UID-1]: --uid: uid 4 is beyond the 4 uids\n");
}
