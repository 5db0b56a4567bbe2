//! `tandem-keeper guard`: what this key has signed, to take along or to bring back.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::{
    config::{Config, Overrides},
    guard::{Guard, Interchange},
    network::Network,
    store,
};

/// The sign-once guard.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Write everything this keeper has signed to a JSON file. The keeper must be stopped: a report signed after the export
    /// would be missing in it.
    Export(FileArgs),
    /// Add what such a file holds to the guard. Nothing that is known is replaced; if file and guard name different reports
    /// for one epoch and attempt, nothing is imported. The keeper must be stopped.
    Import(FileArgs),
}

/// Arguments of both.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Configuration, TOML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The JSON file.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs `tandem-keeper guard …`; answers what is to be printed.
pub async fn run(args: GuardArgs) -> anyhow::Result<String> {
    match args.command {
        GuardCommand::Export(args) => {
            let (config, network) = load(&args)?;
            let path = config.data_dir.join("guard.sqlite");
            anyhow::ensure!(path.exists(), "there is no guard at {}", path.display());
            let guard = open(&config).await?;
            let export = guard.export(network.chain_id, network.oracle).await?;
            guard.close().await;
            write_new(&args.file, &serde_json::to_string_pretty(&export)?)?;
            Ok(format!("{} signed reports are in {}", export.signed.len(), args.file.display()))
        }
        GuardCommand::Import(args) => {
            let (config, network) = load(&args)?;
            let text = fs::read_to_string(&args.file).with_context(|| args.file.display().to_string())?;
            let export = Interchange::parse(&text)?;
            let opened = store::open(&config.store, &config.data_dir).await?;
            let guard = open(&config).await?;
            let guard = match opened.register {
                Some(register) => guard.shared(register),
                None => guard,
            };
            let imported = guard.import(&export, network.chain_id, network.oracle).await?;
            guard.close().await;
            opened.store.close().await;
            Ok(format!("{} signed reports were added, {} were known", imported.new, imported.known))
        }
    }
}

fn load(args: &FileArgs) -> anyhow::Result<(Config, Network)> {
    let config = Config::load(&args.config, &Overrides::default())?;
    let network = Network::load(&config.manifest)?;
    Ok((config, network))
}

async fn open(config: &Config) -> anyhow::Result<Guard> {
    crate::service::create_private(&config.data_dir)?;
    Guard::open(&config.data_dir.join("guard.sqlite")).await.context("stop the keeper that uses this data_dir first")
}

/// An older export is not overwritten: it may be the only one.
fn write_new(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut file = fs::File::create_new(path).with_context(|| format!("{} is not written", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(())
}
