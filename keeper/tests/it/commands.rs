//! The program's commands, as an operator types them. Most need a network with a posted epoch, which is the one that
//! [`crate::suite`] has brought up by then.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use alloy::providers::Provider;
use serde_json::Value;

use crate::suite::Net;

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(self.out.trim()).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }

    fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{} {}", self.out, self.err);
        self
    }
}

fn keeper(arguments: &[&str]) -> Said {
    keeper_with(&[], arguments)
}

fn keeper_with(variables: &[(&str, String)], arguments: &[&str]) -> Said {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_tandem-keeper"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_command_teaches_what_it_does() {
    for command in ["run", "check-config", "status", "replay", "watch", "backfill", "simulate", "snapshot"] {
        let said = keeper(&[command, "--help"]).good();
        let about = said.out.split("\n\n").next().unwrap_or_default();
        assert!(about.len() > 30 && said.out.contains("Usage: tandem-keeper"), "{}", said.out);
        assert!(keeper(&["help"]).out.contains(command));
    }
    assert_eq!(keeper(&["status", "--url", "http://127.0.0.1:1"]).code, Some(1));
    assert_eq!(keeper(&["no-such-command"]).code, Some(2));
}

#[test]
fn a_configuration_that_cannot_be_used_is_a_fault_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("keeper.toml");
    fs::write(&config, "rpc = \"http://127.0.0.1:1\"\ncolour = 1\n").unwrap();
    for command in ["run", "check-config", "backfill"] {
        let said = keeper(&[command, "--config", text(&config)]);
        assert_eq!(said.code, Some(1));
        assert!((said.out + &said.err).contains("line 2: there is no key `colour`"));
    }
    let said = keeper(&["check-config", "--json", "--config", text(&folder.path().join("absent.toml"))]);
    assert_eq!((said.code, &said.json()["ok"]), (Some(1), &Value::Bool(false)));
}

/// Called when epoch 0 is posted and active, and three keepers serve.
pub(crate) async fn all_do_their_work_on(net: &Net) {
    let folder = net.folder.path();
    let manifest = folder.join("31337.json");
    let (rpc, manifest) = (net.anvil.url.as_str(), text(&manifest));
    let audit = ["--rpc", rpc, "--manifest", manifest];
    let nonces = nonces(net).await;

    let (one, two) = (net.base(1), net.base(2));
    let said = keeper(&["status", "--url", &one, "--url", &two]).good();
    assert!(said.out.matches("last_active").count() == 2 && said.out.contains("healthy"), "{}", said.out);
    let said = keeper(&["status", "--json", "--url", &one]).good().json();
    assert_eq!((&said["healthy"], &said["status"]["last_active"]), (&Value::Bool(true), &Value::from(0)));

    let config = folder.join("1.toml");
    let said = keeper(&["check-config", "--config", text(&config)]).good();
    for words in
        ["in it with http://127.0.0.1:", "3 keepers", "is this keeper running already?", " answers", "has a guard"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert_eq!(keeper(&["check-config", "--json", "--config", text(&config)]).good().json()["ok"], Value::Bool(true));
    keeper(&["check-config", "--offline", "--rpc", "http://127.0.0.1:1", "--config", text(&config)]).good();
    let said = keeper(&["check-config", "--rpc", "http://127.0.0.1:1", "--config", text(&config)]);
    assert!(said.code == Some(1) && said.out.contains("FAULT"), "{}", said.out);

    let said =
        keeper(&[&["watch", "--from", "0", "--until", "0", "--json", "--peer", &one][..], &audit].concat()).good();
    assert_eq!(said.json()["same"], Value::Bool(true));
    let said = keeper(&[&["replay", "--epoch", "0", "--json", "--peer", &one][..], &audit].concat()).good();
    assert_eq!(said.json()["differences"], Value::Array(Vec::new()));

    // A keeper whose folder is gone gets its bundles from the others, whose addresses the chain knows.
    let fresh = folder.join("fresh");
    let backfill = ["backfill", "--json", "--data-dir", text(&fresh), "--config", text(&config)];
    let first = keeper(&backfill).good().json();
    assert_eq!((&first["held"], &first["fetched"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(keeper(&backfill).good().json()["fetched"], Value::from(0));

    #[cfg(feature = "deep-s3")]
    the_program_keeps_bundles_in_s3(&config).await;

    // From one keeper's folder through a snapshot into another's, and not into another network's.
    let (snapshot, restored) = (folder.join("snapshot"), folder.join("restored"));
    keeper(&["snapshot", "export", "--to", text(&snapshot), "--data-dir", text(&fresh), "--config", text(&config)])
        .good();
    let import =
        ["snapshot", "import", "--from", text(&snapshot), "--data-dir", text(&restored), "--config", text(&config)];
    assert!(keeper(&import).good().out.contains("1 bundles taken in"));
    let mut objects = fs::read_dir(restored.join("bundles")).unwrap().map(|entry| entry.unwrap().path());
    let name = objects.find(|path| path.extension().is_some_and(|kind| kind == "bundle")).unwrap();
    let bytes = fs::read(&name).unwrap();
    let in_snapshot = snapshot.join(name.file_name().unwrap());
    assert_eq!(fs::read(&in_snapshot).unwrap(), bytes);
    fs::write(&in_snapshot, &bytes[1..]).unwrap();
    let said = keeper(&import);
    assert!(said.code == Some(1) && said.err.contains("[K-BUNDLE-3]"), "{}", said.err);
    let index = snapshot.join("snapshot.json");
    fs::write(&index, fs::read_to_string(&index).unwrap().replace("\"chain_id\": 31337", "\"chain_id\": 1")).unwrap();
    assert!(keeper(&import).err.contains("[K-SNAPSHOT-3]"));

    let said = keeper(&[&["simulate", "--looks", "3", "--poll-ms", "100", "--json"][..], &audit].concat()).good();
    assert!(said.err.contains("nothing is sent"), "{}", said.err);
    for line in said.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["would"].is_string() || line["sees"].is_string(), "{line}");
    }
    assert_eq!(nonces, self::nonces(net).await, "nothing of this has sent a transaction");
}

/// Through the environment, as an operator tells it; the folder of the server is looked at behind its back.
#[cfg(feature = "deep-s3")]
async fn the_program_keeps_bundles_in_s3(config: &Path) {
    let server = crate::support::s3::S3::start().await;
    let variables = server.variables();
    let arguments =
        ["backfill", "--json", "--set", "bundles.url=s3://bundles/of/this/network", "--config", text(config)];
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let backfill = async || {
        let (variables, arguments) = (variables.clone(), arguments.clone());
        // The server runs in this process and must not be kept from it.
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            keeper_with(&variables, &arguments).good().json()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let first = backfill().await;
    assert_eq!((&first["held"], &first["fetched"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(backfill().await["fetched"], Value::from(0));
    let folder = server.bucket().join("of/this/network");
    let mut objects = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let bundle = objects.find(|path| path.extension().is_some_and(|kind| kind == "bundle")).unwrap();
    fs::write(bundle, "rubbish").unwrap();
    assert_eq!(backfill().await["fetched"], Value::from(1), "what is damaged is fetched again");
    assert_eq!(backfill().await["fetched"], Value::from(0));
}

async fn nonces(net: &Net) -> Vec<u64> {
    let mut nonces = Vec::new();
    for keeper in net.keepers() {
        nonces.push(net.anvil.provider.get_transaction_count(keeper.address()).await.unwrap());
    }
    nonces
}
