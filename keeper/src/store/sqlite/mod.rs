//! The embedded store: one SQLite file, write-ahead log, every commit on disk before it is answered.

mod ballots;
mod jobs;
mod outbox;
mod together;

use std::{path::Path, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tandem_protocol::{
    api::{Attestation, Proposal},
    messages::WeightsCommit,
    reveal::Reveal,
    signed::Signed,
};

use self::together::Together;
use super::{
    CommitOutcome, Evidence, Fence, Lease, Leases, MAX_EVIDENCE, MAX_PENDING, Retention, Store, StoreError,
    StoredReveal, int, json, judge_commit,
    lease::{FenceCell, millis},
    note_evidence, uint,
};
use crate::{rows::better, sqlite};

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

    async fn write(&self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A transaction for a write that only a leader may do.
    async fn write_fenced(&self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        let wanted = self.fence.wanted()?;
        let mut transaction = self.write().await?;
        if let Some(lease) = wanted {
            let held = sqlx::query("SELECT 1 FROM leases WHERE name = ? AND holder = ? AND term = ?")
                .bind(&lease.name)
                .bind(lease.holder.as_slice())
                .bind(int(lease.term)?)
                .fetch_optional(&mut *transaction)
                .await?;
            held.ok_or(StoreError::NotLeading)?;
        }
        Ok(transaction)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError> {
        let (commit, text) = (commit.clone(), json(commit)?);
        self.together.write(move |transaction| Box::pin(put_commit(transaction, commit, text))).await
    }

    async fn put_commit_on_chain(&self, on_chain: &WeightsCommit) -> Result<bool, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = *on_chain;
        let mut transaction = self.write().await?;
        let held = sqlx::query(
            "SELECT message FROM commits WHERE epoch = ? AND netuid = ? AND validator = ? AND seq = ? AND hash <> ?",
        )
        .bind(int(epoch)?)
        .bind(netuid)
        .bind(validator.as_slice())
        .bind(seq)
        .bind(commitHash.as_slice())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(held) = held else { return Ok(false) };
        let held: Signed<WeightsCommit> = message(&held)?;
        add_evidence(&mut transaction, "commit_against_chain", validator, epoch, &(held, on_chain)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError> {
        let (reveal, text, fault) = (reveal.clone(), json(reveal)?, fault.map(str::to_owned));
        self.together.write(move |transaction| Box::pin(put_reveal(transaction, reveal, text, fault))).await
    }

    async fn reveals(&self, epoch: u64) -> Result<Vec<StoredReveal>, StoreError> {
        sqlx::query("SELECT message, fault FROM reveals WHERE epoch = ? ORDER BY netuid, validator")
            .bind(int(epoch)?)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(stored_reveal)
            .collect()
    }

    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let list = &proposal.list.message;
        let mut transaction = self.write_fenced().await?;
        let held =
            sqlx::query("SELECT message FROM proposals WHERE epoch = ? AND attempt = ? AND round = ? AND proposer = ?")
                .bind(int(list.epoch)?)
                .bind(list.attempt)
                .bind(list.round)
                .bind(proposal.proposer.as_slice())
                .fetch_optional(&mut *transaction)
                .await?;
        match held {
            None => {
                sqlx::query("INSERT INTO proposals (epoch, attempt, round, proposer, message) VALUES (?, ?, ?, ?, ?)")
                    .bind(int(list.epoch)?)
                    .bind(list.attempt)
                    .bind(list.round)
                    .bind(proposal.proposer.as_slice())
                    .bind(json(proposal)?)
                    .execute(&mut *transaction)
                    .await?;
            }
            Some(row) => {
                let held: Proposal = message(&row)?;
                if held.list.message.rowsHash != list.rowsHash {
                    let statements = (held.list, &proposal.list);
                    let (kind, epoch) = ("double_proposal", list.epoch);
                    add_evidence(&mut transaction, kind, proposal.proposer, epoch, &statements).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn proposals(&self, epoch: u64, attempt: u32) -> Result<Vec<Proposal>, StoreError> {
        sqlx::query("SELECT message FROM proposals WHERE epoch = ? AND attempt = ? ORDER BY round, proposer")
            .bind(int(epoch)?)
            .bind(attempt)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn choose(&self, epoch: u64, attempt: u32, content: B256) -> Result<B256, StoreError> {
        let mut transaction = self.write_fenced().await?;
        sqlx::query("INSERT OR IGNORE INTO choices (epoch, attempt, content) VALUES (?, ?, ?)")
            .bind(int(epoch)?)
            .bind(attempt)
            .bind(content.as_slice())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT content FROM choices WHERE epoch = ? AND attempt = ?")
            .bind(int(epoch)?)
            .bind(attempt)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        hash(&row, "content")
    }

    async fn chosen(&self, epoch: u64, attempt: u32) -> Result<Option<B256>, StoreError> {
        sqlx::query("SELECT content FROM choices WHERE epoch = ? AND attempt = ?")
            .bind(int(epoch)?)
            .bind(attempt)
            .fetch_optional(&self.readers)
            .await?
            .map(|row| hash(&row, "content"))
            .transpose()
    }

    async fn put_attestation(&self, attestation: &Attestation) -> Result<bool, StoreError> {
        let report = &attestation.report.message;
        let mut transaction = self.write().await?;
        let held = sqlx::query("SELECT message FROM attestations WHERE epoch = ? AND attempt = ? AND keeper = ?")
            .bind(int(report.epoch)?)
            .bind(report.attempt)
            .bind(attestation.keeper.as_slice())
            .fetch_optional(&mut *transaction)
            .await?;
        let new = held.is_none();
        match held {
            None => {
                sqlx::query("INSERT INTO attestations (epoch, attempt, keeper, message) VALUES (?, ?, ?, ?)")
                    .bind(int(report.epoch)?)
                    .bind(report.attempt)
                    .bind(attestation.keeper.as_slice())
                    .bind(json(attestation)?)
                    .execute(&mut *transaction)
                    .await?;
            }
            Some(row) => {
                let held: Attestation = message(&row)?;
                if held.report.message != *report {
                    let (kind, epoch) = ("double_attestation", report.epoch);
                    add_evidence(&mut transaction, kind, attestation.keeper, epoch, &(held, attestation)).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(new)
    }

    async fn attestations(&self, epoch: u64) -> Result<Vec<Attestation>, StoreError> {
        sqlx::query("SELECT message FROM attestations WHERE epoch = ? ORDER BY attempt, keeper")
            .bind(int(epoch)?)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn last_attested(&self, keeper: Address) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT max(epoch) AS epoch FROM attestations WHERE keeper = ?")
            .bind(keeper.as_slice())
            .fetch_one(&self.readers)
            .await?;
        let epoch: Option<i64> = row.try_get("epoch")?;
        epoch.map(|epoch| uint(epoch, "epoch")).transpose()
    }

    async fn evidence(&self, epoch: u64) -> Result<Vec<Evidence>, StoreError> {
        sqlx::query("SELECT kind, subject, statements FROM evidence WHERE epoch = ? ORDER BY kind, subject, statements")
            .bind(int(epoch)?)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(Evidence {
                    kind: row.try_get("kind")?,
                    subject: address(row, "subject")?,
                    epoch,
                    statements: row.try_get("statements")?,
                })
            })
            .collect()
    }

    async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let Retention { before_epoch, signed_before_ms, limit } = retention;
        let mut transaction = self.write_fenced().await?;
        let mut pruned = 0;
        for delete in [
            "DELETE FROM commits WHERE rowid IN (SELECT rowid FROM commits WHERE epoch < ? LIMIT ?)",
            "DELETE FROM reveals WHERE rowid IN (SELECT rowid FROM reveals WHERE epoch < ? LIMIT ?)",
            "DELETE FROM proposals WHERE rowid IN (SELECT rowid FROM proposals WHERE epoch < ? LIMIT ?)",
            "DELETE FROM lists WHERE rowid IN (SELECT rowid FROM lists WHERE epoch < ? LIMIT ?)",
            "DELETE FROM votes WHERE rowid IN (SELECT rowid FROM votes WHERE epoch < ? LIMIT ?)",
            "DELETE FROM choices WHERE rowid IN (SELECT rowid FROM choices WHERE epoch < ? LIMIT ?)",
            "DELETE FROM attestations WHERE rowid IN (SELECT rowid FROM attestations WHERE epoch < ? LIMIT ?)",
            "DELETE FROM evidence WHERE rowid IN (SELECT rowid FROM evidence WHERE epoch < ? LIMIT ?)",
        ] {
            let deleted = sqlx::query(delete).bind(int(before_epoch)?).bind(limit).execute(&mut *transaction).await?;
            pruned += deleted.rows_affected();
        }
        pruned += outbox::prune(&mut transaction, signed_before_ms, limit).await?;
        transaction.commit().await?;
        Ok(pruned)
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, name: &str, holder: B256, ttl: Duration, now_ms: u64) -> Result<Option<Lease>, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "INSERT INTO leases (name, holder, term, until_ms) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (name) DO UPDATE SET holder = ?2, term = term + 1, until_ms = ?3
             WHERE until_ms <= ?4 OR holder = ?2 RETURNING term",
        )
        .bind(name)
        .bind(holder.as_slice())
        .bind(int(now_ms.saturating_add(millis(ttl)))?)
        .bind(int(now_ms)?)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(|row| Ok(Lease { name: name.to_owned(), holder, term: uint(row.try_get("term")?, "term")? }))
            .transpose()
    }

    async fn renew(&self, lease: &Lease, ttl: Duration, now_ms: u64) -> Result<bool, StoreError> {
        self.set_lease_end(lease, now_ms.saturating_add(millis(ttl))).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.set_lease_end(lease, 0).await.map(|_| ())
    }

    fn fence(&self, fence: Fence) {
        self.fence.set(fence);
    }
}

impl SqliteStore {
    async fn set_lease_end(&self, lease: &Lease, until_ms: u64) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let set = sqlx::query("UPDATE leases SET until_ms = ? WHERE name = ? AND holder = ? AND term = ?")
            .bind(int(until_ms)?)
            .bind(&lease.name)
            .bind(lease.holder.as_slice())
            .bind(int(lease.term)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(set.rows_affected() == 1)
    }
}

async fn put_commit(
    transaction: &mut Transaction<'_, Sqlite>,
    commit: Signed<WeightsCommit>,
    text: String,
) -> Result<CommitOutcome, StoreError> {
    let WeightsCommit { netuid, epoch, validator, seq, commitHash } = commit.message;
    let row = sqlx::query(
        "SELECT max(seq) AS last, count(*) AS count FROM commits WHERE epoch = ? AND netuid = ? AND validator = ?",
    )
    .bind(int(epoch)?)
    .bind(netuid)
    .bind(validator.as_slice())
    .fetch_one(&mut **transaction)
    .await?;
    let last: Option<u32> = row.try_get("last")?;
    let count: i64 = row.try_get("count")?;
    let same =
        sqlx::query("SELECT hash, message FROM commits WHERE epoch = ? AND netuid = ? AND validator = ? AND seq = ?")
            .bind(int(epoch)?)
            .bind(netuid)
            .bind(validator.as_slice())
            .bind(seq)
            .fetch_optional(&mut **transaction)
            .await?;
    let same_hash = same.as_ref().map(|row| hash(row, "hash")).transpose()?;
    let outcome = judge_commit(&commit.message, last, count, same_hash);
    match (&outcome, same) {
        (CommitOutcome::Equivocation, Some(row)) => {
            let held: Signed<WeightsCommit> = message(&row)?;
            add_evidence(transaction, "double_commit", validator, epoch, &(held, commit)).await?;
        }
        (CommitOutcome::Stored, None) => {
            sqlx::query("INSERT INTO commits (epoch, netuid, validator, seq, hash, message) VALUES (?, ?, ?, ?, ?, ?)")
                .bind(int(epoch)?)
                .bind(netuid)
                .bind(validator.as_slice())
                .bind(seq)
                .bind(commitHash.as_slice())
                .bind(text)
                .execute(&mut **transaction)
                .await?;
        }
        _ => {}
    }
    Ok(outcome)
}

async fn put_reveal(
    transaction: &mut Transaction<'_, Sqlite>,
    reveal: Reveal,
    text: String,
    fault: Option<String>,
) -> Result<(), StoreError> {
    let held = sqlx::query("SELECT message, fault FROM reveals WHERE epoch = ? AND netuid = ? AND validator = ?")
        .bind(int(reveal.epoch)?)
        .bind(reveal.netuid)
        .bind(reveal.validator.as_slice())
        .fetch_optional(&mut **transaction)
        .await?;
    if let Some(row) = held {
        let held = stored_reveal(&row)?;
        let kept = better((&held.reveal, held.fault.is_none()), (&reveal, fault.is_none()));
        if *kept == held.reveal {
            return Ok(());
        }
    }
    sqlx::query("INSERT OR REPLACE INTO reveals (epoch, netuid, validator, message, fault) VALUES (?, ?, ?, ?, ?)")
        .bind(int(reveal.epoch)?)
        .bind(reveal.netuid)
        .bind(reveal.validator.as_slice())
        .bind(text)
        .bind(fault)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Keeps two contradicting statements, or one that is out of place.
async fn add_evidence<T: Serialize>(
    transaction: &mut Transaction<'_, Sqlite>,
    kind: &'static str,
    subject: Address,
    epoch: u64,
    statements: &T,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO evidence (kind, subject, epoch, statements) SELECT ?1, ?2, ?3, ?4
         WHERE (SELECT count(*) FROM evidence WHERE kind = ?1 AND subject = ?2 AND epoch = ?3) < ?5",
    )
    .bind(kind)
    .bind(subject.as_slice())
    .bind(int(epoch)?)
    .bind(json(statements)?)
    .bind(MAX_EVIDENCE)
    .execute(&mut **transaction)
    .await?;
    note_evidence(kind, subject, epoch);
    Ok(())
}

fn hash(row: &SqliteRow, column: &'static str) -> Result<B256, StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    B256::try_from(bytes.as_slice()).map_err(|error| StoreError::Malformed { what: column, reason: error.to_string() })
}

fn address(row: &SqliteRow, column: &'static str) -> Result<Address, StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    Address::try_from(bytes.as_slice())
        .map_err(|error| StoreError::Malformed { what: column, reason: error.to_string() })
}

fn message<T: DeserializeOwned>(row: &SqliteRow) -> Result<T, StoreError> {
    let text: String = row.try_get("message")?;
    serde_json::from_str(&text).map_err(|error| StoreError::Malformed { what: "message", reason: error.to_string() })
}

fn stored_reveal(row: &SqliteRow) -> Result<StoredReveal, StoreError> {
    Ok(StoredReveal { reveal: message(row)?, fault: row.try_get("fault")? })
}
