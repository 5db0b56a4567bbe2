//! The embedded store: one SQLite file, write-ahead log, every commit on disk before it is answered.

use std::path::Path;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use tandem_protocol::{
    api::{Attestation, AuditCount, JobFailure, JobResult, Proposal, Vote},
    jobs::Job,
    messages::{ListVote, WeightsCommit},
    reveal::Reveal,
    signed::Signed,
};

use super::{
    CommitOutcome, Cursor, Cursors, Evidence, JobOutcome, LeaseQuery, LeasedJob, MAX_COMMITS, Store, StoreError,
    StoredReveal, jobs,
};
use crate::rows::better;

/// Evidence of one kind against one party in one epoch beyond which no more is kept: enough to prove the fault.
const MAX_EVIDENCE: i64 = 16;

/// A SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection: SQLite has one writer.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens or creates the file and brings its shape up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    pub(super) async fn write(&self) -> Result<Transaction<'_, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn add_jobs(&self, validator: Address, list: &[Job]) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let added = jobs::add(&mut transaction, validator, list).await?;
        transaction.commit().await?;
        Ok(added)
    }

    async fn prune_jobs(&self, before: u64) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let pruned = jobs::prune(&mut transaction, before).await?;
        transaction.commit().await?;
        Ok(pruned)
    }

    async fn lease_jobs(&self, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
        // Idle workers ask all the time; the one writer is for those who get something.
        if !jobs::any_free(&self.readers, query).await? {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let leased = jobs::lease(&mut transaction, query).await?;
        transaction.commit().await?;
        Ok(leased)
    }

    async fn extend_lease(
        &self,
        validator: Address,
        job: B256,
        attempt: u32,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        if !jobs::exists(&self.readers, validator, job).await? {
            return Ok(false);
        }
        let mut transaction = self.write().await?;
        let extended = jobs::extend(&mut transaction, validator, job, attempt, now_ms, until_ms).await?;
        transaction.commit().await?;
        Ok(extended)
    }

    async fn complete_job(
        &self,
        validator: Address,
        result: &JobResult,
        now_ms: u64,
    ) -> Result<JobOutcome, StoreError> {
        if !jobs::exists(&self.readers, validator, result.job).await? {
            return Ok(JobOutcome::Unknown);
        }
        let mut transaction = self.write().await?;
        let outcome = jobs::complete(&mut transaction, validator, result, now_ms).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        if !jobs::exists(&self.readers, validator, failure.job).await? {
            return Ok(JobOutcome::Unknown);
        }
        let mut transaction = self.write().await?;
        let outcome = jobs::fail(&mut transaction, validator, failure, now_ms).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
        jobs::audits(&self.readers, epoch).await
    }

    async fn put_commit(&self, commit: &Signed<WeightsCommit>) -> Result<CommitOutcome, StoreError> {
        let WeightsCommit { netuid, epoch, validator, seq, commitHash } = commit.message;
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "SELECT max(seq) AS last, count(*) AS count FROM commits WHERE epoch = ? AND netuid = ? AND validator = ?",
        )
        .bind(int(epoch)?)
        .bind(netuid)
        .bind(validator.as_slice())
        .fetch_one(&mut *transaction)
        .await?;
        let last: Option<u32> = row.try_get("last")?;
        let count: i64 = row.try_get("count")?;
        let same = sqlx::query(
            "SELECT hash, message FROM commits WHERE epoch = ? AND netuid = ? AND validator = ? AND seq = ?",
        )
        .bind(int(epoch)?)
        .bind(netuid)
        .bind(validator.as_slice())
        .bind(seq)
        .fetch_optional(&mut *transaction)
        .await?;
        let outcome = match (same, last) {
            (Some(row), _) if hash(&row, "hash")? == commitHash => CommitOutcome::Stored,
            (Some(row), _) => {
                let held: Signed<WeightsCommit> = message(&row)?;
                add_evidence(&mut transaction, "double_commit", validator, epoch, &(held, commit)).await?;
                CommitOutcome::Equivocation
            }
            (None, Some(last)) if seq < last => CommitOutcome::Stale { last },
            (None, _) if count >= MAX_COMMITS => CommitOutcome::TooMany,
            (None, _) => {
                sqlx::query(
                    "INSERT INTO commits (epoch, netuid, validator, seq, hash, message) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .bind(int(epoch)?)
                .bind(netuid)
                .bind(validator.as_slice())
                .bind(seq)
                .bind(commitHash.as_slice())
                .bind(json(commit)?)
                .execute(&mut *transaction)
                .await?;
                CommitOutcome::Stored
            }
        };
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn put_reveal(&self, reveal: &Reveal, fault: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let held = sqlx::query("SELECT message, fault FROM reveals WHERE epoch = ? AND netuid = ? AND validator = ?")
            .bind(int(reveal.epoch)?)
            .bind(reveal.netuid)
            .bind(reveal.validator.as_slice())
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = held {
            let held = stored_reveal(&row)?;
            let kept = better((&held.reveal, held.fault.is_none()), (reveal, fault.is_none()));
            if *kept == held.reveal {
                return Ok(());
            }
        }
        sqlx::query("INSERT OR REPLACE INTO reveals (epoch, netuid, validator, message, fault) VALUES (?, ?, ?, ?, ?)")
            .bind(int(reveal.epoch)?)
            .bind(reveal.netuid)
            .bind(reveal.validator.as_slice())
            .bind(json(reveal)?)
            .bind(fault)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
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

    async fn put_list(&self, epoch: u64, content: B256, reveals: &[Reveal]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("INSERT OR IGNORE INTO lists (epoch, content, reveals) VALUES (?, ?, ?)")
            .bind(int(epoch)?)
            .bind(content.as_slice())
            .bind(json(&reveals)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn list(&self, epoch: u64, content: B256) -> Result<Option<Vec<Reveal>>, StoreError> {
        sqlx::query("SELECT reveals AS message FROM lists WHERE epoch = ? AND content = ?")
            .bind(int(epoch)?)
            .bind(content.as_slice())
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(message)
            .transpose()
    }

    async fn put_vote(&self, vote: &Vote, contradicting: bool) -> Result<bool, StoreError> {
        let ListVote { epoch, attempt, round, step, rowsHash } = vote.vote.message;
        let mut transaction = self.write().await?;
        let held: Vec<Vote> = sqlx::query(
            "SELECT message FROM votes WHERE epoch = ? AND attempt = ? AND round = ? AND step = ? AND keeper = ?",
        )
        .bind(int(epoch)?)
        .bind(attempt)
        .bind(round)
        .bind(step)
        .bind(vote.keeper.as_slice())
        .fetch_all(&mut *transaction)
        .await?
        .iter()
        .map(message)
        .collect::<Result<_, _>>()?;
        if held.iter().any(|held| held.vote.message.rowsHash == rowsHash) {
            return Ok(true);
        }
        if let Some(other) = held.first() {
            add_evidence(&mut transaction, "double_vote", vote.keeper, epoch, &(other, vote)).await?;
        }
        let taken = held.is_empty() || contradicting;
        if taken {
            sqlx::query(
                "INSERT INTO votes (epoch, attempt, round, step, keeper, content, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(int(epoch)?)
            .bind(attempt)
            .bind(round)
            .bind(step)
            .bind(vote.keeper.as_slice())
            .bind(rowsHash.as_slice())
            .bind(json(vote)?)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(taken)
    }

    async fn votes(&self, epoch: u64, attempt: u32) -> Result<Vec<Vote>, StoreError> {
        sqlx::query("SELECT message FROM votes WHERE epoch = ? AND attempt = ? ORDER BY round, step, keeper, content")
            .bind(int(epoch)?)
            .bind(attempt)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn put_proposal(&self, proposal: &Proposal) -> Result<(), StoreError> {
        let list = &proposal.list.message;
        let mut transaction = self.write().await?;
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
        let mut transaction = self.write().await?;
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

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Cursors for SqliteStore {
    async fn cursor(&self, name: &str) -> Result<Option<Cursor>, StoreError> {
        sqlx::query("SELECT number, hash FROM cursors WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.readers)
            .await?
            .map(|row| Ok(Cursor { number: uint(row.try_get("number")?, "number")?, hash: hash(&row, "hash")? }))
            .transpose()
    }

    async fn put_cursor(&self, name: &str, cursor: Cursor) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("INSERT OR REPLACE INTO cursors (name, number, hash) VALUES (?, ?, ?)")
            .bind(name)
            .bind(int(cursor.number)?)
            .bind(cursor.hash.as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Keeps two contradicting statements, or one that is out of place.
pub(super) async fn add_evidence<T: Serialize>(
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
    tracing::warn!(kind, %subject, epoch, "kept as evidence");
    metrics::counter!(crate::telemetry::EVIDENCE).increment(1);
    Ok(())
}

pub(super) fn int(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(value))
}

pub(super) fn uint(value: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|error| StoreError::Malformed { what, reason: error.to_string() })
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Malformed { what: "message", reason: error.to_string() })
}

pub(super) fn hash(row: &SqliteRow, column: &'static str) -> Result<B256, StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    B256::try_from(bytes.as_slice()).map_err(|error| StoreError::Malformed { what: column, reason: error.to_string() })
}

pub(super) fn address(row: &SqliteRow, column: &'static str) -> Result<Address, StoreError> {
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
