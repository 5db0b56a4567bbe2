//! The real program on an anvil with the real contracts and a long history in its store: how soon it serves after a start,
//! and what it needs when nothing happens.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy::{providers::Provider, rpc::types::TransactionRequest};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use futures_util::future::try_join_all;
use serde_json::json;
use tandem_contracts::{
    bindings::EmissionController,
    suite::{ChainFacts, Genesis, GenesisConfig, Plan},
    world::World,
};
use tandem_keeper::{
    agree::Step,
    guard::{Guard, Slot},
    network::Network,
    store::{self, Store, StoreConfig},
};
use tandem_protocol::{
    api::{Attestation, Proposal, Vote},
    messages::{EpochReport, ListVote, RowList, SignatureBytes, WeightsCommit, rows_hash},
    reveal::Reveal,
    signed::Signed,
};
use tokio::net::TcpStream;

use super::{
    Figures, Target,
    http::{Line, get},
    memory_mib,
};
use crate::support::anvil::Anvil;

/// Keepers of the network that [`World::populate`] makes.
const KEEPERS: usize = 3;
/// Epochs that the chain itself has behind it: it is the store's history that is measured, which asks no chain.
const CHAIN_EPOCHS: u64 = 3;
/// Steps of one call of `settle`, as a keeper sends it.
const SETTLED_AT_ONCE: u64 = 64;
/// Seconds from the start of the process to its first answer that it is ready.
const READY: f64 = 3.0;
/// Resident memory of a process with nothing to do, MiB.
const IDLE: f64 = 60.0;

/// What the store remembers, and how long the quiet lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) epochs: u64,
    /// Commits and rows of each epoch.
    pub(crate) rows: u16,
    /// Entries of each row.
    pub(crate) uids: u16,
    pub(crate) starts: usize,
    pub(crate) quiet: Duration,
}

/// Starts the program a few times over that history and then leaves it alone.
pub(crate) async fn restart(history: History) -> Figures {
    let mut figures = Figures::new("restart");
    let net = Net::deploy(history.epochs.min(CHAIN_EPOCHS)).await;
    let data = net.folder.path().join("keeper");
    fs::create_dir(&data).unwrap();
    net.remember(&data, history).await;
    let size: u64 = ["keeper.sqlite", "keeper.sqlite-wal"]
        .iter()
        .filter_map(|name| fs::metadata(data.join(name)).ok())
        .map(|file| file.len())
        .sum();
    figures.add("epochs of history", history.epochs as f64, "");
    figures.add("rows of each", f64::from(history.rows), "");
    figures.add("database", size as f64 / f64::from(1 << 20), "MiB");
    let config = net.configure(&data);
    let mut longest = 0.0_f64;
    for start in 1..=history.starts {
        let begun = Instant::now();
        let program = Program::start(&config, &data);
        net.ready(&program).await;
        longest = longest.max(begun.elapsed().as_secs_f64());
        if start == history.starts {
            tokio::time::sleep(history.quiet).await;
            let process = program.0.id().to_string();
            figures.promised("start to ready, longest", longest, "s", Some(Target::AtMost(READY)));
            figures.add("starts", start as f64, "");
            figures.add("quiet for", history.quiet.as_secs_f64(), "s");
            figures.promised("idle memory", memory_mib(&process, "VmRSS"), "MiB", Some(Target::AtMost(IDLE)));
            figures.add("peak memory", memory_mib(&process, "VmHWM"), "MiB");
        }
    }
    figures
}

/// A process that is killed when dropped.
struct Program(Child, PathBuf);

impl Program {
    fn start(config: &Path, folder: &Path) -> Self {
        let log = folder.join("log");
        let output = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-keeper"));
        command.arg("run").arg("--config").arg(config).stdout(Stdio::null()).stderr(output);
        Self(command.spawn().unwrap(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Net {
    anvil: Anvil,
    world: World,
    network: Network,
    folder: tempfile::TempDir,
    listen: SocketAddr,
}

impl Net {
    /// The suite on a chain whose clock stands in epoch `epochs`, everything before it settled, with a block every second.
    async fn deploy(epochs: u64) -> Self {
        let anvil = Anvil::start(&["--auto-impersonate", "--gas-limit", "60000000"]).await;
        let world = World::new();
        let mut config = GenesisConfig::devnet();
        world.populate(&mut config);
        config.epochs.genesis = Genesis::At(anvil.time().await + 1_000);
        let deployer = world.account("deployer");
        let plan = Plan::new(&config, deployer, ChainFacts { chain_id: 31_337 }).unwrap();
        let contracts = plan.suite.contracts().into_iter();
        let contracts: serde_json::Map<_, _> =
            contracts.map(|(name, address)| (name.to_owned(), json!({ "address": address }))).collect();
        let manifest = json!({
            "chainId": 31_337, "genesis": plan.genesis, "epochLength": config.epochs.length.0, "contracts": contracts,
        });
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("31337.json"), manifest.to_string()).unwrap();
        let network = Network::load(&folder.path().join("31337.json")).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let net = Self { anvil, world, network, folder, listen };
        for step in &plan.steps {
            net.send(deployer, step.to, step.data.clone()).await;
        }
        net.anvil.mine_at(net.network.clock.start_of(epochs) + 1).await;
        let controller = EmissionController::new(net.network.controller, &net.anvil.provider);
        while controller.settledThrough().call().await.unwrap() < epochs {
            let settle = EmissionController::settleCall { maxSubnets: U256::from(SETTLED_AT_ONCE) };
            net.send(deployer, net.network.controller, settle.abi_encode().into()).await;
        }
        net.fund(net.world.account("keeper 1")).await;
        net.anvil.ask("evm_setIntervalMining", json!([1])).await;
        net
    }

    async fn fund(&self, account: Address) {
        self.anvil.ask("anvil_setBalance", json!([account, U256::from(10).pow(U256::from(20))])).await;
    }

    async fn send(&self, from: Address, to: Address, data: Bytes) {
        self.fund(from).await;
        let request = TransactionRequest::default().from(from).to(to).input(data.into());
        let sent = self.anvil.provider.send_transaction(request).await.unwrap();
        assert!(sent.get_receipt().await.unwrap().status(), "a transaction of the benchmark reverted");
    }

    /// Fills store and guard as that many epochs would have, by the doors that the keeper itself uses.
    async fn remember(&self, data: &Path, history: History) {
        let store = store::open(&StoreConfig::default(), data).await.unwrap().store;
        let guard = Guard::open(&data.join("guard.sqlite")).await.unwrap();
        let me = self.world.account("keeper 1");
        for epoch in 0..history.epochs {
            self.remember_epoch(&*store, epoch, history).await;
            let Network { chain_id, oracle: contract, .. } = self.network;
            let slot = Slot { chain_id, contract, epoch, attempt: 0 };
            guard.authorize(slot, B256::from(U256::from(epoch))).await.unwrap();
        }
        assert_eq!(store.last_attested(me).await.unwrap(), history.epochs.checked_sub(1));
        guard.close().await;
        store.close().await;
    }

    async fn remember_epoch(&self, store: &dyn Store, epoch: u64, history: History) {
        let keepers: Vec<Address> =
            (1..=KEEPERS).map(|number| self.world.account(&format!("keeper {number}"))).collect();
        let reveal = |number: u16| Reveal {
            netuid: 1,
            epoch,
            validator: Address::left_padding_from(&number.to_be_bytes()),
            seq: 1,
            salt: B256::ZERO,
            row: (0..history.uids).map(|uid| (uid, uid.wrapping_mul(257))).collect(),
            signature: SignatureBytes::ZERO,
            receipts: keepers.iter().map(|keeper| (*keeper, SignatureBytes::ZERO)).collect(),
        };
        let reveals: Vec<Reveal> = (1..=history.rows).map(reveal).collect();
        let commits: Vec<Signed<WeightsCommit>> =
            reveals.iter().map(|reveal| unsigned(reveal.commit(self.network.chain_id, self.network.oracle))).collect();
        try_join_all(commits.iter().map(|commit| store.put_commit(commit))).await.unwrap();
        try_join_all(reveals.iter().map(|reveal| store.put_reveal(reveal, None))).await.unwrap();
        let content = rows_hash(&reveals);
        store.put_list(epoch, content, &reveals).await.unwrap();
        let list = unsigned(RowList { epoch, attempt: 0, round: 0, rowsHash: content });
        store.put_proposal(&Proposal { proposer: keepers[0], list }).await.unwrap();
        store.choose(epoch, 0, content).await.unwrap();
        let report = EpochReport {
            epoch,
            attempt: 0,
            configDigest: B256::ZERO,
            inputsBlock: B256::ZERO,
            previousReport: B256::ZERO,
            subnetsRoot: content,
            rewardsRoot: content,
            bundleHash: content,
            rulesVersion: 1,
        };
        for keeper in &keepers {
            for step in [Step::Prevote, Step::Precommit] {
                let vote = ListVote { epoch, attempt: 0, round: 0, step: step.number(), rowsHash: content };
                store.put_vote(&Vote { keeper: *keeper, vote: unsigned(vote) }, false).await.unwrap();
            }
            let attestation = Attestation { keeper: *keeper, report: unsigned(report.clone()) };
            store.put_attestation(&attestation).await.unwrap();
        }
    }

    /// The least configuration, as `keeper/examples/minimal.toml` has it.
    fn configure(&self, data: &Path) -> PathBuf {
        let folder = self.folder.path();
        let (key, config) = (folder.join("attest.key"), folder.join("keeper.toml"));
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&key).unwrap();
        writeln!(file, "{}", self.world.signer("keeper 1").to_bytes()).unwrap();
        let manifest = folder.join("31337.json");
        let text = format!(
            "rpc = {:?}\nmanifest = {manifest:?}\ndata_dir = {data:?}\nlisten = \"{}\"\n[keys]\nattest = {{ file = {key:?} }}\n",
            self.anvil.url, self.listen,
        );
        fs::write(&config, text).unwrap();
        config
    }

    async fn ready(&self, program: &Program) {
        let started = Instant::now();
        loop {
            if TcpStream::connect(self.listen).await.is_ok() {
                let (status, _) = Line::open(self.listen).await.send(get("/health/ready")).await;
                if status.is_success() {
                    return;
                }
            }
            let patient = started.elapsed() < Duration::from_secs(60);
            assert!(patient, "not ready:\n{}", fs::read_to_string(&program.1).unwrap());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A message as the store holds it, which does not look at signatures.
fn unsigned<T>(message: T) -> Signed<T> {
    Signed { message, signature: SignatureBytes::ZERO }
}
