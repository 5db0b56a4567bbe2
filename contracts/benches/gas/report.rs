//! The table, and the snapshot that a change of gas is noticed by.

use std::{collections::BTreeMap, fs, path::PathBuf};

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::{Deserialize, Serialize};
use tandem_contracts::{artifacts::ARTIFACTS, world::World};

use crate::net::{Net, Tx};

/// Largest runtime code that a chain takes, bytes (EIP-170).
const SIZE_LIMIT: usize = 24_576;

/// A transaction and the world that it was sent in.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) gas: u64,
    pub(crate) before: World,
    pub(crate) tx: Tx,
}

impl Net {
    pub(crate) fn measure(&mut self, tx: Tx) -> Measured {
        let before = self.world.clone();
        Measured { gas: self.send(&tx), before, tx }
    }

    /// Sends like transactions, each in a block of its own, and measures the last: by then every slot that such a
    /// transaction touches holds something.
    pub(crate) fn steady(&mut self, times: usize, mut make: impl FnMut(&mut Self, usize) -> Tx) -> Measured {
        let mut last = None;
        for time in 0..times {
            self.world.warp(crate::net::BLOCK);
            let tx = make(self, time);
            last = Some(self.measure(tx));
        }
        last.expect("sent at least once")
    }
}

/// What a row must not exceed.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// So many times its anchor.
    Times(f64),
    /// So much gas.
    Gas(u64),
}

/// One line of the table.
pub(crate) struct Row {
    /// Its key in the snapshot.
    pub(crate) name: String,
    /// Whole transaction, or a part of it: see `items`.
    pub(crate) gas: u64,
    pub(crate) anchor: Option<(&'static str, u64)>,
    pub(crate) target: Option<Target>,
    /// Transactions that show where the gas goes.
    pub(crate) evidence: Vec<(String, Measured)>,
}

impl Row {
    /// A whole transaction.
    pub(crate) fn new(name: &str, measured: Measured) -> Self {
        let gas = measured.gas;
        Self { name: name.into(), gas, anchor: None, target: None, evidence: vec![(name.into(), measured)] }
    }

    /// An equal part of a transaction.
    pub(crate) fn each(name: &str, measured: Measured, items: u64) -> Self {
        let gas = measured.gas.div_ceil(items);
        Self { gas, ..Self::new(name, measured) }
    }

    /// What each item more adds, from a transaction with few items and one with more.
    pub(crate) fn marginal(name: &str, few: &Measured, many: &Measured, items: u64) -> Self {
        let gas = many.gas.saturating_sub(few.gas).div_ceil(items);
        Self { gas, ..Self::new(name, many.clone()) }
    }

    pub(crate) fn beside(mut self, anchor: &'static str, measured: &Measured) -> Self {
        self.anchor = Some((anchor, measured.gas));
        self.evidence.push((anchor.into(), measured.clone()));
        self
    }

    pub(crate) fn times(mut self, most: f64) -> Self {
        self.target = Some(Target::Times(most));
        self
    }

    pub(crate) fn gas(mut self, most: u64) -> Self {
        self.target = Some(Target::Gas(most));
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.anchor.map(|(_, gas)| self.gas as f64 / gas as f64)
    }

    /// Whether the target is met; `None` without one.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.target? {
            Target::Times(most) => self.ratio().map(|ratio| ratio <= most),
            Target::Gas(most) => Some(self.gas <= most),
        }
    }
}

/// The numbers of a row that the repository keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    gas: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    anchor: Option<u64>,
}

type Gas = BTreeMap<String, Entry>;
type Sizes = BTreeMap<String, usize>;

/// Prints every row with its verdict.
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["case", "gas", "anchor", "its gas", "ratio", "target", ""]);
    for row in rows {
        let (anchor, anchor_gas) = row.anchor.map(|(name, gas)| (name, gas.to_string())).unwrap_or_default();
        table.add_row([
            row.name.clone(),
            row.gas.to_string(),
            anchor.into(),
            anchor_gas,
            row.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            match row.target {
                Some(Target::Times(most)) => format!("≤ {most} ×"),
                Some(Target::Gas(most)) => format!("≤ {most}"),
                None => String::new(),
            },
            row.met().map(|met| if met { "ok" } else { "MISSED" }).unwrap_or_default().into(),
        ]);
    }
    for column in [1, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}\n");
}

/// Prints the runtime size of every contract.
pub(crate) fn print_sizes() {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["contract", "bytes", "of the limit"]);
    for (name, bytes) in sizes() {
        let part = 100.0 * bytes as f64 / SIZE_LIMIT as f64;
        table.add_row([
            name,
            bytes.to_string(),
            format!("{part:.0} %{}", if bytes > SIZE_LIMIT { " TOO LARGE" } else { "" }),
        ]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}\n");
}

fn sizes() -> Sizes {
    ARTIFACTS.iter().map(|artifact| (artifact.name.into(), artifact.runtime.len())).collect()
}

fn entries(rows: &[Row]) -> Gas {
    rows.iter().map(|row| (row.name.clone(), Entry { gas: row.gas, anchor: row.anchor.map(|(_, gas)| gas) })).collect()
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../snapshots").join(file)
}

fn write(file: &str, content: &impl Serialize) {
    let text = serde_json::to_string_pretty(content).expect("maps of numbers are JSON") + "\n";
    let path = path(file);
    fs::create_dir_all(path.parent().expect("a file lies in a folder"))
        .and_then(|()| fs::write(&path, text))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Replaces both snapshots.
pub(crate) fn save(rows: &[Row]) {
    write("gas.json", &entries(rows));
    write("sizes.json", &sizes());
}

/// Every difference between the snapshots and what was measured, in words.
pub(crate) fn drift(rows: &[Row]) -> Vec<String> {
    let mut all = differences("gas.json", &entries(rows));
    all.extend(differences("sizes.json", &sizes()));
    all
}

fn differences<V>(file: &str, measured: &BTreeMap<String, V>) -> Vec<String>
where
    V: for<'de> Deserialize<'de> + PartialEq + Shown,
{
    let kept: BTreeMap<String, V> = match fs::read_to_string(path(file)) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(kept) => kept,
            Err(error) => return vec![format!("snapshots/{file}: {error}")],
        },
        Err(error) => return vec![format!("snapshots/{file}: {error}")],
    };
    let names: std::collections::BTreeSet<&String> = kept.keys().chain(measured.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (kept.get(name), measured.get(name)) {
            (Some(before), Some(after)) if before == after => None,
            (Some(before), Some(after)) => Some(format!("{name}: {} before, {} now", before.shown(), after.shown())),
            (Some(_), None) => Some(format!("{name}: in snapshots/{file}, and measured no longer")),
            (None, _) => Some(format!("{name}: not in snapshots/{file}")),
        })
        .collect()
}

trait Shown {
    fn shown(&self) -> String;
}

impl Shown for usize {
    fn shown(&self) -> String {
        format!("{self} bytes")
    }
}

impl Shown for Entry {
    fn shown(&self) -> String {
        match self.anchor {
            Some(anchor) => format!("{} gas beside {anchor}", self.gas),
            None => format!("{} gas", self.gas),
        }
    }
}
