//! `tandem-keeper`: see [`tandem_keeper::commands`].

use std::process::ExitCode;

use clap::Parser;
use tandem_keeper::commands::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    commands::execute(Cli::parse()).await
}
