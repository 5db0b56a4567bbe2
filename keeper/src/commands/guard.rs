//! `tandem-keeper guard`: what this key has signed, to take along or to bring back.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::{
    config::Config,
    guard::{Guard, Interchange},
    network::Network,
    store,
};

/// What can be done with the sign-once guard.
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
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The JSON file.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// Does it, and answers what is to be printed.
pub async fn run(command: GuardCommand) -> anyhow::Result<String> {
    match command {
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
            let guard = open(&config).await?;
            // Without a shared database there is no register, and no need to open the store.
            let opened = match config.store.url {
                Some(_) => Some(store::open(&config.store, &config.data_dir).await?),
                None => None,
            };
            let register = opened.as_ref().and_then(|opened| opened.register.clone());
            let guard = match register {
                Some(register) => guard.shared(register),
                None => guard,
            };
            let imported = guard.import(&export, network.chain_id, network.oracle).await?;
            guard.close().await;
            if let Some(opened) = opened {
                opened.store.close().await;
            }
            Ok(format!("{} signed reports were added, {} were known", imported.new, imported.known))
        }
    }
}

fn load(args: &FileArgs) -> anyhow::Result<(Config, Network)> {
    let config = args.config.load()?;
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
