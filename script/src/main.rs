//! `tandem`: deploy, verify, use and demonstrate a Tandem network.
#![allow(clippy::print_stdout, reason = "a command's result goes to standard output, its progress to standard error")]

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Deploy, verify, use and demonstrate a Tandem network.
///
/// Results go to standard output, progress and errors to standard error. Keys are read from files or environment
/// variables and never passed on the command line.
#[derive(Parser)]
#[command(name = "tandem", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole network on this machine and check its promises.
    Demo(tandem::demo::Options),
    /// Deploy a suite of contracts to a chain; safe to run again after an interruption.
    Deploy(commands::deploy::Options),
    /// Compare a chain with its manifest and this build; fails on any difference.
    Verify(commands::verify::Options),
    /// Show what an account holds.
    Balance(commands::user::BalanceOptions),
    /// Buy credits, cash out earned ones, open payment channels.
    #[command(subcommand)]
    Credits(commands::user::CreditsCommand),
    /// List subnets, register neurons.
    #[command(subcommand)]
    Subnet(commands::user::SubnetCommand),
    /// Buy or sell alpha.
    #[command(subcommand)]
    Swap(commands::user::SwapCommand),
    /// Show the figures by which a network is judged.
    Health(commands::user::HealthOptions),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tandem=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    if let Err(error) = color_eyre::config::HookBuilder::default().display_env_section(false).install() {
        eprintln!("tandem: {error}");
    }
    let result = match cli.command {
        Command::Demo(options) => commands::demo(&options).await,
        Command::Deploy(options) => commands::deploy::run(&options).await,
        Command::Verify(options) => commands::verify::run(&options).await,
        Command::Balance(options) => commands::user::balance(&options).await,
        Command::Credits(command) => commands::user::credits(&command).await,
        Command::Subnet(command) => commands::user::subnet(&command).await,
        Command::Swap(command) => commands::user::swap(&command).await,
        Command::Health(options) => commands::user::health(&options).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}
