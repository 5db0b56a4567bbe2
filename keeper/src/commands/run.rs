//! `run`.

use clap::Args;

use super::{ConfigArgs, until_asked_to_stop};
use crate::{service, telemetry};

/// Of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Start although the sign-once guard has forgotten what this key signed. Only if no other copy of the key runs.
    #[arg(long)]
    pub accept_missing_guard: bool,
}

/// Runs a keeper until it is asked to stop.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let mut config = args.config.load()?;
    config.accept_missing_guard = args.accept_missing_guard;
    telemetry::start_logs(&config.log).map_err(anyhow::Error::msg)?;
    service::run(config, until_asked_to_stop()).await
}
