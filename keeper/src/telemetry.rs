//! Logs and metrics. All metrics exist from the start, at zero, so that an alert on one never waits for its first event.

#[cfg(feature = "otel")]
mod otel;
pub mod watch;

use std::{future::Future, sync::OnceLock, time::Instant};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    api::CODES,
    config::{LogConfig, LogFormat},
    keeper::Keeper,
    sender::now_ms,
};

/// Current epoch by chain time.
pub const EPOCH: &str = "tandem_keeper_epoch";
/// Timestamp of the newest block.
pub const HEAD_TIME: &str = "tandem_keeper_head_timestamp_seconds";
/// Seconds since the newest block's time, by this machine's clock.
pub const HEAD_AGE: &str = "tandem_keeper_head_age_seconds";
/// Whether the keeper is ready to serve.
pub const READY: &str = "tandem_keeper_ready";
/// Always 1; the label `version` says which program runs.
pub const BUILD: &str = "tandem_keeper_build_info";
/// Last epoch that is posted.
pub const LAST_POSTED: &str = "tandem_keeper_last_posted_epoch";
/// Last epoch that is active.
pub const LAST_ACTIVE: &str = "tandem_keeper_last_active_epoch";
/// Last epoch that this keeper attested.
pub const LAST_ATTESTED: &str = "tandem_keeper_last_attested_epoch";
/// Leaves of the reward tree that is served.
pub const LEAVES: &str = "tandem_keeper_claim_leaves";
/// Reads of the chain that failed.
pub const CHAIN_FAILURES: &str = "tandem_keeper_chain_failures_total";
/// Actions that failed and are tried again.
pub const ACTION_FAILURES: &str = "tandem_keeper_action_failures_total";
/// Time that actions took, by `action`.
pub const ACTION_SECONDS: &str = "tandem_keeper_action_seconds";
/// Questions to peers that failed.
pub const PEER_FAILURES: &str = "tandem_keeper_peer_failures_total";
/// Commits receipted.
pub const COMMITS: &str = "tandem_keeper_commits_total";
/// Reveals taken in.
pub const REVEALS: &str = "tandem_keeper_reveals_total";
/// Jobs leased.
pub const LEASES: &str = "tandem_keeper_leases_total";
/// Job results applied.
pub const RESULTS: &str = "tandem_keeper_results_total";
/// Workers that wait for jobs.
pub const WAITING: &str = "tandem_keeper_workers_waiting";
/// Contradictions kept.
pub const EVIDENCE: &str = "tandem_keeper_evidence_total";
/// Proposals by other keepers that were refused.
pub const REFUSED_PROPOSALS: &str = "tandem_keeper_refused_proposals_total";
/// Reports signed.
pub const SIGNED: &str = "tandem_keeper_reports_signed_total";
/// Refusals of the sign-once guard.
pub const GUARD_REFUSALS: &str = "tandem_keeper_guard_refusals_total";
/// Signatures that make two reports of one epoch stand against each other.
pub const DISAGREEMENTS: &str = "tandem_keeper_disagreements_total";
/// Transactions signed.
pub const TXS: &str = "tandem_keeper_transactions_total";
/// Fee bumps.
pub const BUMPS: &str = "tandem_keeper_fee_bumps_total";
/// Age of the transaction that is under way, in seconds.
pub const TX_AGE: &str = "tandem_keeper_transaction_age_seconds";
/// Transactions whose place was given to a no-op because the contract would refuse them by now.
pub const CANCELLED: &str = "tandem_keeper_transactions_cancelled_total";
/// Transactions whose nonce something else has used.
pub const LOST: &str = "tandem_keeper_transactions_lost_total";
/// Transactions that no node took, by time of sending.
pub const TX_REFUSALS: &str = "tandem_keeper_transaction_refusals_total";
/// What final transactions have cost, L1 data included, in gwei.
pub const TX_COST: &str = "tandem_keeper_transaction_cost_gwei_total";
/// Balance of the gas key, in wei.
pub const GAS_BALANCE: &str = "tandem_keeper_gas_balance_wei";
/// Answers of nodes that were none.
pub const NODE_FAILURES: &str = "tandem_keeper_node_failures_total";
/// Answers of nodes that contradict the others'.
pub const NODE_DISAGREEMENTS: &str = "tandem_keeper_node_disagreements_total";
/// Time until a request was answered, by `route` and class of `status`.
pub const REQUEST_SECONDS: &str = "tandem_keeper_request_seconds";
/// Requests refused, by `code`.
pub const REFUSED_REQUESTS: &str = "tandem_keeper_refused_requests_total";
/// Open connections.
pub const CONNECTIONS: &str = "tandem_keeper_connections";
/// Connections closed before their first request, by `reason`.
pub const REFUSED_CONNECTIONS: &str = "tandem_keeper_refused_connections_total";
/// New certificates that could not be used.
pub const TLS_FAILURES: &str = "tandem_keeper_tls_failures_total";
/// Time that the store took for requests, by `operation`.
pub const STORE_SECONDS: &str = "tandem_keeper_store_seconds";
/// Operations of the store that failed in requests.
pub const STORE_FAILURES: &str = "tandem_keeper_store_failures_total";

/// Whether this process leads.
pub const LEADS: &str = "tandem_keeper_leads";
/// Jobs of the current epoch that are to be had.
pub const JOBS_OPEN: &str = "tandem_keeper_jobs_open";
/// Jobs of the current epoch that are with workers.
pub const JOBS_LEASED: &str = "tandem_keeper_jobs_leased";
/// Jobs of the current epoch that are done.
pub const JOBS_DONE: &str = "tandem_keeper_jobs_done";
/// Jobs of the current epoch that were given up.
pub const JOBS_DEAD: &str = "tandem_keeper_jobs_dead";

const GAUGES: &[(&str, &str)] = &[
    (LEADS, "1 if this process decides, signs and posts, 0 if it only serves"),
    (JOBS_OPEN, "Jobs of the current epoch that are to be had"),
    (JOBS_LEASED, "Jobs of the current epoch that are with workers or were just given back"),
    (JOBS_DONE, "Jobs of the current epoch that are done"),
    (JOBS_DEAD, "Jobs of the current epoch that were given up"),
    (EPOCH, "Current epoch by chain time"),
    (HEAD_TIME, "Timestamp of the newest block"),
    (HEAD_AGE, "Seconds since the newest block's time, by this machine's clock"),
    (READY, "1 while the keeper is ready to serve"),
    (LAST_POSTED, "Last epoch whose report is posted"),
    (LAST_ACTIVE, "Last epoch whose report is active"),
    (LAST_ATTESTED, "Last epoch that this keeper attested"),
    (LEAVES, "Leaves of the reward tree that is served"),
    (TX_AGE, "Age of the transaction that is under way, 0 if there is none"),
    (GAS_BALANCE, "Balance of the gas key in wei"),
    (WAITING, "Workers that wait for jobs"),
    (CONNECTIONS, "Open connections"),
];

const COUNTERS: &[(&str, &str)] = &[
    (CHAIN_FAILURES, "Reads of the chain that failed"),
    (ACTION_FAILURES, "Actions that failed and are tried again"),
    (PEER_FAILURES, "Questions to other keepers that failed"),
    (COMMITS, "Commits stored and receipted"),
    (REVEALS, "Reveals stored"),
    (LEASES, "Jobs leased"),
    (RESULTS, "Job results applied"),
    (EVIDENCE, "Contradictions kept as evidence"),
    (REFUSED_PROPOSALS, "Proposals by other keepers that were refused"),
    (SIGNED, "Reports signed"),
    (GUARD_REFUSALS, "Reports that the sign-once guard refused to sign"),
    (DISAGREEMENTS, "Signatures that make two reports of one epoch stand against each other"),
    (TXS, "Transactions signed"),
    (BUMPS, "Fee bumps of transactions"),
    (TLS_FAILURES, "New certificates that could not be used"),
    (STORE_FAILURES, "Operations of the store that failed in requests"),
    (CANCELLED, "Transactions replaced by a no-op because the contract would refuse them by now"),
    (LOST, "Transactions whose nonce something else has used"),
    (TX_REFUSALS, "Sendings of a transaction that no node took"),
    (TX_COST, "Cost of final transactions in gwei, L1 data included"),
    (NODE_FAILURES, "Questions to a chain node that it did not answer"),
    (NODE_DISAGREEMENTS, "Answers of chain nodes that contradict each other"),
];

/// Metrics with one label whose values are known: name, help, label, values.
const LABELLED: &[(&str, &str, &str, &[&str])] = &[(
    REFUSED_CONNECTIONS,
    "Connections closed before their first request: too many from one address, or no TLS session",
    "reason",
    &["address", "tls"],
)];

/// Histograms with one label: name, help, label, values.
const HISTOGRAMS: &[(&str, &str, &str, &[&str])] = &[
    (ACTION_SECONDS, "Time that an action of the keeper took", "action", &ACTIONS),
    (STORE_SECONDS, "Time that the store took for a request", "operation", &OPERATIONS),
];

/// What [`ACTION_SECONDS`] tells apart.
pub const ACTIONS: [&str; 9] =
    ["publish_jobs", "record_outage", "forward", "settle", "activate", "propose", "vote", "attest", "post"];

/// What [`STORE_SECONDS`] tells apart.
const OPERATIONS: [&str; 14] = [
    "put_commit",
    "put_reveal",
    "lease_jobs",
    "extend_lease",
    "complete_job",
    "fail_job",
    "audits",
    "reveals",
    "agreement",
    "list",
    "attestations",
    "evidence",
    "last_attested",
    "bundle",
];

/// Upper bounds of the histograms, seconds: from a read of memory to a long-poll.
const BUCKETS: [f64; 11] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 25.0, 60.0];

/// Installs the process's recorder (once) and answers the handle that renders it.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            // Only an empty list of buckets is refused.
            let recorder = builder.set_buckets(&BUCKETS).unwrap_or_default().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            }
            register();
            handle
        })
        .clone()
}

fn register() {
    for (name, help) in GAUGES {
        describe_gauge!(*name, *help);
        gauge!(*name).set(0.0);
    }
    for (name, help) in COUNTERS {
        describe_counter!(*name, *help);
        counter!(*name).absolute(0);
    }
    for (name, help, label, values) in LABELLED {
        describe_counter!(*name, *help);
        for value in *values {
            counter!(*name, *label => *value).absolute(0);
        }
    }
    for (name, help, label, values) in HISTOGRAMS {
        describe_histogram!(*name, *help);
        for value in *values {
            let _ = histogram!(*name, *label => *value);
        }
    }
    describe_counter!(REFUSED_REQUESTS, "HTTP requests refused, by the code of the refusal");
    for (code, _) in CODES {
        counter!(REFUSED_REQUESTS, "code" => code).absolute(0);
    }
    describe_histogram!(REQUEST_SECONDS, "Time until a request was answered, by route and class of status");
    describe_gauge!(BUILD, "Always 1; the label says which version runs");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Makes the histogram of requests exist for every route.
pub(crate) fn register_routes<'a>(routes: impl Iterator<Item = &'a String>) {
    for route in routes {
        for status in ["2xx", "4xx", "5xx"] {
            let _ = histogram!(REQUEST_SECONDS, "route" => route.clone(), "status" => status);
        }
    }
}

/// Measures an operation of the store that a request waits for.
pub(crate) async fn store<T, E>(operation: &'static str, running: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    debug_assert!(OPERATIONS.contains(&operation), "{operation} is not listed");
    let started = Instant::now();
    let result = running.await;
    histogram!(STORE_SECONDS, "operation" => operation).record(started.elapsed());
    if result.is_err() {
        counter!(STORE_FAILURES).increment(1);
    }
    result
}

/// Brings the metrics up to date that follow from what was last seen.
pub(crate) fn observe(keeper: &Keeper) {
    gauge!(READY).set(f64::from(u8::from(keeper.chain_time().is_some())));
    let live = keeper.live();
    if let Some(heads) = live.heads {
        gauge!(HEAD_AGE).set((now_ms() / 1_000).saturating_sub(heads.latest.time) as f64);
    }
    gauge!(LEAVES).set(live.claims.as_ref().map_or(0, |claims| claims.len()) as f64);
}

/// Starts logging to standard error, and with the feature `otel` tracing to a collector. A second call, or a filter that cannot
/// be read, is an error in words.
pub fn start_logs(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| format!("log.filter: {error}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(otel::layer()?);
    subscriber.try_init().map_err(|error| error.to_string())
}

/// Sends what is still on its way to a collector.
pub fn flush() {
    #[cfg(feature = "otel")]
    otel::flush();
}
