//! What a keeper can carry: `cargo xtask bench keeper`. The figures are in `docs/operate/figures.md`.
//!
//! | part | what |
//! |---|---|
//! | `pipeline` | one epoch of the largest network, from the first commit to claims that are served |
//! | `proofs` | proofs of a million claims, the server on one core, the clients on another |
//! | `poll` | thousands of workers that wait for jobs at once |
//! | `restart` | the program with a thousand epochs in its store: start to ready, and at rest |
//!
//! Each part has a process of its own. In it runs the keeper as the service puts it together, with its stores on disk and
//! its API on a port; its chain is in memory, but for `restart`, and its peers say what it says. Validators, workers and
//! claimants are another process.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints its table, and stops where it fails")]

mod load;
#[path = "../../tests/it/support/mod.rs"]
#[allow(dead_code, reason = "what tests need beyond it")]
mod support;

use std::{
    io::{stdin, stdout},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::{Parser, ValueEnum};

use load::{Clients, Figure, Figures, History, Size, Target};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Pipeline,
    Proofs,
    Poll,
    Restart,
}

/// What a keeper can carry.
#[derive(Parser)]
#[command(name = "cargo xtask bench keeper")]
struct Options {
    /// What to measure; all if left out.
    parts: Vec<Part>,
    /// Figures as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Keepers of the set.
    #[arg(long, default_value_t = 8)]
    keepers: u16,
    /// pipeline: subnets.
    #[arg(long, default_value_t = 256)]
    subnets: u16,
    /// pipeline: validators of each subnet, each with a row.
    #[arg(long, default_value_t = 64)]
    validators: u16,
    /// pipeline: uids of each subnet, validators among them, and entries of each row.
    #[arg(long, default_value_t = 256)]
    miners: u16,
    /// pipeline: delegators of each validator. With 26, the tree of the largest network has a million leaves.
    #[arg(long, default_value_t = 26)]
    delegators: u16,
    /// proofs: leaves of the tree.
    #[arg(long, default_value_t = 1_000_000)]
    leaves: u32,
    /// proofs: how long, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// poll: workers.
    #[arg(long, default_value_t = 5_000)]
    workers: usize,
    /// restart: epochs in the store.
    #[arg(long, default_value_t = 1_000)]
    epochs: u64,
    /// restart: rows of each.
    #[arg(long, default_value_t = 64)]
    rows: u16,
    /// restart: seconds of rest before memory is read.
    #[arg(long, default_value_t = 60)]
    quiet: u64,
    /// Measure here, in this process.
    #[arg(long, hide = true)]
    inside: bool,
    /// Be the clients of a network of that size.
    #[arg(long, hide = true, value_name = "SIZE")]
    clients: Option<String>,
    /// On that core.
    #[arg(long, hide = true)]
    core: Option<usize>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(size) = &options.clients {
        if let Some(core) = options.core {
            load::clients::pin(core);
        }
        load::clients::serve(&serde_json::from_str(size).unwrap(), stdin().lock(), stdout().lock());
        return ExitCode::SUCCESS;
    }
    if options.inside {
        println!("{}", serde_json::to_string(&measure(&options, options.parts[0]).list).unwrap());
        return ExitCode::SUCCESS;
    }
    let parts = if options.parts.is_empty() { Part::value_variants() } else { &options.parts };
    let figures: Vec<Figure> = parts.iter().flat_map(|part| in_its_own_process(*part)).collect();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures).unwrap());
    } else {
        print_table(&figures);
    }
    ExitCode::SUCCESS
}

/// Nothing that one part has left behind, memory above all, is in the figures of the next.
fn in_its_own_process(part: Part) -> Vec<Figure> {
    let name = part.to_possible_value().unwrap();
    let given = std::env::args().skip(1).filter(|argument| Part::from_str(argument, false).is_err());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(given).args(["--inside", name.get_name()]).stdout(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert!(output.status.success(), "{} failed", name.get_name());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn measure(options: &Options, part: Part) -> Figures {
    let small = Size {
        keepers: options.keepers,
        subnets: 1,
        validators: 64,
        uids: 256,
        delegators: 0,
        claimants: 0,
        serving: false,
    };
    // Where one core is the server's, the clients take another, if there is one.
    let alone = |size: &Size| {
        let clients = Clients::process(size, Some(1));
        load::clients::pin(0);
        clients
    };
    match part {
        Part::Pipeline => {
            let size = Size {
                subnets: options.subnets,
                validators: options.validators,
                uids: options.miners,
                delegators: options.delegators,
                ..small
            };
            let clients = Clients::process(&size, None);
            run(load::pipeline(&size, clients, true))
        }
        Part::Proofs => {
            let size = Size { validators: 4, uids: 16, claimants: options.leaves, ..small };
            let clients = alone(&size);
            run(load::proofs(&size, clients, options.seconds))
        }
        Part::Poll => {
            let size = Size { serving: true, ..small };
            let clients = alone(&size);
            run(load::waiting(&size, clients, options.workers))
        }
        Part::Restart => run(load::restart(History {
            epochs: options.epochs,
            rows: options.rows,
            uids: options.miners,
            starts: 3,
            quiet: Duration::from_secs(options.quiet),
        })),
    }
}

/// On a runtime as the program has it.
fn run(part: impl Future<Output = Figures>) -> Figures {
    tokio::runtime::Runtime::new().unwrap().block_on(part)
}

fn print_table(figures: &[Figure]) {
    println!("| part | what | measured | promised |\n|---|---|--:|---|");
    for figure in figures {
        let promised = match figure.target {
            None => String::new(),
            Some(Target::AtMost(limit)) => format!("at most {limit} {}", figure.unit),
            Some(Target::AtLeast(limit)) => format!("at least {limit} {}", figure.unit),
        };
        let missed = if figure.met() == Some(false) { ", **missed**" } else { "" };
        println!("| {} | {} | {} | {promised}{missed} |", figure.part, figure.name, shown(figure));
    }
    println!("\nLoad average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
}

fn shown(figure: &Figure) -> String {
    let digits = if figure.value.fract() == 0.0 { 0 } else { 3 };
    format!("{:.digits$} {}", figure.value, figure.unit).trim_end().to_owned()
}
