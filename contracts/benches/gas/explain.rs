//! Where the gas of a measured transaction goes.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use tandem_contracts::world::{GasTrace, Spent, Work};

use crate::{net::Net, report::Measured};

/// Names of addresses.
pub(crate) type Names = BTreeMap<Address, String>;

/// The names of a network's contracts and tokens.
pub(crate) fn names(net: &Net) -> Names {
    let mut names: Names =
        net.suite().contracts().into_iter().map(|(name, address)| (address, name.to_owned())).collect();
    names.extend((1..=net.subnet_count()).map(|netuid| (net.alpha(netuid), format!("alpha of {netuid}"))));
    names.extend((1..=9_u8).map(|number| (Address::with_last_byte(number), format!("precompile {number}"))));
    names
}

/// Prints what each contract spends, on what, and which slots it pays for, the dearest `slots` of them.
pub(crate) fn print(title: &str, measured: &Measured, names: &Names, slots: usize) {
    let tx = &measured.tx;
    let trace = match measured.before.trace(tx.from, tx.to, tx.data.clone()) {
        Ok(trace) => trace,
        Err(revert) => return println!("{title}: {revert}"),
    };
    println!(
        "{title}: {} gas = {} for the transaction and {} bytes of calldata + {} executed − {} refunded",
        trace.gas_used,
        trace.intrinsic,
        tx.data.len(),
        trace.by_contract().iter().map(|(_, gas)| gas).sum::<u64>(),
        trace.refund,
    );
    println!("{}\n{}\n", work_table(&trace, names), slot_table(&trace, names, slots));
}

fn name_of(names: &Names, address: Address) -> String {
    names.get(&address).cloned().unwrap_or_else(|| address.to_string())
}

fn work_table(trace: &GasTrace, names: &Names) -> Table {
    let kinds: Vec<Work> = trace.by_work().into_keys().collect();
    let mut table = Table::new();
    let header = ["contract".to_owned(), "gas".to_owned()].into_iter().chain(kinds.iter().map(Work::to_string));
    table.load_preset(NOTHING).set_header(header);
    let line = |name: String, gas: u64, of: &dyn Fn(Work) -> Spent| {
        let cells = kinds.iter().map(|kind| match of(*kind) {
            Spent { gas: 0, .. } => String::new(),
            Spent { gas, .. } if matches!(kind, Work::Compute | Work::Hash) => gas.to_string(),
            Spent { count, gas } => format!("{count}: {gas}"),
        });
        [name, gas.to_string()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    for (contract, gas) in trace.by_contract() {
        let of = |kind| trace.work.get(&(contract, kind)).copied().unwrap_or_default();
        table.add_row(line(name_of(names, contract), gas, &of));
    }
    let all = trace.by_work();
    let of = |kind| all.get(&kind).copied().unwrap_or_default();
    table.add_row(line("all".into(), all.values().map(|spent| spent.gas).sum(), &of));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn slot_table(trace: &GasTrace, names: &Names, most: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["contract", "slot", "touched", "gas"]);
    let mut slots: Vec<_> = trace.slots.iter().collect();
    slots.sort_by_key(|((contract, _), spent)| (std::cmp::Reverse(spent.gas), *contract));
    for ((contract, slot), spent) in slots.iter().take(most) {
        table.add_row([name_of(names, *contract), shown(*slot), spent.count.to_string(), spent.gas.to_string()]);
    }
    if slots.len() > most {
        let gas: u64 = slots[most..].iter().map(|(_, spent)| spent.gas).sum();
        table.add_row([format!("and {} more", slots.len() - most), String::new(), String::new(), gas.to_string()]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A fixed place by its number, a place in a mapping or an array by the start of its hash.
fn shown(slot: U256) -> String {
    if slot < U256::from(65_536) { slot.to_string() } else { format!("{slot:064x}")[..8].to_owned() + "…" }
}
