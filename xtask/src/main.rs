//! Developer commands of Tandem: `cargo xtask demo | test | lint | bench | kernels`.
//!
//! Each command installs what it needs first: npm and Python packages by their lock files, and the test runner if it is
//! missing.

mod bench;
mod gpu;
mod install;
mod kernels;
mod lint;
mod stage;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::stage::Stages;

/// Everything, with the points at which tests make a keeper die. What is built for one of the tests' stages serves the next
/// only if all of them name the same packages and features.
const WORKSPACE: [&str; 3] = ["--workspace", "--features", "tandem-keeper/kill-points"];

/// Developer commands of Tandem. Each installs what it needs and prints how long its stages took.
#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build and run the whole network on this machine; arguments go to `tandem demo` (see `cargo xtask demo --help`).
    #[command(disable_help_flag = true)]
    Demo {
        /// Passed on, for example `--json --epochs 6 --seed 1`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all quick tests: forge, unit, integration and documentation tests.
    Test(test::Options),
    /// Check formats and lints of Rust and Solidity, warnings denied.
    Lint(lint::Options),
    /// Run benchmarks; without a name, all of them.
    Bench {
        /// Name of a benchmark: gas, yuma, yuma-instructions, toploc, model, keeper.
        name: Option<String>,
        /// Passed on, for example `--check` or `--explain "pool buy"` to gas, `proofs --json` to keeper.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compile the CUDA kernels for all cards, without a card, and compare what they need with snapshots/kernels.json.
    Kernels(kernels::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut stages = Stages::start();
    let result = match cli.command {
        Task::Demo { arguments } => demo(&mut stages, &arguments),
        Task::Test(options) => test::run(&mut stages, &options),
        Task::Lint(options) => lint::run(&mut stages, &options),
        Task::Bench { name, arguments } => bench::run(&mut stages, name.as_deref(), &arguments),
        Task::Kernels(options) => kernels::run(&mut stages, &options),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            stages.report();
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo(stages: &mut Stages, arguments: &[String]) -> Result<ExitCode> {
    install::npm_packages(stages)?;
    stages.run("build the network", || {
        let mut build = cargo();
        build.args(["build", "--package", "tandem", "--package", "tandem-keeper", "--package", "tandem-verifier"]);
        // Standard output belongs to the demo's JSON.
        stage::succeed(build.stdout(std::io::stderr()))
    })?;
    stages.report();
    let status = Command::new(target_directory()?.join("debug").join("tandem"))
        .arg("demo")
        .args(arguments)
        .current_dir(root())
        .status()
        .context("cannot start the tandem binary")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository's root")
}

/// The cargo that runs this program.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo puts what it builds: two levels above this program.
fn target_directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program's own path")?;
    program
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .with_context(|| format!("{} does not lie in a cargo target folder", program.display()))
}
