//! `simulate`: a whole keeper on a live chain, but for what can be felt outside of it. Its key is nobody's, its memory a
//! folder that is thrown away, it serves no API, and what it would send is only said.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::Address;
use alloy_sol_types::SolStruct;
use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use serde_json::{Value, json};

use super::{AuditArgs, keeper_set, quiet_logs, until_asked_to_stop};
use crate::{
    attester::Attester,
    bundles::Bundles,
    chain::{ChainReader, RpcChain},
    config::{AgreementConfig, Finality, JobsConfig, PeersConfig},
    decide::Policy,
    guard::Guard,
    keeper::{Keeper, Parts},
    keys::Key,
    network::Network,
    peers::HttpPeers,
    sender::{Intent, SendError, Transactor},
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
    fn once(&self, words: String, fields: Value) {
        if !self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(words.clone()) {
            return;
        }
        if self.json { println!("{fields}") } else { println!("would {words}") }
    }
}

/// Takes every transaction and sends none.
struct DryRun(Arc<Said>);

#[async_trait]
impl Transactor for DryRun {
    async fn submit(&self, intent: &Intent) -> Result<(), SendError> {
        let purpose = intent.purpose();
        self.0.once(format!("send: {purpose}"), json!({ "would": "send", "purpose": purpose }));
        Ok(())
    }

    async fn tick(&self) -> Result<bool, SendError> {
        Ok(false)
    }
}

struct Simulation {
    network: Network,
    chain: Arc<RpcChain>,
    store: Arc<dyn Store>,
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
    let parts = Parts {
        policy: Policy::new(&AgreementConfig::default(), &network.clock),
        jobs: JobsConfig::default(),
        store: store.clone(),
        bundles: Bundles::in_folder(&folder.path().join("bundles"))?,
        chain: chain.clone(),
        transactor: Arc::new(DryRun(said.clone())),
        attester: Attester::new(Key::pretended(me), &network, guard),
        peers: Arc::new(HttpPeers::new(&PeersConfig::default())?),
        endpoints: PeersConfig::default().endpoints,
        network: network.clone(),
    };
    let keeper = Keeper::new(parts, stop.clone());
    let simulation = Simulation { network, chain, store, me, said };
    let mut looks = 0;
    while args.looks.is_none_or(|limit| looks < limit) && !stop.is_cancelled() {
        if let Err(error) = keeper.step().await {
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
    keeper.close().await;
    Ok(())
}

impl Simulation {
    /// Says which lists and reports the keeper has made since.
    async fn tell(&self) -> anyhow::Result<()> {
        let heads = self.chain.heads().await?;
        let Some(current) = self.network.clock.epoch_at(heads.latest.time) else { return Ok(()) };
        for epoch in current.saturating_sub(LOOK_BACK)..=current {
            let stored = self.chain.stored_report(epoch, &heads.latest).await?;
            for proposal in self.store.proposals(epoch, stored.attempt).await? {
                let message = &proposal.list.message;
                let ours = proposal.list.verify(&self.network.domain(), self.me).is_err();
                if proposal.proposer == self.me && ours {
                    let rows = self.store.list(epoch, message.rowsHash).await?.map_or(0, |rows| rows.len());
                    let round = message.round;
                    let words = format!("propose {rows} rows for epoch {epoch} in round {round}");
                    self.said.once(words, json!({ "would": "propose", "epoch": epoch, "round": round, "rows": rows }));
                }
            }
            for attestation in self.store.attestations(epoch).await? {
                let report = &attestation.report.message;
                let hash = report.eip712_hash_struct();
                // What this key really signed came from peers, and is its own, not ours.
                let ours = attestation.report.verify(&self.network.domain(), self.me).is_err();
                if attestation.keeper == self.me && ours {
                    let words = format!(
                        "sign report {hash} of epoch {epoch}, attempt {}, bundle {}",
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
}
