//! `watch`: every report recomputed as it is posted.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use alloy_primitives::B256;
use anyhow::Context;
use axum::{Router, http::header, routing::get};
use clap::Args;
use metrics::{counter, gauge};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{AuditArgs, quiet_logs, replay::said, until_asked_to_stop};
use crate::{
    chain::{ChainReader, ReportStatus, RpcChain},
    config::Finality,
    network::Network,
    replay::{BundleSources, Replay, replay},
    telemetry,
};

/// A void report is posted again under its epoch: so many epochs before the last one are looked at again.
const WINDOW: u64 = 64;

/// Of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Network and bundles.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// First epoch to recompute; the last posted one if left out.
    #[arg(long, value_name = "EPOCH")]
    pub from: Option<u64>,
    /// End after this epoch; never if left out.
    #[arg(long, value_name = "EPOCH")]
    pub until: Option<u64>,
    /// Milliseconds between two looks at the chain.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub poll_ms: u64,
    /// End with exit code 1 at the first difference.
    #[arg(long)]
    pub exit_on_difference: bool,
    /// Program to start at a difference, with the epoch and the differences as its arguments.
    #[arg(long, value_name = "PROGRAM")]
    pub alert: Option<PathBuf>,
    /// Serve `/metrics` and `/health` here.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// A line of JSON for each epoch.
    #[arg(long)]
    pub json: bool,
}

struct Watch {
    network: Network,
    chain: RpcChain,
    sources: BundleSources,
    from: Option<u64>,
    /// Reports that were recomputed, by epoch.
    done: BTreeMap<u64, B256>,
    /// The last posted report at the last look at which nothing remained to be done.
    settled: Option<B256>,
}

/// Watches until told to stop; answers whether everything was the same to the bit.
pub async fn watch(args: WatchArgs) -> anyhow::Result<bool> {
    quiet_logs()?;
    let handle = telemetry::metrics_handle();
    telemetry::describe_watch();
    let stop = until_asked_to_stop();
    if let Some(listen) = args.metrics_listen {
        serve(listen, handle, stop.clone()).await?;
    }
    let (network, chain, sources) = args.audit.clone().open(Finality::Behind(0)).await?;
    let mut watch = Watch { network, chain, sources, from: args.from, done: BTreeMap::new(), settled: None };
    let mut all_same = true;
    loop {
        match watch.look().await {
            Ok(found) => {
                for replay in &found {
                    all_same &= replay.differences.is_empty();
                    tell(&args, replay);
                }
            }
            Err(error) => {
                counter!(telemetry::WATCH_FAILURES).increment(1);
                tracing::warn!(error = format!("{error:#}"), "the chain could not be read, trying again");
            }
        }
        let through = watch.settled.and_then(|_| watch.done.last_key_value().map(|(epoch, _)| *epoch));
        let ended = args.until.is_some_and(|until| through.is_some_and(|through| through >= until));
        if ended || (args.exit_on_difference && !all_same) {
            return Ok(all_same);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(all_same),
            () = tokio::time::sleep(Duration::from_millis(args.poll_ms)) => {}
        }
    }
}

impl Watch {
    /// Recomputes what was posted since the last look.
    async fn look(&mut self) -> anyhow::Result<Vec<Replay>> {
        let heads = self.chain.heads().await?;
        let oracle = self.chain.oracle_state(&heads.latest).await?;
        let Some(last) = oracle.last_posted.filter(|last| self.settled != Some(last.hash)) else {
            return Ok(Vec::new());
        };
        self.settled = None;
        let from = *self.from.get_or_insert(last.epoch);
        let known = self.done.last_key_value().map_or(from, |(epoch, _)| epoch.saturating_sub(WINDOW));
        let (mut found, mut unresolved) = (Vec::new(), 0);
        for epoch in known.max(from)..=last.epoch {
            let stored = self.chain.stored_report(epoch, &heads.latest).await?;
            let posted = matches!(stored.status, ReportStatus::Pending | ReportStatus::Active);
            if !posted || self.done.get(&epoch) == Some(&stored.hash) {
                continue;
            }
            match replay(&self.network, &self.chain, &self.sources, epoch).await {
                Ok(replayed) => {
                    self.done.insert(epoch, stored.hash);
                    counter!(telemetry::WATCH_EPOCHS).increment(1);
                    gauge!(telemetry::WATCH_LAST).set(epoch as f64);
                    found.push(replayed);
                }
                // Told at once, tried again: who posts a report and hides its bundle is to be noticed as well.
                Err(error) => {
                    unresolved += 1;
                    tracing::warn!(epoch, error = format!("{error:#}"), "not recomputed yet");
                }
            }
        }
        gauge!(telemetry::WATCH_UNRESOLVED).set(f64::from(unresolved));
        if unresolved == 0 {
            self.settled = Some(last.hash);
        }
        while self.done.len() as u64 > 2 * WINDOW {
            self.done.pop_first();
        }
        Ok(found)
    }
}

fn tell(args: &WatchArgs, replay: &Replay) {
    if args.json {
        println!("{}", said(replay));
    } else if replay.differences.is_empty() {
        println!("epoch {}: the same to the bit", replay.epoch);
    } else {
        for difference in &replay.differences {
            println!("epoch {}: DIFFERENT: {difference}", replay.epoch);
        }
    }
    if replay.differences.is_empty() {
        return;
    }
    counter!(telemetry::WATCH_DIFFERENCES).increment(1);
    tracing::error!(
        epoch = replay.epoch,
        "[K-WATCH-1] a posted report is wrong: tell the guardian before it becomes active"
    );
    if let Some(program) = &args.alert {
        let started = Command::new(program).arg(replay.epoch.to_string()).args(&replay.differences).spawn();
        match started {
            // It is waited for, so that none stays behind as a zombie, but not here.
            Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
            Err(error) => {
                tracing::error!(%error, program = %program.display(), "[K-WATCH-2] the alarm could not be started")
            }
        }
    }
}

async fn serve(
    listen: SocketAddr,
    handle: metrics_exporter_prometheus::PrometheusHandle,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let rendered = move || {
        let text = handle.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    let router = Router::new().route("/metrics", get(rendered)).route("/health", get(async || "ok\n"));
    tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await });
    Ok(())
}
