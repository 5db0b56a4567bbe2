//! The `tandem-verifier` program.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn run(arguments: &[&str], input: &[u8]) -> Output {
    Command::cargo_bin("tandem-verifier").unwrap().args(arguments).write_stdin(input).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.code().is_some(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn an_answer_is_generated_and_verified_and_the_small_models_answer_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (full, small) = (path(dir.path(), "full"), path(dir.path(), "small"));
    let made = json(&run(&["model", "make-test", &full, "--seed", "3"], b""));
    assert!(made["parameters"].as_u64().unwrap() > 500_000, "{made}");
    run(&["model", "make-test", &small, "--seed", "3", "--small"], b"");
    assert_eq!(json(&run(&["model", "inspect", &full], b"")), made);

    let ask = |model: &str| run(&["generate", "--model", model, "--prompt", "Hello", "--max-tokens", "70"], b"").stdout;
    let honest = run(&["verify", "--model", &full], &ask(&full));
    assert_eq!((honest.status.code(), &json(&honest)["verdict"]), (Some(0), &Value::from("pass")));
    let cheat = run(&["verify", "--model", &full], &ask(&small));
    assert_eq!((cheat.status.code(), &json(&cheat)["verdict"]), (Some(1), &Value::from("suspect")));
}

#[test]
fn unusable_input_exits_with_two_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let full = path(dir.path(), "full");
    run(&["model", "make-test", &full, "--seed", "3"], b"");
    for (arguments, words) in [
        (vec!["model", "inspect", "/nowhere"], "config.json"),
        (vec!["generate", "--model", "/nowhere", "--prompt", "x"], "/nowhere"),
        (vec!["generate", "--model", &full, "--prompt", "x", "--temperature", "7"], "temperature 7"),
        (vec!["generate", "--model", &full, "--prompt", "x", "--max-tokens", "0"], "max_tokens"),
        (vec!["verify", "--model", &full], "generate"),
        (vec!["verify", "--model", &full, "/nowhere.json"], "/nowhere.json"),
    ] {
        let output = run(&arguments, b"{}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(words), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn proofs_of_raw_activations_are_built_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, other, proofs) = (path(dir.path(), "raw"), path(dir.path(), "other"), path(dir.path(), "proofs"));
    let values = |seed: u32| -> Vec<u8> {
        let word =
            |i: u32| (0x3f00 + ((i ^ seed).wrapping_mul(2_654_435_761) >> 23)) as u16 ^ ((i as u16 & 3) << 14 & 0x8000);
        (0..40 * 200).flat_map(|i| word(i).to_le_bytes()).collect()
    };
    std::fs::write(&raw, values(0)).unwrap();
    std::fs::write(&other, values(12_345)).unwrap();
    let shape = ["--rows", "40", "--hidden", "200", "--activations"];
    let with = |command: &str, file: &str, more: &[&str]| {
        run(&[&["toploc", command], shape.as_slice(), &[file], more].concat(), b"")
    };
    let built = with("build", &raw, &[]);
    assert_eq!(String::from_utf8_lossy(&built.stdout).lines().count(), 2);
    std::fs::write(&proofs, &built.stdout).unwrap();

    let good = with("verify", &raw, &["--proofs", &proofs]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    for line in String::from_utf8_lossy(&good.stdout).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["pass"], &line["exp_mismatches"]), (&Value::Bool(true), &Value::from(0)));
    }
    assert_eq!(with("verify", &other, &["--proofs", &proofs]).status.code(), Some(1));

    std::fs::write(&proofs, "AAAA\nAAAA\n").unwrap();
    assert_eq!(with("verify", &raw, &["--proofs", &proofs]).status.code(), Some(2));
    let short = run(&["toploc", "build", "--rows", "41", "--hidden", "200", "--activations", &raw], b"");
    assert_eq!(short.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&short.stderr).contains("16400"));
}

/// A cheat is for test networks; elsewhere it does not even ask the chain.
#[cfg(feature = "network")]
#[test]
fn cheating_is_refused_off_a_local_chain_and_a_bad_key_is_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(dir.path().join(name), text).unwrap();
        path(dir.path(), name)
    };
    let contracts: String = ["EpochOracle", "Settlement", "SubnetRegistry", "RateCard", "KeeperSet"]
        .map(|name| format!(r#""{name}": {{ "address": "0x{:040x}" }}"#, 7))
        .join(",");
    let manifest = file(
        "manifest.json",
        format!(r#"{{ "chainId": 10, "genesis": 1, "epochLength": 60, "more": 1, "contracts": {{ {contracts} }} }}"#),
    );
    let model = path(dir.path(), "model");
    run(&["model", "make-test", &model], b"");
    let serve = |key: &str| {
        let fixed = ["--model-id", "m", "--rpc", "http://127.0.0.1:9", "--netuid", "1", "--speed-class", "1"];
        let files = ["--model", &model, "--manifest", &manifest, "--hotkey-key", key, "--misbehave", "constant-proof"];
        let output = run(&[["serve"].as_slice(), &fixed, &files].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let refused = serve(&file("key", format!("0x{:064x}\n", 5)));
    assert!(refused.contains("--misbehave is for local test networks"), "{refused}");
    let refused = serve(&file("bad", "0xsecret".to_owned()));
    assert!(refused.contains("key file") && !refused.contains("secret"), "{refused}");
}
