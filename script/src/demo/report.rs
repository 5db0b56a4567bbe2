//! The demo's tables.
#![allow(clippy::print_stdout, reason = "the tables are what the command is for")]

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::actors::ContributorKind;
use super::checks::{Check, Evidence};
use super::network::Network;
use super::observe::EpochRecord;

/// One epoch.
pub(super) fn epoch(record: &EpochRecord) {
    println!();
    println!(
        "epoch {} · {} · report {} · {} signatures · gas: post {}, activate {}, settle {}, claim {} a leaf",
        record.epoch,
        record.phase,
        short(&record.report_hash.to_string()),
        record.signers.len(),
        record.gas.post,
        record.gas.activate,
        record.gas.settle,
        record.gas.claim,
    );
    let mut table = table(&[
        "contributor",
        "is",
        "subnet",
        "tokens audited",
        "verdicts",
        "incentive",
        "credits earned",
        "cashed out",
    ]);
    for row in &record.contributors {
        let [pass, fail, hard, down] = row.verdicts;
        table.add_row(vec![
            Cell::new(row.name),
            Cell::new(kind(row.kind)),
            right(row.subnet.to_string()),
            right(row.tokens_audited.to_string()),
            Cell::new(verdicts(pass, fail, hard, down)),
            right(format!("{:.1} %", row.incentive_share * 100.0)),
            right(units(row.credits_earned, 18)),
            right(format!("{} USDC", units(row.usdc_cashed_out, 6))),
        ]);
    }
    println!("{table}");
    let mut table = self::table(&["subnet", "is", "price", "share", "allowance", "emitted", "burned"]);
    for row in &record.subnets {
        table.add_row(vec![
            right(row.netuid.to_string()),
            Cell::new(row.kind),
            right(units(row.price, 18)),
            right(format!("{:.1} %", row.share * 100.0)),
            right(units(row.allowance, 18)),
            right(units(row.emitted, 18)),
            right(units(row.burned, 18)),
        ]);
    }
    println!("{table}");
}

/// The end.
pub(super) fn summary(network: &Network, evidence: &Evidence, checks: &BTreeMap<&'static str, Check>) {
    println!();
    let mut table = table(&["promise", "held", "witness"]);
    for (name, check) in checks {
        table.add_row(vec![
            Cell::new(name.replace('_', " ")),
            Cell::new(if check.ok { "yes" } else { "NO" }),
            Cell::new(abridged(&check.witness.to_string())),
        ]);
    }
    println!("{table}");
    let held = checks.values().filter(|check| check.ok).count();
    println!(
        "{} epochs reported by {} keepers, {held} of {} promises held.",
        evidence.records.len(),
        network.keeper_urls.len(),
        checks.len()
    );
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header.to_vec());
    table
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

const fn kind(kind: ContributorKind) -> &'static str {
    match kind {
        ContributorKind::Honest => "honest",
        ContributorKind::SmallerModel => "smaller model",
        ContributorKind::ForgedProofs => "forged proofs",
    }
}

fn verdicts(pass: u32, fail: u32, hard: u32, down: u32) -> String {
    let parts = [(pass, "pass"), (fail, "fail"), (hard, "fault"), (down, "down")];
    let shown: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// Base units with three decimals, cut off.
fn units(amount: u128, decimals: u32) -> String {
    let one = 10u128.pow(decimals);
    let part = amount % one / 10u128.pow(decimals - 3);
    format!("{}.{part:03}", amount / one)
}

fn short(hash: &str) -> String {
    format!("{}…", &hash[..hash.len().min(10)])
}

fn abridged(text: &str) -> String {
    const WIDTH: usize = 46;
    match text.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
