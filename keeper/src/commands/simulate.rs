//! `simulate`: a whole keeper on a live chain, but for what can be felt outside of it. Its key is nobody's, its memory a
//! folder that is thrown away, it serves no API, and what it would send is only said, with what that would cost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::{Address, utils::format_ether};
use alloy_sol_types::SolStruct;
use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use serde_json::{Value, json};
use tandem_protocol::reveal::Reveal;

use super::{AuditArgs, keeper_set, quiet_logs, until_asked_to_stop};
use crate::{
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, Heads, Nodes, ReportStatus, RpcChain},
    config::{AgreementConfig, Finality, JobsConfig, PeersConfig, SenderConfig},
    decide::{Policy, working_epoch},
    guard::Guard,
    keeper::{Keeper, Parts},
    keys::Key,
    network::Network,
    peers::HttpPeers,
    rows::{proposer, turn_of},
    sender::{Intent, Quote, SendError, Transactor, quote},
    store::{SqliteStore, Store},
    telemetry,
};

/// Epochs before the current one whose agreement may still be under way.
const LOOK_BACK: u64 = 2;

/// Of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Network.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// In whose place; the first keeper of the set if left out.
    #[arg(long = "as", value_name = "ADDRESS")]
    pub keeper: Option<Address>,
    /// What counts as final, as in the configuration.
    #[arg(long, default_value = "finalized")]
    pub finality: Finality,
    /// Milliseconds between two looks.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub poll_ms: u64,
    /// End after so many looks; at Ctrl-C if left out.
    #[arg(long, value_name = "N")]
    pub looks: Option<u64>,
    /// A line of JSON for each thing that it would do.
    #[arg(long)]
    pub json: bool,
}

/// Says each thing once.
#[derive(Debug)]
struct Said {
    json: bool,
    known: Mutex<BTreeSet<String>>,
}

impl Said {
    /// Whether `what` was not said yet.
    fn is_new(&self, what: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned())
    }

    fn once(&self, words: String, fields: Value) {
        if self.is_new(&words) {
            self.say(&words, &fields);
        }
    }

    fn say(&self, words: &str, fields: &Value) {
        if self.json { println!("{fields}") } else { println!("{words}") }
    }
}

/// Takes every transaction, asks what it would cost and sends none.
struct DryRun {
    said: Arc<Said>,
    nodes: Nodes,
    network: Network,
    me: Address,
}

#[async_trait]
impl Transactor for DryRun {
    async fn submit(&self, intent: &Intent) -> Result<(), SendError> {
        let purpose = intent.purpose();
        if !self.said.is_new(&purpose) {
            return Ok(());
        }
        match quote(self.nodes.clone(), &self.network, &SenderConfig::default(), self.me, intent).await {
            Ok(Quote { bytes, gas, cost, needed }) => self.said.say(
                &format!("would send: {purpose}; {bytes} bytes, {gas} gas, {} ether now", format_ether(cost)),
                &json!({
                    "would": "send", "purpose": purpose, "bytes": bytes, "gas": gas,
                    "cost_wei": cost.to_string(), "needed_wei": needed.to_string(),
                }),
            ),
            // One of its signatures may be the pretended one.
            Err(error) => self.said.say(
                &format!("would send: {purpose}; what it costs cannot be told: {error}"),
                &json!({ "would": "send", "purpose": purpose, "error": error.to_string() }),
            ),
        }
        Ok(())
    }

    async fn tick(&self) -> Result<bool, SendError> {
        Ok(false)
    }
}

struct Simulation {
    network: Network,
    policy: Policy,
    chain: Arc<RpcChain>,
    store: Arc<dyn Store>,
    keeper: Keeper,
    me: Address,
    said: Arc<Said>,
}

/// Simulates until told to stop.
pub async fn simulate(args: SimulateArgs) -> anyhow::Result<()> {
    quiet_logs()?;
    telemetry::metrics_handle();
    let (network, chain, _) = args.audit.open(args.finality).await?;
    let heads = chain.heads().await?;
    let (epoch, set) = keeper_set(&chain, &network, &heads.latest).await?;
    let me = args.keeper.or_else(|| set.keepers.first().copied()).context("there are no keepers in the set")?;
    let place = if set.keepers.contains(&me) { "in" } else { "not in" };
    eprintln!(
        "simulating keeper {me}, {place} the set of epoch {epoch}; nothing is signed with its key, nothing is sent"
    );

    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("keeper.sqlite")).await?);
    let guard = Guard::open(&folder.path().join("guard.sqlite")).await?;
    let said = Arc::new(Said { json: args.json, known: Mutex::default() });
    let (chain, stop) = (Arc::new(chain), until_asked_to_stop());
    let policy = Policy::new(&AgreementConfig::default(), &network.clock);
    let transactor = DryRun { said: said.clone(), nodes: chain.nodes(), network: network.clone(), me };
    let parts = Parts {
        policy,
        jobs: JobsConfig::default(),
        store: store.clone(),
        bundles: Bundles::in_folder(&folder.path().join("bundles"))?,
        chain: chain.clone(),
        transactor: Arc::new(transactor),
        attester: Attester::new(Key::pretended(me), &network, guard),
        peers: Arc::new(HttpPeers::new(&PeersConfig::default())?),
        endpoints: PeersConfig::default().endpoints,
        network: network.clone(),
    };
    let keeper = Keeper::new(parts, stop.clone());
    let simulation = Simulation { network, policy, chain, store, keeper, me, said };
    let mut looks = 0;
    while args.looks.is_none_or(|limit| looks < limit) && !stop.is_cancelled() {
        if let Err(error) = simulation.keeper.step().await {
            tracing::warn!(error = format!("{error:#}"), "this look failed");
        }
        if let Err(error) = simulation.tell().await {
            tracing::warn!(error = format!("{error:#}"), "what was done could not be read");
        }
        looks += 1;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(args.poll_ms)) => {}
        }
    }
    simulation.keeper.close().await;
    Ok(())
}

/// How many rows of each subnet, in words.
fn by_subnet<'a>(rows: impl Iterator<Item = &'a Reveal>) -> String {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    rows.for_each(|row| *counts.entry(row.netuid).or_default() += 1);
    let words: Vec<String> = counts.iter().map(|(netuid, count)| format!("{count} of subnet {netuid}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn named(row: &Reveal) -> Value {
    json!({ "netuid": row.netuid, "validator": row.validator, "seq": row.seq })
}

impl Simulation {
    /// Says whose turn it is, and which lists and reports the keeper has made since.
    async fn tell(&self) -> anyhow::Result<()> {
        let heads = self.chain.heads().await?;
        let Some(current) = self.network.clock.epoch_at(heads.latest.time) else { return Ok(()) };
        self.tell_of_agreement(&heads).await?;
        for epoch in current.saturating_sub(LOOK_BACK)..=current {
            let stored = self.chain.stored_report(epoch, &heads.latest).await?;
            for proposal in self.store.proposals(epoch, stored.attempt).await? {
                let message = &proposal.list.message;
                let ours = proposal.list.verify(&self.network.domain(), self.me).is_err();
                if proposal.proposer == self.me && ours {
                    let rows = self.store.list(epoch, message.rowsHash).await?.unwrap_or_default();
                    let (count, round) = (rows.len(), message.round);
                    let words = format!("would propose {count} rows for epoch {epoch} in round {round}");
                    let list: Vec<Value> = rows.iter().map(named).collect();
                    let fields = json!({
                        "would": "propose", "epoch": epoch, "round": round, "rows": count, "list": list,
                    });
                    self.said.once(words, fields);
                }
            }
            for attestation in self.store.attestations(epoch).await? {
                let report = &attestation.report.message;
                let hash = report.eip712_hash_struct();
                // What this key really signed came from peers, and is its own, not ours.
                let ours = attestation.report.verify(&self.network.domain(), self.me).is_err();
                if attestation.keeper == self.me && ours {
                    let words = format!(
                        "would sign report {hash} of epoch {epoch}, attempt {}, bundle {}",
                        report.attempt, report.bundleHash
                    );
                    let fields = json!({
                        "would": "sign", "epoch": epoch, "attempt": report.attempt, "report": hash, "bundle": report.bundleHash,
                    });
                    self.said.once(words, fields);
                }
            }
        }
        Ok(())
    }

    /// Whose turn it is in the agreement that is under way, and which rows are known.
    async fn tell_of_agreement(&self, heads: &Heads) -> anyhow::Result<()> {
        let (now, schedule) = (heads.latest.time, self.keeper.schedule());
        let Some(epoch) = working_epoch(&schedule, now) else { return Ok(()) };
        let Some(facts) = self.keeper.facts(epoch) else { return Ok(()) };
        let stored = self.chain.stored_report(epoch, &heads.latest).await?;
        if matches!(stored.status, ReportStatus::Pending | ReportStatus::Active) {
            return Ok(());
        }
        let (set, round) = (&facts.keeper_set, self.policy.round_at(&schedule, epoch, now));
        let (proposer, turn) = (proposer(set, epoch, round), turn_of(set, epoch, self.me));
        let words = format!(
            "epoch {epoch}, round {round}: {} proposes; {} to send",
            proposer.map_or("nobody".to_owned(), |proposer| proposer.to_string()),
            turn.map_or("this keeper is not one".to_owned(), |turn| format!(
                "this keeper is number {} of {}",
                turn + 1,
                set.keepers.len()
            )),
        );
        let fields = json!({ "sees": "round", "epoch": epoch, "round": round, "proposer": proposer, "turn": turn });
        self.said.once(words, fields);
        let held = self.store.reveals(epoch).await?;
        let counting = held.iter().filter(|held| held.fault.is_none()).map(|held| &held.reveal);
        let dropped = held.iter().filter(|held| held.fault.is_some()).count();
        let words =
            format!("epoch {epoch}: rows that count: {}; rows that do not: {dropped}", by_subnet(counting.clone()));
        let list: Vec<Value> = counting.map(named).collect();
        self.said.once(words, json!({ "sees": "rows", "epoch": epoch, "list": list, "dropped": dropped }));
        Ok(())
    }
}
