//! `watch`: every report recomputed as it is posted.

use std::{net::SocketAddr, path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, http::header, routing::get};
use clap::Args;
use metrics::{counter, gauge};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{AuditArgs, quiet_logs, replay::said, until_asked_to_stop};
use crate::{config::Finality, replay::Replay, telemetry, watch::Watch};

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

/// Watches until told to stop; answers whether everything was the same to the bit.
pub async fn watch(args: WatchArgs) -> anyhow::Result<bool> {
    quiet_logs()?;
    let handle = telemetry::metrics_handle();
    telemetry::watch::describe();
    let stop = until_asked_to_stop();
    if let Some(listen) = args.metrics_listen {
        serve(listen, handle, stop.clone()).await?;
    }
    let (network, chain, sources) = args.audit.clone().open(Finality::Behind(0)).await?;
    let mut watch = Watch::new(network, Arc::new(chain), sources, args.from);
    let mut all_same = true;
    loop {
        match watch.look().await {
            Ok(found) => {
                gauge!(telemetry::watch::UNRESOLVED).set(f64::from(watch.unresolved()));
                for replay in &found {
                    all_same &= replay.differences.is_empty();
                    tell(&args, replay);
                }
            }
            Err(error) => {
                counter!(telemetry::watch::FAILURES).increment(1);
                tracing::warn!(error = format!("{error:#}"), "the chain could not be read, trying again");
            }
        }
        let ended = args.until.is_some_and(|until| watch.through().is_some_and(|through| through >= until));
        if ended || (args.exit_on_difference && !all_same) {
            return Ok(all_same);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(all_same),
            () = tokio::time::sleep(Duration::from_millis(args.poll_ms)) => {}
        }
    }
}

fn tell(args: &WatchArgs, replay: &Replay) {
    counter!(telemetry::watch::EPOCHS).increment(1);
    gauge!(telemetry::watch::LAST).set(replay.epoch as f64);
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
    counter!(telemetry::watch::DIFFERENCES).increment(1);
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
