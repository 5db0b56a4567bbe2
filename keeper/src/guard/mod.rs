//! The sign-once guard `[KP-2]`: which report this key has signed for a (chain, contract, epoch, attempt), in a database
//! of its own, written before the signature exists outside the process.
//!
//! The file is opened with an exclusive lock, so a second keeper cannot run on the same one, and every insertion is on
//! disk before [`Guard::authorize`] returns. What other keepers show of our own signatures is taken in too
//! ([`Guard::authorize`] with their digest), so that a restored backup learns what it has forgotten before it signs.
//!
//! Replicas that hold one key share a [`Register`] beside it. Both must agree: what either holds for a slot is the only
//! thing that can be signed for it, so that a backup of one of them may be restored without harm, and without the register
//! nothing is signed. The file is asked before anything is written to the register, the register before the file:
//!
//! ```text
//!   file: other digest ──▶ refused             register: other digest ──▶ noted in the file, refused
//!   file: same or none ──▶ register: reserve ──▶ file: write ──▶ signature
//! ```

mod interchange;

use std::{path::Path, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous},
};

pub use interchange::{Imported, Interchange, SignedReport};

use crate::{sqlite, store::StoreError};

/// What is signed at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The register that replicas share did not answer.
    #[error("[K-GUARD-5] the sign-once register that replicas share failed, nothing was signed: {0}")]
    Register(StoreError),
    /// The guard has forgotten.
    #[error(
        "[K-GUARD-6] this key has signed a report of epoch {signed}, but the guard knows of {}; restore its file or import \
         an export of it (`tandem-keeper guard import`). Only if no other copy of the key runs and none will: \
         `--accept-missing-guard`", known.map_or_else(|| "none".to_owned(), |epoch| format!("none after epoch {epoch}"))
    )]
    Forgetful {
        /// Newest epoch that is known to be signed.
        signed: u64,
        /// Newest epoch in the guard.
        known: Option<u64>,
    },
    /// An export that cannot be taken in.
    #[error("[K-GUARD-7] {0}; nothing was imported")]
    Interchange(String),
}

/// A sign-once table that the replicas of a keeper share.
#[async_trait]
pub trait Register: std::fmt::Debug + Send + Sync {
    /// Reserves the slot for `digest` unless another one holds it; answers the digest that does. Of several calls at the
    /// same time one is first, for everybody.
    async fn reserve(&self, slot: Slot, digest: B256) -> Result<B256, StoreError>;

    /// What is reserved for a contract from an epoch on, ascending.
    async fn reserved(
        &self,
        chain_id: u64,
        contract: Address,
        from_epoch: u64,
    ) -> Result<Vec<(Slot, B256)>, StoreError>;
}

/// The guard's database.
#[derive(Clone, Debug)]
pub struct Guard {
    pool: SqlitePool,
    register: Option<Arc<dyn Register>>,
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
        let pool = sqlite::pool()
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
        Ok(Self { pool, register: None })
    }

    /// Shares what is signed with other replicas of this keeper.
    pub fn shared(self, register: Arc<dyn Register>) -> Self {
        Self { register: Some(register), ..self }
    }

    /// Refuses if a report of an epoch in `signed` is known to carry this key's signature and the guard knows of none as
    /// new: its file is missing or an old copy. To be asked before anything is signed.
    pub async fn refuse_if_forgetful(
        &self,
        chain_id: u64,
        contract: Address,
        signed: &[u64],
    ) -> Result<(), GuardError> {
        let Some(newest) = signed.iter().max().copied() else { return Ok(()) };
        let known = self.newest(chain_id, contract).await?;
        if known >= Some(newest) { Ok(()) } else { Err(GuardError::Forgetful { signed: newest, known }) }
    }

    /// Notes in the file what other replicas have signed since its newest epoch, so that it is a copy of the register and
    /// not only of what this process signed. Without a register there is nothing to note.
    pub async fn catch_up(&self, chain_id: u64, contract: Address) -> Result<(), GuardError> {
        let Some(register) = &self.register else { return Ok(()) };
        let from = self.newest(chain_id, contract).await?.unwrap_or_default();
        for (slot, digest) in register.reserved(chain_id, contract, from).await.map_err(GuardError::Register)? {
            self.insert(slot, digest).await?;
        }
        Ok(())
    }

    async fn newest(&self, chain_id: u64, contract: Address) -> Result<Option<u64>, GuardError> {
        let epoch: Option<i64> =
            sqlx::query_scalar("SELECT max(epoch) FROM signed WHERE chain_id = ? AND contract = ?")
                .bind(signed_i64(chain_id)?)
                .bind(contract.as_slice())
                .fetch_one(&self.pool)
                .await?;
        Ok(epoch.and_then(|epoch| u64::try_from(epoch).ok()))
    }

    /// Reserves the slot for `digest`, or finds it reserved for this very digest. Only after `Ok` may a signature be made.
    pub async fn authorize(&self, slot: Slot, digest: B256) -> Result<(), GuardError> {
        if let Some(register) = &self.register {
            // A slot that the file holds for another digest must not be taken in the register.
            let mut reader = self.pool.begin().await?;
            let known = held(&mut reader, slot).await?;
            drop(reader);
            refuse_other(slot, known, digest)?;
            let reserved = register.reserve(slot, digest).await.map_err(GuardError::Register)?;
            if reserved != digest {
                self.insert(slot, reserved).await?;
            }
            refuse_other(slot, Some(reserved), digest)?;
        }
        self.insert(slot, digest).await
    }

    async fn insert(&self, slot: Slot, digest: B256) -> Result<(), GuardError> {
        let mut transaction = self.pool.begin_with("BEGIN EXCLUSIVE").await?;
        let known = held(&mut transaction, slot).await?;
        if known.is_some() {
            return refuse_other(slot, known, digest);
        }
        write(&mut transaction, slot, digest).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Closes the file and gives the lock back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn refuse_other(slot: Slot, held: Option<B256>, asked: B256) -> Result<(), GuardError> {
    match held {
        Some(signed) if signed != asked => {
            Err(GuardError::AlreadySigned { epoch: slot.epoch, attempt: slot.attempt, signed, asked })
        }
        _ => Ok(()),
    }
}

async fn held(transaction: &mut Transaction<'_, Sqlite>, slot: Slot) -> Result<Option<B256>, GuardError> {
    let row =
        sqlx::query("SELECT digest FROM signed WHERE chain_id = ? AND contract = ? AND epoch = ? AND attempt = ?")
            .bind(signed_i64(slot.chain_id)?)
            .bind(slot.contract.as_slice())
            .bind(signed_i64(slot.epoch)?)
            .bind(slot.attempt)
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let bytes: Vec<u8> = row.try_get("digest")?;
    B256::try_from(bytes.as_slice()).map(Some).map_err(|_| GuardError::Malformed(slot.epoch))
}

async fn write(transaction: &mut Transaction<'_, Sqlite>, slot: Slot, digest: B256) -> Result<(), GuardError> {
    sqlx::query("INSERT INTO signed (chain_id, contract, epoch, attempt, digest) VALUES (?, ?, ?, ?, ?)")
        .bind(signed_i64(slot.chain_id)?)
        .bind(slot.contract.as_slice())
        .bind(signed_i64(slot.epoch)?)
        .bind(slot.attempt)
        .bind(digest.as_slice())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn signed_i64(value: u64) -> Result<i64, GuardError> {
    i64::try_from(value).map_err(|_| GuardError::TooLarge(value))
}
