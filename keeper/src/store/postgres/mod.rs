//! The shared store: PostgreSQL, for several processes of one operator.
//!
//! Read-committed transactions; where an answer depends on what is held, an advisory lock that ends with the transaction
//! keeps others of the same key out. No session state, no notifications. Nothing is kept on this side: a lost connection
//! fails the call, and the next one opens another.

mod jobs;
mod leases;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "compiled for each of the two databases")]
mod sql;

use std::{str::FromStr, time::Duration};

use alloy_primitives::keccak256;
use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{StoreError, json, lease::Fence, lease::FenceCell};

type Db = Postgres;
type DbRow = PgRow;
type SqlStore = PostgresStore;

/// Whether a lease is the last one given. Its row is shared with the transaction until that ends: whoever takes the lease
/// over waits for it, or comes first and the write is refused.
const LEADS: &str = "SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND term = $3 FOR SHARE";

/// What is held of a job. Locks it: words on one are taken one after the other.
const HELD_JOB: &str = "SELECT epoch, attempt, state, result FROM jobs WHERE id = $1 AND validator = $2 FOR UPDATE";

/// Statements may be longer than an index takes: their digest stands for them.
const KEEP_EVIDENCE: &str = "INSERT INTO evidence (epoch, kind, subject, statements, digest) SELECT $1, $2, $3, $4, $6
    WHERE (SELECT count(*) FROM evidence WHERE epoch = $1 AND kind = $2 AND subject = $3) < $5 ON CONFLICT DO NOTHING";

/// Where a row lies.
const ROW: &str = "ctid";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// A statement that takes longer is given up, but for migrations.
const STATEMENT_TIMEOUT: &str = "30s";
/// So is one that waits so long for a lock.
const LOCK_TIMEOUT: &str = "10s";
/// A transaction whose process was cut off in the middle of it keeps its locks no longer.
const IDLE_TIMEOUT: &str = "30s";
/// A connection that is not there by then is not waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    fence: FenceCell,
    max_pending: u64,
}

impl PostgresStore {
    /// Connects to the database of a `postgres://` URL and brings its shape up to date if `migrate`, else makes sure that
    /// it is. TLS as the URL's `sslmode` says. Until it leads, this handle writes nothing that only a leader may.
    pub async fn open(url: &str, max_connections: u32, max_pending: u64, migrate: bool) -> Result<Self, StoreError> {
        let options = parse(url)?;
        let first = connect(options.clone(), 1).await?;
        refuse_forgetful(&first).await?;
        if migrate {
            MIGRATIONS.run(&first).await?;
        } else {
            refuse_outdated(&first).await?;
        }
        first.close().await;
        let options = options.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
        ]);
        let pool = connect(options, max_connections).await?;
        Ok(Self { pool, fence: FenceCell::new(Fence::Shut), max_pending })
    }

    async fn write(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Does `work` in a transaction of its own.
    async fn write_with<T>(
        &self,
        work: impl for<'t, 'c> FnOnce(&'t mut Transaction<'c, Postgres>) -> BoxFuture<'t, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.write().await?;
        let answer = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    fn reader(&self) -> &PgPool {
        &self.pool
    }

    async fn close_connections(&self) {
        self.pool.close().await;
    }
}

/// Brings the database of a URL up to date; answers the number of its last migration.
pub(super) async fn migrate(url: &str) -> Result<i64, StoreError> {
    let pool = connect(parse(url)?, 1).await?;
    MIGRATIONS.run(&pool).await?;
    pool.close().await;
    Ok(newest())
}

/// The URL holds a password: no part of it is in an error.
fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("postgres" | "postgresql")) {
        return Err(StoreError::Config("url does not begin with postgres://".to_owned()));
    }
    PgConnectOptions::from_str(url)
        .map(|options| options.application_name("tandem-keeper"))
        .map_err(|_| StoreError::Config("url cannot be read as postgres://USER:PASSWORD@HOST/DATABASE".to_owned()))
}

async fn connect(options: PgConnectOptions, max_connections: u32) -> Result<PgPool, StoreError> {
    // A pool hides why there is no connection, and goes on trying.
    let probe = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    probe.unwrap_or(Err(sqlx::Error::PoolTimedOut))?.close().await?;
    let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(CONNECT_TIMEOUT);
    Ok(pool.connect_with(options).await?)
}

/// A receipt stands for a commit that is on disk.
async fn refuse_forgetful(pool: &PgPool) -> Result<(), StoreError> {
    let (synchronous, fsync): (String, String) =
        sqlx::query_as("SELECT current_setting('synchronous_commit'), current_setting('fsync')")
            .fetch_one(pool)
            .await?;
    match (synchronous.as_str(), fsync.as_str()) {
        ("off", _) => Err(StoreError::Forgetful("synchronous_commit")),
        (_, "off") => Err(StoreError::Forgetful("fsync")),
        _ => Ok(()),
    }
}

async fn refuse_outdated(pool: &PgPool) -> Result<(), StoreError> {
    let newest = newest();
    let there: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text").fetch_one(pool).await?;
    let found: Option<i64> = match there {
        Some(_) => {
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(pool).await?
        }
        None => None,
    };
    if found == Some(newest) {
        return Ok(());
    }
    let found = found.unwrap_or_default();
    Err(StoreError::Config(format!(
        "the database is at migration {found}, this program needs {newest}; run `tandem-keeper db migrate` of this version"
    )))
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Waits until no other transaction is alone with this key; ends with the transaction.
async fn alone<T: Serialize>(transaction: &mut Transaction<'_, Postgres>, key: &T) -> Result<(), StoreError> {
    let digest = keccak256(json(key)?);
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
