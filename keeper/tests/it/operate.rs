//! The operator's book is so: its tables are held against the program, its links are followed, its configurations are
//! loaded, its units verified, and the commands of the pages are done as they stand there.

#[cfg(feature = "deep")]
mod medium;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::AtomicU8,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use clap::Parser;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tandem_keeper::{
    commands::Cli,
    config::{self, Config, Overrides},
};

use crate::{
    suite::{Net, Program},
    support::postgres::Cluster,
};

/// Longest time that a block of a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Pages of the operator's book, by name.
fn pages() -> BTreeMap<String, String> {
    let folder = fs::read_dir(root().join("docs/operate")).unwrap();
    let paths =
        folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let page =
        |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap());
    paths.map(page).collect()
}

/// A fenced block: its info string, its text, and the heading above it.
#[derive(Debug)]
struct Block {
    info: String,
    text: String,
    heading: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open): (Vec<Block>, _, Option<Block>) = (Vec::new(), String::new(), None);
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                open = Some(Block { info: info.to_owned(), text: String::new(), heading: heading.clone() });
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    heading = title.to_owned();
                }
            }
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// First cells of a table's rows, without backticks; a cell may name several things.
fn named_in_table(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| format!("`{}", row.split(" |").next().unwrap_or_default()));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Codes in a text: `K-`, words in capitals, perhaps a number.
fn codes(text: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices("K-") {
        if text[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '-') {
            continue;
        }
        let code =
            text[at..].split(|letter: char| !letter.is_ascii_uppercase() && !letter.is_ascii_digit() && letter != '-');
        let code = code.take(1).next().unwrap_or_default().trim_end_matches('-');
        if code.len() > 3 {
            found.insert(code.to_owned());
        }
    }
}

#[test]
fn every_code_of_the_program_is_explained_and_no_other() {
    let (mut in_program, mut folders) = (BTreeSet::new(), vec![root().join("keeper/src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                codes(&fs::read_to_string(path).unwrap(), &mut in_program);
            }
        }
    }
    let book = read("docs/errors.md");
    let chapter = book.split("\n## ").find(|chapter| chapter.starts_with("Keeper\n")).unwrap();
    let in_book: BTreeSet<String> = named_in_table(chapter).into_iter().filter(|name| name.starts_with("K-")).collect();
    assert!(in_program.len() > 50, "{in_program:?}");
    let (lacking, idle): (Vec<_>, Vec<_>) =
        (in_program.difference(&in_book).collect(), in_book.difference(&in_program).collect());
    assert!(lacking.is_empty() && idle.is_empty(), "docs/errors.md lacks {lacking:?} and has without need {idle:?}");
}

#[test]
fn the_table_of_the_configuration_has_every_key_and_no_other() {
    let page = read("docs/operate/README.md");
    let chapter = page.split("\n## ").find(|chapter| chapter.starts_with("Configuration\n")).unwrap();
    let in_book = named_in_table(chapter);
    let keys: BTreeSet<String> = config::keys().into_iter().collect();
    let (lacking, idle): (Vec<_>, Vec<_>) = (keys.difference(&in_book).collect(), in_book.difference(&keys).collect());
    assert!(
        lacking.is_empty() && idle.is_empty(),
        "docs/operate/README.md lacks {lacking:?} and has without need {idle:?}"
    );
}

#[test]
fn every_command_is_in_the_book() {
    use clap::CommandFactory;
    let page = read("docs/operate/README.md");
    let chapter = page.split("\n## ").find(|chapter| chapter.starts_with("Commands\n")).unwrap();
    for command in Cli::command().get_subcommands() {
        assert!(chapter.contains(&format!("`{}", command.get_name())), "{}", command.get_name());
    }
}

/// A heading's anchor, as the forge that shows the book makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_of_the_operators_book_leads_somewhere() {
    let mut followed = 0;
    for (name, page) in pages() {
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()) {
            if link.contains("://") {
                continue;
            }
            followed += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { name.clone() } else { file.to_owned() };
            let path = root().join("docs/operate").join(&target);
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {link}: {error}"));
            let headings =
                text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| anchor(line.trim_start_matches('#')));
            assert!(fragment.is_empty() || headings.into_iter().any(|found| found == fragment), "{name}: {link}");
        }
    }
    assert!(followed > 10);
}

#[test]
fn every_configuration_in_the_book_is_one() {
    let minimal: toml::Table = toml::from_str(include_str!("../../examples/minimal.toml")).unwrap();
    let mut loaded = 0;
    for name in ["README.md", "small.md", "medium.md", "large.md"] {
        for block in blocks(&pages()[name]).into_iter().filter(|block| block.info == "toml") {
            let mut table = minimal.clone();
            table.extend(toml::from_str::<toml::Table>(&block.text).unwrap());
            let text = toml::to_string(&table).unwrap();
            if let Err(error) = Config::parse(&text, &Overrides::default()) {
                panic!("{name}, {}: {error}", block.heading);
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 2);
}

/// What cannot be done on a machine of somebody else's is at least commands.
#[test]
fn every_block_of_commands_is_understood_by_the_shell() {
    for (name, page) in pages() {
        for block in blocks(&page).into_iter().filter(|block| block.info.split(' ').next() == Some("sh")) {
            let mut shell =
                Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            shell.stdin.take().unwrap().write_all(block.text.as_bytes()).unwrap();
            let said = shell.wait_with_output().unwrap();
            assert!(said.status.success(), "{name}, {}: {}", block.heading, String::from_utf8_lossy(&said.stderr));
        }
    }
}

#[test]
fn the_units_start_commands_that_exist_and_systemd_understands_them() {
    let scratch = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_tandem-keeper");
    let mut units = Vec::new();
    for entry in fs::read_dir(root().join("keeper/deploy/systemd")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for command in text.lines().filter_map(|line| line.split_once("=/usr/local/bin/")).map(|(_, command)| command) {
            let mut words: Vec<&str> = command.split(' ').collect();
            if words[1] == "watch" {
                // These come from the unit's EnvironmentFile.
                words.extend(["--rpc", "http://127.0.0.1:1", "--manifest", "m.json"]);
            }
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let copy = scratch.path().join(path.file_name().unwrap());
        fs::write(&copy, text.replace("/usr/local/bin/tandem-keeper", program)).unwrap();
        units.push(copy);
    }
    assert_eq!(units.len(), 2);
    // Machines without systemd have run what is above.
    let verified = Command::new("systemd-analyze").arg("verify").arg("--man=no").args(&units).output();
    if let Ok(said) = verified {
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        let ours: Vec<&str> = words.lines().filter(|line| line.contains("tandem-keeper")).collect();
        assert!(ours.is_empty(), "{words}");
    }
}

/// A shell that does one block after the other, as somebody who copies them from the page.
struct Shell {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    /// `within` is a command that runs another one.
    fn start(folder: &Path, within: &[&str], variables: &[(&str, String)]) -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_tandem-keeper")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let words: Vec<&str> = within.iter().copied().chain(["bash", "-euo", "pipefail", "-s"]).collect();
        let mut process = Command::new(words[0])
            .args(&words[1..])
            .current_dir(folder)
            .env("PATH", path)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        let mut input = process.stdin.take().unwrap();
        input.write_all(b"exec 2>&1\n").unwrap();
        Self { process, input, lines }
    }

    /// Does a block; answers what it printed.
    fn run(&mut self, block: &Block) -> String {
        write!(self.input, "{}\necho '--- done'\n", block.text).unwrap();
        let mut said = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == "--- done" => return said,
                Ok(line) => said = said + &line + "\n",
                Err(_) => panic!("{}: this block failed or does not end:\n{}\n{said}", block.heading, block.text),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // With all that it has started.
        let _ = signal::killpg(Pid::from_raw(self.process.id() as i32), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// Lets time pass until keeper 0, the page's, has signed the report of a later epoch than `before`, and one is posted. On a
/// machine that is too slow for an epoch of a minute in seconds it may be given up; then it is the next one.
async fn another_epoch_is_signed(net: &Net, before: Option<u64>) -> Option<u64> {
    for _ in 0..400 {
        let status = net.status(0).await;
        if status.last_attested > before && status.last_posted >= status.last_attested {
            return status.last_attested;
        }
        net.pass(1).await;
    }
    panic!("nothing after {before:?} is signed:\n{}", net.logs());
}

/// Starts a network's keepers but for the first, which whoever follows a page is to set up; its key is there already. Answers
/// them, the page's folder and its shell.
async fn place_for_a_page(net: &Net, within: &[&str], more: &[(&str, String)]) -> (Vec<Program>, PathBuf, Shell) {
    let others: Vec<Program> = (1..crate::suite::KEEPERS).map(|index| net.run(index)).collect();
    for index in 1..=others.len() {
        net.healthy(index).await;
    }
    let scratch = net.folder.path().join("scratch");
    fs::create_dir_all(scratch.join("keeper")).unwrap();
    crate::suite::write_key(&scratch.join("keeper/attest.key"), &net.keepers()[0]);
    let mut variables = vec![
        ("TANDEM_RPC", net.anvil.url.clone()),
        ("TANDEM_MANIFEST", net.folder.path().join("31337.json").display().to_string()),
        ("TANDEM_KEEPER_URL", net.base(0)),
        // What pages leave at their defaults, and a machine of tests cannot.
        ("TANDEM_KEEPER__LISTEN", net.base(0).replace("http://", "")),
        ("TANDEM_KEEPER__POLL_MS", "50".to_owned()),
        ("TANDEM_KEEPER__PEERS__TIMEOUT_MS", "500".to_owned()),
    ];
    variables.extend_from_slice(more);
    let shell = Shell::start(&scratch, within, &variables);
    (others, scratch, shell)
}

/// The page, to the letter, in the place of one of three keepers of a network: set up, run, carry an epoch, back up, lose
/// everything, restore, carry the next epoch `[KP-1]`.
#[tokio::test]
async fn whoever_follows_the_small_page_has_a_keeper_that_survives_its_disaster() {
    let net = Net::deploy().await;
    let (_others, scratch, mut shell) = place_for_a_page(&net, &[], &[]).await;
    let page = blocks(&pages()["small.md"]);
    assert!(page.iter().all(|block| block.info == "sh"), "every block of this page can be run");
    let backup = page.iter().position(|block| block.heading.starts_with("Back up")).unwrap();
    let mut said = String::new();
    for block in &page[..backup] {
        said += &shell.run(block);
    }
    assert!(said.contains("in it with") && said.contains("healthy"), "{said}");
    let clock = net.network.clock;
    net.anvil.mine_at(clock.start_of(0) + 3).await;
    net.pass(2).await;
    let signed = another_epoch_is_signed(&net, None).await;

    let mut said = String::new();
    for block in &page[backup..] {
        said += &shell.run(block);
    }
    assert!(said.contains("has a guard"), "{said}");
    assert!(said.contains(" bundles taken in"), "{said}");
    assert!(scratch.join("keeper/newcomer/bundles").is_dir());
    // The client may still hold a connection to the process that is gone.
    net.healthy(0).await;
    another_epoch_is_signed(&net, signed).await;

    // By now there are several reports, each of which names the one before.
    let again = "tandem-keeper backfill --json --data-dir again --config keeper.toml\n".to_owned();
    let said = shell.run(&Block { info: String::new(), text: again, heading: String::new() });
    let said: serde_json::Value = serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(said["held"].as_u64() >= Some(2) && said["held"] == said["fetched"], "{said}");
    assert!(said["oldest"].as_u64() < said["newest"].as_u64(), "{said}");
}

/// The same for the page on several machines: two processes share a PostgreSQL and a Web3Signer's key, the one that leads is
/// killed, comes back, and both are upgraded one after the other `[KP-1]`.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_large_page_has_a_keeper_that_outlives_the_machine_that_leads() {
    let (cluster, net) = (Cluster::start().await, Net::deploy().await);
    let own = net.keepers().remove(0);
    let address = format!("{:#x}", own.address());
    let signer = crate::keys::signer(own, Arc::new(AtomicU8::new(crate::keys::HONEST))).await;
    let second = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let bundles = net.folder.path().join("bundles");
    let more = [
        ("TANDEM_STORE_URL", cluster.database("tandem").await),
        ("TANDEM_BUNDLES", format!("file://{}", bundles.display())),
        ("TANDEM_SIGNER", signer),
        ("TANDEM_ATTEST", address.clone()),
        ("TANDEM_GAS", address),
        ("TANDEM_FIRST", net.base(0).replace("http://", "")),
        ("TANDEM_SECOND", second),
        ("TANDEM_KEEPER__STORE__LEASE_S", "3".to_owned()),
    ];
    let (_others, _scratch, mut shell) = place_for_a_page(&net, &[], &more).await;
    let page: Vec<Block> = blocks(&pages()["large.md"]).into_iter().filter(|block| block.info == "sh").collect();
    let lost = page.iter().position(|block| block.heading.starts_with("When a machine is lost")).unwrap();
    let follow =
        |shell: &mut Shell, blocks: &[Block]| -> String { blocks.iter().map(|block| shell.run(block)).collect() };
    // How many processes say that they lead, and how many that they do not.
    let leads = |said: &str| {
        let lines = said.lines().filter_map(|line| line.trim().strip_prefix("leads"));
        let (yes, no): (Vec<&str>, Vec<&str>) = lines.map(str::trim).partition(|word| *word == "true");
        (yes.len(), no.len())
    };
    let said = follow(&mut shell, &page[..lost]);
    assert!(said.contains("in it with") && said.contains("the web3signer"), "{said}");
    assert_eq!(leads(&said), (1, 1), "{said}");
    net.anvil.mine_at(net.network.clock.start_of(0) + 3).await;
    net.pass(2).await;
    let signed = another_epoch_is_signed(&net, None).await;

    let said = follow(&mut shell, &page[lost..lost + 2]);
    assert_eq!(leads(&said), (1, 1), "the first came back and follows: {said}");
    net.healthy(0).await;
    let signed = another_epoch_is_signed(&net, signed).await;
    let said = follow(&mut shell, &page[lost + 2..]);
    assert_eq!(leads(&said).0, 1, "{said}");
    net.healthy(0).await;
    another_epoch_is_signed(&net, signed).await;
}
