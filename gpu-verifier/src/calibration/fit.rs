//! From measurements to limits, from counts to tests.
//!
//! Limits are fitted to one half of the honest responses and rates counted on the other: a bound on a rate means nothing on the
//! responses that the limits were chosen by. How limits are chosen is a matter of taste; what is promised rests on the counts.

use thiserror::Error;

use super::{Calibration, Counts, Course, HORIZON, JOINT, Origin, SCHEMA, Scales, Series};
use crate::sequential;
use crate::stats::{MILLION, lower};
use crate::verdict::{
    BETS, Drift, GRADES, LEVELS, MEASURES, Measure, Measures, SUSPECT, Scale, Sprt, TestError, worst,
};

/// Fewest responses of an honest machine that rates are counted on.
pub const HONEST_LEAST: u64 = 50;

/// Shares of an honest machine's responses that may exceed the two lowest levels, over all measures together.
const TARGETS: [f64; 2] = [0.2, 0.04];
/// The upper levels are so many times the largest honest excess.
const HEADROOM: [f64; 2] = [1.25, 2.5];
/// The test within an epoch asks for cheats that are suspect at least as often as this, so that one who cheats on every second
/// request is still caught.
const CHEAT_SUSPECT: u32 = 500_000;
/// Cheats that are suspect less often than this are left to the drift test.
const GROSS: u32 = 300_000;

/// Error rates of the tests, millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRates {
    /// Probability that an honest contributor ever fails, by either test.
    pub false_fail: u32,
    /// Probability that a cheat passes the test within an epoch.
    pub false_pass: u32,
}

impl Default for ErrorRates {
    /// One honest contributor in a thousand, one cheat in a hundred.
    fn default() -> Self {
        Self { false_fail: 1_000, false_pass: 10_000 }
    }
}

/// Responses that no calibration can be made of.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FitError {
    /// A machine that is called honest sent something that no honest machine sends.
    #[error("{name}, called honest, had {hard} hard faults")]
    HardFaults {
        /// The machine.
        name: String,
        /// How many.
        hard: u32,
    },
    /// Too little to say anything.
    #[error("{name} has {responses} responses to count rates on; at least {HONEST_LEAST} are needed")]
    TooFew {
        /// The machine.
        name: String,
        /// How many.
        responses: u64,
    },
    /// No machine.
    #[error("no honest machine")]
    NoMachine,
    /// The rates make no test.
    #[error(transparent)]
    Test(#[from] TestError),
}

/// Scales and limits from honest responses, one list per machine.
pub fn fit(machines: &[Vec<Measures>]) -> Scales {
    let mut scales = [Scale { mean: 0, between: 0, within: 0, limits: [0; LEVELS] }; MEASURES];
    for (index, (scale, measure)) in scales.iter_mut().zip(Measure::ALL).enumerate() {
        let values = |machine: &[Measures]| machine.iter().map(|m| (m.values[index], m.tokens)).collect::<Vec<_>>();
        let machines: Vec<_> = machines.iter().map(|machine| values(machine)).filter(|v| !v.is_empty()).collect();
        // The noisiest machine sets the scale: the limits must be good for each of them.
        let noisiest = machines.iter().map(|values| spread(values)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((mean, between, within)) = noisiest else { continue };
        *scale = Scale { mean: millionths(mean), between: millionths(between), within: millionths(within), ..*scale };
        for values in &machines {
            let mut excess: Vec<f64> = values.iter().map(|&(v, n)| scale.excess(measure, v, n)).collect();
            excess.sort_by(|a, b| b.total_cmp(a));
            let largest = excess[0].max(0.0);
            let ranked = TARGETS.map(|target| {
                let rank = (target / MEASURES as f64 * excess.len() as f64) as usize;
                excess[rank.min(excess.len() - 1)].max(0.0)
            });
            let levels = [ranked[0], ranked[1], largest * HEADROOM[0], largest * HEADROOM[1]];
            for (limit, level) in scale.limits.iter_mut().zip(levels) {
                *limit = (*limit).max((level * 1e3).ceil().min(1e9) as u32);
            }
        }
    }
    Scales::from_array(scales)
}

/// Mean of values, their deviation between responses, and that between tokens of a response: the squared distance from the mean
/// is `between² + within²/tokens` on average, fitted by least squares.
fn spread(values: &[(f64, usize)]) -> (f64, f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|(value, _)| value).sum::<f64>() / count;
    let points: Vec<(f64, f64)> =
        values.iter().map(|&(v, n)| (1.0 / n.max(1) as f64, (v - mean) * (v - mean))).collect();
    let x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let xx: f64 = points.iter().map(|(a, _)| (a - x) * (a - x)).sum();
    let xy: f64 = points.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    let slope = if xx > 0.0 { (xy / xx).clamp(0.0, y / x) } else { 0.0 };
    (mean, (y - slope * x).max(0.0).sqrt(), slope.sqrt())
}

fn millionths(value: f64) -> u32 {
    (value * 1e6).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Tests and promises from counts: honest machines' on responses that `scales` were not fitted to.
///
/// # Errors
/// [`FitError`].
pub fn conclude(
    model: &[u8; 32],
    origin: Origin,
    scales: Scales,
    machines: Vec<Counts>,
    cheats: Vec<Counts>,
    rates: ErrorRates,
) -> Result<Calibration, FitError> {
    for machine in &machines {
        let (name, hard, responses) = (machine.name.clone(), machine.hard, machine.responses());
        if hard > 0 {
            return Err(FitError::HardFaults { name, hard });
        }
        if responses < HONEST_LEAST {
            return Err(FitError::TooFew { name, responses });
        }
    }
    let honest = machines.iter().map(Counts::suspect_at_most).max().ok_or(FitError::NoMachine)?.max(1);
    let bounds: Vec<[u32; LEVELS]> = machines.iter().map(|machine| machine.tails(JOINT)).collect();
    let tails = std::array::from_fn(|level| bounds.iter().map(|tails| tails[level]).max().unwrap_or(MILLION));
    let gross = cheats.iter().map(Counts::suspect_at_least).filter(|&rate| rate >= GROSS).min();
    let sprt = Sprt::new(honest, gross.unwrap_or(MILLION).min(CHEAT_SUSPECT), rates.false_fail / 2, rates.false_pass)?;
    let drift = bets(&tails, &cheats, rates.false_fail / 2);
    drift.iter().try_for_each(|bet| bet.check(&tails))?;

    let of_machine = |counts: Counts| {
        let suspect = counts.suspect_at_most();
        let share = f64::from(suspect) / f64::from(MILLION);
        let (sprt, worst) = (sprt.course(share, 0.0, HORIZON), worst(&counts.tails(JOINT)));
        let courses = drift.map(|bet| bet.course(&worst, HORIZON));
        let fail = courses.iter().map(|course| course.fail).sum();
        let drift = sequential::Course { fail, ..courses[0] };
        Series { counts, suspect, sprt: sprt.into(), drift: drift.into() }
    };
    let of_cheat = |counts: Counts| {
        let suspect = counts.suspect_at_least();
        let hard = lower(u64::from(counts.hard), counts.responses(), JOINT);
        let share = (f64::from(suspect) / f64::from(MILLION) - hard).max(0.0);
        let sprt = sprt.course(share, hard, HORIZON);
        let rates = mildest(&counts, hard);
        let [mut drift, others @ ..] = drift.map(|bet| bet.course(&rates, HORIZON));
        for other in others {
            if (other.fail, -other.expected) > (drift.fail, -drift.expected) {
                drift = other;
            }
        }
        Series { counts, suspect, sprt: sprt.into(), drift: drift.into() }
    };
    Ok(Calibration {
        schema: SCHEMA,
        model: hex::encode(model),
        origin,
        scales,
        tails,
        sprt,
        drift,
        machines: machines.into_iter().map(of_machine).collect(),
        cheats: cheats.into_iter().map(of_cheat).collect(),
    })
}

/// Bets that share an error rate. Each is the best one against one of the cheats; the first is the one that tells most of them
/// from honest contributors within the horizon, the next the one that tells most of the rest, and so on; among equals the one
/// whose slowest grows fastest.
fn bets(tails: &[u32; LEVELS], cheats: &[Counts], false_fail: u32) -> [Drift; BETS] {
    /// A contributor of whom nothing is known but that it is worse.
    const WORSE: [f64; GRADES] = [0.4, 0.3, 0.15, 0.1, 0.05];
    /// Evidence that must be expected, in units of what is needed: a margin for chance.
    const MARGIN: f64 = 1.5;
    let each = (false_fail / BETS as u32).max(1);
    let mut left: Vec<[f64; GRADES]> = cheats.iter().map(smoothed).collect();
    let candidates: Vec<Drift> = left.iter().map(|against| Drift::new(tails, against, each)).collect();
    let tells = |bet: &Drift, rates: &[f64; GRADES]| {
        bet.growth(rates) >= MARGIN * f64::from(bet.fail_at) / sequential::NAT / f64::from(HORIZON)
    };
    std::array::from_fn(|_| {
        let mut best = (Drift::new(tails, &WORSE, each), 0, 0.0);
        for bet in &candidates {
            let told: Vec<f64> = left.iter().filter(|rates| tells(bet, rates)).map(|rates| bet.growth(rates)).collect();
            let slowest = told.iter().copied().fold(f64::INFINITY, f64::min);
            if told.len() > best.1 || (told.len() == best.1 && !told.is_empty() && slowest > best.2) {
                best = (*bet, told.len(), slowest);
            }
        }
        left.retain(|rates| !tells(&best.0, rates));
        best.0
    })
}

/// Shares of each grade, hard faults among the highest, none of them quite 0.
fn smoothed(counts: &Counts) -> [f64; GRADES] {
    let all = counts.responses() as f64 + GRADES as f64 / 2.0;
    let mut rates = counts.grades.map(|count| (f64::from(count) + 0.5) / all);
    rates[LEVELS] += f64::from(counts.hard) / all;
    rates
}

/// The grades of the least suspicious contributor that agrees with the counts; what is missing to 1 are hard faults.
fn mildest(counts: &Counts, hard: f64) -> [f64; GRADES] {
    let above: [f64; GRADES] = std::array::from_fn(|grade| match grade {
        0 => 1.0,
        _ => lower(counts.from_grade(grade), counts.responses(), JOINT),
    });
    std::array::from_fn(|grade| {
        let next = above.get(grade + 1).copied().unwrap_or(hard);
        (above[grade] - next.max(hard)).max(0.0)
    })
}

impl From<sequential::Course> for Course {
    fn from(course: sequential::Course) -> Self {
        let ppm = |p: f64| ((p * f64::from(MILLION)).round() as u32).min(MILLION);
        Self { fails: ppm(course.fail), passes: ppm(course.pass), responses: (course.expected * 1e3).round() as u32 }
    }
}

const _: () = assert!(SUSPECT < LEVELS, "a suspect response needs a level above");
