//! `cargo xtask lint`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::install;
use crate::stage::{Stages, succeed};
use crate::{cargo, target_directory};

const DENY_VERSION: &str = "0.18.5";

/// Options of the lint command.
#[derive(Args)]
pub(crate) struct Options {
    /// Check licences, sources and duplicate versions of all dependencies too (installs cargo-deny, some minutes).
    #[arg(long)]
    deny: bool,
}

pub(crate) fn run(stages: &mut Stages, options: &Options) -> Result<ExitCode> {
    install::npm_packages(stages)?;
    stages.run("cargo fmt", || succeed(cargo().args(["fmt", "--all", "--check"])))?;
    stages.run("forge fmt", || succeed(install::npm_program("forge").args(["fmt", "--check"])))?;
    stages.run("forge lint", || {
        // The linter leaves artifacts without bytecode behind: they must not become the tests'.
        let folder = target_directory()?.join("forge-lint");
        succeed(
            install::npm_program("forge")
                .args(["lint", "--deny", "notes"])
                .env("FOUNDRY_OUT", folder.join("out"))
                .env("FOUNDRY_CACHE_PATH", folder.join("cache")),
        )
    })?;
    stages.run("clippy", || {
        // The tests that need a card are compiled here, if nowhere else.
        let features = ["--features", "tandem-cuda/gpu,tandem-keeper/kill-points"];
        let mut clippy = cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--quiet"]).args(features);
        succeed(clippy.args(["--", "--deny", "warnings"]))
    })?;
    stages.run("rustdoc", || {
        succeed(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    if options.deny {
        let mut deny = install::cargo_tool(stages, "deny", DENY_VERSION)?;
        stages.run("cargo deny", || succeed(deny.args(["check", "licenses", "bans", "sources"])))?;
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}
