//! What an epoch decides, as JSON.

use std::string::String;
use std::vec::Vec;

use serde::Serialize;

use super::{Case, Code, Refusal};
use crate::{Error, Explanation, Miner, Outcome, Q32, Supporter, Validator, Vote};

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

/// Computes the epoch and tells why a uid got what it got.
///
/// # Errors
/// If there is no such uid.
pub fn explain(case: &Case, uid: u16) -> Result<Explanation, Refusal> {
    let uids = case.stakes.len();
    let explanation = case.with(|snapshot| snapshot.explain(&case.params).map(|explainer| explainer.uid(uid)));
    match explanation {
        Ok(Some(explanation)) => Ok(explanation),
        Ok(None) => Err(Refusal::new(Code::Uid, "--uid", format_args!("uid {uid} is beyond the {uids} uids"))),
        Err(error) => Err(Refusal::new(Code::Rules, "", error)),
    }
}

/// An explanation as JSON, on one line. All scores are in units of 2⁻³², so that nothing is rounded; bonds of the epoch before
/// are `u16`.
pub fn explain_json(explanation: &Explanation) -> String {
    let Explanation { uid, miner, validator } = explanation;
    line(&ExplanationJson { uid: *uid, miner: miner.into(), validator: validator.into() })
}

#[derive(Serialize)]
struct ExplanationJson<'a> {
    uid: u16,
    miner: MinerJson,
    validator: ValidatorJson<'a>,
}

#[derive(Serialize)]
struct MinerJson {
    consensus: u64,
    kappa: u64,
    reached: u64,
    above: u64,
    rank: u64,
    clipped: u64,
    incentive: u64,
    supporters: Vec<SupporterJson>,
}

impl From<&Miner> for MinerJson {
    fn from(miner: &Miner) -> Self {
        Self {
            consensus: miner.consensus.raw(),
            kappa: miner.kappa.raw(),
            reached: miner.reached.raw(),
            above: miner.above.raw(),
            rank: miner.rank.raw(),
            clipped: miner.clipped.raw(),
            incentive: miner.incentive.raw(),
            supporters: miner.supporters.iter().map(SupporterJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct SupporterJson {
    validator: u16,
    stake: u64,
    weight: u64,
    counted: u64,
    adds: u64,
    clipped: u64,
    reached: u64,
}

impl From<&Supporter> for SupporterJson {
    fn from(supporter: &Supporter) -> Self {
        Self {
            validator: supporter.validator,
            stake: supporter.stake.raw(),
            weight: supporter.weight.raw(),
            counted: supporter.counted.raw(),
            adds: supporter.adds.raw(),
            clipped: supporter.clipped.raw(),
            reached: supporter.reached.raw(),
        }
    }
}

#[derive(Serialize)]
struct ValidatorJson<'a> {
    active: bool,
    permitted: bool,
    permit: bool,
    stake: u64,
    active_stake: u64,
    trust: u64,
    lost: u64,
    distance: u64,
    earned: u64,
    dividends: u64,
    left_out: &'a [u16],
    votes: Vec<VoteJson>,
}

impl<'a> From<&'a Validator> for ValidatorJson<'a> {
    fn from(validator: &'a Validator) -> Self {
        Self {
            active: validator.active,
            permitted: validator.permitted,
            permit: validator.permit,
            stake: validator.stake.raw(),
            active_stake: validator.active_stake.raw(),
            trust: validator.trust.raw(),
            lost: validator.lost.raw(),
            distance: validator.distance.raw(),
            earned: validator.earned.raw(),
            dividends: validator.dividends.raw(),
            left_out: &validator.left_out,
            votes: validator.votes.iter().map(VoteJson::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct VoteJson {
    miner: u16,
    weight: u64,
    consensus: u64,
    counted: u64,
    old_bond: u16,
    bond: u64,
    share: u64,
    earned: u64,
}

impl From<&Vote> for VoteJson {
    fn from(vote: &Vote) -> Self {
        Self {
            miner: vote.miner,
            weight: vote.weight.raw(),
            consensus: vote.consensus.raw(),
            counted: vote.counted.raw(),
            old_bond: vote.old_bond,
            bond: vote.bond.raw(),
            share: vote.share.raw(),
            earned: vote.earned.raw(),
        }
    }
}

/// As one line of JSON.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("lists of numbers and texts are JSON");
    line.push('\n');
    line
}
