//! The table of attacks, for people and for programs.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use serde::Serialize;

use super::{Line, Payee, rule_sets};
use crate::tool::output::line;

impl Payee {
    /// In words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Validators => "its dividends",
            Self::Own => "its incentive",
            Self::Favourite => "that miner's incentive",
            Self::Victim => "the victim's incentive",
            Self::Heir => "incentive in that epoch",
        }
    }
}

/// Cells of the table; the first row is its head. What pays is marked by `mark` before and after.
fn cells(lines: &[Line], mark: &str) -> Vec<Vec<String>> {
    let mut head: Vec<String> = ["attack", "stake", "share of", "due"].map(String::from).to_vec();
    head.extend(rule_sets().map(|set| String::from(set.name)));
    let row = |line: &Line| {
        let stake: u32 = line.scenario.stakes.iter().map(|&share| u32::from(share)).sum();
        let due = line.ledgers.first().map_or(0, |ledger| ledger.due_share());
        let mut row = vec![
            String::from(line.scenario.name),
            if stake == 0 { String::from("none") } else { format!("{stake} %") },
            String::from(line.scenario.payee.words()),
            percent(due),
        ];
        row.extend(line.ledgers.iter().map(|ledger| {
            let mark = if ledger.pays(line.scenario.payee) { mark } else { "" };
            format!("{mark}{}{mark}", percent(ledger.paid_share()))
        }));
        row
    };
    core::iter::once(head).chain(lines.iter().map(row)).collect()
}

fn percent(hundredths: u64) -> String {
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// As a table in Markdown; what pays is bold.
pub fn markdown(lines: &[Line]) -> String {
    let mut text = String::new();
    for (index, row) in cells(lines, "**").iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if index == 0 {
            text.push_str("|---|--:|---|--:|--:|--:|--:|--:|\n");
        }
    }
    text
}

/// In columns; what pays stands between asterisks.
pub fn text(lines: &[Line]) -> String {
    let cells = cells(lines, "*");
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 | 2 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[derive(Serialize)]
struct Attack {
    attack: &'static str,
    stake_percent: u32,
    share_of: &'static str,
    results: Vec<Share>,
}

/// Shares in hundredths of a per cent.
#[derive(Serialize)]
struct Share {
    rules: &'static str,
    due: u64,
    paid: u64,
    pays: bool,
}

/// As JSON: a list with an entry per attack, on one line.
pub fn json(lines: &[Line]) -> String {
    let attack = |line: &Line| Attack {
        attack: line.scenario.name,
        stake_percent: line.scenario.stakes.iter().map(|&share| u32::from(share)).sum(),
        share_of: line.scenario.payee.words(),
        results: rule_sets()
            .iter()
            .zip(&line.ledgers)
            .map(|(set, ledger)| Share {
                rules: set.name,
                due: ledger.due_share(),
                paid: ledger.paid_share(),
                pays: ledger.pays(line.scenario.payee),
            })
            .collect(),
    };
    line(&lines.iter().map(attack).collect::<Vec<_>>())
}
