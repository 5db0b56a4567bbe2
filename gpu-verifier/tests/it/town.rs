//! A small network in one process: the real contracts in an EVM in memory, nodes and a worker over real HTTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tandem_contracts::bindings::{
    ComputeCredit, CreditDesk, KeeperSet, RateCard, Settlement, SubnetRegistry, TestUSDC,
};
use tandem_contracts::suite::{GenesisConfig, Plan};
use tandem_contracts::world::{Revert, World};
use tandem_protocol::clock::EpochClock;
use tandem_protocol::messages::model_id;
use tandem_protocol::payment::{PaymentMeter, Rate, Tokens};
use tandem_verifier::chain::{Batch, Chain, ChainError, Channel, Head, Network, Neuron, NewChannel};
use tandem_verifier::cheat::ConstantProof;
use tandem_verifier::engine::{Engine, EngineError, Honest, Watcher};
use tandem_verifier::generate::{Completion, Request};
use tandem_verifier::model::{ModelConfig, ModelFiles, Text};
use tandem_verifier::node::till::{self, Payee, Till};
use tandem_verifier::node::{Identity, Limits, Node, serve};
use tandem_verifier::service;
use tandem_verifier::testmodel::Size;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::{FULL, SMALL, written};

pub(crate) const MODEL: &str = "tandem/test";
pub(crate) const NETUID: u16 = 1;
/// The block before the first epoch.
pub(crate) const LAST_BLOCK: B256 = B256::repeat_byte(0xbb);
pub(crate) const CREDIT: u128 = 1_000_000_000_000_000_000;

/// The contracts.
pub(crate) struct Town {
    world: Mutex<World>,
    plan: Plan,
    pub(crate) network: Network,
    /// What the last settled voucher of each channel named.
    settled: Mutex<BTreeMap<U256, Tokens>>,
    /// Whether questions for neurons go unanswered.
    pub(crate) down: AtomicBool,
}

/// The contracts as one account sees them.
pub(crate) struct Resident {
    pub(crate) town: Arc<Town>,
    account: Address,
}

impl Town {
    pub(crate) fn new() -> Arc<Self> {
        let (mut world, mut config) = (World::new(), GenesisConfig::devnet());
        world.populate(&mut config);
        let deployer = world.account("deployer");
        let plan = world.deploy(&mut config, deployer).unwrap();
        world.set_time(plan.genesis + 1);
        let suite = &plan.suite;
        let network = Network {
            chain_id: world.chain_id(),
            clock: EpochClock::new(plan.genesis, config.epochs.length.0).unwrap(),
            oracle: suite.epoch_oracle,
            settlement: suite.settlement,
            registry: suite.subnet_registry,
            rate_card: suite.rate_card,
            keeper_set: suite.keeper_set,
        };
        let settled = Mutex::new(BTreeMap::new());
        Arc::new(Self { world: Mutex::new(world), plan, network, settled, down: AtomicBool::new(false) })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn key(&self, name: &str) -> PrivateKeySigner {
        self.world().signer(name)
    }

    pub(crate) fn resident(self: &Arc<Self>, name: &str) -> Arc<Resident> {
        Arc::new(Resident { town: self.clone(), account: self.world().account(name) })
    }

    pub(crate) fn go_to(&self, time: u64) {
        self.world().set_time(time);
    }

    fn as_account<C: SolCall>(&self, account: Address, to: Address, call: C) -> C::Return {
        self.world().call(account, to, call).unwrap().ret
    }

    fn fund(&self, account: Address, spender: Address) {
        let amount = U256::from(10_000_000_000_u64);
        let usdc = self.plan.suite.usdc;
        self.world().mint_usdc(usdc, account, amount).unwrap();
        self.as_account(account, usdc, TestUSDC::approveCall { spender, value: amount });
    }

    pub(crate) fn register(&self, name: &str, endpoint: String) -> u16 {
        self.register_as(name, &format!("{name} hotkey"), endpoint)
    }

    pub(crate) fn register_as(&self, owner: &str, hotkey: &str, endpoint: String) -> u16 {
        let [owner, hotkey] = [owner, hotkey].map(|name| self.world().account(name));
        self.fund(owner, self.network.registry);
        let call = SubnetRegistry::registerNeuronCall { netuid: NETUID, hotkey, endpoint, maxPrice: U256::MAX };
        self.as_account(owner, self.network.registry, call)
    }

    pub(crate) fn buy_credits(&self, name: &str, credits: u64) {
        let (account, desk) = (self.world().account(name), self.plan.suite.credit_desk);
        self.fund(account, desk);
        let credits = U256::from(credits) * U256::from(CREDIT);
        self.as_account(account, desk, CreditDesk::buyCall { credits, maxUsdc: U256::MAX });
    }

    pub(crate) fn credits_of(&self, name: &str) -> u128 {
        let account = self.world().account(name);
        let balance = self.world().view(self.plan.suite.compute_credit, ComputeCredit::balanceOfCall { account });
        balance.unwrap().to()
    }
}

fn reverted(what: &'static str) -> impl Fn(Revert) -> ChainError {
    move |revert| ChainError::Reverted { what, reason: revert.message }
}

fn absent<T>(result: Result<T, Revert>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(revert) if revert.name.contains("_Unknown") => None,
        Err(revert) => panic!("{revert}"),
    }
}

#[async_trait]
impl Chain for Resident {
    async fn head(&self) -> Result<Head, ChainError> {
        let world = self.town.world();
        Ok(Head { number: world.block_number(), time: world.timestamp() })
    }

    async fn last_block_before(&self, time: u64) -> Result<Option<B256>, ChainError> {
        assert_eq!(time, self.town.network.clock.genesis());
        Ok(Some(LAST_BLOCK))
    }

    async fn rate(&self, model: B256) -> Result<Option<Rate>, ChainError> {
        let (world, card) = (self.town.world(), self.town.network.rate_card);
        let version = world.view(card, RateCard::latestVersionCall { model }).unwrap();
        let rate = absent(world.view(card, RateCard::rateOfCall { model, version }));
        Ok(rate.map(|rate| Rate {
            model,
            version,
            prompt_per_million: rate.promptPerMillion,
            completion_per_million: rate.completionPerMillion,
        }))
    }

    async fn neuron(&self, netuid: u16, uid: u16) -> Result<Option<Neuron>, ChainError> {
        if self.town.down.load(Ordering::Relaxed) {
            return Err(ChainError::Rpc("no answer".to_owned()));
        }
        let call = SubnetRegistry::neuronOfCall { netuid, uid };
        let neuron = absent(self.town.world().view(self.town.network.registry, call));
        Ok(neuron.map(|neuron| Neuron { owner: neuron.owner, hotkey: neuron.hotkey, endpoint: neuron.endpoint }))
    }

    async fn uid_of(&self, netuid: u16, hotkey: Address) -> Result<Option<u16>, ChainError> {
        let call = SubnetRegistry::uidOfCall { netuid, hotkey };
        let found = absent(self.town.world().view(self.town.network.registry, call)).unwrap_or_default();
        Ok(found.checked_sub(U256::ONE).map(|uid| uid.to()))
    }

    async fn keepers(&self, epoch: u64) -> Result<Vec<Address>, ChainError> {
        let call = KeeperSet::membersAtCall { epoch };
        Ok(self.town.world().view(self.town.network.keeper_set, call).unwrap().keepers)
    }

    async fn channel(&self, channel_id: U256) -> Result<Option<Channel>, ChainError> {
        let call = Settlement::channelOfCall { channelId: channel_id };
        let channel = absent(self.town.world().view(self.town.network.settlement, call));
        Ok(channel.map(|channel| Channel {
            payer: channel.payer,
            contributor: channel.contributor,
            session_key: channel.sessionKey,
            netuid: channel.netuid,
            uid: channel.uid,
            expiry: channel.expiry,
            capacity: channel.settled + channel.rest.purchased + channel.rest.earned,
            settled: channel.settled,
        }))
    }

    async fn channels_between(&self, payer: Address, contributor: Address) -> Result<Vec<U256>, ChainError> {
        let count: u64 =
            self.town.world().view(self.town.network.settlement, Settlement::channelCountCall {}).unwrap().to();
        let mut found = Vec::new();
        for id in (1..=count).rev().map(U256::from) {
            let channel = self.channel(id).await?.unwrap();
            if (channel.payer, channel.contributor) == (payer, contributor) {
                found.push(id);
            }
        }
        Ok(found)
    }

    async fn open_channel(&self, channel: NewChannel) -> Result<U256, ChainError> {
        let NewChannel { netuid, uid, amount, expiry, session_key } = channel;
        let call = Settlement::openCall { netuid, uid, amount, expiry, sessionKey: session_key };
        let opened = self.town.world().call(self.account, self.town.network.settlement, call);
        Ok(opened.map_err(reverted("open"))?.ret)
    }

    async fn settled_tokens(&self, id: U256) -> Result<Tokens, ChainError> {
        Ok(self.town.settled.lock().unwrap().get(&id).copied().unwrap_or_default())
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<B256, ChainError> {
        let settlement = self.town.network.settlement;
        let sent = self.town.world().send(self.account, settlement, batch.calldata(), U256::ZERO);
        for (_, event) in sent.map_err(reverted("settleBatch"))?.events::<Settlement::Settled>() {
            let tokens = Tokens { prompt: event.promptTokens, completion: event.completionTokens };
            self.town.settled.lock().unwrap().insert(event.channelId, tokens);
        }
        Ok(B256::ZERO)
    }
}

/// What a node runs, whatever it says it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Honest,
    /// Honest, and in no hurry.
    Slow,
    SmallModel,
    ConstantProof,
}

/// A model that takes five milliseconds for every token at least, so that a test can do something meanwhile.
struct Slow(Honest);

impl Engine for Slow {
    fn config(&self) -> &ModelConfig {
        self.0.config()
    }

    fn answer(&self, request: &Request, watch: &mut Watcher<'_>) -> Result<Completion, EngineError> {
        self.0.answer(request, &mut |drawn| {
            std::thread::sleep(Duration::from_millis(5));
            watch(drawn)
        })
    }
}

/// A running node.
pub(crate) struct TownNode {
    pub(crate) url: String,
    pub(crate) uid: u16,
    pub(crate) till: Arc<Till>,
    pub(crate) state: TempDir,
    ending: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

/// Turns by name, and whose turn it is.
const CHAT_TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<|reserved_260|>{{ m.role }}\n{{ m.content | trim }}\n\
                             {% endfor %}{% if add_generation_prompt %}<|reserved_260|>assistant\n{% endif %}";

/// The tokenizer of all nodes here, with a chat template.
pub(crate) fn text() -> Text {
    let dir = written(1, Size::Full);
    let config = json!({ "bos_token": { "content": "<|begin|>" }, "chat_template": CHAT_TEMPLATE });
    std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    ModelFiles::open(dir.path()).unwrap().tokenizer().unwrap()
}

/// Impatient, so that tests need not be patient.
pub(crate) fn limits() -> Limits {
    Limits {
        body_bytes: 32 << 10,
        answer: Duration::from_secs(20),
        read: Duration::from_secs(1),
        top_up: Duration::from_millis(800),
        ..Limits::default()
    }
}

impl TownNode {
    pub(crate) async fn start(town: &Arc<Town>, name: &str, kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uid = town.register(name, format!("http://{}", listener.local_addr().unwrap()));
        Self::run(town, name, uid, kind, listener, tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_with(town: &Arc<Town>, name: &str, kind: Kind, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uid = town.register(name, format!("http://{}", listener.local_addr().unwrap()));
        Self::run_with(town, name, uid, kind, listener, tempfile::tempdir().unwrap(), limits).await
    }

    pub(crate) async fn run(
        town: &Arc<Town>,
        name: &str,
        uid: u16,
        kind: Kind,
        listener: TcpListener,
        state: TempDir,
    ) -> Self {
        Self::run_with(town, name, uid, kind, listener, state, limits()).await
    }

    async fn run_with(
        town: &Arc<Town>,
        name: &str,
        uid: u16,
        kind: Kind,
        listener: TcpListener,
        state: TempDir,
        limits: Limits,
    ) -> Self {
        let till = till(town, name, uid, state.path()).await;
        let engine: Box<dyn Engine> = match kind {
            Kind::Honest => Box::new(Honest(FULL.clone())),
            Kind::Slow => Box::new(Slow(Honest(FULL.clone()))),
            Kind::SmallModel => Box::new(Honest(SMALL.clone())),
            Kind::ConstantProof => Box::new(ConstantProof(FULL.config().clone())),
        };
        let identity = Identity {
            hotkey: town.key(&format!("{name} hotkey")),
            payee: payee(town, name, uid),
            model: MODEL.to_owned(),
            speed_class: 1_000,
        };
        let metrics = service::start_metrics();
        let node = Node::new(identity, town.network.clone(), engine, text(), till.clone(), limits, metrics);
        let (ending, url) = (CancellationToken::new(), format!("http://{}", listener.local_addr().unwrap()));
        let server = tokio::spawn(serve(node, listener, ending.clone()));
        Self { url, uid, till, state, ending, server }
    }

    /// Stops the node; its state stays.
    pub(crate) async fn stop(self) -> TempDir {
        self.ending.cancel();
        self.server.await.unwrap().unwrap();
        self.state
    }

    pub(crate) async fn post(&self, body: &Value) -> (u16, Value) {
        self.post_raw(body.to_string()).await
    }

    pub(crate) async fn post_raw(&self, body: String) -> (u16, Value) {
        self.post_to("/v1/completions", body).await
    }

    pub(crate) async fn post_to(&self, path: &str, body: String) -> (u16, Value) {
        read(self.send(path, body).await).await
    }

    pub(crate) async fn send(&self, path: &str, body: String) -> Response {
        Client::new().post(format!("{}{path}", self.url)).body(body).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(Client::new().get(format!("{}{path}", self.url)).send().await.unwrap()).await
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn payee(town: &Town, name: &str, uid: u16) -> Payee {
    Payee { netuid: NETUID, uid, owner: town.world().account(name) }
}

pub(crate) async fn till(town: &Arc<Town>, name: &str, uid: u16, state: &Path) -> Arc<Till> {
    let pool = service::open_state(state, "node.sqlite", till::SCHEMA, name).await.unwrap();
    let chain = town.resident(name);
    let opened = Till::open(chain, town.network.clone(), payee(town, name, uid), model_id(MODEL), 30, pool).await;
    Arc::new(opened.unwrap())
}

/// A user with a channel to a node.
pub(crate) struct User {
    pub(crate) session: PrivateKeySigner,
    pub(crate) meter: PaymentMeter,
}

impl User {
    /// Buys what the channel needs and opens it.
    pub(crate) async fn open(town: &Arc<Town>, name: &str, uid: u16, credits: u64, life: u64) -> Self {
        town.buy_credits(name, credits);
        let chain = town.resident(name);
        let session = town.key(&format!("{name} session"));
        let (amount, now) = (u128::from(credits) * CREDIT, chain.head().await.unwrap().time);
        let channel = NewChannel { netuid: NETUID, uid, amount, expiry: now + life, session_key: session.address() };
        let id = chain.open_channel(channel).await.unwrap();
        let rate = chain.rate(model_id(MODEL)).await.unwrap().unwrap();
        Self { session, meter: PaymentMeter::new(id, amount, rate) }
    }

    /// A paid request.
    pub(crate) fn request(&mut self, town: &Town, prompt: &str, max_tokens: u64) -> Value {
        let prompt_tokens = text().encode(prompt).unwrap().len() as u64;
        let domain = town.network.settlement_domain();
        let payment = self.meter.pay(prompt_tokens, max_tokens, B256::repeat_byte(9), &domain, &self.session).unwrap();
        json!({ "model": MODEL, "prompt": prompt, "max_tokens": max_tokens, "seed": 5, "tandem": payment })
    }
}
