//! Logs and metrics. All metrics exist from the start, at zero, so that an alert on one never waits for its first event.

use std::sync::OnceLock;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Current epoch by chain time.
pub const EPOCH: &str = "tandem_keeper_epoch";
/// Timestamp of the newest block.
pub const HEAD_TIME: &str = "tandem_keeper_head_timestamp_seconds";
/// Last epoch that is posted.
pub const LAST_POSTED: &str = "tandem_keeper_last_posted_epoch";
/// Last epoch that is active.
pub const LAST_ACTIVE: &str = "tandem_keeper_last_active_epoch";
/// Last epoch that this keeper attested.
pub const LAST_ATTESTED: &str = "tandem_keeper_last_attested_epoch";
/// Reads of the chain that failed.
pub const CHAIN_FAILURES: &str = "tandem_keeper_chain_failures_total";
/// Actions that failed and are tried again.
pub const ACTION_FAILURES: &str = "tandem_keeper_action_failures_total";
/// Commits receipted.
pub const COMMITS: &str = "tandem_keeper_commits_total";
/// Reveals taken in.
pub const REVEALS: &str = "tandem_keeper_reveals_total";
/// Jobs leased.
pub const LEASES: &str = "tandem_keeper_leases_total";
/// Job results applied.
pub const RESULTS: &str = "tandem_keeper_results_total";
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
/// Requests refused.
pub const REFUSED_REQUESTS: &str = "tandem_keeper_refused_requests_total";

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

const GAUGES: [(&str, &str); 12] = [
    (LEADS, "1 if this process decides, signs and posts, 0 if it only serves"),
    (JOBS_OPEN, "Jobs of the current epoch that are to be had"),
    (JOBS_LEASED, "Jobs of the current epoch that are with workers or were just given back"),
    (JOBS_DONE, "Jobs of the current epoch that are done"),
    (JOBS_DEAD, "Jobs of the current epoch that were given up"),
    (EPOCH, "Current epoch by chain time"),
    (HEAD_TIME, "Timestamp of the newest block"),
    (LAST_POSTED, "Last epoch whose report is posted"),
    (LAST_ACTIVE, "Last epoch whose report is active"),
    (LAST_ATTESTED, "Last epoch that this keeper attested"),
    (TX_AGE, "Age of the transaction that is under way, 0 if there is none"),
    (GAS_BALANCE, "Balance of the gas key in wei"),
];

const COUNTERS: [(&str, &str); 20] = [
    (CHAIN_FAILURES, "Reads of the chain that failed"),
    (ACTION_FAILURES, "Actions that failed and are tried again"),
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
    (CANCELLED, "Transactions replaced by a no-op because the contract would refuse them by now"),
    (LOST, "Transactions whose nonce something else has used"),
    (TX_REFUSALS, "Sendings of a transaction that no node took"),
    (TX_COST, "Cost of final transactions in gwei, L1 data included"),
    (NODE_FAILURES, "Questions to a chain node that it did not answer"),
    (NODE_DISAGREEMENTS, "Answers of chain nodes that contradict each other"),
    (REFUSED_REQUESTS, "HTTP requests refused"),
];

/// Installs the process's recorder (once) and answers the handle that renders it.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            }
            for (name, help) in GAUGES {
                describe_gauge!(name, help);
                gauge!(name).set(0.0);
            }
            for (name, help) in COUNTERS {
                describe_counter!(name, help);
                counter!(name).absolute(0);
            }
            handle
        })
        .clone()
}

/// Starts logging to standard error. A second call, or a filter that cannot be read, is an error in words.
pub fn start_logs(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| format!("log.filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| error.to_string())
}
