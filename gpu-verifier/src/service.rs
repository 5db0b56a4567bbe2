//! What every long-running command needs: keys, logs, a state file, and a decent end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_signer_local::PrivateKeySigner;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::Response;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Why a key or a state file cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// A key file is missing or holds no key.
    #[error("key file {}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong; never the file's content.
        reason: String,
    },
    /// The state file failed.
    #[error("state file: {0}")]
    Database(#[from] sqlx::Error),
    /// The folder of the state file cannot be made.
    #[error("state folder {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The state file belongs to another network or key.
    #[error("the state file is for {found}, not for {expected}; point --state to another folder")]
    OtherNetwork {
        /// What the file is for.
        found: String,
        /// What this process is for.
        expected: String,
    },
    /// A stored value is not what this program writes.
    #[error("the state file is damaged: {0}")]
    Damaged(String),
}

/// Reads a private key: one line of 0x-hex.
///
/// # Errors
/// [`StateError::Key`], which never repeats what the file holds.
pub fn read_key(path: &Path) -> Result<PrivateKeySigner, StateError> {
    let wrong = |reason: String| StateError::Key { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let digits = text.trim_end().strip_prefix("0x").filter(|digits| digits.len() == 64);
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| wrong("not one line with a private key as 0x and 64 hex digits".to_owned()))
}

/// Opens (or creates) `dir/name`, applies `schema`, and pins the file to `owner`: network and key. Whatever a statement wrote is
/// on the disk when it returns.
///
/// # Errors
/// [`StateError`].
pub async fn open_state(dir: &Path, name: &str, schema: &'static str, owner: &str) -> Result<SqlitePool, StateError> {
    std::fs::create_dir_all(dir).map_err(|error| StateError::Folder { path: dir.to_owned(), error })?;
    let options = SqliteConnectOptions::new()
        .filename(dir.join(name))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS owner (name TEXT PRIMARY KEY) STRICT").execute(&pool).await?;
    sqlx::raw_sql(schema).execute(&pool).await?;
    sqlx::query("INSERT INTO owner (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM owner)")
        .bind(owner)
        .execute(&pool)
        .await?;
    let found: String = sqlx::query_scalar("SELECT name FROM owner").fetch_one(&pool).await?;
    if found == owner { Ok(pool) } else { Err(StateError::OtherNetwork { found, expected: owner.to_owned() }) }
}

/// Logs to standard error, as text or as one JSON object per line; `RUST_LOG` filters.
pub fn start_logging(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as tests may do, keeps the first.
    let _ = if json { logs.json().try_init() } else { logs.with_ansi(false).try_init() };
}

/// Collects metrics; what the handle renders is Prometheus text. To be called within a runtime, once per process: a second
/// call's handle stays empty.
pub fn start_metrics() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Only the first recorder of a process gets anything.
    let _ = metrics::set_global_recorder(recorder);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    handle
}

/// A token that is cancelled by SIGTERM or Ctrl-C.
///
/// # Errors
/// When the system refuses a signal handler.
pub fn shutdown_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ended = token.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("ending");
        ended.cancel();
    });
    Ok(token)
}

/// A response's body, if it is not longer than `limit` bytes.
///
/// # Errors
/// In words, for a log.
pub async fn read_bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > limit {
            return Err(format!("more than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
