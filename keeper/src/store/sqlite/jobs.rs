//! Jobs in SQLite. Words on jobs that are not there cost the one writer nothing: readers are asked first.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteExecutor, Transaction, sqlite::SqliteRow};
use tandem_protocol::{
    api::{AuditCount, JobFailure, JobResult},
    jobs::Job,
};

use super::{
    SqliteStore,
    sql::{
        jobs::{self, SPENT, held},
        number,
    },
};
use crate::store::{DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, StoreError, int, jobs::BATCH, json};

#[async_trait]
impl Jobs for SqliteStore {
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError> {
        jobs::add(self, epoch, jobs).await
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
        self.write_with(move |transaction| Box::pin(lease(transaction, query))).await
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
        let extended = jobs::extend(&mut *transaction, validator, job, attempt, now_ms, until_ms).await?;
        transaction.commit().await?;
        Ok(extended)
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
        self.write_with(move |transaction| {
            Box::pin(async move { jobs::complete(transaction, validator, &result, text, now_ms).await })
        })
        .await
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        if held(&self.readers, validator, failure.job).await?.is_none() {
            return Ok(JobOutcome::Unknown);
        }
        let mut transaction = self.write().await?;
        let outcome = jobs::fail(&mut transaction, validator, failure, now_ms).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError> {
        // Most of the time there is none, and those who write need not wait for the search.
        let any = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM jobs WHERE {SPENT} LIMIT 1")))
            .bind(int(epoch)?)
            .bind(i64::from(max_attempts))
            .bind(int(now_ms)?)
            .fetch_optional(&self.readers)
            .await?;
        let mut transaction = self.write_fenced().await?;
        if any.is_none() {
            return Ok(0);
        }
        let buried = jobs::bury(&mut transaction, epoch, now_ms, max_attempts).await?;
        transaction.commit().await?;
        Ok(buried)
    }

    async fn dead_jobs(&self, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError> {
        jobs::dead(self, epoch, limit).await
    }

    async fn job_depths(&self, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError> {
        jobs::depths(self, epoch, now_ms).await
    }

    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
        jobs::audits(self, epoch).await
    }
}

async fn lease(transaction: &mut Transaction<'_, Sqlite>, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
    let rows = free(&mut **transaction, query).await?;
    let mut leased = Vec::with_capacity(rows.len());
    for row in &rows {
        let job = LeasedJob { job: jobs::job(row)?, attempt: number::<u32>(row, "attempt")? + 1 };
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

pub(super) async fn insert(
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

/// Those of `jobs` that are not there yet, in whichever epoch.
pub(super) async fn new_ones<'a>(
    transaction: &mut Transaction<'_, Sqlite>,
    _epoch: u64,
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
