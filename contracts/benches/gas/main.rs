//! Gas of whole transactions in the warm steady state, each beside a well-known contract that does the same with the same
//! tokens in the same EVM, and the size of every contract.
//!
//! `cargo xtask bench gas` measures, prints the table and rewrites `snapshots/`; with `--check` it fails if anything
//! differs from what is committed there; `--explain CASE` shows where the gas of a row goes.
//!
//! What is measured: `gasUsed` as a receipt says it, so 21,000, calldata and refunds are in. A like transaction has been
//! sent before in an earlier block, so that no slot is written for the first time; allowances are infinite; traders have
//! not delegated their votes unless the row says so. What comes once in an epoch has a row of its own.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod anchors;
mod cases;
mod explain;
mod net;
mod report;
mod tree;

use std::process::ExitCode;

use clap::Parser;

use crate::report::Row;

/// Slots that are listed for a row that misses its target; `--explain` lists all.
const SLOTS_SHOWN: usize = 12;

/// Gas of the contract suite.
#[derive(Parser)]
#[command(name = "cargo xtask bench gas")]
struct Options {
    /// Fail if anything differs from the snapshots, and leave them as they are.
    #[arg(long)]
    check: bool,
    /// Show where the gas of the rows goes whose names contain this.
    #[arg(long, value_name = "CASE")]
    explain: Option<String>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (rows, names) = cases::all();
    if let Some(wanted) = &options.explain {
        let evidence: Vec<_> =
            rows.iter().filter(|row| row.name.contains(wanted.as_str())).flat_map(|row| &row.evidence).collect();
        for (title, measured) in &evidence {
            explain::print(title, measured, &names, usize::MAX);
        }
        if evidence.is_empty() {
            let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            eprintln!("no case is called {wanted:?}; there are:\n  {}", known.join("\n  "));
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    if options.check {
        return check(&rows);
    }
    report::print(&rows);
    report::print_sizes();
    for row in rows.iter().filter(|row| row.met() == Some(false)) {
        println!("{} misses its target. Where its gas goes:\n", row.name);
        for (title, measured) in &row.evidence {
            explain::print(title, measured, &names, SLOTS_SHOWN);
        }
    }
    report::save(&rows);
    ExitCode::SUCCESS
}

fn check(rows: &[Row]) -> ExitCode {
    let drift = report::drift(rows);
    if drift.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("gas or sizes differ from the snapshots:\n  {}", drift.join("\n  "));
    eprintln!("If the change is meant, run `cargo xtask bench gas` and commit snapshots/ with it.");
    ExitCode::FAILURE
}
