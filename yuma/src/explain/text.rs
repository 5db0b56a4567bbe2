//! Stories as text.

use alloc::format;
use core::fmt;

use super::{Ignored, MinerStory, Position, ValidatorStory};
use crate::{Obstacle, Q32};

/// Per cent with four decimals.
struct Percent(Q32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millionths = (u128::from(self.0.raw()) * 1_000_000 + (1 << 31)) >> 32;
        f.pad(&format!("{}.{:04} %", millionths / 10_000, millionths % 10_000))
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermit => "given without a permit",
            Self::Oneself => "given to oneself",
            Self::Outdated => "not newer than the registration of the uid it is on",
            Self::CommittedEarlier => "committed before the uid it is on registered",
        })
    }
}

impl fmt::Display for MinerStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, self.uid, self.incentive, "miners", self.why_nothing())?;
        if !self.support.is_empty() {
            writeln!(
                f,
                "  consensus {}: {} of the stake gave that or more",
                Percent(self.consensus),
                Percent(self.in_favour)
            )?;
            // The list falls: the last one above the consensus is the one nearest to it.
            match self.support.iter().rev().find(|support| support.weight > self.consensus) {
                Some(next) => writeln!(
                    f,
                    "  the next weight, {}, has {}; a majority is {}",
                    Percent(next.weight),
                    Percent(next.in_favour),
                    Percent(self.kappa)
                )?,
                None => writeln!(f, "  nobody gave more")?,
            }
            writeln!(f, "  rank {}, and clipping took another {}", Percent(self.rank), Percent(self.clipped))?;
            writeln!(f, "  validator        stake       weight      counted         rank      clipped")?;
        }
        for support in &self.support {
            writeln!(
                f,
                "  {:>9} {:>12} {:>12} {:>12} {:>12} {:>12}",
                support.validator,
                Percent(support.stake),
                Percent(support.weight),
                Percent(support.counted),
                Percent(support.rank),
                Percent(support.clipped)
            )?;
        }
        self.ignored.iter().try_for_each(|ignored| write_ignored(f, ignored, "from", ignored.validator))
    }
}

impl MinerStory {
    /// Why it earns nothing, if it does not.
    fn why_nothing(&self) -> &'static str {
        if self.support.is_empty() {
            "nobody gave it a weight that counts"
        } else if self.consensus == Q32::ZERO {
            "no majority of the stake supports it"
        } else {
            "its rank is too small a part of all ranks"
        }
    }
}

impl fmt::Display for ValidatorStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, self.uid, self.dividends, "validators", self.why_nothing())?;
        if self.permit && !self.permitted {
            writeln!(f, "  it has a permit for the next epoch")?;
        } else if self.permitted && !self.permit {
            writeln!(f, "  its permit ends with this epoch")?;
        }
        if self.stake > Q32::ZERO {
            writeln!(f, "  stake {} of all, {} of what votes", Percent(self.stake), Percent(self.active_stake))?;
        }
        if !self.positions.is_empty() {
            writeln!(f, "  trust {}: {} of its weights was clipped", Percent(self.trust), Percent(self.clipped))?;
            writeln!(f, "  distance from the consensus {}", Percent(self.distance))?;
            writeln!(
                f,
                "      miner       weight    consensus      clipped  bond was       is        share    incentive       earned"
            )?;
        }
        for position in &self.positions {
            writeln!(
                f,
                "  {:>9} {:>12} {:>12} {:>12} {:>9} {:>8} {:>12} {:>12} {:>12}",
                position.miner,
                Percent(position.weight),
                Percent(position.consensus),
                Percent(position.clipped),
                position.bond_before,
                position.bond_after,
                Percent(position.share),
                Percent(position.incentive),
                Percent(position.earned)
            )?;
        }
        self.ignored.iter().try_for_each(|ignored| write_ignored(f, ignored, "on", ignored.miner))
    }
}

impl ValidatorStory {
    /// Why it earns nothing, if it does not.
    fn why_nothing(&self) -> &'static str {
        let pays = |position: &Position| position.share > Q32::ZERO && position.incentive > Q32::ZERO;
        match (self.permitted, self.stake > Q32::ZERO) {
            (false, false) => "it has neither a permit nor stake that counts",
            (false, true) => "it has no permit in this epoch",
            (true, false) => "it has no stake that counts",
            (true, true) if !self.active => "it is inactive, its last weights are too old",
            _ if self.positions.is_empty() => "it gave no weight that counts, and has no bonds",
            _ if !self.positions.iter().any(pays) => "it has no bond with a miner that earns",
            _ => "its bonds earn too small a part",
        }
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, uid: u16, part: Q32, whose: &str, why_nothing: &str) -> fmt::Result {
    match part {
        Q32::ZERO => writeln!(f, "uid {uid} earns nothing of what {whose} are paid: {why_nothing}"),
        part => writeln!(f, "uid {uid} earns {} of what {whose} are paid", Percent(part)),
    }
}

fn write_ignored(f: &mut fmt::Formatter<'_>, ignored: &Ignored, whose: &str, uid: u16) -> fmt::Result {
    writeln!(f, "  the weight {} {whose} {uid} does not count: {}", ignored.weight, ignored.obstacle)
}
