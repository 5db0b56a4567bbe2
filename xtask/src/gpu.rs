//! `cargo xtask test --gpu`.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::stage::{Stages, succeed};
use crate::test::NEXTEST_VERSION;
use crate::{cargo, install, target_directory};

/// Tests that lose the card on purpose, which a memory checker would report.
const FAULTS: &str = "faults";

/// Runs the tests of the CUDA backend on the card.
pub(crate) fn test(stages: &mut Stages) -> Result<()> {
    stages.run("build", || succeed(cargo().args(["build", "--package", "tandem-verifier"])))?;
    stages.run("look for a card", || {
        let devices = devices()?;
        eprint!("{}", String::from_utf8_lossy(&devices.stdout));
        if !devices.status.success() {
            bail!("--gpu needs a card that can be used");
        }
        Ok(())
    })?;
    let mut nextest = install::cargo_tool(stages, "nextest", NEXTEST_VERSION)?;
    // One card: its tests take turns.
    let run = ["run", "--package", "tandem-cuda", "--features", "gpu", "--test-threads", "1"];
    stages.run("tests on the card", || succeed(nextest.args(run)))?;
    if Command::new("compute-sanitizer").arg("--version").output().is_err() {
        eprintln!("memory on the card is not checked: compute-sanitizer is not on the PATH");
        return Ok(());
    }
    stages.run("tests on the card under compute-sanitizer", || {
        let mut test = cargo();
        test.args(["test", "--package", "tandem-cuda", "--features", "gpu", "--test", "it", "--"]);
        test.args(["--skip", FAULTS, "--test-threads", "1"]);
        let runner = format!("CARGO_TARGET_{}_RUNNER", HOST.to_uppercase().replace('-', "_"));
        succeed(test.env(runner, "compute-sanitizer --tool memcheck --error-exitcode 9"))
    })
}

/// Says after the other tests that those which need a card were not among them, and why.
pub(crate) fn say_what_is_not_tested() -> Result<()> {
    let devices = devices()?;
    if devices.status.success() {
        eprintln!("── tests on the card were not run: `cargo xtask test --gpu` runs them");
    } else {
        let said = String::from_utf8_lossy(&devices.stdout);
        let why = said.lines().rev().find_map(|line| line.strip_prefix("no card can be used: ")).unwrap_or("no card");
        eprintln!("── tests on a card are skipped: {why}");
    }
    Ok(())
}

fn devices() -> Result<Output> {
    let program = target_directory()?.join("debug").join("tandem-verifier");
    Command::new(&program).arg("devices").output().with_context(|| format!("cannot start {}", program.display()))
}

/// The machine that tests run on, as cargo names it.
const HOST: &str = if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
