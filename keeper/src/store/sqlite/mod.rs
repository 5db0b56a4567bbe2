//! The embedded store: one SQLite file, write-ahead log, every commit on disk before it is answered.
//!
//! There is one writer: who has begun to write is alone with every key, and reads nothing that another one is changing.

mod jobs;
mod leases;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "compiled for each of the two databases")]
mod sql;
mod together;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};

use self::together::Together;
use super::{MAX_PENDING, StoreError, lease::FenceCell};
use crate::sqlite;

type Db = Sqlite;
type DbRow = SqliteRow;
type SqlStore = SqliteStore;

/// Whether a lease is the last one given.
const LEADS: &str = "SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND term = $3";

/// What is held of a job.
const HELD_JOB: &str = "SELECT epoch, attempt, state, result FROM jobs WHERE id = $1 AND validator = $2";

/// Indexes take texts of any length: the digest, which comes last, is left out.
const KEEP_EVIDENCE: &str = "INSERT INTO evidence (epoch, kind, subject, statements) SELECT $1, $2, $3, $4
    WHERE (SELECT count(*) FROM evidence WHERE kind = $2 AND subject = $3 AND epoch = $1) < $5 ON CONFLICT DO NOTHING";

/// Where a row lies.
const ROW: &str = "rowid";

/// A SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection: SQLite has one writer.
    writer: SqlitePool,
    readers: SqlitePool,
    together: Together,
    fence: Arc<FenceCell>,
    max_pending: u64,
}

impl SqliteStore {
    /// Opens or creates the file and brings its shape up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, MAX_PENDING).await
    }

    /// As [`Self::open`], taking at most `max_pending` jobs of an epoch that wait.
    pub async fn open_with(path: &Path, max_pending: u64) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer = sqlite::pool().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = sqlite::pool().max_connections(4).connect_with(options.read_only(true)).await?;
        let together = Together::new(writer.clone());
        Ok(Self { writer, readers, together, fence: Arc::default(), max_pending })
    }

    /// Number of the last migration.
    pub async fn version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&self.readers).await?)
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Does `work` in a transaction that it shares with what comes at the same time.
    async fn write_with<T: Send + 'static>(
        &self,
        work: impl for<'t, 'c> FnOnce(&'t mut Transaction<'c, Sqlite>) -> BoxFuture<'t, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        self.together.write(work).await
    }

    fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    async fn close_connections(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The one writer is.
async fn alone<T>(_: &mut Transaction<'_, Sqlite>, _key: &T) -> Result<(), StoreError> {
    Ok(())
}
