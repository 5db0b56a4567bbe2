//! `tandem-verifier`: run a model, prove what it computed, check what others proved.
#![allow(clippy::print_stdout, reason = "a command's result is its standard output")]

mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            commands::exit_code(commands::BAD_INPUT)
        }
    }
}
