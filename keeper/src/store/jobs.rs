//! Job leases in SQL. `attempt` is the fencing token: it rises with each lease, and only its holder is heard.

use alloy_primitives::{Address, B256};
use sqlx::{Row, Sqlite, SqliteExecutor, SqlitePool, Transaction, sqlite::SqliteRow};
use tandem_protocol::{
    api::{AuditCount, AuditOutcome, JobFailure, JobResult, Verdict},
    jobs::Job,
};

use super::{
    JobOutcome, LeaseQuery, LeasedJob, StoreError,
    sqlite::{add_evidence, hash, int, json, uint},
};

/// A job that was given back for the first time is handed out again after so long, then after four times as long each
/// time: a contributor that is away for a moment must not use up all attempts within it.
const BACK_OFF_MS: u64 = 500;
/// And no later than this.
const MAX_BACK_OFF_MS: u64 = 60_000;

pub(super) async fn add(
    transaction: &mut Transaction<'_, Sqlite>,
    validator: Address,
    jobs: &[Job],
) -> Result<u64, StoreError> {
    let mut added = 0;
    for job in jobs {
        added += sqlx::query(
            "INSERT OR IGNORE INTO jobs (id, validator, epoch, netuid, uid, round) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(job.id.as_slice())
        .bind(validator.as_slice())
        .bind(int(job.epoch)?)
        .bind(job.netuid)
        .bind(job.uid)
        .bind(job.round)
        .execute(&mut **transaction)
        .await?
        .rows_affected();
    }
    Ok(added)
}

/// Whether there is anything to lease.
pub(super) async fn any_free(readers: &SqlitePool, query: LeaseQuery) -> Result<bool, StoreError> {
    Ok(!free(readers, LeaseQuery { limit: 1, ..query }).await?.is_empty())
}

/// Whether the validator has such a job.
pub(super) async fn exists(readers: &SqlitePool, validator: Address, job: B256) -> Result<bool, StoreError> {
    Ok(held(readers, validator, job).await?.is_some())
}

async fn free(executor: impl SqliteExecutor<'_>, query: LeaseQuery) -> Result<Vec<SqliteRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, epoch, netuid, uid, round, attempt FROM jobs
         WHERE state = 'open' AND validator = ? AND epoch = ? AND lease_until_ms <= ? AND attempt < ?
         ORDER BY round, id LIMIT ?",
    )
    .bind(query.validator.as_slice())
    .bind(int(query.epoch)?)
    .bind(int(query.now_ms)?)
    .bind(query.max_attempts)
    .bind(query.limit)
    .fetch_all(executor)
    .await?;
    Ok(rows)
}

pub(super) async fn lease(
    transaction: &mut Transaction<'_, Sqlite>,
    query: LeaseQuery,
) -> Result<Vec<LeasedJob>, StoreError> {
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

pub(super) async fn extend(
    transaction: &mut Transaction<'_, Sqlite>,
    validator: Address,
    job: B256,
    attempt: u32,
    now_ms: u64,
    until_ms: u64,
) -> Result<bool, StoreError> {
    let extended = sqlx::query(
        "UPDATE jobs SET lease_until_ms = max(lease_until_ms, ?)
         WHERE id = ? AND validator = ? AND attempt = ? AND state = 'open' AND lease_until_ms > ?",
    )
    .bind(int(until_ms)?)
    .bind(job.as_slice())
    .bind(validator.as_slice())
    .bind(attempt)
    .bind(int(now_ms)?)
    .execute(&mut **transaction)
    .await?;
    Ok(extended.rows_affected() == 1)
}

pub(super) async fn complete(
    transaction: &mut Transaction<'_, Sqlite>,
    validator: Address,
    result: &JobResult,
    now_ms: u64,
) -> Result<JobOutcome, StoreError> {
    let Some(held) = held(&mut **transaction, validator, result.job).await? else { return Ok(JobOutcome::Unknown) };
    if let Some(text) = &held.result {
        let known: AuditOutcome = serde_json::from_str(text)
            .map_err(|error| StoreError::Malformed { what: "result", reason: error.to_string() })?;
        if known == result.outcome {
            return Ok(JobOutcome::Duplicate);
        }
    }
    // A lease that ran out but was not given to anybody else is still the only one there is.
    if held.result.is_some() || result.attempt == 0 || held.attempt != result.attempt {
        add_evidence(transaction, "late_result", validator, held.epoch, result).await?;
        return Ok(JobOutcome::Late);
    }
    sqlx::query("UPDATE jobs SET state = 'done', verdict = ?, tokens = ?, result = ?, lease_until_ms = ? WHERE id = ?")
        .bind(verdict_number(result.outcome.verdict))
        .bind(result.outcome.tokens_audited)
        .bind(json(&result.outcome)?)
        .bind(int(now_ms)?)
        .bind(result.job.as_slice())
        .execute(&mut **transaction)
        .await?;
    Ok(JobOutcome::Applied)
}

pub(super) async fn fail(
    transaction: &mut Transaction<'_, Sqlite>,
    validator: Address,
    failure: &JobFailure,
    now_ms: u64,
) -> Result<JobOutcome, StoreError> {
    let Some(held) = held(&mut **transaction, validator, failure.job).await? else { return Ok(JobOutcome::Unknown) };
    if held.result.is_some() || failure.attempt == 0 || held.attempt != failure.attempt {
        return Ok(JobOutcome::Late);
    }
    sqlx::query("UPDATE jobs SET lease_until_ms = ?, reason = ? WHERE id = ?")
        .bind(int(now_ms.saturating_add(back_off_ms(failure.attempt)))?)
        .bind(&failure.reason)
        .bind(failure.job.as_slice())
        .execute(&mut **transaction)
        .await?;
    Ok(JobOutcome::Applied)
}

/// `0.5 s · 4^(attempt − 1)`, capped.
fn back_off_ms(attempt: u32) -> u64 {
    BACK_OFF_MS.saturating_mul(4u64.saturating_pow(attempt.saturating_sub(1))).min(MAX_BACK_OFF_MS)
}

/// Deletes the jobs of epochs before `epoch`.
pub(super) async fn prune(transaction: &mut Transaction<'_, Sqlite>, epoch: u64) -> Result<u64, StoreError> {
    let pruned = sqlx::query("DELETE FROM jobs WHERE epoch < ?").bind(int(epoch)?).execute(&mut **transaction).await?;
    Ok(pruned.rows_affected())
}

pub(super) async fn audits(readers: &SqlitePool, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
    let rows = sqlx::query(
        "SELECT netuid, uid, verdict, count(*) AS count, sum(tokens) AS tokens FROM jobs
         WHERE epoch = ? AND state = 'done' GROUP BY netuid, uid, verdict ORDER BY netuid, uid, verdict",
    )
    .bind(int(epoch)?)
    .fetch_all(readers)
    .await?;
    let mut counts: Vec<AuditCount> = Vec::new();
    for row in rows {
        let (netuid, uid): (u16, u16) = (row.try_get("netuid")?, row.try_get("uid")?);
        let (verdict, count): (u8, u32) = (row.try_get("verdict")?, row.try_get("count")?);
        if counts.last().is_none_or(|last| (last.netuid, last.uid) != (netuid, uid)) {
            counts.push(AuditCount { netuid, uid, verdicts: [0; 4], tokens_audited: 0 });
        }
        if let Some(last) = counts.last_mut() {
            let slot = last
                .verdicts
                .get_mut(usize::from(verdict))
                .ok_or_else(|| StoreError::Malformed { what: "verdict", reason: format!("{verdict} is no verdict") })?;
            *slot += count;
            last.tokens_audited += uint(row.try_get("tokens")?, "tokens")?;
        }
    }
    Ok(counts)
}

struct Held {
    epoch: u64,
    attempt: u32,
    result: Option<String>,
}

async fn held(executor: impl SqliteExecutor<'_>, validator: Address, job: B256) -> Result<Option<Held>, StoreError> {
    sqlx::query("SELECT epoch, attempt, result FROM jobs WHERE id = ? AND validator = ?")
        .bind(job.as_slice())
        .bind(validator.as_slice())
        .fetch_optional(executor)
        .await?
        .map(|row| {
            Ok(Held {
                epoch: uint(row.try_get("epoch")?, "epoch")?,
                attempt: row.try_get("attempt")?,
                result: row.try_get("result")?,
            })
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

/// Places in [`AuditCount::verdicts`].
fn verdict_number(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::HardFault => 2,
        Verdict::Unavailable => 3,
    }
}
