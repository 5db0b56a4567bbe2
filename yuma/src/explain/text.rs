//! Stories as text.

use alloc::format;
use core::fmt;

use super::{Ignored, MinerStory, ValidatorStory};
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
        writeln!(f, "uid {} earns {} of what miners are paid", self.uid, Percent(self.incentive))?;
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
        if !self.support.is_empty() {
            writeln!(f, "  validator        stake       weight      counted         rank")?;
        }
        for support in &self.support {
            let mark = if support.weight > support.counted { "  clipped" } else { "" };
            writeln!(
                f,
                "  {:>9} {:>12} {:>12} {:>12} {:>12}{mark}",
                support.validator,
                Percent(support.stake),
                Percent(support.weight),
                Percent(support.counted),
                Percent(support.rank)
            )?;
        }
        self.ignored.iter().try_for_each(|ignored| write_ignored(f, ignored, "from", ignored.validator))
    }
}

impl fmt::Display for ValidatorStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "uid {} earns {} of what validators are paid", self.uid, Percent(self.dividends))?;
        writeln!(f, "  stake {} of all, {} of what votes", Percent(self.stake), Percent(self.active_stake))?;
        if !self.active {
            writeln!(f, "  inactive: its last weights are too old")?;
        }
        match (self.permitted, self.permit) {
            (true, true) => {}
            (true, false) => writeln!(f, "  its permit ends with this epoch")?,
            (false, true) => writeln!(f, "  without a permit in this epoch, but with one in the next")?,
            (false, false) => writeln!(f, "  without a permit")?,
        }
        writeln!(f, "  trust {}: {} of its weights was clipped", Percent(self.trust), Percent(self.clipped))?;
        writeln!(f, "  distance from the consensus {}", Percent(self.distance))?;
        if !self.positions.is_empty() {
            writeln!(f, "      miner       weight    consensus      clipped  bond was       is    incentive")?;
        }
        for position in &self.positions {
            writeln!(
                f,
                "  {:>9} {:>12} {:>12} {:>12} {:>9} {:>8} {:>12}",
                position.miner,
                Percent(position.weight),
                Percent(position.consensus),
                Percent(position.clipped),
                position.bond_before,
                position.bond_after,
                Percent(position.incentive)
            )?;
        }
        self.ignored.iter().try_for_each(|ignored| write_ignored(f, ignored, "on", ignored.miner))
    }
}

fn write_ignored(f: &mut fmt::Formatter<'_>, ignored: &Ignored, whose: &str, uid: u16) -> fmt::Result {
    writeln!(f, "  the weight {} {whose} {uid} does not count: {}", ignored.weight, ignored.obstacle)
}
