//! What `tandem-keeper` can be told to do. Results go to standard output, logs and complaints to standard error.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done; of `replay` and `watch`: the same to the bit |
//! | 1 | failed; of `replay` and `watch`: something differs; of `check-config`: something would keep a keeper from working |
//! | 2 | of `replay`: it cannot be told; of all: the command line is wrong |
#![allow(clippy::print_stdout, reason = "a command's result goes to standard output")]

pub mod backfill;
pub mod check;
pub mod db;
pub mod guard;
pub mod replay;
pub mod run;
pub mod simulate;
pub mod snapshot;
pub mod status;
pub mod watch;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use alloy::eips::BlockId;
use clap::{Args, Parser, Subcommand};
use tandem_contracts::bindings::KeeperSet;
use tokio_util::sync::CancellationToken;

use crate::{
    api,
    chain::{BlockRef, ChainError, KeeperSetFacts, RpcChain, without_urls},
    config::{Config, ConfigError, Finality, LogConfig, Overrides},
    network::Network,
    replay::BundleSources,
    telemetry,
};

/// The Tandem keeper: hands out audits, collects weights, computes epochs, signs and posts their reports.
#[derive(Debug, Parser)]
#[command(name = "tandem-keeper", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve workers and validators, agree with the other keepers, sign and post epoch reports.
    Run(run::RunArgs),
    /// Load everything that `run` would load, ask the node and the other keepers, and say what would run. Changes nothing.
    CheckConfig(check::CheckArgs),
    /// Ask one or several keepers how they are.
    Status(status::StatusArgs),
    /// Recompute a posted epoch from the chain and its bundle. Exit code 1 if anything differs, 2 if it cannot be told.
    Replay(replay::ReplayArgs),
    /// Recompute every report as it is posted, for ever, and raise the alarm if one is wrong. Needs no key and no stake.
    Watch(watch::WatchArgs),
    /// Fetch the bundles of past epochs from the other keepers and keep them. May run beside the keeper.
    Backfill(backfill::BackfillArgs),
    /// Look, decide and compute as a keeper would, on a live chain, without keys and without sending; say what it would do.
    Simulate(simulate::SimulateArgs),
    /// What a new keeper needs to start, as a folder. The guard is not in it: that is moved, never copied.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Export or import what this key has signed.
    #[command(subcommand)]
    Guard(guard::GuardCommand),
    /// Look after the database.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Print the description of the HTTP API, OpenAPI 3.1.
    Openapi,
}

/// The configuration of a keeper, and what replaces parts of it. An environment variable `TANDEM_KEEPER__SECTION__KEY` sets
/// `section.key`; flags win over variables, variables over the file.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// Configuration, TOML.
    #[arg(long, env = "TANDEM_KEEPER_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// HTTP endpoint of the chain's node, instead of the file's.
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Manifest of the deployment, instead of the file's.
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Folder for databases and bundles, instead of the file's.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the HTTP API, instead of the file's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Any other key of the configuration: `--set sender.bump_after_s=20`. May be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// Loads the configuration.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let Self { config, rpc, manifest, data_dir, listen, set } = self.clone();
        Config::load(&config, &Overrides { rpc, manifest, data_dir, listen, set })
    }
}

/// A network and where its bundles are: all that auditing needs.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// HTTP endpoint of a node; for past epochs it must be an archive node.
    #[arg(long, env = "TANDEM_RPC", value_name = "URL")]
    pub rpc: String,
    /// Manifest of the deployment.
    #[arg(long, env = "TANDEM_MANIFEST", value_name = "FILE")]
    pub manifest: PathBuf,
    /// Base URL of a keeper that serves bundles; may be given more than once.
    #[arg(long = "peer", value_name = "URL")]
    pub peers: Vec<String>,
    /// URL of bundles, with `{hash}` in place of the hash; may be given more than once.
    #[arg(long = "bundle-url", value_name = "URL")]
    pub bundle_urls: Vec<String>,
}

impl AuditArgs {
    /// The network, a connection that was checked against it, and the sources.
    pub async fn open(self, finality: Finality) -> anyhow::Result<(Network, RpcChain, BundleSources)> {
        let network = Network::load(&self.manifest)?;
        let chain = RpcChain::connect(&self.rpc, network.clone(), finality)?;
        chain.check().await?;
        Ok((network, chain, BundleSources { peers: self.peers, urls: self.bundle_urls }))
    }
}

/// Does what the command line says.
pub async fn execute(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Run(args) => run::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::CheckConfig(args) => check::check(args).await.map(said),
        Command::Status(args) => status::status(args).await.map(said),
        Command::Watch(args) => watch::watch(args).await.map(said),
        Command::Backfill(args) => backfill::backfill(args).await.map(|()| ExitCode::SUCCESS),
        Command::Simulate(args) => simulate::simulate(args).await.map(|()| ExitCode::SUCCESS),
        Command::Snapshot(command) => snapshot::snapshot(command).await.map(|()| ExitCode::SUCCESS),
        Command::Guard(command) => guard::run(command).await.map(say),
        Command::Db(command) => db::run(command).await.map(say),
        Command::Openapi => api::document().to_pretty_json().map(say).map_err(Into::into),
        Command::Replay(args) => match replay::replay(args).await {
            Ok(same) => Ok(said(same)),
            Err(error) => {
                complain(&error);
                Ok(ExitCode::from(2))
            }
        },
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

fn said(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(words: String) -> ExitCode {
    println!("{words}");
    ExitCode::SUCCESS
}

fn complain(error: &anyhow::Error) {
    eprintln!("tandem-keeper: {error:#}");
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err("not KEY=VALUE".to_owned()),
    }
}

/// Epoch at `head`, and the keepers of it.
async fn keeper_set(chain: &RpcChain, network: &Network, head: &BlockRef) -> Result<(u64, KeeperSetFacts), ChainError> {
    let epoch = network.clock.epoch_at(head.time).unwrap_or(0);
    let provider = chain.provider();
    let set = KeeperSet::new(network.keeper_set, &provider).setAt(epoch).block(BlockId::hash(head.hash)).call().await;
    let set = set.map_err(|error| ChainError::Rpc { what: "setAt", reason: without_urls(&error) })?;
    let facts = KeeperSetFacts {
        keepers: set.keepers,
        endpoints: set.endpoints,
        threshold: usize::from(set.threshold),
        config_digest: set.configDigest,
    };
    Ok((epoch, facts))
}

/// Logs of commands that people run by hand: warnings and worse, or what `RUST_LOG` says.
fn quiet_logs() -> anyhow::Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    telemetry::start_logs(&LogConfig { filter, ..LogConfig::default() }).map_err(anyhow::Error::msg)
}

/// Cancelled at SIGTERM and Ctrl-C.
fn until_asked_to_stop() -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            asked_to_stop().await;
            stop.cancel();
        }
    });
    stop
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Lines of columns, each as wide as its widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
