//! The real programs: three `tandem-keeper` processes on an anvil with the real contracts, one of them killed on the way.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use alloy::{providers::Provider, rpc::types::TransactionRequest};
use alloy_primitives::{Address, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tandem_contracts::{
    bindings::{
        EpochOracle, KeeperSet, RewardDistributor, SubnetRegistry, TestUSDC, reward_distributor::IRewardDistributor,
    },
    suite::{ChainFacts, Genesis, GenesisConfig, Plan, Suite},
    world::World,
};
use tandem_keeper::{
    chain::{ChainReader, RpcChain},
    config::Finality,
    network::Network,
};
use tandem_protocol::{
    api::{ClaimList, KeeperStatus, ReceiptResponse},
    reveal::Reveal,
    tree::RewardKind,
};

use crate::{
    keys::private,
    support::{anvil::Anvil, commit, opened, postgres::Cluster},
};

pub(crate) const KEEPERS: usize = 3;
const POT: u64 = 1_000_000_000;

/// A process that is killed when dropped.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        signal::kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a keeper's process lives and what it speaks to.
pub(crate) struct Place<'a> {
    /// Of its files.
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) rpc: &'a str,
    /// More lines of its configuration.
    pub(crate) more: &'a str,
}

pub(crate) struct Net {
    pub(crate) anvil: Anvil,
    pub(crate) world: World,
    pub(crate) suite: Suite,
    pub(crate) network: Network,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) ports: Vec<u16>,
    pub(crate) http: Client,
}

impl Net {
    /// Deploys the suite, registers three validators and two contributors in subnet 1, and fills its pot.
    pub(crate) async fn deploy() -> Self {
        let anvil = Anvil::start(&[
            "--auto-impersonate",
            "--gas-limit",
            "60000000",
            "--prune-history",
            "100",
            "--no-request-size-limit",
        ])
        .await;
        let world = World::new();
        let mut config = GenesisConfig::devnet();
        world.populate(&mut config);
        let now = anvil.time().await;
        config.epochs.genesis = Genesis::At(now + 1_000);
        let deployer = world.account("deployer");
        let plan = Plan::new(&config, deployer, ChainFacts { chain_id: 31_337 }).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let contracts: serde_json::Map<_, _> = plan
            .suite
            .contracts()
            .into_iter()
            .map(|(name, address)| (name.to_owned(), json!({ "address": address })))
            .collect();
        let manifest = json!({
            "chainId": 31_337, "genesis": plan.genesis, "epochLength": config.epochs.length.0, "contracts": contracts,
        });
        let path = folder.path().join("31337.json");
        fs::write(&path, manifest.to_string()).unwrap();
        let network = Network::load(&path).unwrap();
        let ports =
            (0..KEEPERS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()).collect();
        let net = Self { anvil, world, suite: plan.suite.clone(), network, folder, ports, http: Client::new() };
        for step in &plan.steps {
            net.send(deployer, step.to, step.data.clone()).await;
        }
        for (index, keeper) in net.keepers().iter().enumerate() {
            let endpoint = format!("http://127.0.0.1:{}/", net.ports[index]);
            net.call(keeper.address(), net.suite.keeper_set, KeeperSet::setEndpointCall { endpoint }).await;
        }
        for number in 1..=3 {
            net.register(&format!("validator {number}"), &format!("hotkey {number}"), "").await;
        }
        for number in 1..=2 {
            let endpoint = format!("http://contributor-{number}.example");
            net.register(&format!("contributor {number}"), &format!("contributor hotkey {number}"), &endpoint).await;
        }
        let donor = world_account("donor");
        net.usdc(donor, net.suite.reward_distributor, POT).await;
        let contribute = RewardDistributor::contributeCall { netuid: 1, usdc: U256::from(POT) };
        net.call(donor, net.suite.reward_distributor, contribute).await;
        // From here on blocks come when the test says so.
        net.anvil.ask("evm_setAutomine", json!([false])).await;
        net
    }

    pub(crate) fn keepers(&self) -> Vec<PrivateKeySigner> {
        (1..=KEEPERS).map(|number| self.world.signer(&format!("keeper {number}"))).collect()
    }

    pub(crate) async fn register(&self, owner: &str, hotkey: &str, endpoint: &str) {
        let owner = world_account(owner);
        self.usdc(owner, self.suite.subnet_registry, 100_000_000).await;
        let register = SubnetRegistry::registerNeuronCall {
            netuid: 1,
            hotkey: world_account(hotkey),
            endpoint: endpoint.to_owned(),
            maxPrice: U256::MAX,
        };
        self.call(owner, self.suite.subnet_registry, register).await;
    }

    pub(crate) async fn usdc(&self, owner: Address, spender: Address, amount: u64) {
        let amount = U256::from(amount);
        self.call(owner, self.suite.usdc, TestUSDC::mintCall { to: owner, amount }).await;
        self.call(owner, self.suite.usdc, TestUSDC::approveCall { spender, value: amount }).await;
    }

    pub(crate) async fn call<C: SolCall>(&self, from: Address, to: Address, call: C) {
        self.send(from, to, call.abi_encode().into()).await;
    }

    pub(crate) async fn send(&self, from: Address, to: Address, data: Bytes) {
        self.anvil.ask("anvil_setBalance", json!([from, U256::from(10).pow(U256::from(20))])).await;
        let request = TransactionRequest::default().from(from).to(to).input(data.into());
        let hash = *self.anvil.provider.send_transaction(request).await.unwrap().tx_hash();
        let mut receipt = self.anvil.provider.get_transaction_receipt(hash).await.unwrap();
        while receipt.is_none() {
            self.pass(1).await;
            receipt = self.anvil.provider.get_transaction_receipt(hash).await.unwrap();
        }
        assert!(receipt.unwrap().status(), "a transaction of the test reverted");
    }

    /// A block after so many seconds, and a moment for the keepers to see it.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.anvil.mine_at(self.anvil.time().await + seconds).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }

    /// Lets time pass second by second.
    pub(crate) async fn pass_until(&self, time: u64) {
        while self.anvil.time().await < time {
            self.pass(1).await;
        }
    }

    pub(crate) fn run(&self, index: usize) -> Program {
        self.start(index, &[])
    }

    /// A process of a keeper, with more in its environment.
    pub(crate) fn start(&self, index: usize, environment: &[(&str, &str)]) -> Program {
        let place = Place { name: &index.to_string(), port: self.ports[index], rpc: &self.anvil.url, more: "" };
        self.start_at(index, &place, environment)
    }

    pub(crate) fn start_at(&self, index: usize, place: &Place<'_>, environment: &[(&str, &str)]) -> Program {
        let Place { name, port, rpc, more } = place;
        let folder = self.folder.path();
        let (key, config) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.toml")));
        write_key(&key, &self.keepers()[index]);
        let manifest = folder.join("31337.json");
        let text = format!(
            "rpc = {:?}\nmanifest = {:?}\ndata_dir = {:?}\nlisten = \"127.0.0.1:{}\"\npoll_ms = 50\n\
             [keys]\nattest = {{ file = {:?} }}\n[peers]\ntimeout_ms = 500\n{more}",
            rpc,
            manifest,
            folder.join(format!("keeper-{name}")),
            port,
            key,
        );
        fs::write(&config, text).unwrap();
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join(format!("{name}.log"))).unwrap();
        // A file that may not grow any more is an error, not a signal that kills.
        let program = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_tandem-keeper"), "run"])
            .arg("--config")
            .arg(config)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Program(program)
    }

    pub(crate) fn base(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[index])
    }

    pub(crate) async fn healthy(&self, index: usize) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if self.serves(index).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("keeper {index} does not serve:\n{}", self.logs());
    }

    pub(crate) async fn serves(&self, index: usize) -> bool {
        let answer = self.http.get(format!("{}/health", self.base(index))).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    pub(crate) fn log(&self, index: usize) -> String {
        fs::read_to_string(self.folder.path().join(format!("{index}.log"))).unwrap_or_default()
    }

    pub(crate) fn logs(&self) -> String {
        (0..KEEPERS).map(|index| self.log(index)).collect::<Vec<_>>().join("\n---\n")
    }

    pub(crate) async fn status(&self, index: usize) -> KeeperStatus {
        self.try_status(index).await.unwrap()
    }

    pub(crate) async fn try_status(&self, index: usize) -> Option<KeeperStatus> {
        let url = format!("{}/v1/status", self.base(index));
        self.http.get(url).send().await.ok()?.json().await.ok()
    }

    /// A commit with every keeper's receipt, as the reveal that opens it.
    pub(crate) async fn commit(&self, hotkey: &str, epoch: u64, row: &[(u16, u16)]) -> Reveal {
        let commit = commit(&self.network, &self.world.signer(hotkey), epoch, 1, 1, row);
        let mut receipts = Vec::new();
        for index in 0..KEEPERS {
            let answer = loop {
                let url = format!("{}/v1/commits", self.base(index));
                let answer = self.http.post(url).json(&commit).send().await.unwrap();
                // A keeper that has not read the epoch yet asks for patience; validators have it until the deadline.
                let early = answer.status() == StatusCode::CONFLICT;
                if !early || self.anvil.time().await >= self.network.clock.commit_deadline(epoch) {
                    break answer;
                }
                self.pass(1).await;
            };
            assert_eq!(answer.status(), StatusCode::OK, "{}", self.logs());
            let receipt: ReceiptResponse = answer.json().await.unwrap();
            receipts.push((receipt.keeper, receipt.signature));
        }
        opened(&commit, row, receipts)
    }

    /// Shows a row to every keeper.
    pub(crate) async fn reveal(&self, reveal: &Reveal) {
        for index in 0..KEEPERS {
            loop {
                let url = format!("{}/v1/reveals", self.base(index));
                let answer = self.http.post(url).json(reveal).send().await.unwrap();
                // A keeper that has not seen the newest block yet.
                if answer.status() != StatusCode::CONFLICT {
                    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", self.logs());
                    break;
                }
                self.pass(1).await;
            }
        }
    }
}

fn world_account(name: &str) -> Address {
    World::new().account(name)
}

pub(crate) fn write_key(path: &Path, key: &PrivateKeySigner) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path).unwrap();
    writeln!(file, "{}", key.to_bytes()).unwrap();
}

pub(crate) fn replay(net: &Net, epoch: u64, peer: &str) -> (Option<i32>, String) {
    let manifest: PathBuf = net.folder.path().join("31337.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tandem-keeper"))
        .args(["replay", "--epoch", &epoch.to_string(), "--rpc", &net.anvil.url, "--peer", peer, "--manifest"])
        .arg(manifest)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

/// `[KP-1]` `[EP-2]` `[SN-2]`
#[tokio::test]
async fn three_processes_carry_an_epoch_from_commit_to_claim_though_one_is_killed() {
    let net = Net::deploy().await;
    let clock = net.network.clock;
    let mut programs: Vec<Program> = (0..KEEPERS).map(|index| net.run(index)).collect();
    for index in 0..KEEPERS {
        net.healthy(index).await;
    }
    net.anvil.mine_at(clock.start_of(0) + 3).await;
    net.pass(2).await;
    let mut reveals = Vec::new();
    for (number, row) in
        [(1, [(3, 60_000), (4, 20_000)]), (2, [(3, 60_000), (4, 20_000)]), (3, [(3, 59_000), (4, 21_000)])]
    {
        reveals.push(net.commit(&format!("hotkey {number}"), 0, &row).await);
    }
    net.anvil.mine_at(clock.commit_deadline(0)).await;
    net.pass(1).await;
    for reveal in &reveals {
        net.reveal(reveal).await;
    }
    net.pass_until(clock.reveal_deadline(0)).await;
    // SIGKILL, in the middle of whatever it is doing.
    drop(programs.remove(0));
    net.pass(1).await;
    programs.insert(0, net.run(0));

    let oracle = EpochOracle::new(net.network.oracle, &net.anvil.provider);
    while !oracle.lastActive().call().await.unwrap().any {
        assert!(net.anvil.time().await < clock.reveal_deadline(1), "epoch 0 is not active:\n{}", net.logs());
        net.pass(1).await;
    }
    net.healthy(0).await;
    net.pass(1).await;
    for index in 0..KEEPERS {
        assert_eq!(net.status(index).await.last_active, Some(0), "{}", net.logs());
    }

    let contributor = world_account("contributor 1");
    let url = format!("{}/v1/claims/{contributor}", net.base(1));
    let started = Instant::now();
    let claims: ClaimList = loop {
        // That a report is active is seen at once; its tree is built a moment later.
        let answer = net.http.get(&url).send().await.unwrap();
        if answer.status() == StatusCode::OK || started.elapsed() > Duration::from_secs(10) {
            break answer.json().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let claim = claims.claims.iter().find(|claim| claim.reward.kind == RewardKind::ContributorUsdc).unwrap();
    let call = RewardDistributor::claimCall {
        c: IRewardDistributor::Claim {
            index: U256::from(claim.index),
            kind: claim.reward.kind as u8,
            netuid: claim.reward.netuid,
            account: contributor,
            cumulative: U256::from(claim.reward.cumulative),
        },
        proof: claim.proof.clone(),
    };
    let usdc = TestUSDC::new(net.suite.usdc, &net.anvil.provider);
    let before = usdc.balanceOf(contributor).call().await.unwrap();
    net.call(contributor, net.suite.reward_distributor, call).await;
    let paid = usdc.balanceOf(contributor).call().await.unwrap() - before;
    assert_eq!(paid, U256::from(claim.reward.cumulative));
    // 39 % of the pot is the contributors', and this one has about three quarters of the weight.
    assert!(paid > U256::from(POT * 25 / 100) && paid < U256::from(POT * 35 / 100), "{paid}");

    let chain = RpcChain::connect(&net.anvil.url, net.network.clone(), Finality::Behind(0)).unwrap();
    let mut signers = 0;
    for keeper in net.keepers() {
        let signed = chain.signed_epochs(keeper.address(), 5).await.unwrap();
        signers += usize::from(signed == [0]);
        assert!(signed.is_empty() || signed == [0], "{signed:?}");
    }
    assert!(signers >= 2, "exactly the threshold's signatures are posted, found {signers}");
    assert!(chain.signed_epochs(contributor, 5).await.unwrap().is_empty());

    let (code, words) = replay(&net, 0, &net.base(2));
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("the same to the bit"));
    assert_eq!(replay(&net, 5, &net.base(2)).0, Some(2));
    assert_eq!(replay(&net, 0, "http://127.0.0.1:1").0, Some(2));

    crate::commands::all_do_their_work_on(&net).await;

    let mut last = programs.remove(2);
    assert!(last.stop().success(), "asked to stop, it stops cleanly");
}

/// `[KP-1]`
#[tokio::test]
async fn a_process_on_the_same_database_takes_over_from_a_leader_that_was_killed() {
    let (cluster, net) = (Cluster::start().await, Net::deploy().await);
    let url = net.folder.path().join("store.url");
    private(&url, &cluster.url("postgres"));
    let store = format!("[store]\nurl = {{ file = {url:?} }}\nlease_s = 3\n");
    let leads = async |port: u16| {
        let metrics = net.http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.ok()?;
        metrics.text().await.ok()?.lines().find_map(|line| line.strip_prefix("tandem_keeper_leads ")?.parse().ok())
    };
    let until = async |port: u16, wanted: u8| {
        let started = Instant::now();
        while leads(port).await != Some(wanted) {
            assert!(started.elapsed() < Duration::from_secs(30), "{port} does not change its part:\n{}", net.logs());
            net.pass(1).await;
        }
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run_as = |name: &str, port| net.start_at(0, &Place { name, port, rpc: &net.anvil.url, more: &store }, &[]);
    let leader = run_as("leader", port);
    until(port, 1).await;
    // Whom validators and peers know is the other one, which only serves.
    let _programs = [run_as("0", net.ports[0]), net.run(1), net.run(2)];
    for index in 0..KEEPERS {
        net.healthy(index).await;
    }
    let clock = net.network.clock;
    net.anvil.mine_at(clock.start_of(0) + 3).await;
    net.pass(2).await;
    let reveal = net.commit("hotkey 1", 0, &[(3, 60_000), (4, 20_000)]).await;
    assert_eq!((leads(port).await, leads(net.ports[0]).await), (Some(1), Some(0)));
    assert_eq!(net.status(0).await.last_attested, None);
    net.anvil.mine_at(clock.commit_deadline(0)).await;
    net.pass(1).await;
    net.reveal(&reveal).await;
    drop(leader);
    until(net.ports[0], 1).await;
    while net.status(0).await.last_attested.is_none() {
        assert!(net.anvil.time().await < clock.start_of(4), "nothing was attested:\n{}", net.logs());
        net.pass(1).await;
    }
}
