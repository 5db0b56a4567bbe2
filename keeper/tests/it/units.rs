//! What systemd would do with the units, done by hand: their commands in their order, with the configuration of the page about
//! them, but for addresses and folders.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    keys::{private, published_keystore},
    suite::{Net, Program},
};

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The command that a unit has under `key`, in this machine's places.
fn command(unit: &str, key: &str, places: &[(&str, String)]) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(unit);
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap();
    let line = moved(line, places);
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/tandem-keeper"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-keeper"));
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn moved(text: &str, places: &[(&str, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

async fn answers(net: &Net, url: &str) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if net.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return true;
        }
        net.pass(1).await;
    }
    false
}

#[tokio::test]
async fn the_units_commands_serve_and_watch_with_the_configuration_of_their_page_and_stop_when_asked() {
    let net = Net::deploy().await;
    let folder = net.folder.path().join("unit");
    fs::create_dir(&folder).unwrap();
    for name in ["attest", "gas"] {
        private(&folder.join(format!("{name}.json")), &published_keystore());
        private(&folder.join(name), "testpassword\n");
    }
    let (keeper, watcher) = (free(), free());
    let manifest = net.folder.path().join("31337.json").display().to_string();
    let here = format!("{}/", folder.display());
    let places = [
        ("$TANDEM_RPC", net.anvil.url.clone()),
        ("/etc/tandem/manifest.json", manifest.clone()),
        ("/var/lib/tandem-keeper", format!("{here}state")),
        ("/run/credentials/tandem-keeper.service/", here.clone()),
        ("/etc/tandem/", here.clone()),
        ("127.0.0.1:9400", keeper.clone()),
        ("127.0.0.1:9401", watcher.clone()),
    ];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/medium.md");
    let page = fs::read_to_string(page).unwrap();
    let config = page.split("<<EOF_CONFIG\n").nth(1).and_then(|rest| rest.split("EOF_CONFIG").next()).unwrap();
    fs::write(folder.join("keeper.toml"), moved(config, &places)).unwrap();

    // The page leaves the address at its default, which may be taken on a machine of tests.
    let of_keeper = |key| {
        let mut command = command("tandem-keeper.service", key, &places);
        command.env("TANDEM_KEEPER__LISTEN", &keeper);
        command
    };
    assert!(of_keeper("ExecStartPre").status().unwrap().success());
    let mut service = Program(of_keeper("ExecStart").spawn().unwrap());
    assert!(answers(&net, &format!("http://{keeper}/health")).await, "it serves");
    let mut watch = command("tandem-keeper-watch.service", "ExecStart", &places);
    watch.env("TANDEM_RPC", &net.anvil.url).env("TANDEM_MANIFEST", manifest);
    let mut watch = Program(watch.spawn().unwrap());
    assert!(answers(&net, &format!("http://{watcher}/health")).await, "it is watched");
    for program in [&mut watch, &mut service] {
        assert!(program.stop().success());
    }
}
