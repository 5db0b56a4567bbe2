//! The sign-once guard `[KP-2]`: which report this key has signed for a (chain, contract, epoch, attempt), in a database
//! of its own, written before the signature exists outside the process.
//!
//! The file is opened with an exclusive lock, so a second keeper cannot run on the same one, and every insertion is on
//! disk before [`Guard::authorize`] returns. What other keepers show of our own signatures is taken in too
//! ([`Guard::authorize`] with their digest), so that a restored backup learns what it has forgotten before it signs.

use std::{path::Path, time::Duration};

use alloy_primitives::{Address, B256};
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous},
};

/// What is signed at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Chain.
    pub chain_id: u64,
    /// EpochOracle.
    pub contract: Address,
    /// Epoch.
    pub epoch: u64,
    /// Attempt.
    pub attempt: u32,
}

/// Why a signature was refused.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Another digest holds the slot.
    #[error(
        "[K-GUARD-1] a report of epoch {epoch}, attempt {attempt} was signed before: {signed}, not {asked}; nothing was signed"
    )]
    AlreadySigned {
        /// Epoch.
        epoch: u64,
        /// Attempt.
        attempt: u32,
        /// Digest signed before.
        signed: B256,
        /// Digest asked for.
        asked: B256,
    },
    /// The database failed; nothing was signed.
    #[error("[K-GUARD-2] sign-once guard: {0}")]
    Database(#[from] sqlx::Error),
    /// The file is another keeper's or damaged.
    #[error("[K-GUARD-3] the guard holds a malformed digest for epoch {0}; restore it from a backup or its export")]
    Malformed(u64),
    /// A number beyond the range of the database.
    #[error("[K-GUARD-4] {0} is too large for the guard")]
    TooLarge(u64),
}

/// The guard's database.
#[derive(Clone, Debug)]
pub struct Guard {
    pool: SqlitePool,
}

impl Guard {
    /// Opens or creates the guard's file; fails while another process has it open.
    pub async fn open(path: &Path) -> Result<Self, GuardError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .locking_mode(SqliteLockingMode::Exclusive)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(500));
        let pool = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        // A write at once takes the exclusive lock, which the connection then keeps.
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS signed (
                 chain_id INTEGER NOT NULL, contract BLOB NOT NULL, epoch INTEGER NOT NULL, attempt INTEGER NOT NULL,
                 digest BLOB NOT NULL, PRIMARY KEY (chain_id, contract, epoch, attempt)) STRICT",
        )
        .execute(&pool)
        .await?;
        sqlx::query("PRAGMA user_version = 1").execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Reserves the slot for `digest`, or finds it reserved for this very digest. Only after `Ok` may a signature be made.
    pub async fn authorize(&self, slot: Slot, digest: B256) -> Result<(), GuardError> {
        let (chain_id, epoch) = (signed_i64(slot.chain_id)?, signed_i64(slot.epoch)?);
        let mut transaction = self.pool.begin_with("BEGIN EXCLUSIVE").await?;
        let found =
            sqlx::query("SELECT digest FROM signed WHERE chain_id = ? AND contract = ? AND epoch = ? AND attempt = ?")
                .bind(chain_id)
                .bind(slot.contract.as_slice())
                .bind(epoch)
                .bind(slot.attempt)
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some(row) = found {
            let bytes: Vec<u8> = row.try_get("digest")?;
            let signed = B256::try_from(bytes.as_slice()).map_err(|_| GuardError::Malformed(slot.epoch))?;
            if signed == digest {
                return Ok(());
            }
            return Err(GuardError::AlreadySigned { epoch: slot.epoch, attempt: slot.attempt, signed, asked: digest });
        }
        sqlx::query("INSERT INTO signed (chain_id, contract, epoch, attempt, digest) VALUES (?, ?, ?, ?, ?)")
            .bind(chain_id)
            .bind(slot.contract.as_slice())
            .bind(epoch)
            .bind(slot.attempt)
            .bind(digest.as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Closes the file and gives the lock back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn signed_i64(value: u64) -> Result<i64, GuardError> {
    i64::try_from(value).map_err(|_| GuardError::TooLarge(value))
}
