//! What an epoch decides, as JSON.

use core::fmt;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Serialize;

use super::{Case, Code, Refusal};
use crate::{Error, Ignored, MinerStory, Outcome, Position, Q32, Support, ValidatorStory};

/// Keys and numbers of the answer, in this order.
#[derive(Serialize)]
struct Answer<'a> {
    consensus: Vec<u16>,
    incentive: Vec<u16>,
    dividends: Vec<u16>,
    validator_trust: Vec<u16>,
    bonds: &'a [Vec<(u16, u16)>],
    server_emission: Vec<u64>,
    validator_emission: Vec<u64>,
    combined_emission: Vec<u64>,
}

/// Computes the epoch and writes what it decides: compact JSON in a fixed order of keys, one line with its end.
///
/// Scores are `u16`, floored as the chain does; emissions are in the unit of [`Case::emission`].
///
/// # Errors
/// As [`Case::run`].
pub fn epoch_json(case: &Case) -> Result<String, Error> {
    let outcome = case.run()?;
    let emission = outcome.emission(case.emission);
    let Outcome { consensus, incentive, dividends, validator_trust, bonds, .. } = &outcome;
    Ok(line(&Answer {
        consensus: scores(consensus),
        incentive: scores(incentive),
        dividends: scores(dividends),
        validator_trust: scores(validator_trust),
        bonds,
        server_emission: emission.server,
        validator_emission: emission.validator,
        combined_emission: emission.combined,
    }))
}

fn scores(values: &[Q32]) -> Vec<u16> {
    values.iter().map(|value| value.to_u16()).collect()
}

/// All about one uid: what others think of it, and what it thinks of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stories {
    /// Why it got its incentive.
    pub miner: MinerStory,
    /// What its weights were worth.
    pub validator: ValidatorStory,
}

/// Computes the epoch and tells why a uid got what it got.
///
/// # Errors
/// If there is no such uid.
pub fn explain(case: &Case, uid: u16) -> Result<Stories, Refusal> {
    let uids = case.stakes.len();
    let explanation =
        case.with(|snapshot| snapshot.explain(&case.params)).map_err(|error| Refusal::new(Code::Rules, "", error))?;
    match (explanation.miner(uid), explanation.validator(uid)) {
        (Some(miner), Some(validator)) => Ok(Stories { miner, validator }),
        _ => Err(Refusal::new(Code::Uid, "--uid", format_args!("uid {uid} is beyond the {uids} uids"))),
    }
}

/// One story after the other.
impl fmt::Display for Stories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.miner, self.validator)
    }
}

impl Stories {
    /// As JSON, on one line. Scores are in units of 2⁻³², so that nothing is rounded; weights that do not count and stored bonds
    /// are `u16`.
    pub fn json(&self) -> String {
        let Self { miner, validator } = self;
        line(&StoriesJson { uid: miner.uid, miner: miner.into(), validator: validator.into() })
    }
}

#[derive(Serialize)]
struct StoriesJson {
    uid: u16,
    miner: MinerJson,
    validator: ValidatorJson,
}

#[derive(Serialize)]
struct MinerJson {
    consensus: u64,
    kappa: u64,
    in_favour: u64,
    rank: u64,
    clipped: u64,
    incentive: u64,
    support: Vec<SupportJson>,
    ignored: Vec<IgnoredJson>,
}

impl From<&MinerStory> for MinerJson {
    fn from(story: &MinerStory) -> Self {
        Self {
            consensus: story.consensus.raw(),
            kappa: story.kappa.raw(),
            in_favour: story.in_favour.raw(),
            rank: story.rank.raw(),
            clipped: story.clipped.raw(),
            incentive: story.incentive.raw(),
            support: story.support.iter().map(SupportJson::from).collect(),
            ignored: story.ignored.iter().map(IgnoredJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct SupportJson {
    validator: u16,
    stake: u64,
    weight: u64,
    counted: u64,
    rank: u64,
    clipped: u64,
    in_favour: u64,
}

impl From<&Support> for SupportJson {
    fn from(support: &Support) -> Self {
        Self {
            validator: support.validator,
            stake: support.stake.raw(),
            weight: support.weight.raw(),
            counted: support.counted.raw(),
            rank: support.rank.raw(),
            clipped: support.clipped.raw(),
            in_favour: support.in_favour.raw(),
        }
    }
}

#[derive(Serialize)]
struct IgnoredJson {
    validator: u16,
    miner: u16,
    weight: u16,
    reason: String,
}

impl From<&Ignored> for IgnoredJson {
    fn from(ignored: &Ignored) -> Self {
        let Ignored { validator, miner, weight, obstacle } = *ignored;
        Self { validator, miner, weight, reason: obstacle.to_string() }
    }
}

#[derive(Serialize)]
struct ValidatorJson {
    active: bool,
    permitted: bool,
    permit: bool,
    stake: u64,
    active_stake: u64,
    trust: u64,
    clipped: u64,
    distance: u64,
    dividends: u64,
    positions: Vec<PositionJson>,
    ignored: Vec<IgnoredJson>,
}

impl From<&ValidatorStory> for ValidatorJson {
    fn from(story: &ValidatorStory) -> Self {
        Self {
            active: story.active,
            permitted: story.permitted,
            permit: story.permit,
            stake: story.stake.raw(),
            active_stake: story.active_stake.raw(),
            trust: story.trust.raw(),
            clipped: story.clipped.raw(),
            distance: story.distance.raw(),
            dividends: story.dividends.raw(),
            positions: story.positions.iter().map(PositionJson::from).collect(),
            ignored: story.ignored.iter().map(IgnoredJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct PositionJson {
    miner: u16,
    weight: u64,
    consensus: u64,
    clipped: u64,
    bond_before: u16,
    bond_after: u16,
    share: u64,
    incentive: u64,
    earned: u64,
}

impl From<&Position> for PositionJson {
    fn from(position: &Position) -> Self {
        Self {
            miner: position.miner,
            weight: position.weight.raw(),
            consensus: position.consensus.raw(),
            clipped: position.clipped.raw(),
            bond_before: position.bond_before,
            bond_after: position.bond_after,
            share: position.share.raw(),
            incentive: position.incentive.raw(),
            earned: position.earned.raw(),
        }
    }
}

/// As one line of JSON.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("lists of numbers and texts are JSON");
    line.push('\n');
    line
}
