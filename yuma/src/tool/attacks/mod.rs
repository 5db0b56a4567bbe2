//! The attack lab: what each attack on the consensus yields under each rule set.
//!
//! Honest validators judge miners whose quality changes, each with an error of its own; an attacker with a given share of the
//! stake plays against them for a hundred epochs. What it is paid is compared with what it is due: for validators, their share
//! of the stake; for miners, their share of the quality. Everything follows from a seed, in integers.

mod plays;
mod scenario;
mod table;
mod world;

pub use scenario::{Ledger, Payee, SCENARIOS, Scenario};
pub use table::{json, markdown, text};

use crate::{Hyperparameters, LiquidAlpha, Rules};
use std::vec::Vec;

/// A set of rules that is attacked, in Tandem's profile with its default hyperparameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Its name in tables.
    pub name: &'static str,
    /// What it consists of.
    pub params: Hyperparameters,
}

/// Both versions, each without and with liquid alpha.
pub fn rule_sets() -> [RuleSet; 4] {
    let set = |name, rules, liquid: bool| RuleSet {
        name,
        params: Hyperparameters {
            rules,
            liquid_alpha: liquid.then(LiquidAlpha::default),
            ..Hyperparameters::default()
        },
    };
    [
        set("yuma2", Rules::Yuma2, false),
        set("yuma2 liquid", Rules::Yuma2, true),
        set("yuma3", Rules::Yuma3, false),
        set("yuma3 liquid", Rules::Yuma3, true),
    ]
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which attack.
    pub scenario: &'static Scenario,
    /// What was paid and due, per rule set in the order of [`rule_sets`].
    pub ledgers: Vec<Ledger>,
}

/// Plays every attack under every rule set.
pub fn play_all() -> Vec<Line> {
    let sets = rule_sets();
    let line = |scenario: &'static Scenario| Line {
        scenario,
        ledgers: sets.iter().map(|set| scenario.play(&set.params)).collect(),
    };
    SCENARIOS.iter().map(line).collect()
}
