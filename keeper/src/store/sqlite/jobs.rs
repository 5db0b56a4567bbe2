//! Jobs in SQLite.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteExecutor, Transaction, sqlite::SqliteRow};
use tandem_protocol::{
    api::{AuditCount, JobFailure, JobResult},
    jobs::Job,
};

use super::{SqliteStore, add_evidence, address, hash};
use crate::store::{
    DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, StoreError, int,
    jobs::{BATCH, Held, SILENT, back_off_ms, count_audits, room, storable, verdict_number},
    json, uint,
};

#[async_trait]
impl Jobs for SqliteStore {
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError> {
        let jobs: Vec<(Address, &Job)> =
            jobs.iter().flat_map(|(validator, list)| list.iter().map(move |job| (*validator, job))).collect();
        let (mut added, mut pending) = (0, None);
        for batch in jobs.chunks(BATCH) {
            let mut transaction = self.write_fenced().await?;
            let before = match pending {
                Some(pending) => pending,
                None => count_open(&mut transaction, epoch).await?,
            };
            let (mut full, mut fitting) = (None, batch.to_vec());
            if before + batch.len() as u64 > self.max_pending {
                fitting = new_ones(&mut transaction, batch).await?;
                let (room, error) = room(epoch, before, self.max_pending, fitting.len() as u64);
                fitting.truncate(room as usize);
                full = error;
            }
            let inserted = insert(&mut transaction, epoch, &fitting).await?;
            transaction.commit().await?;
            if let Some(full) = full {
                return Err(full);
            }
            added += inserted;
            pending = Some(before + inserted);
        }
        Ok(added)
    }

    async fn prune_jobs(&self, before: u64) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            // In batches: those who wait for the writer have their turn in between.
            let mut transaction = self.write_fenced().await?;
            let deleted =
                sqlx::query("DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs WHERE epoch < ? LIMIT ?)")
                    .bind(int(before)?)
                    .bind(BATCH as i64)
                    .execute(&mut *transaction)
                    .await?
                    .rows_affected();
            transaction.commit().await?;
            pruned += deleted;
            if deleted < BATCH as u64 {
                return Ok(pruned);
            }
        }
    }

    async fn lease_jobs(&self, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
        // Idle workers ask all the time; the one writer is for those who get something.
        if free(&self.readers, LeaseQuery { limit: 1, ..query }).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.together.write(move |transaction| Box::pin(lease(transaction, query))).await
    }

    async fn extend_lease(
        &self,
        validator: Address,
        job: B256,
        attempt: u32,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        if held(&self.readers, validator, job).await?.is_none() {
            return Ok(false);
        }
        let mut transaction = self.write().await?;
        let extended = sqlx::query(
            "UPDATE jobs SET lease_until_ms = max(lease_until_ms, ?)
             WHERE id = ? AND validator = ? AND attempt = ? AND state = 'open' AND lease_until_ms > ?",
        )
        .bind(int(until_ms)?)
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .bind(attempt)
        .bind(int(now_ms)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(extended.rows_affected() == 1)
    }

    async fn complete_job(
        &self,
        validator: Address,
        result: &JobResult,
        now_ms: u64,
    ) -> Result<JobOutcome, StoreError> {
        if held(&self.readers, validator, result.job).await?.is_none() {
            return Ok(JobOutcome::Unknown);
        }
        let (result, text) = (result.clone(), json(&result.outcome)?);
        self.together.write(move |transaction| Box::pin(complete(transaction, validator, result, text, now_ms))).await
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        if held(&self.readers, validator, failure.job).await?.is_none() {
            return Ok(JobOutcome::Unknown);
        }
        let mut transaction = self.write().await?;
        let Some(held) = held(&mut *transaction, validator, failure.job).await? else {
            return Ok(JobOutcome::Unknown);
        };
        let outcome = held.on_word(failure.attempt);
        if outcome == JobOutcome::Applied {
            sqlx::query("UPDATE jobs SET lease_until_ms = ?, reason = ? WHERE id = ?")
                .bind(int(now_ms.saturating_add(back_off_ms(failure.attempt)))?)
                .bind(storable(&failure.reason))
                .bind(failure.job.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError> {
        // Most of the time there is none, and those who write need not wait for the search.
        let spent = "state = 'open' AND epoch = ? AND attempt >= ? AND lease_until_ms <= ?";
        let any = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM jobs WHERE {spent} LIMIT 1")))
            .bind(int(epoch)?)
            .bind(max_attempts)
            .bind(int(now_ms)?)
            .fetch_optional(&self.readers)
            .await?;
        let mut transaction = self.write_fenced().await?;
        if any.is_none() {
            return Ok(0);
        }
        let buried = sqlx::query(AssertSqlSafe(format!("UPDATE jobs SET state = 'dead' WHERE {spent}")))
            .bind(int(epoch)?)
            .bind(max_attempts)
            .bind(int(now_ms)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(buried.rows_affected())
    }

    async fn dead_jobs(&self, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, validator, epoch, netuid, uid, round, attempt, reason FROM jobs
             WHERE state = 'dead' AND epoch = ? ORDER BY id LIMIT ?",
        )
        .bind(int(epoch)?)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let dead = |row: &SqliteRow| {
            let reason: Option<String> = row.try_get("reason")?;
            Ok(DeadJob {
                validator: address(row, "validator")?,
                job: job(row)?,
                attempts: row.try_get("attempt")?,
                reason: reason.unwrap_or_else(|| SILENT.to_owned()),
            })
        };
        rows.iter().map(dead).collect()
    }

    async fn job_depths(&self, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError> {
        let rows = sqlx::query(
            "SELECT state, attempt > 0 AND lease_until_ms > ? AS leased, count(*) AS count FROM jobs
             WHERE epoch = ? GROUP BY 1, 2",
        )
        .bind(int(now_ms)?)
        .bind(int(epoch)?)
        .fetch_all(&self.readers)
        .await?;
        let mut depths = JobDepths::default();
        for row in rows {
            let (state, leased): (String, bool) = (row.try_get("state")?, row.try_get("leased")?);
            *depths.slot(&state, leased)? += uint(row.try_get("count")?, "count")?;
        }
        Ok(depths)
    }

    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT netuid, uid, verdict, count(*) AS count, sum(tokens) AS tokens FROM jobs
             WHERE epoch = ? AND state = 'done' GROUP BY netuid, uid, verdict ORDER BY netuid, uid, verdict",
        )
        .bind(int(epoch)?)
        .fetch_all(&self.readers)
        .await?;
        count_audits(rows.iter().map(|row| {
            let tokens = uint(row.try_get("tokens")?, "tokens")?;
            Ok((row.try_get("netuid")?, row.try_get("uid")?, row.try_get("verdict")?, row.try_get("count")?, tokens))
        }))
    }
}

async fn lease(transaction: &mut Transaction<'_, Sqlite>, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
    let rows = free(&mut **transaction, query).await?;
    let mut leased = Vec::with_capacity(rows.len());
    for row in &rows {
        let job = LeasedJob { job: job(row)?, attempt: row.try_get::<u32, _>("attempt")? + 1 };
        sqlx::query("UPDATE jobs SET attempt = ?, lease_until_ms = ? WHERE id = ?")
            .bind(job.attempt)
            .bind(int(query.until_ms)?)
            .bind(job.job.id.as_slice())
            .execute(&mut **transaction)
            .await?;
        leased.push(job);
    }
    Ok(leased)
}

async fn complete(
    transaction: &mut Transaction<'_, Sqlite>,
    validator: Address,
    result: JobResult,
    text: String,
    now_ms: u64,
) -> Result<JobOutcome, StoreError> {
    let Some(held) = held(&mut **transaction, validator, result.job).await? else {
        return Ok(JobOutcome::Unknown);
    };
    let outcome = held.on_result(&result);
    match outcome {
        JobOutcome::Applied => {
            sqlx::query(
                "UPDATE jobs SET state = 'done', verdict = ?, tokens = ?, result = ?, lease_until_ms = ? WHERE id = ?",
            )
            .bind(verdict_number(result.outcome.verdict))
            .bind(result.outcome.tokens_audited)
            .bind(text)
            .bind(int(now_ms)?)
            .bind(result.job.as_slice())
            .execute(&mut **transaction)
            .await?;
        }
        JobOutcome::Late => add_evidence(transaction, "late_result", validator, held.epoch, &result).await?,
        JobOutcome::Duplicate | JobOutcome::Unknown => {}
    }
    Ok(outcome)
}

async fn count_open(transaction: &mut Transaction<'_, Sqlite>, epoch: u64) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'open' AND epoch = ?")
        .bind(int(epoch)?)
        .fetch_one(&mut **transaction)
        .await?;
    uint(count, "count")
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    epoch: u64,
    jobs: &[(Address, &Job)],
) -> Result<u64, StoreError> {
    if jobs.is_empty() {
        return Ok(0);
    }
    let epoch = int(epoch)?;
    let mut statement: QueryBuilder<Sqlite> =
        QueryBuilder::new("INSERT OR IGNORE INTO jobs (id, validator, epoch, netuid, uid, round) ");
    statement.push_values(jobs, |mut row, (validator, job)| {
        row.push_bind(job.id.as_slice())
            .push_bind(validator.as_slice())
            .push_bind(epoch)
            .push_bind(job.netuid)
            .push_bind(job.uid)
            .push_bind(job.round);
    });
    Ok(statement.build().persistent(false).execute(&mut **transaction).await?.rows_affected())
}

/// Those of `jobs` that are not there yet.
async fn new_ones<'a>(
    transaction: &mut Transaction<'_, Sqlite>,
    jobs: &[(Address, &'a Job)],
) -> Result<Vec<(Address, &'a Job)>, StoreError> {
    let mut new = Vec::new();
    for (validator, job) in jobs {
        let known = sqlx::query("SELECT 1 FROM jobs WHERE id = ?").bind(job.id.as_slice());
        if known.fetch_optional(&mut **transaction).await?.is_none() {
            new.push((*validator, *job));
        }
    }
    Ok(new)
}

async fn free(executor: impl SqliteExecutor<'_>, query: LeaseQuery) -> Result<Vec<SqliteRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, epoch, netuid, uid, round, attempt FROM jobs
         WHERE state = 'open' AND epoch = ? AND validator = ? AND lease_until_ms <= ? AND attempt < ?
         ORDER BY round, id LIMIT ?",
    )
    .bind(int(query.epoch)?)
    .bind(query.validator.as_slice())
    .bind(int(query.now_ms)?)
    .bind(query.max_attempts)
    .bind(query.limit)
    .fetch_all(executor)
    .await?;
    Ok(rows)
}

async fn held(executor: impl SqliteExecutor<'_>, validator: Address, job: B256) -> Result<Option<Held>, StoreError> {
    sqlx::query("SELECT epoch, attempt, state, result FROM jobs WHERE id = ? AND validator = ?")
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .fetch_optional(executor)
        .await?
        .map(|row| {
            let epoch = uint(row.try_get("epoch")?, "epoch")?;
            Held::new(epoch, row.try_get("attempt")?, row.try_get("state")?, row.try_get("result")?)
        })
        .transpose()
}

fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    Ok(Job {
        id: hash(row, "id")?,
        epoch: uint(row.try_get("epoch")?, "epoch")?,
        netuid: row.try_get("netuid")?,
        uid: row.try_get("uid")?,
        round: row.try_get("round")?,
    })
}
