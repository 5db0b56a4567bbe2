//! `cargo xtask bench`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::stage::{Stages, succeed};
use crate::{cargo, install};

struct Bench {
    name: &'static str,
    package: &'static str,
    target: &'static str,
    /// Built like the tests instead of optimised: what it measures does not depend on the machine.
    as_tests: bool,
}

const BENCHES: [Bench; 3] = [
    Bench { name: "gas", package: "tandem-contracts", target: "gas", as_tests: true },
    Bench { name: "yuma", package: "yuma", target: "epoch", as_tests: false },
    Bench { name: "yuma-instructions", package: "yuma", target: "instructions", as_tests: false },
];

pub(crate) fn run(stages: &mut Stages, name: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    let chosen: Vec<_> = BENCHES.iter().filter(|bench| name.is_none_or(|name| name == bench.name)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("no benchmark is called {:?}; there are: {}", name.unwrap_or_default(), known.join(", "));
    }
    install::npm_packages(stages)?;
    for bench in chosen {
        stages.run(&format!("bench {}", bench.name), || start(bench, arguments))?;
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}

/// Fails if a change of the contracts costs or saves gas that the committed snapshots do not know of.
pub(crate) fn check_gas(stages: &mut Stages) -> Result<()> {
    stages.run("gas and sizes", || start(&BENCHES[0], &["--check".to_owned()]))
}

fn start(bench: &Bench, arguments: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "--package", bench.package, "--bench", bench.target]);
    if bench.as_tests {
        command.args(["--profile", "dev"]);
    }
    succeed(command.arg("--").args(arguments))
}
