//! `cargo xtask test`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::stage::{Stages, succeed};
use crate::{WORKSPACE, bench, cargo, gpu, install, kernels, root};

pub(crate) const NEXTEST_VERSION: &str = "0.9.143";

/// Options of the test command.
#[derive(Args)]
pub(crate) struct Options {
    /// Run the long tests instead; of one package if it is named.
    #[arg(long, value_name = "PACKAGE", num_args = 0..=1)]
    deep: Option<Option<String>>,
    /// Run the tests of the CUDA backend on this machine's card instead; fails where there is none.
    #[arg(long, conflicts_with = "deep")]
    gpu: bool,
}

pub(crate) fn run(stages: &mut Stages, options: &Options) -> Result<ExitCode> {
    if options.gpu {
        gpu::test(stages)?;
        stages.report();
        return Ok(ExitCode::SUCCESS);
    }
    install::npm_packages(stages)?;
    install::postgres(stages)?;
    match &options.deep {
        Some(package) => deep(stages, package.as_deref())?,
        None => quick(stages)?,
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}

fn quick(stages: &mut Stages) -> Result<()> {
    stages.run("forge test", || succeed(install::npm_program("forge").arg("test")))?;
    // The demo's binaries are built with the tests: the end-to-end tests start them.
    stages.run("build", || succeed(cargo().arg("build").args(WORKSPACE).arg("--all-targets")))?;
    bench::check_gas(stages)?;
    kernels::check(stages)?;
    stages.run("documentation tests", || succeed(cargo().arg("test").args(WORKSPACE).args(["--doc", "--quiet"])))?;
    let mut nextest = install::cargo_tool(stages, "nextest", NEXTEST_VERSION)?;
    stages.run("unit and integration tests", || succeed(nextest.arg("run").args(WORKSPACE)))?;
    gpu::say_what_is_not_tested()
}

/// Long tests stand behind the feature `deep` of their package and forge's profile of that name.
fn deep(stages: &mut Stages, package: Option<&str>) -> Result<()> {
    if package.is_none_or(|package| package == "tandem-contracts") {
        stages.run("forge test, deep", || {
            succeed(install::npm_program("forge").arg("test").env("FOUNDRY_PROFILE", "deep"))
        })?;
    }
    let packages = match package {
        Some(package) => vec![package.to_owned()],
        None => packages_with_deep_tests()?,
    };
    // End-to-end tests start the services' binaries.
    stages.run("build", || succeed(cargo().args(["build", "--workspace", "--bins"])))?;
    for package in packages {
        let mut nextest = install::cargo_tool(stages, "nextest", NEXTEST_VERSION)?;
        stages.run(&format!("{package}, deep"), || {
            succeed(nextest.args(["run", "--profile", "deep", "--features", "deep", "--package", &package]))
        })?;
    }
    Ok(())
}

fn packages_with_deep_tests() -> Result<Vec<String>> {
    let members = [
        "contracts",
        "yuma",
        "protocol",
        "keeper",
        "gpu-verifier",
        "gpu-verifier/cuda",
        "gpu-verifier/toploc",
        "script",
    ];
    let mut packages = Vec::new();
    for member in members {
        let path = root().join(member).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        if let Some(name) = name.filter(|_| manifest.lines().any(|line| line.starts_with("deep ="))) {
            packages.push(name.to_owned());
        }
    }
    Ok(packages)
}
