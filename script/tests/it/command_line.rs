//! The program itself: what it says when something is wrong.

use assert_cmd::Command;

fn tandem(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).env_remove("TANDEM_RPC").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_names_every_command() {
    let (ok, out, _) = tandem(&["--help"]);
    assert!(ok);
    for command in ["demo", "deploy", "verify", "balance", "credits", "subnet", "swap", "health"] {
        assert!(out.contains(command), "--help does not name {command}");
    }
}

#[test]
fn an_unreachable_chain_is_named_with_what_to_check() {
    let (ok, out, err) = tandem(&["verify", "--rpc", "http://127.0.0.1:9"]);
    assert!(!ok && out.is_empty());
    assert!(err.contains("http://127.0.0.1:9") && err.contains("node running"), "{err}");
}

#[test]
fn a_missing_manifest_says_how_to_get_one() {
    let zero = "0x0000000000000000000000000000000000000000";
    let (ok, _, err) = tandem(&["balance", zero, "--manifest", "/nonexistent/1.json"]);
    assert!(!ok);
    assert!(err.contains("/nonexistent/1.json") && err.contains("tandem deploy"), "{err}");
}

#[test]
fn a_malformed_key_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "0xsecret-with-a-typing-error").unwrap();
    let path = path.display().to_string();
    let (ok, out, err) = tandem(&["swap", "buy", "1", "1", "--key", &path]);
    assert!(!ok);
    assert!(err.contains(&path), "{err}");
    assert!(!err.contains("typing") && !out.contains("typing"));
}

#[test]
fn a_demo_too_short_for_the_launch_is_refused_at_once() {
    let (ok, _, err) = tandem(&["demo", "--epochs", "2"]);
    assert!(!ok);
    assert!(err.contains("6"), "{err}");
    let (ok, _, err) = tandem(&["demo", "--kill", "chain@1"]);
    assert!(!ok);
    assert!(err.contains("keeper and worker"), "{err}");
}
