//! The whole network, every part real, with accidents.

use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

/// [KP-1] [EP-2] [EM-1] [CR-1] [CR-2] A keeper and a worker are killed in the middle of epochs and started again: an epoch
/// may be late, nothing is lost and nothing doubled, every promise holds, and standard output is one JSON object.
#[test]
fn the_network_keeps_its_promises_though_a_keeper_and_a_worker_are_killed() {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["demo", "--json", "--seed", "7", "--kill", "keeper@2", "--kill", "worker@3"])
        .timeout(Duration::from_secs(480))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object on standard output");

    let epochs = report["epochs"].as_array().unwrap();
    let numbers: Vec<u64> = epochs.iter().map(|epoch| epoch["epoch"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    let phases: Vec<&str> = epochs.iter().map(|epoch| epoch["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["mesh", "mesh", "token", "markets", "markets", "markets"]);
    for epoch in epochs {
        assert_eq!(epoch["signers"].as_array().unwrap().len(), 2);
        assert_eq!(epoch["contributors"].as_array().unwrap().len(), 8);
        for field in ["post", "activate", "settle", "claim"] {
            assert!(epoch["gas"][field].is_u64(), "{field}");
        }
    }
    let checks = report["checks"].as_object().unwrap();
    assert_eq!(checks.len(), 9);
    for (name, check) in checks {
        assert_eq!(check["ok"], true, "{name}: {}", check["witness"]);
    }
}

/// Ctrl-C ends every process of the demo.
#[test]
fn an_interrupted_demo_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["demo", "--seed", "8", "--keep"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let needle = folder.path().display().to_string();
    let mut seen = 0;
    for _ in 0..600 {
        seen = processes_naming(&needle);
        if seen > 4 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(seen > 4, "the demo did not start its services");
    let id = nix::unistd::Pid::from_raw(i32::try_from(demo.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert!(!demo.wait().unwrap().success());
    assert_eq!(processes_naming(&needle), 0);
}

/// Processes whose command line names a folder, the demo itself included.
fn processes_naming(needle: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(needle))
        .count()
}

/// Two demos with one seed do not get into each other's way, and tell the same story: the same verdicts, the same shares.
#[cfg(feature = "deep")]
#[test]
fn two_demos_of_one_seed_run_side_by_side_and_rank_alike() {
    let demos: Vec<std::process::Child> = (0..2)
        .map(|_| {
            std::process::Command::new(env!("CARGO_BIN_EXE_tandem"))
                .args(["demo", "--json", "--seed", "3"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let stories: Vec<Vec<Value>> = demos
        .into_iter()
        .map(|demo| {
            let output = demo.wait_with_output().unwrap();
            assert!(output.status.success());
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let contributors = report["epochs"].as_array().unwrap().iter().flat_map(|epoch| {
                epoch["contributors"].as_array().unwrap().iter().map(|contributor| {
                    serde_json::json!([contributor["name"], contributor["verdicts"], contributor["incentive_share"]])
                })
            });
            contributors.collect()
        })
        .collect();
    assert_eq!(stories[0], stories[1]);
}
