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
}

/// Runs a keeper until it is asked to stop.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    telemetry::start_logs(&config.log).map_err(anyhow::Error::msg)?;
    service::run(config, until_asked_to_stop()).await
}
