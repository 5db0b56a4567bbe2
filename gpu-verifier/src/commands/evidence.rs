use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::calibrate::TrialArgs;
use super::print_json;

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    trial: TrialArgs,
    /// Print everything that was counted instead of tables.
    #[arg(long)]
    json: bool,
    /// Write everything that was counted there, too.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let evidence = self.trial.gather()?;
        if let Some(path) = &self.record {
            let text = serde_json::to_string_pretty(&evidence)? + "\n";
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.json {
            print_json(&evidence)?
        } else {
            print!("{}", evidence.tables())
        }
        Ok(ExitCode::SUCCESS)
    }
}
