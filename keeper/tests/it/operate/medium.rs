//! The page on medium keepers, done as it stands by root of a file system of its own: what it installs and writes lies over
//! the machine's folders and is gone with the test.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use alloy_signer::k256::elliptic_curve::rand_core::OsRng;
use alloy_signer_local::PrivateKeySigner;

use super::{Block, another_epoch_is_signed, blocks, pages, place_for_a_page, root};
use crate::{suite::Net, support::key};

/// Folders that the page writes to, each with an empty layer above.
const LAYERS: &str = r#"
mount --make-rprivate /
mount -t tmpfs tmpfs "$PWD/layers"
for folder in etc run usr/local/bin var/lib; do
    mkdir -p "layers/$folder/upper" "layers/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$PWD/layers/$folder/upper,workdir=$PWD/layers/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /var/backups
PATH="$PWD/stand-ins:$PATH"
"#;
const JOURNALCTL: &str = "#!/bin/bash\ntail -n 20 \"/run/$3.log\"\n";
const PASSWORD: &str = "correct horse battery staple";

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What of a checkout the page takes.
fn checkout(folder: &Path) {
    for part in ["target/release", "keeper/deploy", "stand-ins", "layers"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::copy(env!("CARGO_BIN_EXE_tandem-keeper"), folder.join("target/release/tandem-keeper")).unwrap();
    std::os::unix::fs::symlink(root().join("keeper/deploy/systemd"), folder.join("keeper/deploy/systemd")).unwrap();
    program(&folder.join("stand-ins/systemctl"), include_str!("systemctl.sh"));
    program(&folder.join("stand-ins/journalctl"), JOURNALCTL);
}

/// A block of the test's own.
fn own(text: String) -> Block {
    Block { info: String::new(), text, heading: "the test".to_owned() }
}

fn keystore(folder: &Path, name: &str, signer: &PrivateKeySigner) -> String {
    let secret = signer.to_bytes();
    PrivateKeySigner::encrypt_keystore(folder, &mut OsRng, secret, PASSWORD, Some(name)).unwrap();
    format!("cp {name} /etc/tandem/{name}.json\nprintf '%s' '{PASSWORD}' > /etc/tandem/{name}.pass\n")
}

/// Needs root, mount namespaces and overlayfs. `[KP-1]`
#[tokio::test]
async fn whoever_follows_the_medium_page_has_a_service_that_is_backed_up_and_restored() {
    let may = Command::new("unshare").args(["--mount", "true"]).status().unwrap();
    assert!(may.success(), "this test mounts folders of its own: run it as root where mount namespaces are allowed");
    let net = Net::deploy().await;
    let (_others, scratch, mut shell) = place_for_a_page(&net, &["unshare", "--mount", "--"], &[]).await;
    checkout(&scratch);
    let page = blocks(&pages()["medium.md"]);
    assert!(page.iter().all(|block| block.info == "sh root"), "every block of this page can be run");
    let [keys, backup] =
        ["Keys", "Back up"].map(|heading| page.iter().position(|block| block.heading == heading).unwrap());

    shell.run(&own(LAYERS.to_owned()));
    for block in &page[..keys] {
        shell.run(block);
    }
    let stored = keystore(&scratch, "attest", &net.keepers()[0]) + &keystore(&scratch, "gas", &key(77));
    shell.run(&own(stored));
    let mut said = String::new();
    for block in &page[keys..backup] {
        said += &shell.run(block);
    }
    assert!(said.contains("healthy") && said.contains(r#""message":"serving""#), "{said}");
    let clock = net.network.clock;
    net.anvil.mine_at(clock.start_of(0) + 3).await;
    net.pass(2).await;
    let signed = another_epoch_is_signed(&net, None).await;

    for block in &page[backup..] {
        shell.run(block);
    }
    net.healthy(0).await;
    another_epoch_is_signed(&net, signed).await;
    let watched = shell.run(&own("cat /run/tandem-keeper-watch.log\n".to_owned()));
    assert!(watched.contains("\"same\":true") && !watched.contains("\"same\":false"), "{watched}");
    shell.run(&own("systemctl stop tandem-keeper tandem-keeper-watch\n".to_owned()));
}
