//! `yuma`: recompute an epoch of the consensus, and understand it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use yuma::tool::{self, Case};

/// Recompute an epoch of Yuma consensus, and understand it.
///
/// Reads one epoch of one subnet as JSON on standard input and writes what the consensus decides to standard output.
#[derive(Parser)]
#[command(name = "yuma", version, arg_required_else_help = true, after_long_help = teaching())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compute the epoch: consensus, incentive, dividends, trust, bonds and emission as JSON.
    #[command(after_long_help = teaching())]
    Epoch,
    /// Tell why a uid got what it got: who supported it, where the median fell, what was clipped, what became of its bonds.
    #[command(after_long_help = teaching())]
    Explain(ExplainOptions),
    /// Play known attacks against every rule set and tell what the attacker gets.
    Attacks(AttackOptions),
}

#[derive(Args)]
struct ExplainOptions {
    /// Whom to explain.
    #[arg(long, value_name = "N")]
    uid: u16,
    /// As JSON, scores in units of 2^-32.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct AttackOptions {
    /// As JSON, shares in hundredths of a per cent.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As a table for a Markdown page.
    #[arg(long)]
    markdown: bool,
}

fn teaching() -> String {
    let example = tool::EXAMPLE.trim_end();
    format!(
        "Example: two validators (uids 0 and 1) weigh two miners (2 and 3); 1000 units are paid.\n\n  \
         echo '{example}' > epoch.json\n  \
         yuma epoch < epoch.json\n  \
         yuma explain --uid 3 < epoch.json\n\n\
         Input: profile is \"subtensor\" (that chain's arithmetic, bit for bit) or \"tandem\". permits, active and bonds may be\n\
         left out: all, all, none. Stakes are decimal strings. Weights and bonds have one row of [uid, value] per uid. Weight\n\
         on oneself does not count. Permits count for this epoch and the next.\n\n\
         Exit status: 0, or 2 for an input or arguments that cannot be used, or 1 if the output cannot be written. What is\n\
         wrong with an input is told in one line that names the place, with a code that docs/errors.md explains."
    )
}

/// What the user is told, and the exit status.
struct Failure(u8, String);

impl From<tool::Refusal> for Failure {
    fn from(refusal: tool::Refusal) -> Self {
        Self(2, format!("error[{}]: {refusal}", refusal.code))
    }
}

impl From<yuma::Error> for Failure {
    fn from(error: yuma::Error) -> Self {
        Self(2, format!("error: {error}"))
    }
}

fn main() -> ExitCode {
    let written = answer(&Cli::parse().command).and_then(|text| match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure(1, format!("error[Y-WRITE-1]: the output cannot be written: {error}")))
        }
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(status, message)) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(status)
        }
    }
}

fn answer(command: &Command) -> Result<String, Failure> {
    match command {
        Command::Epoch => Ok(tool::epoch_json(&read()?)?),
        Command::Explain(options) => {
            let stories = tool::explain(&read()?, options.uid)?;
            Ok(if options.json { stories.json() } else { stories.to_string() })
        }
        Command::Attacks(options) => {
            let lines = tool::attacks::play_all();
            Ok(match options {
                AttackOptions { json: true, .. } => tool::attacks::json(&lines),
                AttackOptions { markdown: true, .. } => tool::attacks::markdown(&lines),
                _ => tool::attacks::text(&lines),
            })
        }
    }
}

fn read() -> Result<Case, Failure> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        let message = "an epoch as JSON is expected on standard input, as in: yuma epoch < epoch.json";
        return Err(Failure(2, format!("error[Y-READ-1]: {message}")));
    }
    Ok(Case::read(stdin)?)
}
