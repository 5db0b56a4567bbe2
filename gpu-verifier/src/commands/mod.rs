//! The command line: one file per command. Every command prints JSON (or what its help says) on standard output, and
//! exits with 0 if all is well, 1 if something was checked and found wrong, 2 if the input was unusable, 3 if the card was
//! lost on the way.

#[cfg(feature = "cuda")]
mod bench;
mod calibrate;
mod device;
mod engines;
mod evidence;
mod generate;
mod model;
#[cfg(feature = "network")]
mod reference;
#[cfg(feature = "network")]
mod serve;
mod toploc;
mod verify;
#[cfg(feature = "network")]
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tandem_verifier::backend::{self, Backend, Numerics};
use tandem_verifier::calibration::Calibration;
use tandem_verifier::model::ModelFiles;
use tandem_verifier::verdict::Policy;

pub(crate) use self::device::exit_code;

/// Exit code when something was checked and found wrong.
pub(crate) const FOUND_WRONG: u8 = 1;
/// Exit code when nothing could be checked.
pub(crate) const BAD_INPUT: u8 = 2;
/// Exit code when the card failed: the same command may well succeed in a new process.
#[cfg(feature = "cuda")]
pub(crate) const DEVICE_LOST: u8 = 3;

/// Verified inference for Tandem.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Inspect models, or write small ones for tests.
    #[command(subcommand)]
    Model(model::Command),
    /// Answer a prompt, with proofs.
    Generate(generate::Command),
    #[cfg(feature = "cuda")]
    Devices(device::Devices),
    /// Measure what a card does.
    #[cfg(feature = "cuda")]
    #[command(subcommand)]
    Bench(Box<bench::Bench>),
    /// Check an answer that `generate` printed.
    Verify(verify::Command),
    /// Measure honest machines and cheats, and write limits and tests with stated error rates.
    Calibrate(calibrate::Command),
    /// Measure the same and print what was found, as tables.
    Evidence(evidence::Command),
    /// Build or verify proofs of raw activations.
    #[command(subcommand)]
    Toploc(toploc::Command),
    /// Contribute: serve completions, paid by voucher.
    #[cfg(feature = "network")]
    Serve(Box<serve::Command>),
    /// Validate: audit contributors and weigh them.
    #[cfg(feature = "network")]
    Work(Box<work::Command>),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.command.start_logging();
        match self.command {
            #[cfg(feature = "cuda")]
            Command::Devices(command) => command.run(),
            #[cfg(feature = "cuda")]
            Command::Bench(command) => command.run(),
            Command::Model(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Calibrate(command) => command.run(),
            Command::Evidence(command) => command.run(),
            Command::Toploc(command) => command.run(),
            #[cfg(feature = "network")]
            Command::Serve(command) => command.run(),
            #[cfg(feature = "network")]
            Command::Work(command) => command.run(),
        }
    }
}

impl Command {
    /// Services log from the start; other commands say what is wrong only, unless `RUST_LOG` asks for more.
    #[cfg(feature = "cuda")]
    fn start_logging(&self) {
        #[cfg(feature = "network")]
        if matches!(self, Self::Serve(_) | Self::Work(_)) {
            return;
        }
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
        // A second start keeps the first.
        let _ = logs.try_init();
    }

    #[cfg(not(feature = "cuda"))]
    fn start_logging(&self) {}
}

/// Which model, and how to run it.
#[derive(Args)]
struct ModelArgs {
    /// Folder with config.json, safetensors and tokenizer.json.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Threads of one forward pass on the CPU; results do not depend on it.
    #[arg(long, default_value_t = 1, env = "TANDEM_VERIFIER_THREADS")]
    threads: usize,
    /// Exact gives the same bits everywhere; fast adds in any order. Both are checked by the same limits.
    #[arg(long, default_value = "exact", value_parser = ["exact", "fast"])]
    numerics: String,
    #[command(flatten)]
    device: device::DeviceArgs,
}

impl ModelArgs {
    fn open(&self) -> anyhow::Result<(ModelFiles, Arc<dyn Backend>)> {
        let context = || format!("cannot load the model in {}", self.model.display());
        let files = ModelFiles::open(&self.model).with_context(context)?;
        let backend = self.device.load(&files, &self.options()).with_context(context)?;
        Ok((files, backend))
    }

    fn options(&self) -> backend::Options {
        backend::Options {
            threads: self.threads,
            numerics: if self.numerics == "fast" { Numerics::Fast } else { Numerics::Exact },
        }
    }
}

/// How to judge: by the published limits, or by a calibration.
#[derive(Args)]
struct PolicyArgs {
    /// Limits and tests that `calibrate` measured for this model, instead of the published ones.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
}

impl PolicyArgs {
    fn open(&self, files: &ModelFiles) -> anyhow::Result<Policy> {
        let Some(path) = &self.calibration else { return Ok(Policy::default()) };
        Calibration::policy_for(path, &files.digest()?).with_context(|| format!("--calibration {}", path.display()))
    }
}

/// Prints one JSON object on a line of its own.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
