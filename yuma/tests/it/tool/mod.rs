//! The auditors' command, as its users meet it.

mod attacks;
mod book;
mod command;
mod epochs;
mod explain;
mod hostile;

use std::process::{Command, Output, Stdio};
use std::{io::Write, thread};

use serde_json::{Value, json};
use yuma::{LiquidAlpha, Profile, Rules};

/// Runs the command with this standard input.
fn yuma(arguments: &[&str], input: &[u8]) -> Output {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_yuma")).args(arguments).write_stdin(input).output().unwrap()
}

/// The answer to an input that must be accepted.
fn answer(arguments: &[&str], input: &Value) -> Value {
    let output = yuma(arguments, input.to_string().as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs it with an output that nobody reads.
fn yuma_unread(arguments: &[&str], input: Vec<u8>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_yuma"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

fn rules(version: Rules, liquid_alpha: Option<LiquidAlpha>, bonds_moving_average: u32) -> Value {
    let LiquidAlpha { low, high, steepness } = liquid_alpha.unwrap_or_default();
    json!({
        "version": if version == Rules::Yuma2 { "yuma2" } else { "yuma3" },
        "liquid_alpha": liquid_alpha.is_some(),
        "kappa": 32_767,
        "bonds_moving_average": bonds_moving_average,
        "bonds_penalty": 65_535,
        "alpha_low": low,
        "alpha_high": high,
        "alpha_steepness": steepness,
    })
}

fn profile(profile: Profile) -> &'static str {
    if profile == Profile::Tandem { "tandem" } else { "subtensor" }
}

fn decimal(stakes: &[u128]) -> Vec<String> {
    stakes.iter().map(u128::to_string).collect()
}
