//! Named stages with their timings, so that a slow one shows.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The stages of one run.
pub(crate) struct Stages {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Stages {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Runs one stage; its failure ends the run and names it.
    pub(crate) fn run<T>(&mut self, name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("── {name}");
        let begun = Instant::now();
        let result = stage();
        self.done.push((name.to_owned(), begun.elapsed()));
        result.with_context(|| format!("stage '{name}' failed"))
    }

    /// Prints every stage with its duration to standard error.
    pub(crate) fn report(&self) {
        eprintln!("── stages");
        for (name, duration) in &self.done {
            eprintln!("{:>8.1} s  {name}", duration.as_secs_f64());
        }
        eprintln!("{:>8.1} s  in all", self.started.elapsed().as_secs_f64());
    }
}

/// Runs a command that must end with status zero.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let shown = format!("{} {}", command.get_program().to_string_lossy(), arguments(command));
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

fn arguments(command: &Command) -> String {
    command.get_args().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
