//! Explanations in words.

use core::fmt;

use super::{Explanation, Miner, Validator};
use crate::Q32;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "uid {} as a miner", self.uid)?;
        write!(f, "{}", self.miner)?;
        writeln!(f, "\nuid {} as a validator", self.uid)?;
        write!(f, "{}", self.validator)
    }
}

/// A score with its form on the chain.
struct Stored(Q32);

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/65535)", self.0, self.0.to_u16())
    }
}

impl fmt::Display for Miner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { consensus, kappa, reached, above, rank, clipped, incentive, supporters } = self;
        if supporters.is_empty() {
            return writeln!(f, "  No validator whose stake votes weighs it, and it earns nothing.");
        }
        writeln!(f, "  incentive  {}: its share of the rank of all", Stored(*incentive))?;
        writeln!(f, "  rank       {rank}, after clipping took {clipped}")?;
        writeln!(f, "  consensus  {}", Stored(*consensus))?;
        if *consensus == Q32::ZERO {
            writeln!(
                f,
                "             Those who weigh it have {above} of the stake that votes, less than κ = {kappa}."
            )?;
        } else {
            writeln!(
                f,
                "             {reached} of the stake that votes gives this weight or more, κ = {kappa} is enough;"
            )?;
            writeln!(f, "             {above} gives more, which is not.")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  {:>9}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}  {:>12}",
            "validator", "stake", "weight", "counts", "adds to rank", "clipped", "stake so far"
        )?;
        let median = supporters.iter().position(|supporter| supporter.weight <= *consensus);
        for (place, supporter) in supporters.iter().enumerate() {
            let mark = if Some(place) == median { "  <- consensus" } else { "" };
            writeln!(
                f,
                "  {:>9}  {}  {}  {}  {}  {}  {}{mark}",
                supporter.validator,
                supporter.stake,
                supporter.weight,
                supporter.counted,
                supporter.adds,
                supporter.clipped,
                supporter.reached
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.permitted, self.active, self.stake == Q32::ZERO) {
            (_, _, true) => writeln!(f, "  It has no stake that votes.")?,
            (false, _, _) => writeln!(f, "  It has no permit: its stake does not vote, its weights do not count.")?,
            (true, false, _) => writeln!(f, "  It is not active: its stake does not vote.")?,
            (true, true, false) => {}
        }
        if !self.left_out.is_empty() {
            write!(f, "  left out   weights on")?;
            for (place, uid) in self.left_out.iter().enumerate() {
                write!(f, "{} {uid}", if place == 0 { "" } else { "," })?;
            }
            writeln!(f)?;
        }
        if self.votes.is_empty() {
            return writeln!(f, "  It has neither weights that count nor bonds, and earns nothing.");
        }
        writeln!(f, "  dividends  {}: its share of what bonds earned", Stored(self.dividends))?;
        writeln!(f, "  earned     {}", self.earned)?;
        writeln!(f, "  stake      {} of all, {} of what votes", self.stake, self.active_stake)?;
        writeln!(f, "  trust      {}: what is left of its weights, clipping took {}", Stored(self.trust), self.lost)?;
        writeln!(f, "  distance   {} from the consensus", self.distance)?;
        if !self.permit {
            writeln!(f, "  It has no permit for the next epoch.")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  {:>6}  {:>12}  {:>12}  {:>12}  {:>8}  {:>12}  {:>12}  {:>12}",
            "miner", "weight", "consensus", "counts", "old bond", "bond", "share of all", "earned"
        )?;
        for vote in &self.votes {
            writeln!(
                f,
                "  {:>6}  {}  {}  {}  {:>8}  {}  {}  {}",
                vote.miner,
                vote.weight,
                vote.consensus,
                vote.counted,
                vote.old_bond,
                vote.bond,
                vote.share,
                vote.earned
            )?;
        }
        Ok(())
    }
}
