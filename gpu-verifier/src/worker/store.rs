//! What a worker remembers across restarts: findings, channels, commits and receipts. Whatever must not be done twice is on the
//! disk before it is done.

use std::ops::Range;

use alloy_primitives::{Address, B256};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use tandem_protocol::api::AuditOutcome;
use tandem_protocol::messages::SignatureBytes;
use tandem_protocol::payment::PaymentMeter;

use super::row::Finding;
use crate::service::StateError;

/// Tables of the worker's state file.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS findings (
    job TEXT PRIMARY KEY, epoch INTEGER NOT NULL, netuid INTEGER NOT NULL, outcome TEXT NOT NULL, finding TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS findings_by_epoch ON findings (epoch);
CREATE TABLE IF NOT EXISTS channels (
    netuid INTEGER NOT NULL, uid INTEGER NOT NULL, contributor TEXT NOT NULL, meter TEXT NOT NULL, expiry INTEGER NOT NULL,
    PRIMARY KEY (netuid, uid, contributor)
) STRICT;
CREATE TABLE IF NOT EXISTS commits (
    epoch INTEGER NOT NULL, netuid INTEGER NOT NULL, seq INTEGER NOT NULL, salt TEXT NOT NULL, weights TEXT NOT NULL,
    signature TEXT NOT NULL, PRIMARY KEY (epoch, netuid, seq)
) STRICT;
CREATE TABLE IF NOT EXISTS receipts (
    epoch INTEGER NOT NULL, netuid INTEGER NOT NULL, seq INTEGER NOT NULL, keeper TEXT NOT NULL, signature TEXT NOT NULL,
    PRIMARY KEY (epoch, netuid, seq, keeper)
) STRICT";

/// Epochs that findings and commits are kept for.
const KEPT: u64 = 200;

/// A row that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    /// Subnet.
    pub netuid: u16,
    /// Sequence number.
    pub seq: u32,
    /// What hides the row.
    pub salt: B256,
    /// (uid, weight), ascending.
    pub row: Vec<(u16, u16)>,
    /// On the commit.
    pub signature: SignatureBytes,
}

/// A channel in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChannel {
    /// What was signed and consumed.
    pub meter: PaymentMeter,
    /// End of the channel's life, seconds.
    pub expiry: u64,
}

/// The worker's memory.
pub struct Store(SqlitePool);

impl Store {
    /// Over an open state file with [`SCHEMA`].
    pub const fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }

    /// Remembers a result; the first one of a job stays.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn put_finding(
        &self,
        job: B256,
        epoch: u64,
        netuid: u16,
        outcome: &AuditOutcome,
        finding: &Finding,
    ) -> Result<(), StateError> {
        sqlx::query("INSERT OR IGNORE INTO findings (job, epoch, netuid, outcome, finding) VALUES (?, ?, ?, ?, ?)")
            .bind(job.to_string())
            .bind(number(epoch))
            .bind(netuid)
            .bind(json(outcome)?)
            .bind(json(finding)?)
            .execute(&self.0)
            .await?;
        Ok(())
    }

    /// The result of a job, if there is one.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn outcome(&self, job: B256) -> Result<Option<AuditOutcome>, StateError> {
        let row = sqlx::query("SELECT outcome FROM findings WHERE job = ?")
            .bind(job.to_string())
            .fetch_optional(&self.0)
            .await?;
        row.map(|row| parse(&row, "outcome")).transpose()
    }

    /// All findings of some epochs with their subnets, oldest first.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn findings(&self, epochs: Range<u64>) -> Result<Vec<(u16, Finding)>, StateError> {
        let query = "SELECT netuid, finding FROM findings WHERE epoch >= ? AND epoch < ? ORDER BY epoch, job";
        let rows = sqlx::query(query).bind(number(epochs.start)).bind(number(epochs.end)).fetch_all(&self.0).await?;
        rows.iter().map(|row| Ok((row.try_get("netuid")?, parse(row, "finding")?))).collect()
    }

    /// The channel to a neuron and its owner.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn channel(
        &self,
        netuid: u16,
        uid: u16,
        contributor: Address,
    ) -> Result<Option<StoredChannel>, StateError> {
        let row = sqlx::query("SELECT meter, expiry FROM channels WHERE netuid = ? AND uid = ? AND contributor = ?")
            .bind(netuid)
            .bind(uid)
            .bind(contributor.to_string())
            .fetch_optional(&self.0)
            .await?;
        row.map(|row| Ok(StoredChannel { meter: parse(&row, "meter")?, expiry: unsigned(row.try_get("expiry")?)? }))
            .transpose()
    }

    /// Remembers a channel, in place of an earlier one.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn put_channel(
        &self,
        netuid: u16,
        uid: u16,
        contributor: Address,
        channel: &StoredChannel,
    ) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO channels (netuid, uid, contributor, meter, expiry) VALUES (?, ?, ?, ?, ?)")
            .bind(netuid)
            .bind(uid)
            .bind(contributor.to_string())
            .bind(json(&channel.meter)?)
            .bind(number(channel.expiry))
            .execute(&self.0)
            .await?;
        Ok(())
    }

    /// Forgets a channel; what is in it comes back after its expiry.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn forget_channel(&self, netuid: u16, uid: u16, contributor: Address) -> Result<(), StateError> {
        sqlx::query("DELETE FROM channels WHERE netuid = ? AND uid = ? AND contributor = ?")
            .bind(netuid)
            .bind(uid)
            .bind(contributor.to_string())
            .execute(&self.0)
            .await?;
        Ok(())
    }

    /// Remembers a commit unless one of the same epoch, subnet and sequence number is there, and returns the one that is: never
    /// are there two. Only what this returns may leave the process.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn put_commit(&self, epoch: u64, commit: &StoredCommit) -> Result<StoredCommit, StateError> {
        sqlx::query(
            "INSERT OR IGNORE INTO commits (epoch, netuid, seq, salt, weights, signature) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(number(epoch))
        .bind(commit.netuid)
        .bind(commit.seq)
        .bind(commit.salt.to_string())
        .bind(json(&commit.row)?)
        .bind(commit.signature.to_string())
        .execute(&self.0)
        .await?;
        let row = sqlx::query("SELECT * FROM commits WHERE epoch = ? AND netuid = ? AND seq = ?")
            .bind(number(epoch))
            .bind(commit.netuid)
            .bind(commit.seq)
            .fetch_one(&self.0)
            .await?;
        stored_commit(&row)
    }

    /// The commits of an epoch, by subnet.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn commits(&self, epoch: u64) -> Result<Vec<StoredCommit>, StateError> {
        let rows = sqlx::query("SELECT * FROM commits WHERE epoch = ? ORDER BY netuid, seq")
            .bind(number(epoch))
            .fetch_all(&self.0)
            .await?;
        rows.iter().map(stored_commit).collect()
    }

    /// Remembers a keeper's receipt.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn put_receipt(
        &self,
        epoch: u64,
        commit: &StoredCommit,
        keeper: Address,
        signature: &SignatureBytes,
    ) -> Result<(), StateError> {
        sqlx::query("INSERT OR IGNORE INTO receipts (epoch, netuid, seq, keeper, signature) VALUES (?, ?, ?, ?, ?)")
            .bind(number(epoch))
            .bind(commit.netuid)
            .bind(commit.seq)
            .bind(keeper.to_string())
            .bind(signature.to_string())
            .execute(&self.0)
            .await?;
        Ok(())
    }

    /// Receipts of a commit, keepers ascending.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn receipts(
        &self,
        epoch: u64,
        commit: &StoredCommit,
    ) -> Result<Vec<(Address, SignatureBytes)>, StateError> {
        let rows = sqlx::query("SELECT keeper, signature FROM receipts WHERE epoch = ? AND netuid = ? AND seq = ?")
            .bind(number(epoch))
            .bind(commit.netuid)
            .bind(commit.seq)
            .fetch_all(&self.0)
            .await?;
        let mut receipts = rows
            .iter()
            .map(|row| Ok((text(row, "keeper")?, text(row, "signature")?)))
            .collect::<Result<Vec<_>, StateError>>()?;
        receipts.sort_unstable();
        Ok(receipts)
    }

    /// Drops what is of no use any more.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn prune(&self, epoch: u64) -> Result<(), StateError> {
        let oldest = number(epoch.saturating_sub(KEPT));
        for statement in [
            "DELETE FROM findings WHERE epoch < ?",
            "DELETE FROM receipts WHERE epoch < ?",
            "DELETE FROM commits WHERE epoch < ?",
        ] {
            sqlx::query(statement).bind(oldest).execute(&self.0).await?;
        }
        Ok(())
    }
}

fn stored_commit(row: &SqliteRow) -> Result<StoredCommit, StateError> {
    Ok(StoredCommit {
        netuid: row.try_get("netuid")?,
        seq: row.try_get("seq")?,
        salt: text(row, "salt")?,
        row: parse(row, "weights")?,
        signature: text(row, "signature")?,
    })
}

fn json(value: &impl Serialize) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(damaged)
}

fn parse<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StateError> {
    serde_json::from_str(row.try_get(column)?).map_err(damaged)
}

fn text<T: std::str::FromStr<Err: std::fmt::Display>>(row: &SqliteRow, column: &str) -> Result<T, StateError> {
    row.try_get::<&str, _>(column)?.parse().map_err(damaged)
}

fn damaged(error: impl std::fmt::Display) -> StateError {
    StateError::Damaged(error.to_string())
}

/// SQLite's integers are signed; no epoch and no time comes near the difference.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> Result<u64, StateError> {
    u64::try_from(value).map_err(damaged)
}
