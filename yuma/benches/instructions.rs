//! Instructions per weight, as callgrind counts them: the same on every machine of one architecture, busy or not.
//! `cargo bench -p yuma --bench instructions [-- --check | CASE]`; needs valgrind.
//!
//! Each case runs twice in one workspace and the second time counts, from the borrowed input to the finished outcome. The
//! counts are written to `snapshots/yuma.json` and drawn in `docs/yuma-speed.svg`; with `--check` they are compared with the
//! former instead.
#![allow(clippy::print_stdout, reason = "it reports to a terminal")]

mod cases;
mod plot;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use cases::{CASES, RULES, weights};
use plot::{Line, Mark};
use yuma::{Epoch, Hyperparameters, Outcome, Workspace};

/// What callgrind counts, by name.
#[inline(never)]
fn counted_epoch(epoch: &Epoch, params: &Hyperparameters, workspace: &mut Workspace) -> Outcome {
    black_box(epoch).run_in(black_box(params), workspace).expect("the input is well formed")
}

/// Another compiler may count a little differently.
const TOLERANCE_PERCENT: u64 = 3;
/// The limits the engine was built to, per weight.
const LIMITS: [(&str, &str, u64); 4] = [
    ("64x192-dense", "yuma3", 120),
    ("64x4032-dense", "yuma3", 120),
    ("64x192-dense", "yuma3-liquid", 200),
    ("64x4032-dense", "yuma3-liquid", 200),
];

const COLOURS: [&str; 3] = ["#1b6ca8", "#2a9d5c", "#c8553d"];
/// The core of Subtensor's own epoch, counted in the same way: 12,288 weights, without masks, permits and `u16`.
const PEER: [Mark; 3] = [
    Mark { name: "Subtensor, Yuma2", at: (12_288, 14_800_000) },
    Mark { name: "Subtensor, Yuma3", at: (12_288, 10_800_000) },
    Mark { name: "Subtensor, liquid alpha", at: (12_288, 240_800_000) },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--one", case, rules] => one(case, rules),
        ["--check"] => all("", true),
        [filter] => all(filter, false),
        _ => all("", false),
    }
}

/// Runs a case so that callgrind can watch.
fn one(case: &str, rules: &str) -> ExitCode {
    for case in CASES.iter().filter(|known| known.name == case) {
        for &(_, rules, liquid) in RULES.iter().filter(|known| known.0 == rules) {
            let params = case.parameters(rules, liquid);
            let epoch = case.epoch(&params);
            println!("weights {}", weights(&epoch));
            let mut workspace = Workspace::new();
            let first = epoch.run_in(&params, &mut workspace);
            assert_eq!(first, Ok(counted_epoch(&epoch, &params, &mut workspace)));
        }
    }
    ExitCode::SUCCESS
}

fn all(filter: &str, check: bool) -> ExitCode {
    let mut counts = BTreeMap::new();
    let mut lines: Vec<Line> =
        RULES.iter().zip(COLOURS).map(|(&(name, ..), colour)| Line { name, colour, points: Vec::new() }).collect();
    let mut faults = Vec::new();
    println!("{:<22} {:<13} {:>9} {:>13} {:>11}", "case", "rules", "weights", "instructions", "per weight");
    for case in &CASES {
        for (line, (rules, ..)) in lines.iter_mut().zip(RULES) {
            let name = format!("{} {rules}", case.name);
            if !name.contains(filter) {
                continue;
            }
            let (weights, instructions) = match callgrind(case.name, rules) {
                Ok(counted) => counted,
                Err(error) => {
                    eprintln!("{name}: {error}");
                    return ExitCode::FAILURE;
                }
            };
            let tenths = instructions * 10 / weights;
            println!(
                "{:<22} {rules:<13} {weights:>9} {instructions:>13} {:>9}.{}",
                case.name,
                tenths / 10,
                tenths % 10
            );
            let limit = LIMITS.iter().find(|limit| (limit.0, limit.1) == (case.name, rules));
            if let Some((.., limit)) = limit.filter(|limit| tenths > limit.2 * 10) {
                faults.push(format!("{name} takes more than {limit} instructions per weight"));
            }
            line.points.push((weights, instructions));
            counts.insert(name, instructions);
        }
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../snapshots/yuma.json");
    if check {
        let known: BTreeMap<String, u64> =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        for (name, count) in &counts {
            let known = known.get(name).copied().unwrap_or_default();
            if count.abs_diff(known) * 100 > known * TOLERANCE_PERCENT {
                faults.push(format!("{name} takes {count} instructions, the snapshot says {known}"));
            }
        }
    } else if filter.is_empty() {
        let text = serde_json::to_string_pretty(&counts).expect("names and numbers") + "\n";
        std::fs::write(&path, text).expect("the snapshot can be written");
        std::fs::write(path.with_file_name("../docs/yuma-speed.svg"), plot::svg(&lines, &PEER))
            .expect("the picture can be written");
    }
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Weights and instructions of a case, counted in a process of its own.
fn callgrind(case: &str, rules: &str) -> Result<(u64, u64), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_epoch*"])
        .arg(program)
        .args(["--one", case, rules])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind cannot be started ({error}); install it from your distribution"))?;
    let (printed, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let number = |text: &str, key: &str| -> Option<u64> {
        text.lines().find_map(|line| line.split_once(key)?.1.trim_start_matches(" :").trim().parse().ok())
    };
    match (output.status.success(), number(&printed, "weights"), number(&log, "Collected")) {
        (true, Some(weights), Some(instructions)) => Ok((weights, instructions)),
        _ => Err(log.into_owned()),
    }
}
