//! Calibration: what is promised follows from what was counted, the same everywhere, and nothing else is accepted.

use std::path::Path;

use serde_json::{Value, json};
use tandem_verifier::backend::{self, Options};
use tandem_verifier::calibration::{Calibration, Counts, ErrorRates, FitError, Origin, Separation, conclude, fit};
use tandem_verifier::cheat::{Cheat, Machine};
use tandem_verifier::engine::Honest;
use tandem_verifier::evidence::{Bench, Evidence, Sizes, gather};
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::Size;
use tandem_verifier::trial::{PASSAGES, Trial};
use tandem_verifier::verdict::{Drift, GRADES, Measures, SUSPECT};

use crate::command_line::{path, run};
use crate::common::{FULL, written};

fn counts(name: &str, grades: [u32; GRADES], hard: u32) -> Counts {
    Counts { name: name.to_owned(), grades, hard, tokens: 5_000 }
}

fn origin() -> Origin {
    Origin { seed: 1, max_tokens: 100, text: "0".repeat(64), verifier: backend::Numerics::Exact }
}

/// A calibration from made-up counts.
fn example() -> Calibration {
    let measures = |noise: f64| -> Vec<Measures> {
        let of = |i: usize| Measures { values: [noise * (i % 17) as f64; 6], tokens: 16 + i % 80 };
        (0..200).map(of).collect()
    };
    let machines = vec![counts("exact", [400, 0, 0, 0, 0], 0), counts("rounding", [330, 58, 11, 1, 0], 0)];
    let cheats = vec![
        counts("gross", [0, 0, 1, 9, 90], 0),
        counts("mild", [40, 30, 20, 10, 0], 0),
        counts("forger", [0; GRADES], 100),
        counts("unseen", [82, 15, 3, 0, 0], 0),
    ];
    let scales = fit(&[measures(0.0), measures(1e-3)]);
    conclude(&[7; 32], origin(), scales, machines, cheats, ErrorRates::default()).unwrap()
}

#[test]
fn what_is_promised_follows_from_the_counts_and_a_cheat_that_cannot_be_told_is_called_so() {
    let found = example();
    // One of 400 suspect: Clopper and Pearson's 1.18043 %.
    assert_eq!((found.machines[1].suspect, found.sprt.honest_suspect), (11_805, 11_805));
    let drift: u32 = found.drift.iter().map(|bet| bet.false_fail).sum();
    assert_eq!((found.sprt.cheat_suspect, found.sprt.false_fail, drift), (500_000, 500, 498));
    let separations: Vec<Separation> = found.cheats.iter().map(|cheat| cheat.separation()).collect();
    assert_eq!(separations, [Separation::Sprt, Separation::Drift, Separation::Sprt, Separation::None]);
    for machine in &found.machines {
        assert!(machine.sprt.fails <= 500 && machine.drift.fails <= 500, "{machine:?}");
    }
    // A hard fault needs no second response.
    assert!(found.cheats[2].sprt.responses < 1_100, "{:?}", found.cheats[2]);
    let policy = found.policy();
    let bets = policy.drift.unwrap();
    assert!(Drift::any_fails(&bets, &[40 * 5, 30 * 5, 20 * 5, 10 * 5, 0]));
    assert!(!Drift::any_fails(&bets, &[33_000, 5_800, 1_100, 100, 0]));
    assert_eq!(Calibration::parse(found.to_json().as_bytes()).unwrap(), found);
}

#[test]
fn honest_machines_with_hard_faults_and_too_few_responses_make_no_calibration() {
    let scales = fit(&[]);
    let make = |machines| conclude(&[0; 32], origin(), scales, machines, vec![], ErrorRates::default());
    assert!(matches!(make(vec![counts("m", [100, 0, 0, 0, 0], 1)]), Err(FitError::HardFaults { .. })));
    assert!(matches!(make(vec![counts("m", [49, 0, 0, 0, 0], 0)]), Err(FitError::TooFew { .. })));
    assert_eq!(make(vec![]), Err(FitError::NoMachine));
    // Half of the honest responses are suspect.
    assert!(matches!(make(vec![counts("m", [50, 0, 0, 50, 0], 0)]), Err(FitError::Test(_))));
    assert!(make(vec![counts("m", [100, 0, 0, 0, 0], 0)]).is_ok());
}

#[test]
fn a_file_whose_promises_do_not_follow_from_its_counts_is_refused() {
    let good = serde_json::to_value(example()).unwrap();
    let refused = |pointer: &str, value: Value, words: &str| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let error = Calibration::parse(bad.to_string().as_bytes()).expect_err(pointer).to_string();
        assert!(error.contains(words), "{pointer}: {error}");
    };
    refused("/schema", json!(2), "schema 2");
    refused("/model", json!("A".repeat(64)), "model is no SHA-256");
    refused("/model", json!("00"), "model is no SHA-256");
    refused("/origin/text", json!(""), "origin.text");
    refused("/origin/seed", json!(-1), "invalid value");
    refused("/origin/seed", json!(1.5), "invalid type");
    refused("/scales/margin/limits", json!([4, 3, 5, 6]), "do not ascend");
    refused("/scales/margin/limits", json!([1, 2, 3]), "invalid length");
    refused("/scales/margin/limits", json!([1, 2, 3, 1_000_000_001]), "too large");
    refused("/scales/signs/mean", json!(4_294_967_296_u64), "invalid value");
    refused("/machines", json!([]), "1 to 16 machines");
    refused("/machines/0/counts/name", json!("rounding"), "used twice");
    refused("/cheats/0/counts/name", json!("exact"), "used twice");
    refused("/machines/0/counts/name", json!("Bad name"), "is no name");
    refused("/machines/0/counts/name", json!(""), "is no name");
    refused("/machines/0/counts/hard", json!(1), "no honest machine");
    refused("/machines/0/counts/grades", json!([49, 0, 0, 0, 0]), "no honest machine");
    refused("/machines/0/counts/grades", json!([4_000_000_000_u32, 0, 0, 0, 0]), "too many responses");
    refused("/machines/1/counts/grades", json!([330, 58, 11, 2, 0]), "more often than");
    refused("/machines/1/counts/grades", json!([230, 158, 11, 1, 0]), "than the tails allow");
    refused("/machines/1/suspect", json!(11_000), "more often than the test assumes");
    refused("/machines/1/sprt/fails", json!(1_000_000), "probabilities above 1");
    refused("/tails", json!([1, 2, 3, 4]), "do not descend");
    refused("/tails", json!([2_000_000, 2, 1, 0]), "do not descend");
    refused("/tails/3", json!(0), "than the tails allow");
    refused("/sprt/honest_suspect", json!(500), "more often than the test assumes");
    refused("/sprt/honest_suspect", json!(20_000), "do not follow from its rates");
    refused("/sprt/cheat_suspect", json!(1_000), "cannot be told apart");
    refused("/sprt/false_fail", json!(0), "error rates");
    refused("/sprt/suspect", json!(9_000), "do not follow from its rates");
    refused("/sprt/fail_at", json!(1), "do not follow from its rates");
    refused("/sprt/pass_at", json!(-1), "do not follow from its rates");
    refused("/sprt/clean", json!(i32::MIN), "do not follow from its rates");
    refused("/drift/1/false_fail", json!(900_000), "error rate");
    refused("/drift/1/fail_at", json!(100), "does not follow");
    refused("/drift/1/fail_at", json!(i32::MAX), "does not follow");
    refused("/drift/1/weights", json!([0, 10, 20, 30, 40]), "not fair");
    refused("/drift/1/weights", json!([5, 4, 3, 2, 1]), "descend");
    refused("/drift/1/weights", json!([i32::MIN, 0, 0, 0, i32::MAX]), "out of range");
    refused("/drift", json!([]), "invalid length");
    refused("/cheats/1/suspect", json!(100_000), "less often than is claimed");
    let mut more = good.clone();
    more["extra"] = json!(1);
    assert!(Calibration::parse(more.to_string().as_bytes()).unwrap_err().to_string().contains("unknown field"));
    for bytes in [b"".as_slice(), b"{}", b"[]", &[b' '; (1 << 20) + 1], b"\xff\xfe"] {
        assert!(Calibration::parse(bytes).is_err());
    }
    let twice = good.to_string().replacen("{", r#"{"schema":1,"#, 1);
    assert!(Calibration::parse(twice.as_bytes()).unwrap_err().to_string().contains("duplicate field"));
}

const SIZES: Sizes = Sizes { honest: 50, cheats: 10 };

fn small_evidence(full: &ModelFiles, small: &ModelFiles, threads: usize) -> Evidence {
    let text = full.tokenizer().unwrap();
    let verifier = backend::open(full, &Options::default()).unwrap();
    let trial = Trial::new(verifier.as_ref(), &text, 5, 16, PASSAGES).unwrap();
    let bench = Bench { files: full, smaller: Some(small), threads: 1 };
    let cheats = [Cheat::SmallerModel, Cheat::Greedy, Cheat::NullProof];
    gather(&trial, &bench, &[Machine::Exact, Machine::Rounding], &cheats, SIZES, threads, &mut |_, _, _| {}).unwrap()
}

/// Also [VF-3]: the verifier and its machines give the same bits, whatever the threads.
#[test]
fn the_same_seed_gives_the_same_calibration_whatever_the_threads_and_it_tells_machines_from_cheats() {
    let (full, small) = (written(1, Size::Full), written(1, Size::Small));
    let (full, small) = (ModelFiles::open(full.path()).unwrap(), ModelFiles::open(small.path()).unwrap());
    let found = small_evidence(&full, &small, 1);
    assert_eq!(found, small_evidence(&full, &small, 2));
    let calibration = &found.calibration;
    assert_eq!(Calibration::parse(calibration.to_json().as_bytes()).unwrap(), *calibration);
    assert_eq!(found.machines[0].grades, "0".repeat(50), "exact against exact has no noise");
    for cheat in &calibration.cheats {
        assert_eq!(cheat.separation(), Separation::Sprt, "{cheat:?}");
    }
    assert_eq!(found.cheats[2].grades, "x".repeat(10));
    // Twenty-five responses are few to fit limits to, and that shows in the rates that are promised.
    assert!(found.machines[1].counts().from_grade(SUSPECT) <= 15, "{:?}", found.machines);
    let text = found.tables();
    assert!(text.contains("| smaller-model | 10 |") && text.contains("| null-proof | 10 | 100.0 % |"), "{text}");
}

/// Requests are a function of seed and index alone, and responses come in order.
#[test]
fn a_trial_asks_the_same_of_everybody_and_reports_in_order() {
    let dir = written(1, Size::Full);
    let text = ModelFiles::open(dir.path()).unwrap().tokenizer().unwrap();
    let trial = |seed| Trial::new(FULL.as_ref(), &text, seed, 16, PASSAGES).unwrap();
    let ask = |seed, index| trial(seed).request(index).unwrap();
    assert_eq!(ask(1, 7), ask(1, 7));
    assert!(ask(1, 7) != ask(2, 7) && ask(1, 7) != ask(1, 8));
    let requests: Vec<_> = (0..60).map(|index| ask(3, index)).collect();
    assert!(requests.iter().all(|r| r.max_tokens <= 16 && !r.prompt.is_empty() && r.prompt.len() + 16 <= 2_048));
    assert!(requests.iter().any(|r| r.temperature == 0.0) && requests.iter().any(|r| r.temperature == 1.0));
    let mut seen = Vec::new();
    trial(3).run(&Honest(FULL.clone()), 5..25, 2, |measured| seen.push(measured.index)).unwrap();
    assert_eq!(seen, (5..25).collect::<Vec<_>>());
    assert!(Trial::new(FULL.as_ref(), &text, 1, 16, "\n\n  \n\n").is_err());
}

#[test]
fn verify_takes_a_calibration_of_its_own_model_and_of_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (full, other) = (path(dir.path(), "full"), path(dir.path(), "other"));
    run(&["model", "make-test", &full, "--seed", "3"], b"");
    run(&["model", "make-test", &other, "--seed", "4"], b"");
    let file = path(dir.path(), "calibration.json");
    let made = run(
        &[
            "calibrate",
            "--model",
            &full,
            "--machine",
            "exact",
            "--cheat",
            "null-proof",
            "--honest",
            "200",
            "--cheats",
            "10",
            "--max-tokens",
            "4",
            "--out",
            &file,
        ],
        b"",
    );
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(made["not_told_apart"], json!([]));
    // None of two hundred: 1.49 %.
    assert_eq!(made["honest_suspect_at_most"], json!(0.014_868));

    let answer = run(&["generate", "--model", &full, "--prompt", "Hello", "--max-tokens", "40"], b"").stdout;
    let good = run(&["verify", "--model", &full, "--calibration", &file], &answer);
    let good: Value = serde_json::from_slice(&good.stdout).unwrap_or_else(|_| panic!("{good:?}"));
    assert_eq!((&good["verdict"], &good["grade"]), (&json!("pass"), &json!(0)));
    let refused = |model: &str, file: &str, words: &str| {
        let output = run(&["verify", "--model", model, "--calibration", file], &answer);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(words), "{error}");
    };
    refused(&other, &file, "the calibration is of model");
    std::fs::write(Path::new(&file), "{}").unwrap();
    refused(&full, &file, "missing field");
    refused(&full, "/nowhere.json", "/nowhere.json");
}
