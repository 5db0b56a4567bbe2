use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::json;
use tandem_verifier::calibration::{Separation, Series};
use tandem_verifier::evidence::{Bench, Evidence, Sizes, gather};
use tandem_verifier::trial::{PASSAGES, Trial};

use super::engines::EngineArgs;
use super::print_json;

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    trial: TrialArgs,
    /// The file to write, for `work --calibration` and `verify --calibration`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What is asked of whom.
#[derive(Args)]
pub(super) struct TrialArgs {
    #[command(flatten)]
    engines: EngineArgs,
    /// Responses of each honest machine that rates are counted on; half as many more are asked to fit the limits.
    #[arg(long, default_value_t = 400, value_name = "N")]
    honest: u64,
    /// Responses of each cheat.
    #[arg(long = "cheats", visible_alias = "responses", default_value_t = 100, value_name = "N")]
    cheats: u64,
    /// Longest answer that is asked for, as `work --probe-tokens` has it.
    #[arg(long, default_value_t = 100, value_name = "TOKENS")]
    max_tokens: u64,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Text whose paragraphs every second request continues; some of this project's documentation if left out.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Responses computed at the same time, beside the threads of each.
    #[arg(long, default_value_t = 1, value_name = "N")]
    at_once: usize,
}

impl TrialArgs {
    pub(super) fn gather(&self) -> anyhow::Result<Evidence> {
        ensure!((200..=100_000).contains(&self.honest), "--honest must be between 200 and 100000");
        ensure!(
            (10..=100_000).contains(&self.cheats),
            "the number of a cheat's responses must be between 10 and 100000"
        );
        let (machines, cheats) = (self.engines.machines()?, self.engines.cheats()?);
        let (files, verifier) = self.engines.model.open()?;
        let (text, smaller) = (files.tokenizer()?, self.engines.smaller()?);
        let bench = Bench { files: &files, smaller: smaller.as_ref(), threads: self.engines.model.threads };
        let passages = match &self.prompts {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => PASSAGES.to_owned(),
        };
        let trial = Trial::new(verifier.as_ref(), &text, self.seed, self.max_tokens, &passages)?;
        let sizes = Sizes { honest: self.honest, cheats: self.cheats };
        let mut progress = |name: &str, done: u64, of: u64| {
            if done == of || done.is_multiple_of(50) {
                // Nobody needs to see it.
                let _ = writeln!(std::io::stderr(), "{name}: {done} of {of}");
            }
        };
        Ok(gather(&trial, &bench, &machines, &cheats, sizes, self.at_once, &mut progress)?)
    }
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let calibration = self.trial.gather()?.calibration;
        std::fs::write(&self.out, calibration.to_json())
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        let summary = |series: &Series| {
            let sure = |course: tandem_verifier::calibration::Course| {
                json!({
                    "fails": ppm(course.fails), "passes": ppm(course.passes),
                    "expected_responses": f64::from(course.responses) / 1e3,
                })
            };
            json!({
                "name": series.counts.name, "responses": series.counts.responses(),
                "suspect": series.counts.from_grade(tandem_verifier::verdict::SUSPECT), "bound": ppm(series.suspect),
                "sprt": sure(series.sprt), "drift": sure(series.drift),
            })
        };
        let missed: Vec<&str> = calibration
            .cheats
            .iter()
            .filter(|cheat| cheat.separation() == Separation::None)
            .map(|cheat| cheat.counts.name.as_str())
            .collect();
        print_json(&json!({
            "written": self.out,
            "honest_suspect_at_most": ppm(calibration.sprt.honest_suspect),
            "false_fail_at_most": ppm(calibration.sprt.false_fail + calibration.drift.iter().map(|bet| bet.false_fail).sum::<u32>()),
            "false_pass_at_most": ppm(calibration.sprt.false_pass),
            "machines": calibration.machines.iter().map(summary).collect::<Vec<_>>(),
            "cheats": calibration.cheats.iter().map(summary).collect::<Vec<_>>(),
            "not_told_apart": missed,
        }))?;
        for name in missed {
            let _ = writeln!(
                std::io::stderr(),
                "warning: {name} cannot be told from an honest machine with {} responses",
                tandem_verifier::calibration::HORIZON
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn ppm(millionths: u32) -> f64 {
    f64::from(millionths) / 1e6
}
