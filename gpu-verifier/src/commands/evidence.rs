use std::process::ExitCode;

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
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let evidence = self.trial.gather()?;
        if self.json {
            print_json(&evidence)?
        } else {
            print!("{}", evidence.tables())
        }
        Ok(ExitCode::SUCCESS)
    }
}
