//! The `tandem-verifier` program.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    Command::cargo_bin("tandem-verifier").unwrap().args(arguments).write_stdin(input).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.code().is_some(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

pub(crate) fn path(dir: &Path, name: &str) -> String {
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
    let serve = |key: &str, more: &[&str]| {
        let fixed = ["--model-id", "m", "--rpc", "http://127.0.0.1:9", "--netuid", "1", "--speed-class", "1"];
        let files = ["--model", &model, "--manifest", &manifest, "--hotkey-key", key, "--cheat", "int4-weights"];
        let output = run(&[["serve"].as_slice(), &fixed, &files, more].concat(), b"");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let key = file("key", format!("0x{:064x}\n", 5));
    let refused = serve(&key, &[]);
    assert!(refused.contains("--allow-cheating"), "{refused}");
    let refused = serve(&key, &["--allow-cheating"]);
    assert!(refused.contains("--cheat is for local test networks"), "{refused}");
    let refused = serve(&file("bad", "0xsecret".to_owned()), &["--allow-cheating"]);
    assert!(refused.contains("key file") && !refused.contains("secret"), "{refused}");
}
