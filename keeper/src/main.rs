//! `tandem-keeper`: runs a keeper, or recomputes what keepers have posted.
#![allow(clippy::print_stdout, reason = "the result of `replay` goes to standard output, logs to standard error")]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tandem_keeper::{
    chain::RpcChain,
    commands,
    config::{Config, Finality, LogConfig, Overrides},
    network::Network,
    replay::{BundleSources, replay},
    service, telemetry,
};
use tokio_util::sync::CancellationToken;

/// The Tandem keeper.
#[derive(Parser)]
#[command(name = "tandem-keeper", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve workers and validators, agree with the other keepers, sign and post epoch reports.
    Run(RunArgs),
    /// Recompute a posted epoch from the chain and its bundle. Exit code 1 if anything differs, 2 if it cannot be told.
    Replay(ReplayArgs),
    /// Export or import what this key has signed.
    Guard(commands::guard::GuardArgs),
    /// Look after the database.
    Db(commands::db::DbArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Configuration, TOML.
    #[arg(long)]
    config: PathBuf,
    /// HTTP endpoint of the chain's node, instead of the file's.
    #[arg(long)]
    rpc: Option<String>,
    /// Manifest of the deployment, instead of the file's.
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// Folder for databases and bundles, instead of the file's.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address of the HTTP API, instead of the file's.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Start although the sign-once guard has forgotten what this key signed. Only if no other copy of the key runs.
    #[arg(long)]
    accept_missing_guard: bool,
}

#[derive(Args)]
struct ReplayArgs {
    /// Epoch to recompute.
    #[arg(long)]
    epoch: u64,
    /// HTTP endpoint of an archive node.
    #[arg(long)]
    rpc: String,
    /// Manifest of the deployment.
    #[arg(long)]
    manifest: PathBuf,
    /// Base URL of a keeper that serves bundles; may be given more than once.
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// URL of bundles, with `{hash}` in place of the hash; may be given more than once.
    #[arg(long = "bundle-url")]
    bundle_urls: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => match run(args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tandem-keeper: {error:#}");
                ExitCode::FAILURE
            }
        },
        Command::Guard(args) => say(commands::guard::run(args).await),
        Command::Db(args) => say(commands::db::run(args).await),
        Command::Replay(args) => match recompute(args).await {
            Ok(same) => ExitCode::from(u8::from(!same)),
            Err(error) => {
                eprintln!("tandem-keeper: {error:#}");
                ExitCode::from(2)
            }
        },
    }
}

fn say(done: anyhow::Result<String>) -> ExitCode {
    match done {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tandem-keeper: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: RunArgs) -> anyhow::Result<()> {
    let RunArgs { config, rpc, manifest, data_dir, listen, accept_missing_guard } = args;
    let mut config = Config::load(&config, &Overrides { rpc, manifest, data_dir, listen })?;
    config.accept_missing_guard = accept_missing_guard;
    telemetry::start_logs(&config.log).map_err(anyhow::Error::msg)?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            asked_to_stop().await;
            stop.cancel();
        }
    });
    service::run(config, stop).await
}

async fn recompute(args: ReplayArgs) -> anyhow::Result<bool> {
    telemetry::start_logs(&LogConfig { filter: "warn".to_owned(), ..LogConfig::default() })
        .map_err(anyhow::Error::msg)?;
    let network = Network::load(&args.manifest)?;
    let chain = RpcChain::connect(&args.rpc, network.clone(), Finality::Behind(0))?;
    chain.check().await?;
    let sources = BundleSources { peers: args.peers, urls: args.bundle_urls };
    let found = replay(&network, &chain, &sources, args.epoch).await?;
    println!("epoch {}\nreport {}\nbundle {}", found.epoch, found.report, found.bundle);
    if found.differences.is_empty() {
        println!("recomputed: the same to the bit");
    }
    for difference in &found.differences {
        println!("DIFFERENT: {difference}");
    }
    Ok(found.differences.is_empty())
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
