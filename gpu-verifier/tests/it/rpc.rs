//! The chain client against a real node.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_signer_local::PrivateKeySigner;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use reqwest::Client;
use serde_json::{Value, json};
use tandem_contracts::bindings::{CreditDesk, SubnetRegistry, TestUSDC};
use tandem_contracts::suite::{ChainFacts, GenesisConfig, Plan};
use tandem_contracts::world::World;
use tandem_protocol::clock::EpochClock;
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::{PaymentMeter, Tokens, prompt_token_bound};
use tandem_protocol::signed::Signed;
use tandem_verifier::chain::{Batch, Chain, ChainError, Network, NewChannel, RpcChain};
use tandem_verifier::testmodel::{self, Size};

const CREDIT: u128 = 1_000_000_000_000_000_000;

/// A node of a test chain that signs for everybody; ends with the test.
struct Anvil {
    process: Child,
    url: String,
    client: Client,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Anvil {
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let installed = root.join("node_modules/.bin/anvil");
        let program = std::env::var_os("TANDEM_ANVIL").map_or(installed, std::path::PathBuf::from);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(&program)
            .args(["--silent", "--auto-impersonate", "--network", "optimism", "--port", &port.to_string()])
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `npm ci`", program.display()));
        let anvil = Self { process, url: format!("http://127.0.0.1:{port}"), client: Client::new() };
        for _ in 0..400 {
            if anvil.client.get(&anvil.url).send().await.is_ok() {
                return anvil;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{} does not answer", program.display());
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = self.client.post(&self.url).json(&request).send().await.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn send(&self, from: Address, to: Address, data: &[u8]) {
        let transaction = json!({ "from": from, "to": to, "data": Bytes::copy_from_slice(data), "gas": "0x1c9c380" });
        let hash = self.rpc("eth_sendTransaction", json!([transaction])).await;
        loop {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return assert_eq!(receipt["status"], "0x1", "{receipt}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn call<C: SolCall>(&self, from: Address, to: Address, call: C) {
        self.send(from, to, &call.abi_encode()).await;
    }

    async fn enrich(&self, account: Address) {
        self.rpc("anvil_setBalance", json!([account, "0x56bc75e2d63100000"])).await;
    }
}

async fn deploy(anvil: &Anvil) -> (Plan, Network) {
    let mut config = GenesisConfig::devnet();
    let accounts = World::new();
    accounts.populate(&mut config);
    let head = anvil.rpc("eth_getBlockByNumber", json!(["latest", false])).await;
    let now = u64::from_str_radix(head["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    config.resolve_genesis(now);
    let deployer = accounts.account("deployer");
    let plan = Plan::new(&config, deployer, ChainFacts { chain_id: 31_337 }).unwrap();
    anvil.enrich(deployer).await;
    for step in &plan.steps {
        anvil.send(deployer, step.to, &step.data).await;
    }
    let suite = &plan.suite;
    let network = Network {
        chain_id: 31_337,
        clock: EpochClock::new(plan.genesis, config.epochs.length.0).unwrap(),
        oracle: suite.epoch_oracle,
        settlement: suite.settlement,
        registry: suite.subnet_registry,
        rate_card: suite.rate_card,
        keeper_set: suite.keeper_set,
    };
    (plan, network)
}

/// Keys of a payer with five credits and of a registered miner's owner.
async fn populate(
    anvil: &Anvil,
    plan: &Plan,
    network: &Network,
    endpoint: String,
) -> (PrivateKeySigner, PrivateKeySigner) {
    let accounts = World::new();
    let [payer, miner] = ["payer", "miner"].map(|name| accounts.signer(name));
    let usdc = plan.suite.usdc;
    for (account, spender) in [(&payer, plan.suite.credit_desk), (&miner, network.registry)] {
        let amount = U256::from(1_000_000_000_u64);
        anvil.enrich(account.address()).await;
        anvil.call(account.address(), usdc, TestUSDC::mintCall { to: account.address(), amount }).await;
        anvil.call(account.address(), usdc, TestUSDC::approveCall { spender, value: amount }).await;
    }
    let credits = U256::from(5 * CREDIT);
    anvil.call(payer.address(), plan.suite.credit_desk, CreditDesk::buyCall { credits, maxUsdc: U256::MAX }).await;
    let hotkey = accounts.account("miner hotkey");
    let register = SubnetRegistry::registerNeuronCall { netuid: 1, hotkey, endpoint, maxPrice: U256::MAX };
    anvil.call(miner.address(), network.registry, register).await;
    (payer, miner)
}

/// [CR-5] Reads, opens, settles; a voucher of a batch that does not settle harms no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_chain_client_reads_opens_and_settles_on_a_real_node() {
    let anvil = Anvil::start().await;
    let (plan, network) = deploy(&anvil).await;
    let (payer, miner) = populate(&anvil, &plan, &network, "http://127.0.0.1:9".to_owned()).await;
    let (session, hotkey) = (World::new().signer("payer session"), World::new().account("miner hotkey"));

    let elsewhere = Network { chain_id: 1, ..network.clone() };
    let refused = RpcChain::connect(&anvil.url, elsewhere, None).await.err().unwrap();
    assert!(matches!(refused, ChainError::WrongNetwork(_)), "{refused}");
    let empty = Network { settlement: Address::repeat_byte(1), ..network.clone() };
    assert!(RpcChain::connect(&anvil.url, empty, None).await.is_err());
    let reader = RpcChain::connect(&anvil.url, network.clone(), None).await.unwrap();
    let chain = RpcChain::connect(&anvil.url, network.clone(), Some(payer.clone())).await.unwrap();

    let model = model_id("tandem/test");
    let rate = chain.rate(model).await.unwrap().unwrap();
    assert_eq!((rate.version, rate.completion_per_million), (1, 2_000 * CREDIT));
    assert_eq!(chain.rate(B256::ZERO).await.unwrap(), None);
    let uid = chain.uid_of(1, hotkey).await.unwrap().unwrap();
    assert_eq!(chain.uid_of(1, payer.address()).await.unwrap(), None);
    assert_eq!(chain.neuron(1, uid).await.unwrap().unwrap().owner, miner.address());
    assert_eq!(chain.neuron(1, uid + 1).await.unwrap(), None);
    assert_eq!(chain.neuron(99, 0).await.unwrap(), None);
    let head = chain.head().await.unwrap();
    for number in [1, head.number / 2, head.number] {
        let block = anvil.rpc("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        let time = u64::from_str_radix(block["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let found = chain.last_block_before(time).await.unwrap();
        let mut expected = None;
        for earlier in 0..number {
            let block = anvil.rpc("eth_getBlockByNumber", json!([format!("{earlier:#x}"), false])).await;
            let of = u64::from_str_radix(block["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
            expected = if of < time { Some(block["hash"].as_str().unwrap().parse().unwrap()) } else { expected };
        }
        assert_eq!(found, expected);
    }
    assert_eq!(chain.last_block_before(0).await.unwrap(), None);
    assert!(chain.last_block_before(head.time + 1).await.is_err(), "a later block may be before it");
    let keepers = chain.keepers(0).await.unwrap();
    assert!(keepers.len() == 3 && keepers.is_sorted());

    let expiry = chain.head().await.unwrap().time + 3_600;
    let new = NewChannel { netuid: 1, uid, amount: 3 * CREDIT, expiry, session_key: session.address() };
    assert!(matches!(reader.open_channel(new).await, Err(ChainError::NoKey)));
    let id = chain.open_channel(new).await.unwrap();
    let error = chain.open_channel(new).await.unwrap_err().to_string();
    assert!(error.contains("ComputeCredit_InsufficientCredits"), "{error}");
    let channel = chain.channel(id).await.unwrap().unwrap();
    assert_eq!((channel.payer, channel.contributor, channel.capacity), (payer.address(), miner.address(), 3 * CREDIT));
    assert_eq!(chain.channel(id + U256::ONE).await.unwrap(), None);
    assert_eq!(chain.channels_between(payer.address(), miner.address()).await.unwrap(), [id]);
    assert_eq!(chain.channels_between(miner.address(), payer.address()).await.unwrap(), [] as [U256; 0]);

    let mut meter = PaymentMeter::new(id, 3 * CREDIT, rate);
    let domain = network.settlement_domain();
    let good = Signed::new(meter.authorize(100, 50).unwrap(), &domain, &session).unwrap();
    let forged = Signed::new(meter.authorize(100, 50).unwrap(), &domain, &payer).unwrap();
    let vouchers = [forged, good.clone(), good.clone()];
    chain.settle(Batch { contributor: miner.address(), netuid: 1, vouchers: &vouchers }).await.unwrap();
    let channel = chain.channel(id).await.unwrap().unwrap();
    assert_eq!((channel.settled, channel.capacity), (good.message.amount, 3 * CREDIT));
    assert_eq!(chain.settled_tokens(id).await.unwrap(), Tokens { prompt: 100, completion: 50 });
    assert_eq!(hex::encode(model), hex::encode(good.message.model));
}

/// A process that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_tandem-verifier");
        Self(Command::new(program).args(arguments).env("RUST_LOG", "warn").stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Asks it to end and waits for its exit code.
    async fn end(mut self) -> Option<i32> {
        signal::kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).unwrap();
        for _ in 0..400 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        None
    }
}

/// The programs themselves: a node that is paid and settles, a worker that waits for its keepers, and a decent end of both.
#[tokio::test(flavor = "multi_thread")]
async fn the_programs_serve_settle_wait_and_end_when_asked() {
    let anvil = Anvil::start().await;
    let (plan, network) = deploy(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for name in ["miner hotkey", "gas", "hotkey 1", "payer"] {
        let key = World::new().signer(name);
        anvil.enrich(key.address()).await;
        std::fs::write(path(name), format!("0x{}\n", hex::encode(key.to_bytes()))).unwrap();
    }
    testmodel::write(path("model"), 1, Size::Full).unwrap();
    let Network { oracle, settlement, registry, rate_card, keeper_set, clock, .. } = network;
    let entry = |address: Address| json!({ "address": address, "salt": "ignored" });
    let manifest = json!({
        "chainId": 31_337, "genesis": clock.genesis(), "epochLength": clock.length(), "contracts": {
            "EpochOracle": entry(oracle), "Settlement": entry(settlement), "SubnetRegistry": entry(registry),
            "RateCard": entry(rate_card), "KeeperSet": entry(keeper_set),
        },
    });
    std::fs::write(path("manifest"), manifest.to_string()).unwrap();
    let (model, manifest_path, node_state, worker_state) = (path("model"), path("manifest"), path("n"), path("w"));
    let common = [
        "--model",
        &model,
        "--model-id",
        "tandem/test",
        "--rpc",
        &anvil.url,
        "--manifest",
        &manifest_path,
        "--log-json",
    ];

    // Started before its neuron is registered, as operators do.
    let (hotkey, gas) = (path("miner hotkey"), path("gas"));
    let own = ["--listen", "127.0.0.1:0", "--netuid", "1", "--hotkey-key", &hotkey, "--speed-class", "500"];
    let settling = ["--settle-key", &gas, "--settle-every", "1", "--state", &node_state];
    let mut node = Program::start(&[["serve"].as_slice(), &common, &own, &settling].concat());
    let (hotkey, payer_key) = (path("hotkey 1"), path("payer"));
    let own = ["--keeper", "http://127.0.0.1:9", "--hotkey-key", &hotkey, "--payer-key", &payer_key];
    let worker = Program::start(&[["work"].as_slice(), &common, &own, &["--state", &worker_state]].concat());
    let (payer, miner) = populate(&anvil, &plan, &network, String::new()).await;

    let mut line = String::new();
    BufReader::new(node.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = serde_json::from_str::<Value>(&line).unwrap()["listening"].as_str().unwrap().to_owned();
    let chain = RpcChain::connect(&anvil.url, network.clone(), Some(payer.clone())).await.unwrap();
    let uid = chain.uid_of(1, World::new().account("miner hotkey")).await.unwrap().unwrap();
    let expiry = chain.head().await.unwrap().time + 3_600;
    let new = NewChannel { netuid: 1, uid, amount: 3 * CREDIT, expiry, session_key: payer.address() };
    let id = chain.open_channel(new).await.unwrap();
    let rate = chain.rate(model_id("tandem/test")).await.unwrap().unwrap();
    let mut meter = PaymentMeter::new(id, 3 * CREDIT, rate);
    let payment = meter.pay(prompt_token_bound("Hello"), 20, B256::ZERO, &network.settlement_domain(), &payer).unwrap();
    let request = json!({ "model": "tandem/test", "prompt": "Hello", "max_tokens": 20, "tandem": payment });
    let url = format!("http://{address}/v1/completions");
    let answer: Value = anvil.client.post(url).json(&request).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["tandem"]["commitment"]["message"]["speedClass"], 500, "{answer}");
    assert_eq!(chain.channel(id).await.unwrap().unwrap().contributor, miner.address());
    assert_eq!(node.end().await, Some(0));
    let settled = chain.channel(id).await.unwrap().unwrap().settled;
    assert_eq!(Some(settled), rate.cost(meter.signed()), "settled at the latest at the end");
    assert_eq!(worker.end().await, Some(0));
}
