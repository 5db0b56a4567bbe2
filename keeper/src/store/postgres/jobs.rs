//! Jobs in PostgreSQL, one partition per epoch.

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tandem_protocol::{
    api::{AuditCount, JobFailure, JobResult},
    jobs::Job,
};

use super::{
    PostgresStore,
    sql::{jobs, number},
};
use crate::store::{DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, StoreError, int, json, uint};

/// Name of an epoch's partition before its number.
const PARTITION: &str = "jobs_e";

#[async_trait]
impl Jobs for PostgresStore {
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError> {
        self.make_partition(epoch).await?;
        jobs::add(self, epoch, jobs).await
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
        .map(|row| Ok(LeasedJob { job: jobs::job(row)?, attempt: number(row, "attempt")? }))
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
        jobs::extend(&self.pool, validator, job, attempt, now_ms, until_ms).await
    }

    async fn complete_job(
        &self,
        validator: Address,
        result: &JobResult,
        now_ms: u64,
    ) -> Result<JobOutcome, StoreError> {
        let mut transaction = self.write().await?;
        let text = json(&result.outcome)?;
        let outcome = jobs::complete(&mut transaction, validator, result, text, now_ms).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        let mut transaction = self.write().await?;
        let outcome = jobs::fail(&mut transaction, validator, failure, now_ms).await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError> {
        let mut transaction = self.write_fenced().await?;
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

pub(super) async fn insert(
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
pub(super) async fn new_ones<'a>(
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
