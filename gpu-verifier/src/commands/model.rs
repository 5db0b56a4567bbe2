use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use tandem_verifier::model::ModelFiles;
use tandem_verifier::testmodel::{self, Size};

use super::print_json;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check a model's files and print what they hold.
    Inspect {
        /// The model's folder.
        dir: PathBuf,
    },
    /// Write a small model with seeded random weights: the same files on every machine.
    MakeTest {
        /// The folder to write; created if need be.
        dir: PathBuf,
        /// Seed of the weights.
        #[arg(long)]
        seed: u64,
        /// Two layers instead of four, and other weights; the same tokenizer.
        #[arg(long)]
        small: bool,
        /// A `config.json` of any supported kind to make weights for, instead of the standard ones.
        #[arg(long, value_name = "FILE", conflicts_with = "small")]
        config: Option<PathBuf>,
    },
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Inspect { dir } => inspect(&dir),
            Self::MakeTest { dir, seed, small, config } => {
                let failed = || format!("cannot write {}", dir.display());
                match config {
                    Some(path) => {
                        let text = std::fs::read_to_string(&path);
                        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                        testmodel::write_config(&dir, seed, &text).with_context(failed)?;
                    }
                    None => {
                        let size = if small { Size::Small } else { Size::Full };
                        testmodel::write(&dir, seed, size).with_context(failed)?;
                    }
                }
                inspect(&dir)
            }
        }
    }
}

fn inspect(dir: &std::path::Path) -> anyhow::Result<ExitCode> {
    let files = ModelFiles::open(dir)?;
    files.tokenizer()?;
    files.check_tensors()?;
    let tensors = files.weights().tensors();
    print_json(&json!({
        "config": files.config(),
        "digest": hex::encode(files.digest()?),
        "parameters": files.config().parameters(),
        "tensors": tensors.len(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
