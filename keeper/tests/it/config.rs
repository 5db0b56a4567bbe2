//! The configuration file.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tandem_keeper::{
    config::{Config, ConfigError, Finality, Overrides},
    network::{ManifestError, Network},
};

const MINIMAL: &str = r#"
rpc = "http://127.0.0.1:8545"
manifest = "deployments/31337.json"
data_dir = "/var/lib/tandem-keeper"

[keys]
attest = { file = "/etc/tandem/attest.key" }
"#;

#[test]
fn a_minimal_file_is_enough_and_flags_win() {
    let config = Config::parse(MINIMAL, &Overrides::default()).unwrap();
    assert_eq!((config.finality, config.jobs.rounds, config.jobs.lease_s), (Finality::Finalized, 2, 10));
    let overrides = Overrides {
        rpc: Some("http://other:1".into()),
        listen: Some("0.0.0.0:1".parse().unwrap()),
        data_dir: Some(PathBuf::from("/elsewhere")),
        manifest: None,
    };
    let config = Config::parse(MINIMAL, &overrides).unwrap();
    assert_eq!(config.rpc, "http://other:1");
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.data_dir, PathBuf::from("/elsewhere"));
}

#[test]
fn every_key_can_be_set_and_unknown_ones_are_refused() {
    let full = format!(
        r#"finality = "latest-3"
        poll_ms = 250
        listen = "127.0.0.1:9401"
        {MINIMAL}
        gas = {{ env = "KEEPER_GAS_KEY" }}
        [jobs]
        rounds = 3
        lease_s = 20
        margin_s = 1
        max_attempts = 4
        [agreement]
        proposer_timeout_s = 4
        stagger_s = 2
        margin_s = 2
        [peers]
        timeout_ms = 500
        endpoints = {{ "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf" = "http://127.0.0.1:9402" }}
        [sender]
        bump_after_s = 5
        max_fee_wei = 100000000000
        min_tip_wei = 1
        gas_percent = 150
        settle_batch = 16
        [log]
        format = "json"
        filter = "debug""#
    );
    let config = Config::parse(&full, &Overrides::default()).unwrap();
    assert_eq!(config.finality, Finality::Behind(3));
    assert_eq!(config.peers.endpoints.len(), 1);
    for (key, table) in [("colour", ""), ("colour", "[jobs]"), ("colour", "[sender]"), ("colour", "[keys.attest]")] {
        let text = format!("{MINIMAL}\n{table}\n{key} = 1");
        let refused = Config::parse(&text, &Overrides::default());
        assert!(matches!(refused, Err(ConfigError::Malformed { .. })), "{table}");
    }
    let zero = format!("poll_ms = 1\n{MINIMAL}");
    assert!(matches!(Config::parse(&zero, &Overrides::default()), Err(ConfigError::OutOfRange { .. })));
}

#[test]
fn a_key_file_that_others_can_read_is_refused_and_its_content_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.key");
    let secret = "46".repeat(32);
    fs::write(&path, format!("0x{secret}\n")).unwrap();
    let text = MINIMAL.replace("/etc/tandem/attest.key", path.to_str().unwrap());
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(config.keys.load().unwrap_err().to_string().contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (attest, gas) = config.keys.load().unwrap();
    assert_eq!(attest.address(), gas.address());
    fs::write(&path, format!("{secret}zz")).unwrap();
    assert!(!config.keys.load().unwrap_err().to_string().contains("4646"));
}

#[test]
fn a_manifest_may_say_more_than_the_keeper_reads_but_not_less() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("31337.json");
    let mut contracts: Vec<String> = [
        "EpochOracle",
        "KeeperSet",
        "SubnetRegistry",
        "Staking",
        "EmissionController",
        "RewardDistributor",
        "CreditDesk",
        "Router",
    ]
    .iter()
    .map(|name| format!(r#""{name}": {{"address": "0x{}", "salt": 1}}"#, "ab".repeat(20)))
    .collect();
    let write = |contracts: &[String]| {
        let body = contracts.join(",");
        let json =
            format!(r#"{{"chainId": 31337, "genesis": 5, "epochLength": 20, "suite": "x", "contracts": {{{body}}}}}"#);
        fs::write(&path, json).unwrap();
    };
    write(&contracts);
    let network = Network::load(&path).unwrap();
    assert_eq!((network.chain_id, network.clock.genesis(), network.clock.length()), (31_337, 5, 20));
    contracts.remove(3);
    write(&contracts);
    assert!(matches!(Network::load(&path), Err(ManifestError::NoContract("Staking"))));
}
