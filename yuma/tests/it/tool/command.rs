//! The program itself: help, exit statuses, pipes.

use serde_json::{Value, json};

use super::{yuma, yuma_unread};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What stands between the quotation marks of a shell is run as it is.
#[test]
fn help_teaches_with_an_example_that_works() {
    for arguments in [&["--help"][..], &["epoch", "--help"], &["explain", "--help"]] {
        let output = yuma(arguments, b"");
        assert!(output.status.success());
        let help = text(&output.stdout);
        for word in ["yuma epoch < epoch.json", "yuma explain --uid 3 < epoch.json", "Exit status"] {
            assert!(help.contains(word), "{arguments:?} does not teach {word:?}");
        }
        let example = help.split("echo '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        let output = yuma(&["epoch"], example.as_bytes());
        assert_eq!(
            text(&output.stdout),
            concat!(
                r#"{"consensus":[0,0,49151,16383],"incentive":[0,0,45055,20479],"dividends":[49438,16096,0,0],"#,
                r#""validator_trust":[65535,32767,0,0],"bonds":[[[2,4915],[3,1638]],[[2,1638],[3,1638]],[],[]],"#,
                r#""server_emission":[0,0,344,156],"validator_emission":[377,123,0,0],"#,
                r#""combined_emission":[377,123,344,156]}"#,
                "\n"
            )
        );
        assert!(yuma(&["explain", "--uid", "3"], example.as_bytes()).status.success());
    }
}

#[test]
fn version_is_told() {
    let output = yuma(&["--version"], b"");
    assert_eq!(text(&output.stdout), concat!("yuma ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn arguments_that_make_no_sense_end_with_status_2() {
    let cases: [&[&str]; 9] = [
        &[],
        &["epochs"],
        &["epoch", "in.json"],
        &["epoch", "--uid", "3"],
        &["explain"],
        &["explain", "--uid", "-1"],
        &["explain", "--uid", "65536"],
        &["explain", "--uid", "three"],
        &["attacks", "--json", "--markdown"],
    ];
    for arguments in cases {
        let output = yuma(arguments, yuma::tool::EXAMPLE.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

/// As in `yuma epoch < epoch.json | head -c 1`, with more than a pipe holds.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let uids = 200;
    let row: Vec<(u16, u16)> = (0..uids).map(|uid| (uid, 1)).collect();
    let mut input: Value = serde_json::from_str(yuma::tool::EXAMPLE).unwrap();
    input["stakes"] = json!(vec!["1"; usize::from(uids)]);
    input["permits"] = json!(vec![true; usize::from(uids)]);
    input["weights"] = json!(vec![row; usize::from(uids)]);
    for arguments in [&["epoch"][..], &["explain", "--uid", "3"], &["explain", "--uid", "3", "--json"]] {
        let output = yuma_unread(arguments, input.to_string().into_bytes());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_yuma"));
    let output = command.arg("attacks").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error[Y-WRITE-1]: the output cannot be written: No space left"));
}
