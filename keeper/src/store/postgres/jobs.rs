//! Jobs in PostgreSQL, one partition per epoch.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgExecutor, Postgres, Row, Transaction, postgres::PgRow};
use tandem_protocol::{
    api::{AuditCount, JobFailure, JobResult},
    jobs::Job,
};

use super::{PostgresStore, add_evidence, address, hash, number};
use crate::store::{
    DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, StoreError, int,
    jobs::{BATCH, Held, SILENT, back_off_ms, count_audits, room, storable, verdict_number},
    json, uint,
};

/// Name of an epoch's partition before its number.
const PARTITION: &str = "jobs_e";

#[async_trait]
impl Jobs for PostgresStore {
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError> {
        let jobs: Vec<(Address, &Job)> =
            jobs.iter().flat_map(|(validator, list)| list.iter().map(move |job| (*validator, job))).collect();
        self.make_partition(epoch).await?;
        let (mut added, mut pending) = (0, None);
        for batch in jobs.chunks(BATCH) {
            let mut transaction = self.write_fenced().await?;
            let before = match pending {
                Some(pending) => pending,
                None => count_open(&mut transaction, epoch).await?,
            };
            let (mut full, mut fitting) = (None, batch.to_vec());
            if before + batch.len() as u64 > self.max_pending {
                fitting = new_ones(&mut transaction, epoch, batch).await?;
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
        for (name, _) in self.partitions().await?.into_iter().filter(|(_, epoch)| *epoch < before) {
            let mut transaction = self.write_fenced().await?;
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {name}")))
                .fetch_one(&mut *transaction)
                .await?;
            sqlx::query(AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&mut *transaction).await?;
            transaction.commit().await?;
            pruned += uint(count, "count")?;
        }
        Ok(pruned)
    }

    async fn lease_jobs(&self, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
        let mut leased = sqlx::query(
            "WITH free AS (
                 SELECT id FROM jobs WHERE state = 'open' AND epoch = $1 AND validator = $2
                 AND lease_until_ms <= $3 AND attempt < $4 ORDER BY round, id LIMIT $5 FOR UPDATE SKIP LOCKED)
             UPDATE jobs SET attempt = attempt + 1, lease_until_ms = $6 FROM free
             WHERE jobs.id = free.id AND jobs.epoch = $1
             RETURNING jobs.id, epoch, netuid, uid, round, attempt",
        )
        .bind(int(query.epoch)?)
        .bind(query.validator.as_slice())
        .bind(int(query.now_ms)?)
        .bind(i64::from(query.max_attempts))
        .bind(i64::from(query.limit))
        .bind(int(query.until_ms)?)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| Ok(LeasedJob { job: job(row)?, attempt: number(row, "attempt")? }))
        .collect::<Result<Vec<_>, StoreError>>()?;
        leased.sort_unstable_by_key(|leased| (leased.job.round, leased.job.id));
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
        let extended = sqlx::query(
            "UPDATE jobs SET lease_until_ms = greatest(lease_until_ms, $1)
             WHERE id = $2 AND validator = $3 AND attempt = $4 AND state = 'open' AND lease_until_ms > $5",
        )
        .bind(int(until_ms)?)
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .bind(i64::from(attempt))
        .bind(int(now_ms)?)
        .execute(&self.pool)
        .await?;
        Ok(extended.rows_affected() == 1)
    }

    async fn complete_job(
        &self,
        validator: Address,
        result: &JobResult,
        now_ms: u64,
    ) -> Result<JobOutcome, StoreError> {
        let mut transaction = self.write().await?;
        let Some(held) = held(&mut *transaction, validator, result.job).await? else {
            return Ok(JobOutcome::Unknown);
        };
        let outcome = held.on_result(result);
        match outcome {
            JobOutcome::Applied => {
                sqlx::query(
                    "UPDATE jobs SET state = 'done', verdict = $1, tokens = $2, result = $3, lease_until_ms = $4
                     WHERE id = $5 AND epoch = $6",
                )
                .bind(i64::from(verdict_number(result.outcome.verdict)))
                .bind(i64::from(result.outcome.tokens_audited))
                .bind(json(&result.outcome)?)
                .bind(int(now_ms)?)
                .bind(result.job.as_slice())
                .bind(int(held.epoch)?)
                .execute(&mut *transaction)
                .await?;
            }
            JobOutcome::Late => add_evidence(&mut transaction, "late_result", validator, held.epoch, result).await?,
            JobOutcome::Duplicate | JobOutcome::Unknown => {}
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        let mut transaction = self.write().await?;
        let Some(held) = held(&mut *transaction, validator, failure.job).await? else {
            return Ok(JobOutcome::Unknown);
        };
        let outcome = held.on_word(failure.attempt);
        if outcome == JobOutcome::Applied {
            sqlx::query("UPDATE jobs SET lease_until_ms = $1, reason = $2 WHERE id = $3 AND epoch = $4")
                .bind(int(now_ms.saturating_add(back_off_ms(failure.attempt)))?)
                .bind(storable(&failure.reason))
                .bind(failure.job.as_slice())
                .bind(int(held.epoch)?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError> {
        let mut transaction = self.write_fenced().await?;
        let buried = sqlx::query(
            "UPDATE jobs SET state = 'dead'
             WHERE state = 'open' AND epoch = $1 AND attempt >= $2 AND lease_until_ms <= $3",
        )
        .bind(int(epoch)?)
        .bind(i64::from(max_attempts))
        .bind(int(now_ms)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(buried.rows_affected())
    }

    async fn dead_jobs(&self, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, validator, epoch, netuid, uid, round, attempt, reason FROM jobs
             WHERE state = 'dead' AND epoch = $1 ORDER BY id LIMIT $2",
        )
        .bind(int(epoch)?)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let dead = |row: &PgRow| {
            let reason: Option<String> = row.try_get("reason")?;
            Ok(DeadJob {
                validator: address(row, "validator")?,
                job: job(row)?,
                attempts: number(row, "attempt")?,
                reason: reason.unwrap_or_else(|| SILENT.to_owned()),
            })
        };
        rows.iter().map(dead).collect()
    }

    async fn job_depths(&self, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError> {
        let rows = sqlx::query(
            "SELECT state, attempt > 0 AND lease_until_ms > $1 AS leased, count(*) AS count FROM jobs
             WHERE epoch = $2 GROUP BY 1, 2",
        )
        .bind(int(now_ms)?)
        .bind(int(epoch)?)
        .fetch_all(&self.pool)
        .await?;
        let mut depths = JobDepths::default();
        for row in rows {
            let (state, leased): (String, bool) = (row.try_get("state")?, row.try_get("leased")?);
            *depths.slot(&state, leased)? += number::<u64>(&row, "count")?;
        }
        Ok(depths)
    }

    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT netuid, uid, verdict, count(*) AS count, sum(tokens)::bigint AS tokens FROM jobs
             WHERE epoch = $1 AND state = 'done' GROUP BY netuid, uid, verdict ORDER BY netuid, uid, verdict",
        )
        .bind(int(epoch)?)
        .fetch_all(&self.pool)
        .await?;
        count_audits(rows.iter().map(|row| {
            let subject = (number(row, "netuid")?, number(row, "uid")?, number(row, "verdict")?);
            Ok((subject.0, subject.1, subject.2, number(row, "count")?, number(row, "tokens")?))
        }))
    }
}

impl PostgresStore {
    /// Attached rather than created in place: that does not shut out those who read other epochs.
    async fn make_partition(&self, epoch: u64) -> Result<(), StoreError> {
        let epoch = int(epoch)?;
        let name = format!("{PARTITION}{epoch}");
        let mut transaction = self.write_fenced().await?;
        let there: bool =
            sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&name).fetch_one(&mut *transaction).await?;
        if there {
            return Ok(());
        }
        for statement in [
            format!("CREATE TABLE {name} (LIKE jobs INCLUDING DEFAULTS INCLUDING INDEXES)"),
            format!("ALTER TABLE jobs ATTACH PARTITION {name} FOR VALUES IN ({epoch})"),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Names and epochs.
    async fn partitions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
             WHERE inhparent = 'jobs'::regclass ORDER BY relname",
        )
        .fetch_all(&self.pool)
        .await?;
        let epoch = |name: &str| name.strip_prefix(PARTITION)?.parse().ok();
        Ok(names.into_iter().filter_map(|name| epoch(&name).map(|epoch| (name, epoch))).collect())
    }
}

async fn count_open(transaction: &mut Transaction<'_, Postgres>, epoch: u64) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'open' AND epoch = $1")
        .bind(int(epoch)?)
        .fetch_one(&mut **transaction)
        .await?;
    uint(count, "count")
}

async fn insert(
    transaction: &mut Transaction<'_, Postgres>,
    epoch: u64,
    jobs: &[(Address, &Job)],
) -> Result<u64, StoreError> {
    let numbers = |of: fn(&Job) -> i64| jobs.iter().map(|(_, job)| of(job)).collect::<Vec<_>>();
    let inserted = sqlx::query(
        "INSERT INTO jobs (id, validator, epoch, netuid, uid, round)
         SELECT id, validator, $1, netuid, uid, round
         FROM UNNEST($2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])
         AS new (id, validator, netuid, uid, round) ON CONFLICT DO NOTHING",
    )
    .bind(int(epoch)?)
    .bind(ids(jobs))
    .bind(jobs.iter().map(|(validator, _)| validator.to_vec()).collect::<Vec<_>>())
    .bind(numbers(|job| job.netuid.into()))
    .bind(numbers(|job| job.uid.into()))
    .bind(numbers(|job| job.round.into()))
    .execute(&mut **transaction)
    .await?;
    Ok(inserted.rows_affected())
}

/// Those of `jobs` that are not there yet.
async fn new_ones<'a>(
    transaction: &mut Transaction<'_, Postgres>,
    epoch: u64,
    jobs: &[(Address, &'a Job)],
) -> Result<Vec<(Address, &'a Job)>, StoreError> {
    let known: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id FROM jobs WHERE epoch = $1 AND id = ANY($2)")
        .bind(int(epoch)?)
        .bind(ids(jobs))
        .fetch_all(&mut **transaction)
        .await?;
    let known: std::collections::BTreeSet<Vec<u8>> = known.into_iter().collect();
    Ok(jobs.iter().filter(|(_, job)| !known.contains(job.id.as_slice())).copied().collect())
}

fn ids(jobs: &[(Address, &Job)]) -> Vec<Vec<u8>> {
    jobs.iter().map(|(_, job)| job.id.to_vec()).collect()
}

/// Locks the job: words on one are taken one after the other.
async fn held(executor: impl PgExecutor<'_>, validator: Address, job: B256) -> Result<Option<Held>, StoreError> {
    sqlx::query("SELECT epoch, attempt, state, result FROM jobs WHERE id = $1 AND validator = $2 FOR UPDATE")
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .fetch_optional(executor)
        .await?
        .map(|row| {
            Held::new(number(&row, "epoch")?, number(&row, "attempt")?, row.try_get("state")?, row.try_get("result")?)
        })
        .transpose()
}

fn job(row: &PgRow) -> Result<Job, StoreError> {
    Ok(Job {
        id: hash(row, "id")?,
        epoch: number(row, "epoch")?,
        netuid: number(row, "netuid")?,
        uid: number(row, "uid")?,
        round: number(row, "round")?,
    })
}
