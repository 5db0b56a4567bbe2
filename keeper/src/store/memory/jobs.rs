//! Jobs in memory.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use tandem_protocol::{
    api::{AuditCount, AuditOutcome, JobFailure, JobResult},
    jobs::Job,
};

use super::MemoryStore;
use crate::store::{
    DeadJob, JobDepths, JobOutcome, Jobs, LeaseQuery, LeasedJob, StoreError, int,
    jobs::{Held, SILENT, back_off_ms, count_audits, room, storable, verdict_number},
};

#[derive(Debug)]
pub(super) struct Row {
    validator: Address,
    job: Job,
    attempt: u32,
    lease_until_ms: u64,
    dead: bool,
    result: Option<AuditOutcome>,
    reason: Option<String>,
}

impl Row {
    fn is_open(&self) -> bool {
        !self.dead && self.result.is_none()
    }

    fn held(&self) -> Held {
        Held { epoch: self.job.epoch, attempt: self.attempt, dead: self.dead, result: self.result.clone() }
    }
}

#[async_trait]
impl Jobs for MemoryStore {
    async fn add_jobs(&self, epoch: u64, jobs: &[(Address, Vec<Job>)]) -> Result<u64, StoreError> {
        int(epoch)?;
        let mut state = self.fenced()?;
        let new: BTreeMap<usize, (Address, &Job)> = jobs
            .iter()
            .flat_map(|(validator, list)| list.iter().map(move |job| (*validator, job)))
            .filter(|(_, job)| !state.jobs.contains_key(&job.id))
            .enumerate()
            .collect();
        let pending = state.jobs.values().filter(|row| row.job.epoch == epoch && row.is_open()).count() as u64;
        let (room, full) = room(epoch, pending, self.max_pending, new.len() as u64);
        for (validator, job) in new.into_values().take(room as usize) {
            let job = job.clone();
            let row = Row { validator, job, attempt: 0, lease_until_ms: 0, dead: false, result: None, reason: None };
            state.jobs.insert(row.job.id, row);
        }
        full.map_or(Ok(room), Err)
    }

    async fn prune_jobs(&self, before: u64) -> Result<u64, StoreError> {
        let mut state = self.fenced()?;
        let held = state.jobs.len();
        state.jobs.retain(|_, row| row.job.epoch >= before);
        Ok((held - state.jobs.len()) as u64)
    }

    async fn lease_jobs(&self, query: LeaseQuery) -> Result<Vec<LeasedJob>, StoreError> {
        let mut state = self.state();
        let mut free: Vec<&mut Row> = state
            .jobs
            .values_mut()
            .filter(|row| row.is_open() && row.validator == query.validator && row.job.epoch == query.epoch)
            .filter(|row| row.lease_until_ms <= query.now_ms && row.attempt < query.max_attempts)
            .collect();
        free.sort_unstable_by_key(|row| (row.job.round, row.job.id));
        let lease = |row: &mut Row| {
            row.attempt += 1;
            row.lease_until_ms = query.until_ms;
            LeasedJob { job: row.job.clone(), attempt: row.attempt }
        };
        Ok(free.into_iter().take(query.limit.into()).map(lease).collect())
    }

    async fn extend_lease(
        &self,
        validator: Address,
        job: B256,
        attempt: u32,
        now_ms: u64,
        until_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let row = state.jobs.get_mut(&job).filter(|row| {
            row.is_open() && row.validator == validator && row.attempt == attempt && row.lease_until_ms > now_ms
        });
        Ok(row.map(|row| row.lease_until_ms = row.lease_until_ms.max(until_ms)).is_some())
    }

    async fn complete_job(
        &self,
        validator: Address,
        result: &JobResult,
        now_ms: u64,
    ) -> Result<JobOutcome, StoreError> {
        let mut state = self.state();
        let Some(row) = state.jobs.get_mut(&result.job).filter(|row| row.validator == validator) else {
            return Ok(JobOutcome::Unknown);
        };
        let held = row.held();
        let outcome = held.on_result(result);
        match outcome {
            JobOutcome::Applied => {
                row.result = Some(result.outcome.clone());
                row.lease_until_ms = now_ms;
            }
            JobOutcome::Late => state.add_evidence("late_result", validator, held.epoch, result)?,
            JobOutcome::Duplicate | JobOutcome::Unknown => {}
        }
        Ok(outcome)
    }

    async fn fail_job(&self, validator: Address, failure: &JobFailure, now_ms: u64) -> Result<JobOutcome, StoreError> {
        let mut state = self.state();
        let Some(row) = state.jobs.get_mut(&failure.job).filter(|row| row.validator == validator) else {
            return Ok(JobOutcome::Unknown);
        };
        let outcome = row.held().on_word(failure.attempt);
        if outcome == JobOutcome::Applied {
            row.lease_until_ms = now_ms.saturating_add(back_off_ms(failure.attempt));
            row.reason = Some(storable(&failure.reason));
        }
        Ok(outcome)
    }

    async fn bury_jobs(&self, epoch: u64, now_ms: u64, max_attempts: u32) -> Result<u64, StoreError> {
        let mut state = self.fenced()?;
        let spent = |row: &&mut Row| {
            row.job.epoch == epoch && row.is_open() && row.attempt >= max_attempts && row.lease_until_ms <= now_ms
        };
        let buried = state.jobs.values_mut().filter(spent).map(|row| row.dead = true).count();
        Ok(buried as u64)
    }

    async fn dead_jobs(&self, epoch: u64, limit: u16) -> Result<Vec<DeadJob>, StoreError> {
        let state = self.state();
        let dead = state.jobs.values().filter(|row| row.job.epoch == epoch && row.dead);
        let dead = dead.map(|row| DeadJob {
            validator: row.validator,
            job: row.job.clone(),
            attempts: row.attempt,
            reason: row.reason.clone().unwrap_or_else(|| SILENT.to_owned()),
        });
        Ok(dead.take(limit.into()).collect())
    }

    async fn job_depths(&self, epoch: u64, now_ms: u64) -> Result<JobDepths, StoreError> {
        let mut depths = JobDepths::default();
        for row in self.state().jobs.values().filter(|row| row.job.epoch == epoch) {
            let leased = row.attempt > 0 && row.lease_until_ms > now_ms;
            *match (row.dead, &row.result) {
                (true, _) => &mut depths.dead,
                (_, Some(_)) => &mut depths.done,
                (_, None) if leased => &mut depths.leased,
                (_, None) => &mut depths.open,
            } += 1;
        }
        Ok(depths)
    }

    async fn audits(&self, epoch: u64) -> Result<Vec<AuditCount>, StoreError> {
        let mut counts: BTreeMap<(u16, u16, u8), (u32, u64)> = BTreeMap::new();
        for row in self.state().jobs.values().filter(|row| row.job.epoch == epoch) {
            let Some(result) = &row.result else { continue };
            let count = counts.entry((row.job.netuid, row.job.uid, verdict_number(result.verdict))).or_default();
            count.0 += 1;
            count.1 += u64::from(result.tokens_audited);
        }
        count_audits(
            counts
                .into_iter()
                .map(|((netuid, uid, verdict), (count, tokens))| Ok((netuid, uid, verdict, count, tokens))),
        )
    }
}
