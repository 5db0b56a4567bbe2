//! The documentation's table of what is caught is what a command found, and finds again.

use std::path::Path;

use tandem_verifier::calibration::{Calibration, Counts, ErrorRates, Series, conclude};
use tandem_verifier::cheat::{Cheat, Machine};
use tandem_verifier::evidence::{Bench, Contributor, Evidence, Run, run};
use tandem_verifier::trial::{PASSAGES, Trial};

use crate::lm::{BASE, LITTLE, VERIFIER};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What `evidence --record` wrote.
fn recorded() -> Evidence {
    serde_json::from_str(&read("tests/evidence.json")).unwrap()
}

#[test]
fn the_tables_in_the_documentation_are_those_of_the_recorded_run() {
    let page = read("../docs/verification.md");
    for line in recorded().tables().lines() {
        assert!(page.contains(line), "docs/verification.md lacks\n{line}");
    }
}

#[test]
fn the_recorded_calibration_follows_from_the_recorded_grades() {
    let Evidence { calibration, machines, cheats, .. } = recorded();
    assert!(machines.len() >= 3 && machines.iter().all(|machine| machine.counts().responses() >= 2_000));
    Calibration::parse(calibration.to_json().as_bytes()).unwrap();
    let counts = |runs: &[Run]| runs.iter().map(Run::counts).collect::<Vec<Counts>>();
    let kept = |series: &[Series]| series.iter().map(|series| series.counts.clone()).collect::<Vec<Counts>>();
    assert_eq!((counts(&machines), counts(&cheats)), (kept(&calibration.machines), kept(&calibration.cheats)));
    let model = hex::decode(&calibration.model).unwrap().try_into().unwrap();
    let origin = calibration.origin.clone();
    let again = conclude(&model, origin, calibration.scales, counts(&machines), counts(&cheats), ErrorRates::default())
        .unwrap();
    assert_eq!((again.tails, again.sprt, again.drift), (calibration.tails, calibration.sprt, calibration.drift));
}

/// Also [VF-3]: grades rest on exact arithmetic, so that any machine gives these.
#[test]
fn a_part_of_the_recorded_run_measured_anew_gives_the_same_grades() {
    let recorded = recorded();
    assert_eq!(hex::encode(BASE.digest().unwrap()), recorded.calibration.model);
    let text = BASE.tokenizer().unwrap();
    let origin = &recorded.calibration.origin;
    let trial = Trial::new(VERIFIER.as_ref(), &text, origin.seed, origin.max_tokens, PASSAGES).unwrap();
    assert_eq!(hex::encode(trial.digest()), origin.text);
    let bench = Bench { files: &BASE, smaller: Some(&LITTLE), threads: 1 };
    let policy = recorded.calibration.policy();
    let part = if cfg!(feature = "deep") { 50 } else { 4 };
    let check = |contributor: Contributor, start: u64, runs: &[Run]| {
        let name = contributor.name();
        let old = runs.iter().find(|run| run.name == name).unwrap_or_else(|| panic!("{name} was not measured"));
        let new = run(&trial, &bench, contributor, start..start + part, &policy, 1, &mut |_, _, _| {}).unwrap();
        assert_eq!(new.grades, old.grades[..part as usize], "{name}");
    };
    check(Contributor::Machine(Machine::Exact), recorded.sizes.counted().start, &recorded.machines);
    let quick =
        [Cheat::SmallerModel, Cheat::Int8Weights, Cheat::Fp8Kv, Cheat::OtherSeed, Cheat::NullProof, Cheat::Rarely];
    let all: Vec<Cheat> = Cheat::ALL.iter().copied().filter(|cheat| !cheat.only_signs()).collect();
    for &cheat in if cfg!(feature = "deep") { all.as_slice() } else { &quick } {
        check(Contributor::Cheat(cheat), recorded.sizes.cheated().start, &recorded.cheats);
    }
}
