//! Measures honest machines and cheats side by side, calibrates by it, and says what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backend::{Numerics, Options};
use crate::calibration::{
    Calibration, Counts, ErrorRates, FitError, HORIZON, Origin, Separation, Series, conclude, fit,
};
use crate::cheat::{self, Cheat, CheatError, Machine, Materials};
use crate::engine::{Engine, Honest};
use crate::model::{ModelError, ModelFiles};
use crate::stats::interval;
use crate::trial::{Trial, TrialError};
use crate::verdict::{Decision, Drift, GRADES, LEVELS, Limits, Measures, Policy, Reason, ResponseVerdict};

/// Somebody whose responses are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contributor {
    /// Honest.
    Machine(Machine),
    /// Not.
    Cheat(Cheat),
}

/// What contributors run. They are loaded one at a time.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// The model.
    pub files: &'a ModelFiles,
    /// A smaller one for those cheats that run one.
    pub smaller: Option<&'a ModelFiles>,
    /// Threads of each forward pass.
    pub threads: usize,
}

impl Bench<'_> {
    /// Loads a contributor's engine. Cheats run in exact mode: what they are caught by is the cheat, not another machine's
    /// rounding, and the same everywhere.
    ///
    /// # Errors
    /// [`EvidenceError::Cheat`], [`EvidenceError::Model`].
    pub fn open(&self, contributor: Contributor) -> Result<Box<dyn Engine>, EvidenceError> {
        let Self { files, smaller: other, threads } = *self;
        let options = Options { threads, numerics: Numerics::Exact };
        Ok(match contributor {
            Contributor::Machine(machine) => Box::new(Honest(machine.open(files, threads)?)),
            Contributor::Cheat(cheat) => cheat::build(cheat, &Materials { files, options: &options, other })?,
        })
    }
}

impl Contributor {
    /// Its name in files and tables.
    pub fn name(self) -> String {
        match self {
            Self::Machine(machine) => machine.name().to_owned(),
            Self::Cheat(cheat) => cheat.name(),
        }
    }
}

/// How many responses are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Counted responses of each honest machine; half as many more serve to fit the limits.
    pub honest: u64,
    /// Responses of each cheat.
    pub cheats: u64,
}

impl Sizes {
    /// Requests that limits are fitted to.
    pub const fn fitted(&self) -> Range<u64> {
        0..self.honest.div_ceil(2)
    }

    /// Requests of honest machines that are counted.
    pub const fn counted(&self) -> Range<u64> {
        self.honest.div_ceil(2)..self.honest.div_ceil(2) + self.honest
    }

    /// Requests that cheats are asked.
    pub const fn cheated(&self) -> Range<u64> {
        self.honest.div_ceil(2)..self.honest.div_ceil(2) + self.cheats
    }
}

/// Why nothing was found.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// A response could not be measured.
    #[error("{name}: {error}")]
    Trial {
        /// Of whom.
        name: String,
        /// Why.
        error: TrialError,
    },
    /// The model cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A cheat cannot be made.
    #[error(transparent)]
    Cheat(#[from] CheatError),
    /// The responses make no calibration.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// The responses of one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of which machine or cheat.
    pub name: String,
    /// One character per response, in order: its grade, or `x` for a hard fault.
    pub grades: String,
    /// Tokens of all answers.
    pub tokens: u64,
    /// Suspect or worse responses that each reason was found in.
    pub reasons: BTreeMap<Reason, u32>,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// How much was asked.
    pub sizes: Sizes,
    /// The calibration that responses were judged by.
    pub calibration: Calibration,
    /// Honest machines.
    pub machines: Vec<Run>,
    /// Cheats.
    pub cheats: Vec<Run>,
}

/// Told after each response: who, which response of how many.
pub type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// Fits limits to half of the honest responses, counts the other half and all cheats, and concludes.
///
/// # Errors
/// [`EvidenceError`].
pub fn gather(
    trial: &Trial<'_>,
    bench: &Bench<'_>,
    machines: &[Machine],
    cheats: &[Cheat],
    sizes: Sizes,
    threads: usize,
    progress: &mut Progress<'_>,
) -> Result<Evidence, EvidenceError> {
    let model = bench.files.digest()?;
    let machines: Vec<_> = machines.iter().map(|&machine| Contributor::Machine(machine)).collect();
    let mut fitted = Vec::with_capacity(machines.len());
    for &machine in &machines {
        let (name, range, mut measures) = (machine.name(), sizes.fitted(), Vec::new());
        let ran = trial.run(bench.open(machine)?.as_ref(), range.clone(), threads, |measured| {
            measures.extend(Measures::of(&measured.features));
            progress(&name, measured.index - range.start + 1, range.end - range.start);
        });
        ran.map_err(|error| EvidenceError::Trial { name: name.clone(), error })?;
        fitted.push(measures);
    }
    let scales = fit(&fitted);
    let policy = Policy { limits: Limits::Calibrated(scales.array()), ..Policy::default() };
    let mut measure =
        |contributor: Contributor, range: Range<u64>| run(trial, bench, contributor, range, &policy, threads, progress);
    let machines: Vec<Run> =
        machines.iter().map(|&machine| measure(machine, sizes.counted())).collect::<Result<_, _>>()?;
    let cheats: Vec<Run> =
        cheats.iter().map(|&cheat| measure(Contributor::Cheat(cheat), sizes.cheated())).collect::<Result<_, _>>()?;
    let origin = Origin {
        seed: trial.seed,
        max_tokens: trial.max_tokens,
        text: hex::encode(trial.digest()),
        verifier: trial.verifier.numerics(),
    };
    let counts = |runs: &[Run]| runs.iter().map(Run::counts).collect();
    let calibration = conclude(&model, origin, scales, counts(&machines), counts(&cheats), ErrorRates::default())?;
    Ok(Evidence { sizes, calibration, machines, cheats })
}

/// Judges the responses of one contributor.
///
/// # Errors
/// [`EvidenceError`].
pub fn run(
    trial: &Trial<'_>,
    bench: &Bench<'_>,
    contributor: Contributor,
    range: Range<u64>,
    policy: &Policy,
    threads: usize,
    progress: &mut Progress<'_>,
) -> Result<Run, EvidenceError> {
    let name = contributor.name();
    let mut run = Run { name: name.clone(), grades: String::new(), tokens: 0, reasons: BTreeMap::new() };
    let ran = trial.run(bench.open(contributor)?.as_ref(), range.clone(), threads, |measured| {
        let (verdict, grade) = policy.examine(&measured.features);
        let (mark, reasons) = match verdict {
            ResponseVerdict::Pass => (digit(grade), Vec::new()),
            ResponseVerdict::Suspect(reasons) => (digit(grade), reasons),
            ResponseVerdict::HardFault(reasons) => (HARD, reasons),
        };
        run.grades.push(mark);
        run.tokens += measured.features.tokens as u64;
        reasons.into_iter().for_each(|reason| *run.reasons.entry(reason).or_default() += 1);
        progress(&name, measured.index - range.start + 1, range.end - range.start);
    });
    ran.map_err(|error| EvidenceError::Trial { name, error })?;
    Ok(run)
}

const HARD: char = 'x';

fn digit(grade: usize) -> char {
    char::from_digit(grade as u32, 10).unwrap_or(HARD)
}

impl Run {
    /// Responses of each grade.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { name: self.name.clone(), tokens: self.tokens, ..Counts::default() };
        for mark in self.grades.chars() {
            match mark.to_digit(10) {
                Some(grade) => counts.grades[(grade as usize).min(LEVELS)] += 1,
                None => counts.hard += 1,
            }
        }
        counts
    }

    /// Responses until the contributor fails, from each of its responses on, as if audits had begun there; after the last comes
    /// the first. `None` where it takes more than [`HORIZON`].
    pub fn replay(&self, policy: &Policy) -> Vec<Option<u32>> {
        let marks: Vec<Option<usize>> = self.grades.chars().map(|c| c.to_digit(10).map(|g| g as usize)).collect();
        (0..marks.len()).map(|start| fails_after(marks.iter().cycle().skip(start).copied(), policy)).collect()
    }
}

/// Responses until a contributor with these grades (`None` for a hard fault) fails.
fn fails_after(grades: impl Iterator<Item = Option<usize>>, policy: &Policy) -> Option<u32> {
    let (mut counts, mut suspect) = ([0_u64; GRADES], 0);
    for (grade, seen) in grades.zip(1..=HORIZON) {
        let Some(grade) = grade else { return Some(seen) };
        counts[grade.min(LEVELS)] += 1;
        suspect += u32::from(grade >= crate::verdict::SUSPECT);
        let drifts = policy.drift.is_some_and(|bets| Drift::any_fails(&bets, &counts));
        if drifts || policy.sprt.decide(seen - suspect, suspect) == Decision::Fail {
            return Some(seen);
        }
    }
    None
}

impl Evidence {
    /// Two Markdown tables: honest machines and cheats. Intervals are Clopper and Pearson's with 95 %.
    pub fn tables(&self) -> String {
        let policy = self.calibration.policy();
        let mut text = String::from(
            "| honest machine | responses | suspect | 95 % interval | hard faults | wrongly failed |\n|---|--:|--:|--:|--:|--:|\n",
        );
        for machine in &self.machines {
            let counts = machine.counts();
            let replay = machine.replay(&policy);
            let failed = replay.iter().filter(|run| run.is_some()).count();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {failed} of {} |",
                counts.name,
                counts.responses(),
                counts.from_grade(crate::verdict::SUSPECT),
                percent(counts.from_grade(crate::verdict::SUSPECT), counts.responses()),
                counts.hard,
                replay.len(),
            );
        }
        text.push_str(
            "\n| cheat | responses | detected | 95 % interval | median responses until it fails | tokens | test | found by |\n\
             |---|--:|--:|--:|--:|--:|---|---|\n",
        );
        for (cheat, series) in self.cheats.iter().zip(&self.calibration.cheats) {
            let counts = cheat.counts();
            let caught = counts.from_grade(crate::verdict::SUSPECT);
            let median = median(cheat.replay(&policy));
            let tokens =
                |responses: u32| f64::from(responses) * counts.tokens as f64 / counts.responses().max(1) as f64;
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} % | {} | {} | {} | {} | {} |",
                counts.name,
                counts.responses(),
                100.0 * caught as f64 / counts.responses().max(1) as f64,
                percent(caught, counts.responses()),
                median.map_or_else(|| format!("more than {HORIZON}"), |n| n.to_string()),
                median.map_or_else(|| "-".to_owned(), |n| format!("{:.0}", tokens(n))),
                test(series),
                reasons(cheat, caught),
            );
        }
        text
    }
}

/// The middle of the runs; `None` if that one does not fail.
fn median(mut runs: Vec<Option<u32>>) -> Option<u32> {
    runs.sort_by_key(|run| run.unwrap_or(u32::MAX));
    runs.get(runs.len() / 2).copied().flatten()
}

fn percent(k: u64, n: u64) -> String {
    let (low, high) = interval(k, n, crate::calibration::CONFIDENCE);
    format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high)
}

fn test(series: &Series) -> &'static str {
    match series.separation() {
        Separation::Sprt if series.counts.hard > 0 => "hard fault",
        Separation::Sprt => "within an epoch",
        Separation::Drift => "drift",
        Separation::None => "**not told apart**",
    }
}

/// Reasons found in a tenth of the detected responses at least, commonest first.
fn reasons(run: &Run, caught: u64) -> String {
    let mut reasons: Vec<_> = run.reasons.iter().filter(|(_, count)| u64::from(**count) * 10 >= caught).collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
    let word = |reason: &Reason| match reason {
        Reason::Malformed => "form",
        Reason::Decoy => "decoys",
        Reason::Sign => "signs",
        Reason::Exponents => "exponents",
        Reason::MantissaMean | Reason::MantissaMedian => "mantissas",
        Reason::Sampling => "tokens",
        Reason::Termination => "ending",
    };
    let words: Vec<&str> = reasons.iter().map(|(reason, _)| word(reason)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
