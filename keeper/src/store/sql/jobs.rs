//! Jobs, as far as both databases keep them alike; how they are leased and forgotten is each adapter's.

use alloy_primitives::{Address, B256};
use sqlx::{AssertSqlSafe, Executor, Row, Transaction};
use tandem_protocol::{
    api::{AuditCount, JobFailure, JobResult},
    jobs::Job,
};

use super::{
    super::{
        HELD_JOB,
        jobs::{insert, new_ones},
    },
    Db, DbRow, SqlStore, add_evidence, bytes, number,
};
use crate::store::{
    DeadJob, JobDepths, JobOutcome, StoreError, int,
    jobs::{BATCH, Held, SILENT, back_off_ms, count_audits, room, storable, verdict_number},
};

/// Jobs of an epoch (`$1`) that were leased so often (`$2`) and are with nobody by now (`$3`).
pub(in crate::store) const SPENT: &str = "state = 'open' AND epoch = $1 AND attempt >= $2 AND lease_until_ms <= $3";

/// Adds jobs in batches, each of them a transaction of its own.
pub(in crate::store) async fn add(
    store: &SqlStore,
    epoch: u64,
    jobs: &[(Address, Vec<Job>)],
) -> Result<u64, StoreError> {
    let jobs: Vec<(Address, &Job)> =
        jobs.iter().flat_map(|(validator, list)| list.iter().map(move |job| (*validator, job))).collect();
    let (mut added, mut pending) = (0, None);
    for batch in jobs.chunks(BATCH) {
        let mut transaction = store.write_fenced().await?;
        let before = match pending {
            Some(pending) => pending,
            None => count_open(&mut transaction, epoch).await?,
        };
        let (mut full, mut fitting) = (None, batch.to_vec());
        if before + batch.len() as u64 > store.max_pending {
            fitting = new_ones(&mut transaction, epoch, batch).await?;
            let (room, error) = room(epoch, before, store.max_pending, fitting.len() as u64);
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

async fn count_open(transaction: &mut Transaction<'_, Db>, epoch: u64) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT count(*) AS count FROM jobs WHERE state = 'open' AND epoch = $1")
        .bind(int(epoch)?)
        .fetch_one(&mut **transaction)
        .await?;
    number(&row, "count")
}

/// What is held of a job; in a transaction, nobody else is told it in one of theirs until that ends.
pub(in crate::store) async fn held(
    executor: impl Executor<'_, Database = Db>,
    validator: Address,
    job: B256,
) -> Result<Option<Held>, StoreError> {
    sqlx::query(HELD_JOB)
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .fetch_optional(executor)
        .await?
        .map(|row| {
            Held::new(number(&row, "epoch")?, number(&row, "attempt")?, row.try_get("state")?, row.try_get("result")?)
        })
        .transpose()
}

/// Prolongs a current lease.
pub(in crate::store) async fn extend(
    executor: impl Executor<'_, Database = Db>,
    validator: Address,
    job: B256,
    attempt: u32,
    now_ms: u64,
    until_ms: u64,
) -> Result<bool, StoreError> {
    let extended = sqlx::query(
        "UPDATE jobs SET lease_until_ms = CASE WHEN lease_until_ms < $1 THEN $1 ELSE lease_until_ms END
         WHERE id = $2 AND validator = $3 AND attempt = $4 AND state = 'open' AND lease_until_ms > $5",
    )
    .bind(int(until_ms)?)
    .bind(job.as_slice())
    .bind(validator.as_slice())
    .bind(i64::from(attempt))
    .bind(int(now_ms)?)
    .execute(executor)
    .await?;
    Ok(extended.rows_affected() == 1)
}

/// Takes a result, whose outcome `text` is.
pub(in crate::store) async fn complete(
    transaction: &mut Transaction<'_, Db>,
    validator: Address,
    result: &JobResult,
    text: String,
    now_ms: u64,
) -> Result<JobOutcome, StoreError> {
    let Some(held) = held(&mut **transaction, validator, result.job).await? else {
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
            .bind(text)
            .bind(int(now_ms)?)
            .bind(result.job.as_slice())
            .bind(int(held.epoch)?)
            .execute(&mut **transaction)
            .await?;
        }
        JobOutcome::Late => add_evidence(transaction, "late_result", validator, held.epoch, result).await?,
        JobOutcome::Duplicate | JobOutcome::Unknown => {}
    }
    Ok(outcome)
}

/// Takes a job back.
pub(in crate::store) async fn fail(
    transaction: &mut Transaction<'_, Db>,
    validator: Address,
    failure: &JobFailure,
    now_ms: u64,
) -> Result<JobOutcome, StoreError> {
    let Some(held) = held(&mut **transaction, validator, failure.job).await? else {
        return Ok(JobOutcome::Unknown);
    };
    let outcome = held.on_word(failure.attempt);
    if outcome == JobOutcome::Applied {
        sqlx::query("UPDATE jobs SET lease_until_ms = $1, reason = $2 WHERE id = $3 AND epoch = $4")
            .bind(int(now_ms.saturating_add(back_off_ms(failure.attempt)))?)
            .bind(storable(&failure.reason))
            .bind(failure.job.as_slice())
            .bind(int(held.epoch)?)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(outcome)
}

/// Gives up what is [`SPENT`].
pub(in crate::store) async fn bury(
    transaction: &mut Transaction<'_, Db>,
    epoch: u64,
    now_ms: u64,
    max_attempts: u32,
) -> Result<u64, StoreError> {
    let buried = sqlx::query(AssertSqlSafe(format!("UPDATE jobs SET state = 'dead' WHERE {SPENT}")))
        .bind(int(epoch)?)
        .bind(i64::from(max_attempts))
        .bind(int(now_ms)?)
        .execute(&mut **transaction)
        .await?;
    Ok(buried.rows_affected())
}

/// Jobs that were given up.
pub(in crate::store) async fn dead(store: &SqlStore, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, validator, epoch, netuid, uid, round, attempt, reason FROM jobs
         WHERE state = 'dead' AND epoch = $1 ORDER BY id LIMIT $2",
    )
    .bind(int(epoch)?)
    .bind(i64::from(limit))
    .fetch_all(store.reader())
    .await?;
    let dead = |row: &DbRow| {
        let reason: Option<String> = row.try_get("reason")?;
        Ok(DeadJob {
            validator: bytes(row, "validator")?,
            job: job(row)?,
            attempts: number(row, "attempt")?,
            reason: reason.unwrap_or_else(|| SILENT.to_owned()),
        })
    };
    rows.iter().map(dead).collect()
}

/// How many jobs stand where.
pub(in crate::store) async fn depths(store: &SqlStore, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError> {
    let rows = sqlx::query(
        "SELECT state, attempt > 0 AND lease_until_ms > $1 AS leased, count(*) AS count FROM jobs
         WHERE epoch = $2 GROUP BY 1, 2",
    )
    .bind(int(now_ms)?)
    .bind(int(epoch)?)
    .fetch_all(store.reader())
    .await?;
    let mut depths = JobDepths::default();
    for row in rows {
        let (state, leased): (String, bool) = (row.try_get("state")?, row.try_get("leased")?);
        *depths.slot(&state, leased)? += number::<u64>(&row, "count")?;
    }
    Ok(depths)
}

/// Results by contributor.
pub(in crate::store) async fn audits(store: &SqlStore, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
    // PostgreSQL's sums are of another type than what they add up.
    let rows = sqlx::query(
        "SELECT netuid, uid, verdict, count(*) AS count, CAST(sum(tokens) AS BIGINT) AS tokens FROM jobs
         WHERE epoch = $1 AND state = 'done' GROUP BY netuid, uid, verdict ORDER BY netuid, uid, verdict",
    )
    .bind(int(epoch)?)
    .fetch_all(store.reader())
    .await?;
    count_audits(rows.iter().map(|row| {
        let subject = (number(row, "netuid")?, number(row, "uid")?, number(row, "verdict")?);
        Ok((subject.0, subject.1, subject.2, number(row, "count")?, number(row, "tokens")?))
    }))
}

/// A job as its row tells it.
pub(in crate::store) fn job(row: &DbRow) -> Result<Job, StoreError> {
    Ok(Job {
        id: bytes(row, "id")?,
        epoch: number(row, "epoch")?,
        netuid: number(row, "netuid")?,
        uid: number(row, "uid")?,
        round: number(row, "round")?,
    })
}
