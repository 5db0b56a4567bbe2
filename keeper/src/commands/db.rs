//! `tandem-keeper db`: the store's shape.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::{
    config::{Config, Overrides},
    store,
};

/// The keeper's database.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DbCommand,
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the database that the configuration names up to date. Safe to run again, and while older keepers run: a new
    /// version's keepers start after it. With `store.migrate = false` nothing else changes the database's shape, and
    /// keepers may use a role that cannot.
    Migrate(MigrateArgs),
}

/// Arguments of `db migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Configuration, TOML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs `tandem-keeper db …`; answers what is to be printed.
pub async fn run(args: DbArgs) -> anyhow::Result<String> {
    let DbCommand::Migrate(MigrateArgs { config }) = args.command;
    let config = Config::load(&config, &Overrides::default())?;
    let version = store::migrate(&config.store, &config.data_dir).await.context("nothing else was changed")?;
    Ok(format!("the database is at migration {version}"))
}
