//! The configuration: file, environment and flags.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tandem_keeper::{
    api::ApiConfig,
    config::{self, Config, ConfigError, Finality, KeyRef, LogFormat, Overrides},
    network::{ManifestError, Network},
    store::StoreConfig,
};

const MINIMAL: &str = include_str!("../../examples/minimal.toml");
const FULL: &str = include_str!("../../examples/full.toml");

fn refused(text: &str, environment: &[(&str, &str)], set: &[(&str, &str)]) -> String {
    let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { set, ..Overrides::default() };
    Config::parse_in(text, environment, &overrides).expect_err(text).to_string()
}

#[test]
fn a_minimal_file_is_enough_and_flags_win() {
    let config = Config::parse(MINIMAL, &Overrides::default()).unwrap();
    assert_eq!((config.finality, config.jobs.rounds, config.jobs.lease_s), (Finality::Finalized, 2, 10));
    let overrides = Overrides {
        rpc: Some("http://other:1".into()),
        listen: Some("0.0.0.0:1".parse().unwrap()),
        data_dir: Some(PathBuf::from("/elsewhere")),
        ..Overrides::default()
    };
    let config = Config::parse_in(MINIMAL, &[("TANDEM_KEEPER__RPC", "http://third:1")], &overrides).unwrap();
    assert_eq!(config.rpc, "http://other:1");
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.data_dir, PathBuf::from("/elsewhere"));
}

/// Nobody keeps a second list of keys: they are learnt from the types, and the example must know each of them.
#[test]
fn the_full_example_names_every_key_that_exists_and_says_what_it_is_by_default() {
    let table: toml::Table = toml::from_str(FULL).unwrap();
    let keys = config::keys();
    assert!(keys.len() > 25 && keys.contains(&"sender.max_fee_wei".to_owned()), "{keys:?}");
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| {
            let mut value = Some(&table);
            let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
            for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
                value = value.and_then(|table| table.get(parent)).and_then(toml::Value::as_table);
            }
            !value.is_some_and(|table| table.contains_key(last))
        })
        .collect();
    assert!(missing.is_empty(), "keeper/examples/full.toml lacks {missing:?}");
    let mut explained = false;
    for line in FULL.lines() {
        assert!(line.len() <= 132, "{line}");
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(explained, "a line above it says what this is: {line}");
        }
        explained = line.starts_with('#');
    }
    let config = Config::parse(FULL, &Overrides::default()).unwrap();
    assert_eq!((config.peers.endpoints.len(), config.agreement.stagger_s), (1, Some(30)));
    // Where it names a default, it is the default.
    let minimal = Config::parse(MINIMAL, &Overrides::default()).unwrap();
    let defaults = |config: &Config| {
        let mut config = config.clone();
        // What has no default but is found out.
        config.sender.fee_model = None;
        let Config { listen, finality, poll_ms, jobs, sender, log, bundles, peers, store, api, .. } = config;
        let jobs = (jobs.rounds, jobs.lease_s, jobs.max_attempts);
        let store = StoreConfig { url: None, ..store };
        let api = ApiConfig { tls: None, trusted_proxies: Vec::new(), ..api };
        format!(
            "{listen:?} {finality:?} {poll_ms} {jobs:?} {sender:?} {log:?} {} {} {store:?} {api:?}",
            bundles.keep_epochs, peers.timeout_ms
        )
    };
    assert_eq!(defaults(&config), defaults(&minimal));
}

#[test]
fn the_full_example_names_every_kind_of_key() {
    let shape = config::Shape::of::<Config>();
    let config::Shape::OneOf(kinds) = shape.child("keys").unwrap().child("gas").unwrap() else { panic!("{shape:?}") };
    assert!(kinds.len() >= 7, "{kinds:?}");
    let mut kinds_read = BTreeSet::new();
    for line in FULL.lines().filter(|line| line.starts_with("#   { ")) {
        let end = line.rfind('}').unwrap();
        let key = line[4..=end].replace("0x…", &format!("0x{}", "11".repeat(20)));
        let config = Config::parse(&format!("{MINIMAL}\ngas = {key}"), &Overrides::default()).unwrap();
        let kind = kinds.iter().find(|(kind, _)| key.starts_with(&format!("{{ {kind} ="))).unwrap();
        assert!(config.keys.gas.is_some());
        kinds_read.insert(kind.0);
    }
    assert_eq!(kinds_read.len(), kinds.len(), "{kinds_read:?} of {kinds:?}");
}

#[test]
fn the_environment_sets_any_key_and_flags_win_over_it() {
    let environment = [
        ("TANDEM_KEEPER__SENDER__MAX_FEE_WEI", "500000000"),
        ("TANDEM_KEEPER__SENDER__BUMP_AFTER_S", "7"),
        ("TANDEM_KEEPER__LOG__FORMAT", "json"),
        ("TANDEM_KEEPER__LOG__FILTER", "1"),
        ("TANDEM_KEEPER__FINALITY", "latest-4"),
        ("TANDEM_KEEPER__KEYS__ATTEST__ENV", "ATTEST_KEY"),
        ("TANDEM_KEEPER__KEYS__GAS", r#"{ file = "/gas" }"#),
        ("TANDEM_KEEPER__PEERS__ENDPOINTS", r#"{ "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf" = "http://a" }"#),
        ("TANDEM_KEEPER__JOBS__MARGIN_S", ""),
        ("TANDEM_KEEPER_CONFIG", "not a key"),
        ("TANDEM_RPC", "not a key either"),
    ];
    let set = vec![("sender.bump_after_s".to_owned(), "9".to_owned())];
    let config = Config::parse_in(MINIMAL, &environment, &Overrides { set, ..Overrides::default() }).unwrap();
    assert_eq!((config.sender.max_fee_wei, config.sender.bump_after_s), (500_000_000, 9));
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "1"));
    assert_eq!((config.finality, config.jobs.margin_s), (Finality::Behind(4), None));
    assert!(
        matches!(&config.keys.attest, KeyRef::Env(name) if name == "ATTEST_KEY"),
        "one kind of key replaces another"
    );
    assert!(matches!(config.keys.gas, Some(KeyRef::File(_))));
    assert_eq!(config.peers.endpoints.len(), 1);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_name_that_was_probably_meant() {
    let line = |text: &str| text.lines().count();
    for (text, words) in [
        (format!("{MINIMAL}[sender]\nmax_fee_wie = 1"), "did you mean `sender.max_fee_wei`?"),
        (format!("{MINIMAL}[sender]\nbump_after = 1"), "did you mean `sender.bump_after_s`?"),
        (format!("{MINIMAL}[sneder]"), "did you mean `sender`?"),
        (format!("{MINIMAL}[jobs]\npoll_ms = 1000"), "did you mean `poll_ms`?"),
        (format!("{MINIMAL}[keys.gas]\nfiel = 1"), "did you mean `keys.gas.file`?"),
        (format!("{MINIMAL}[sender]\ncompletely_else = 1"), "there is no key `sender.completely_else`"),
        (format!("{MINIMAL}[sender]\nbump_after_s = \"soon\""), "`sender.bump_after_s`: invalid type"),
        (format!("{MINIMAL}[log]\nformat = \"xml\""), "`log.format`: unknown variant"),
        (format!("{MINIMAL}[log]\nformat = "), "string values must be quoted"),
        (format!("{MINIMAL}[sender]\ngas_percent = 99"), "sender.gas_percent: 99 is not between 100 and 1000"),
    ] {
        let said = refused(&text, &[], &[]);
        assert!(said.contains(words), "{said}");
        assert!(said.contains(&format!("line {}", line(&text))), "{said}");
    }
    let missing = MINIMAL.replace("rpc = ", "# ");
    assert!(refused(&missing, &[], &[]).contains("`rpc` is missing: set it in the file or as TANDEM_KEEPER__RPC"));
    let variable = [("TANDEM_KEEPER__SENDER__MAX_FEE", "1")];
    let said = refused(MINIMAL, &variable, &[]);
    assert!(
        said.starts_with("[K-CONFIG-5] environment variable TANDEM_KEEPER__SENDER__MAX_FEE: there is no key"),
        "{said}"
    );
    assert!(said.contains("did you mean `sender.max_fee_wei`"), "{said}");
    let said = refused(MINIMAL, &[("TANDEM_KEEPER__POLL_MS", "often")], &[]);
    assert!(said.contains("TANDEM_KEEPER__POLL_MS: `poll_ms`: invalid type"), "{said}");
    let said = refused(MINIMAL, &[("TANDEM_KEEPER__POLL_MS", "1")], &[]);
    assert!(said.contains("[K-CONFIG-4]") && said.contains("environment variable TANDEM_KEEPER__POLL_MS"), "{said}");
    let said = refused(MINIMAL, &[], &[("sender", "1")]);
    assert!(said.contains("flag --set sender: sender is a section"), "{said}");
    let said = refused(MINIMAL, &[("TANDEM_KEEPER__RPC__URL", "1")], &[]);
    assert!(said.contains("there is no key `rpc.url`"), "{said}");
}

/// Somebody who mistakes the place of a key for the key must not find it in a log afterwards.
#[test]
fn no_message_shows_what_could_be_a_key_or_a_password() {
    let secret = "46".repeat(32);
    for value in [
        format!("\"{secret}\""),
        format!("\"0x{secret}"),
        format!("{{ hex = \"{secret}\" }}"),
        format!("{{ file = {{ x = \"{secret}\" }} }}"),
        format!("0x{secret}"),
        format!("{{ keystore = {{ path = \"a\", password = \"{secret}\" }} }}"),
        "{ keystore = { path = \"a\", password = \"correct horse\" } }".to_owned(),
        "[\"correct horse\"]".to_owned(),
    ] {
        for text in
            [format!("{MINIMAL}gas = {value}"), MINIMAL.replace("{ file = \"/etc/tandem/attest.key\" }", &value)]
        {
            let said = refused(&text, &[], &[]);
            assert!(!said.contains("4646") && !said.contains("horse"), "{said}");
        }
        let said = refused(MINIMAL, &[("TANDEM_KEEPER__KEYS__ATTEST", &value)], &[]);
        assert!(!said.contains("4646") && !said.contains("horse"), "{said}");
    }
    let said = refused(&format!("{MINIMAL}[log]\nformat = \"https://node.example/apikey\""), &[], &[]);
    assert!(!said.contains("apikey"), "{said}");
    for text in [format!("{MINIMAL}[log]\nformat = \"{secret}\""), format!("{MINIMAL}[sender]\n{secret} = 1")] {
        let said = refused(&text, &[], &[]);
        assert!(said.contains("[hidden]") && !said.contains("4646"), "{said}");
    }
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused_and_its_content_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attest.key");
    let secret = "46".repeat(32);
    fs::write(&path, format!("0x{secret}\n")).unwrap();
    let text = MINIMAL.replace("/etc/tandem/attest.key", path.to_str().unwrap());
    let config = Config::parse(&text, &Overrides::default()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(config.keys.open(1).await.unwrap_err().to_string().contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (attest, gas) = config.keys.open(1).await.unwrap();
    assert_eq!(attest.address(), gas.address());
    assert!(!format!("{attest:?}").contains("4646"));
    fs::write(&path, format!("{secret}zz")).unwrap();
    assert!(!config.keys.open(1).await.unwrap_err().to_string().contains("4646"));
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

#[test]
fn a_refusal_has_the_code_of_its_kind() {
    let code = |text: &str| match Config::parse(text, &Overrides::default()) {
        Err(ConfigError::Malformed { .. }) => 2,
        Err(ConfigError::OutOfRange { .. }) => 4,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&format!("{MINIMAL}[jobs]\ncolour = 1")), 2);
    assert_eq!(code(&format!("poll_ms = 1\n{MINIMAL}")), 4);
}
