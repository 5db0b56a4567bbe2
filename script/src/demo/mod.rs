//! `tandem demo`: the whole network on this machine, every part real.
//!
//! A chain, three keepers, four validators' workers and eight contributors' nodes run as processes of their own; users,
//! traders, bidders and the council are played by this program through the same contracts and endpoints that anybody
//! uses. The network walks from mesh over token to markets; two contributors cheat; a meme subnet trades and does
//! nothing. Afterwards [`checks`] looks at what really happened.

mod actors;
pub mod checks;
mod launch;
mod network;
mod observe;
mod process;
mod report;
mod services;
mod setup;
mod traffic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use eyre::{Context, Result, bail, ensure};
use serde::Serialize;
use tracing::{info, warn};

use checks::{Check, Evidence, Pay};
use launch::{Crash, Phase, Step};
use network::Network;
use observe::{EpochRecord, Posted};
use process::Process;
use setup::Demo;
use traffic::Client;

/// The launch needs so many epochs to come to the first claim of earned alpha.
pub const FEWEST_EPOCHS: u64 = 6;
const FIRST_TOKEN_EPOCH: u64 = 2;
const MOST_EPOCHS: u64 = 1_000;
/// A report that is not active so long after its epoch's end is given up.
const REPORT_PATIENCE_EPOCHS: u64 = 3;
const POLL: Duration = Duration::from_millis(400);

/// Options of the demo.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Epochs to run (24 s each); the launch takes six.
    #[arg(long, default_value_t = FEWEST_EPOCHS, value_parser = clap::value_parser!(u64).range(FEWEST_EPOCHS..=MOST_EPOCHS))]
    pub epochs: u64,
    /// The same seed gives the same accounts, model, verdicts and ranking.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object on standard output instead of tables; logs go to standard error.
    #[arg(long)]
    pub json: bool,
    /// Keep the demo's folder (logs, keys, databases, manifest) here instead of a temporary one.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// SIGKILL a process in the middle of an epoch and start it again, for example `keeper@3` or `worker@4`. May be given
    /// more than once.
    #[arg(long, value_name = "WHO@EPOCH", value_parser = parse_kill)]
    pub kill: Vec<Kill>,
}

/// A planned accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Whose process.
    pub victim: Victim,
    /// In which epoch.
    pub epoch: u64,
}

/// Whom a planned accident hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The second keeper.
    Keeper,
    /// The second validator's worker.
    Worker,
}

fn parse_kill(text: &str) -> Result<Kill, String> {
    let (who, epoch) = text.split_once('@').ok_or("expected WHO@EPOCH, for example keeper@3")?;
    let victim = match who {
        "keeper" => Victim::Keeper,
        "worker" => Victim::Worker,
        other => return Err(format!("{other:?} cannot be killed; keeper and worker can")),
    };
    let epoch = epoch.parse().map_err(|_| format!("{epoch:?} is not an epoch"))?;
    Ok(Kill { victim, epoch })
}

/// What a demo found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Epoch by epoch.
    pub epochs: Vec<EpochRecord>,
    /// Promises by name.
    pub checks: BTreeMap<&'static str, Check>,
}

impl Report {
    /// Whether every promise held.
    pub fn all_held(&self) -> bool {
        self.checks.values().all(|check| check.ok)
    }
}

/// Runs the demo; ends every process it started, also when it fails or is interrupted.
pub async fn run(options: &Options) -> Result<Report> {
    if let Some(kill) = options.kill.iter().find(|kill| kill.epoch >= options.epochs) {
        bail!("there is no epoch {} to kill in; the last one is {}", kill.epoch, options.epochs - 1);
    }
    let temporary = tempfile::Builder::new().prefix("tandem-demo-").tempdir().wrap_err("no temporary folder")?;
    let root = options.keep.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let mut processes = Vec::new();
    let result = tokio::select! {
        result = play(options, &root, &mut processes) => result,
        signal = interrupted() => { signal?; Err(eyre::eyre!("interrupted; every process was ended")) }
    };
    // The chain goes last: the others need it to end in order.
    let chain = (!processes.is_empty()).then(|| processes.remove(0));
    futures_util::future::join_all(processes.into_iter().map(Process::stop)).await;
    if let Some(chain) = chain {
        chain.stop().await;
    }
    if result.is_err() && options.keep.is_none() {
        // What happened can only be understood from the logs.
        warn!("the demo's logs are kept in {}", temporary.keep().display());
    }
    result
}

async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).wrap_err("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).wrap_err("cannot listen for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn play(options: &Options, root: &std::path::Path, processes: &mut Vec<Process>) -> Result<Report> {
    let Demo { network, http, mut clients } = setup::set_up(options, root, processes).await?;
    let mut story = Story::default();
    for epoch in 0..options.epochs {
        network.wait_for_epoch(epoch).await?;
        for process in processes.iter_mut() {
            process.check()?;
        }
        network.advance_launch(farthest_step(epoch, &story.phases)).await?;
        let phase = network.phase().await?;
        story.phases.push(phase);
        info!(epoch, phase = phase.name(), "epoch begins");
        let last = epoch + 1 == options.epochs;
        let mut scene = Scene { network: &network, http: &http, clients: &mut clients, story: &mut story, options };
        scene.play(epoch, last, processes).await?;
    }
    // The last epoch's report comes after its end.
    network.wait_for_epoch(options.epochs).await?;
    let mut scene = Scene { network: &network, http: &http, clients: &mut clients, story: &mut story, options };
    scene.close_epoch(options.epochs - 1).await?;

    // Everybody once more, so that the crash has settlements and cash-outs on both sides.
    network.cash_out_some(1, 0).await?;

    let Story { records, posted, meme, crash, crash_block, pay, .. } = story;
    let (Some(meme), Some(crash), Some(pay)) = (meme, crash, pay) else {
        bail!("markets did not open within {} epochs", options.epochs);
    };
    let evidence = Evidence { records, posted, meme, crash, crash_block, pay };
    let checks = network.check(&evidence).await?;
    if !options.json {
        report::summary(&network, &evidence, &checks);
    }
    Ok(Report { epochs: evidence.records, checks })
}

/// What has happened so far.
#[derive(Default)]
struct Story {
    phases: Vec<Phase>,
    records: Vec<EpochRecord>,
    posted: Vec<Posted>,
    meme: Option<u16>,
    crash: Option<Crash>,
    crash_block: u64,
    pay: Option<[Pay; 2]>,
}

/// One epoch being played.
struct Scene<'a> {
    network: &'a Network,
    http: &'a reqwest::Client,
    clients: &'a mut Vec<Client>,
    story: &'a mut Story,
    options: &'a Options,
}

impl Scene<'_> {
    /// Users ask, the previous epoch is closed, the launch and the markets go on.
    async fn play(&mut self, epoch: u64, last: bool, processes: &mut [Process]) -> Result<()> {
        let network = self.network;
        self.ask().await;
        self.accidents(epoch, processes).await?;
        if epoch > 0 {
            self.close_epoch(epoch - 1).await?;
        }
        network.cash_out_some(2, epoch as usize).await?;
        // Markets that open within an epoch leave the whole next one to them: the margin of an epoch that began before belongs to nobody.
        let opening = if self.story.phases.last() == Some(&Phase::Token) { Step::OpenMarkets } else { Step::Announce };
        let traded = network.phase().await? == Phase::Markets;
        network.advance_launch(opening).await?;
        if traded {
            self.trade(epoch, last).await?;
        }
        Ok(())
    }

    /// Markets: the meme subnet is born and traded, revenue is auctioned, and at the very end prices crash.
    async fn trade(&mut self, epoch: u64, last: bool) -> Result<()> {
        let network = self.network;
        let meme = match self.story.meme {
            Some(meme) => meme,
            None => *self.story.meme.insert(network.enter_markets().await?),
        };
        network.trade_meme(meme).await?;
        if last {
            let before = network.pay().await?;
            self.story.crash = Some(network.crash(&Network::netuids(Some(meme))).await?);
            self.story.pay = Some([before, network.pay().await?]);
            self.story.crash_block = network.chain.head().await?.number;
            // Work goes on at the same price after the crash.
            self.ask().await;
            return Ok(());
        }
        // Money of the mesh is sold first; what subnets brought in follows as soon as a lot may start.
        let stop = network.clock.end_of(epoch).saturating_sub(network.clock.length() / 6);
        while !network.run_auction().await? && network.chain.head().await?.timestamp < stop {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn ask(&mut self) {
        let (network, http) = (self.network, self.http);
        let answers =
            futures_util::future::join_all(self.clients.iter_mut().map(|client| network.ask_everybody(http, client)))
                .await;
        let good: u64 = answers.iter().map(|answers| answers.good).sum();
        let bad: u64 = answers.iter().map(|answers| answers.bad).sum();
        info!(good, bad, "users asked");
    }

    async fn accidents(&self, epoch: u64, processes: &mut [Process]) -> Result<()> {
        for kill in self.options.kill.iter().filter(|kill| kill.epoch == epoch) {
            let name = match kill.victim {
                Victim::Keeper => format!("keeper-{}", self.network.actors.keepers[1].name),
                Victim::Worker => format!("worker-{}", self.network.actors.validators[1].name),
            };
            let process = processes.iter_mut().find(|process| process.name() == name);
            let Some(process) = process else { bail!("there is no process {name}") };
            warn!(epoch, name, "killed, starts again in a second");
            process.kill_and_restart(Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    /// Waits for the epoch's report to be active, claims for everybody, and writes the record.
    async fn close_epoch(&mut self, epoch: u64) -> Result<()> {
        let network = self.network;
        let give_up = network.clock.end_of(epoch + REPORT_PATIENCE_EPOCHS);
        while !network.is_active(epoch).await? {
            ensure!(
                network.chain.head().await?.timestamp < give_up,
                "the report of epoch {epoch} is not active {REPORT_PATIENCE_EPOCHS} epochs after its end"
            );
            tokio::time::sleep(POLL).await;
        }
        let posted = network.gather(self.http, epoch).await?;
        let claims = network.claim_for_all(self.http, epoch).await?;
        let phase = self.story.phases[epoch as usize];
        let record = network.record(self.http, epoch, phase, &posted, claims, self.story.meme).await?;
        let scored: Vec<bool> = record.contributors.iter().map(|record| record.incentive_share > 0.0).collect();
        if scored.iter().any(|scored| *scored) {
            for client in self.clients.iter_mut() {
                client.keep_scored(&scored);
            }
        }
        if !self.options.json {
            report::epoch(&record);
        }
        self.story.records.push(record);
        self.story.posted.push(posted);
        Ok(())
    }
}

/// Mesh lasts through the first epochs, so that there is margin and contributors have verified work; token and markets
/// open at the starts of later ones, an epoch apart, so that each phase can be seen.
fn farthest_step(epoch: u64, phases: &[Phase]) -> Step {
    match phases.last() {
        None | Some(Phase::Mesh) if epoch < FIRST_TOKEN_EPOCH => Step::Announce,
        None | Some(Phase::Mesh) => Step::OpenToken,
        Some(Phase::Token | Phase::Markets) => Step::OpenMarkets,
    }
}
