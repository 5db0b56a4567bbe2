//! What was compiled is what is deployed.

use std::path::Path;

use tandem_contracts::artifacts::{ARTIFACTS, Artifact, SOLC_VERSION, STANDARD_JSON_INPUT};

use crate::support::net;

#[test]
fn deployed_code_is_the_compiled_code_but_for_its_immutables() {
    let net = net();
    let mut with_immutables = 0;
    for deployment in net.plan.deployments() {
        let (artifact, code) = (deployment.artifact(), net.world.code(deployment.address));
        assert!(artifact.matches(&code), "{}", artifact.name);
        with_immutables += usize::from(code != *artifact.runtime);

        let masked = artifact.masked(&code);
        let elsewhere = (0..code.len()).find(|at| artifact.masked(&vec![0xff; code.len()])[*at] == 0xff).unwrap();
        let mut changed = masked.clone();
        changed[elsewhere] ^= 1;
        assert!(!artifact.matches(&changed), "{}: a changed byte goes unnoticed", artifact.name);
        assert!(!artifact.matches(&code[1..]), "{}: a missing byte goes unnoticed", artifact.name);
    }
    assert!(with_immutables > 10, "the test must meet immutables to mean anything");
}

#[test]
fn every_contract_fits_the_size_limits_of_the_chain() {
    for Artifact { name, creation, runtime, .. } in ARTIFACTS {
        assert!(runtime.len() <= 24_576, "{name}: {} bytes of code (EIP-170)", runtime.len());
        assert!(creation.len() <= 47_000, "{name}: {} bytes of initcode leave no room (EIP-3860)", creation.len());
    }
}

#[test]
fn the_compiler_input_is_the_same_wherever_the_repository_lies() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    assert!(!STANDARD_JSON_INPUT.contains(&here));
    assert!(STANDARD_JSON_INPUT.contains("\"viaIR\":true"), "the deploy profile is what counts");
    assert!(SOLC_VERSION.starts_with("0.8."));
}

#[test]
fn artifacts_are_found_by_name() {
    assert!(
        ARTIFACTS.iter().all(|artifact| Artifact::by_name(artifact.name).is_some_and(|it| it.name == artifact.name))
    );
    assert!(Artifact::by_name("Nothing").is_none());
}
