//! `tandem-keeper db`: the store's shape.

use anyhow::Context;
use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::store;

/// What can be done with the keeper's database.
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
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Does it, and answers what is to be printed.
pub async fn run(command: DbCommand) -> anyhow::Result<String> {
    let DbCommand::Migrate(MigrateArgs { config }) = command;
    let config = config.load()?;
    crate::service::create_private(&config.data_dir)?;
    let version = store::migrate(&config.store, &config.data_dir).await.context("nothing else was changed")?;
    Ok(format!("the database is at migration {version}"))
}
