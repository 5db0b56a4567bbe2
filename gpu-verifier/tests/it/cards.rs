//! What a model runs on: `--backend`, `--device`, `devices`.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::command_line::path;

/// The program, as on a machine whose user has set nothing up.
fn verifier(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("tandem-verifier").unwrap();
    for name in ["TANDEM_BACKEND", "TANDEM_DEVICE", "TANDEM_NVRTC_DIR", "TANDEM_KERNEL_CACHE", "RUST_LOG"] {
        command.env_remove(name);
    }
    // Whatever cards a machine has are hidden; without a driver there are none anyway.
    command.env("CUDA_VISIBLE_DEVICES", "").args(arguments);
    command
}

/// [VF-2] It ends at once, says what is missing, and does not panic.
#[test]
fn without_a_card_a_command_that_needs_one_ends_with_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let model = path(dir.path(), "model");
    verifier(&["model", "make-test", &model, "--seed", "3", "--small"]).assert().success();
    let ask = ["generate", "--model", &model, "--prompt", "Hello", "--max-tokens", "9"];
    let needs = |more: &[&str]| {
        let output = verifier(&[&ask[..], more].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty());
        assert!(!error.contains("panicked"), "{error}");
        error
    };
    for more in [&["--backend", "cuda"][..], &["--backend", "cuda", "--device", "1", "--kernel-cache", "off"]] {
        let error = needs(more);
        assert!(error.contains("--backend cuda") && (error.contains("driver")), "{error}");
    }
    assert!(needs(&["--device", "first"]).contains("tandem-verifier devices"));
    assert!(needs(&["--backend", "gpu"]).contains("auto, cpu, cuda"));

    // Left to choose, it computes on the CPU, and says why to those who ask.
    let on = |backend: &str, log: &str| {
        let output = verifier(&[&ask[..], &["--backend", backend]].concat()).env("RUST_LOG", log).output().unwrap();
        assert!(output.status.success());
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let (cpu, silent) = on("cpu", "info");
    let (auto, said) = on("auto", "info");
    assert_eq!(auto, cpu);
    assert_eq!((silent.as_str(), on("auto", "warn").1.as_str()), ("", ""));
    assert!(said.contains("runs on the CPU") && said.contains("driver"), "{said}");
}

/// [VF-2]
#[test]
fn devices_lists_what_is_there_and_what_is_missing() {
    let output = verifier(&["devices"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("no card can be used: ")), "{text}");

    let output = verifier(&["devices", "--json", "--nvrtc-dir", "/nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["driver_lacks"].as_str().is_some_and(|lacks| lacks.contains("driver")), "{found}");
    assert!(found["nvrtc_lacks"].as_str().is_some_and(|lacks| lacks.contains("/nowhere")), "{found}");
    assert_eq!(found["cards"], Value::Array(Vec::new()));
}

/// [VF-2] And so does a measurement, after its own input was looked at.
#[test]
fn a_measurement_refuses_what_it_cannot_measure_and_then_a_missing_card() {
    let dir = tempfile::tempdir().unwrap();
    let config = path(dir.path(), "config.json");
    let refused = |more: &[&str]| {
        let output = verifier(&[&["bench", "gpu", "--no-reference"][..], more].concat()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty() && !error.contains("panicked"), "{error}");
        error
    };
    assert!(refused(&[]).contains("driver"));
    assert!(refused(&["--config", &config]).contains("--config"));
    assert!(refused(&["--config", "/dev/zero"]).contains("larger than"));
    for (text, told) in [
        ("{}", "architectures"),
        ("[1", "config.json"),
        (r#"{"architectures": ["MambaForCausalLM"]}"#, "MambaForCausalLM"),
    ] {
        std::fs::write(&config, text).unwrap();
        let error = refused(&["--config", &config]);
        assert!(error.contains(told), "{error}");
    }
    std::fs::write(
        &config,
        r#"{"architectures": ["LlamaForCausalLM"], "vocab_size": 64, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 4096}"#,
    )
    .unwrap();
    assert!(refused(&["--config", &config]).contains("max_position_embeddings must be above 16384"));
    for runs in ["0", "1001", "-1", "two"] {
        assert!(refused(&[&format!("--runs={runs}")]).contains("--runs"));
    }
    assert!(refused(&["--prompt-price", "1"]).contains("--completion-price"));
    for price in ["0", "-1", "NaN", "inf"] {
        let prices = [format!("--prompt-price={price}"), "--completion-price=1".to_owned()];
        assert!(refused(&prices.each_ref().map(String::as_str)).contains("positive number of credits"));
    }
    assert!(refused(&["--device", "first"]).contains("tandem-verifier devices"));
}

/// A folder with a driver and an NVRTC that are none; see `gpu-verifier/cuda/tests/fake`.
fn fake_driver(folder: &Path) {
    let source = folder.join("cuda.cpp");
    std::fs::write(&source, include_str!("../../cuda/tests/fake/cuda.cpp")).unwrap();
    let mut compiler = std::process::Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    compiler.args(["-std=c++17", "-fPIC", "-shared", "-Wl,-soname,libcuda.so", "-o"]);
    assert!(compiler.arg(folder.join("libcuda.so")).arg(source).arg("-ldl").status().unwrap().success());
    std::os::unix::fs::symlink("libcuda.so", folder.join("libnvrtc.so.13")).unwrap();
}

#[test]
fn cards_are_listed_with_what_they_can_do() {
    let dir = tempfile::tempdir().unwrap();
    fake_driver(dir.path());
    let devices = |settings: &str| {
        let mut command = verifier(&["devices", "--json", "--nvrtc-dir"]);
        let output =
            command.arg(dir.path()).env("LD_LIBRARY_PATH", dir.path()).env("FAKE_CUDA", settings).output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, found) = devices("cards=2");
    assert_eq!((code, &found["driver"], &found["nvrtc"]), (Some(0), &"13.0".into(), &"13.0".into()));
    assert_eq!(found["cards"][1]["uuid"], "GPU-01a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
    assert_eq!(found["cards"][1]["exact"]["usable"], true);
    assert!(found["cards"][1]["fast"]["lacks"].as_str().is_some_and(|lacks| lacks.contains("cuBLASLt")), "{found}");
    let (code, found) = devices("arch=75");
    assert_eq!(code, Some(1));
    assert!(found["cards"][0]["exact"]["lacks"].as_str().is_some_and(|lacks| lacks.contains("7.5")), "{found}");
}

/// A service manager that starts the process again is what helps, and the exit code tells it so.
#[test]
fn a_lost_card_has_an_exit_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    fake_driver(dir.path());
    let model = path(dir.path(), "model");
    verifier(&["model", "make-test", &model, "--seed", "3", "--small"]).assert().success();
    let ask = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "Hello",
        "--backend",
        "cuda",
        "--kernel-cache",
        "off",
        "--nvrtc-dir",
    ];
    let mut command = verifier(&ask);
    // The first call that reaches the card finds an illegal address: 700.
    let output =
        command.arg(dir.path()).env("LD_LIBRARY_PATH", dir.path()).env("FAKE_CUDA", "retain=700").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("the device is lost, restart this process") && error.contains("ILLEGAL_ADDRESS"), "{error}");
}
