//! `cargo xtask bench`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::stage::{Stages, succeed};
use crate::{WORKSPACE, cargo, install};

struct Bench {
    name: &'static str,
    package: &'static str,
    target: &'static str,
    /// More arguments for cargo. `--profile dev` builds it like the tests instead of optimised, where what is measured does
    /// not depend on the machine.
    cargo: &'static [&'static str],
}

const BENCHES: [Bench; 6] = [
    Bench { name: "gas", package: "tandem-contracts", target: "gas", cargo: &["--profile", "dev"] },
    Bench { name: "yuma", package: "yuma", target: "epoch", cargo: &[] },
    Bench { name: "yuma-instructions", package: "yuma", target: "instructions", cargo: &[] },
    Bench { name: "toploc", package: "toploc", target: "block", cargo: &[] },
    Bench { name: "model", package: "tandem-model", target: "model", cargo: &[] },
    Bench { name: "keeper", package: "tandem-keeper", target: "keeper", cargo: &[] },
];

pub(crate) fn run(stages: &mut Stages, name: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    let chosen: Vec<_> = BENCHES.iter().filter(|bench| name.is_none_or(|name| name == bench.name)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("no benchmark is called {:?}; there are: {}", name.unwrap_or_default(), known.join(", "));
    }
    install::npm_packages(stages)?;
    for bench in chosen {
        stages.run(&format!("bench {}", bench.name), || start(bench, &["--package", bench.package], arguments))?;
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}

/// Fails if a change of the contracts costs or saves gas that the committed snapshots do not know of.
pub(crate) fn check_gas(stages: &mut Stages) -> Result<()> {
    stages.run("gas and sizes", || start(&BENCHES[0], &WORKSPACE, &["--check".to_owned()]))
}

/// `packages` says for which packages cargo chooses the dependencies' features: those of the build before spare another.
fn start(bench: &Bench, packages: &[&str], arguments: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["bench", "--quiet"]).args(packages).args(["--bench", bench.target]);
    succeed(command.args(bench.cargo).arg("--").args(arguments))
}
