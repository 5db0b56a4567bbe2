//! Workers that wait for jobs. Those of one validator stand in line and only the first one looks: thousands may wait, and the
//! store is asked twice a second for each validator that has anybody waiting, whatever their number.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use alloy_primitives::Address;
use metrics::gauge;
use tandem_protocol::api::Lease;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{Api, Failure};
use crate::telemetry;

/// Jobs are looked for so often: leases run out, and jobs are given back, without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Lines beyond which those that nobody stands in are forgotten.
const MANY: usize = 4_096;

/// The lines by validator.
#[derive(Default)]
pub(super) struct Lines(std::sync::Mutex<HashMap<Address, Arc<Line>>>);

/// Who waits for the jobs of one validator.
#[derive(Default)]
pub(super) struct Line {
    /// When a look last found nothing.
    empty_at: Mutex<Option<Instant>>,
    /// Held by the one that looks again and again.
    first: Mutex<()>,
}

impl Lines {
    pub(super) fn of(&self, validator: Address) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() > MANY {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        lines.entry(validator).or_default().clone()
    }
}

struct Waiting;

impl Waiting {
    fn one() -> Self {
        gauge!(telemetry::WAITING).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(telemetry::WAITING).decrement(1.0);
    }
}

impl Api {
    /// Leases up to `limit` jobs, or none once `deadline` is reached or the keeper stops.
    pub(super) async fn wait(
        &self,
        line: &Line,
        validator: Address,
        limit: u16,
        deadline: Instant,
    ) -> Result<Vec<Lease>, Failure> {
        let keeper = &self.keeper;
        let found = self.look(line, validator, limit, false).await?;
        if !found.is_empty() || Instant::now() >= deadline {
            return Ok(found);
        }
        let _waiting = Waiting::one();
        let _first = tokio::select! {
            first = line.first.lock() => first,
            () = sleep_until(deadline) => return Ok(Vec::new()),
            () = keeper.stop.cancelled() => return Ok(Vec::new()),
        };
        let mut anew = false;
        loop {
            // Listen before looking: what is published in between is not missed.
            let published = keeper.new_jobs.notified();
            let found = self.look(line, validator, limit, anew).await?;
            if !found.is_empty() || Instant::now() >= deadline || keeper.stop.is_cancelled() {
                return Ok(found);
            }
            let again = deadline.min(Instant::now() + LOOK_AGAIN);
            anew = tokio::select! {
                () = published => true,
                () = keeper.stop.cancelled() => false,
                () = sleep_until(again) => false,
            };
        }
    }

    /// Asks the store, unless that was done a moment ago for nothing and `anew` does not insist.
    async fn look(&self, line: &Line, validator: Address, limit: u16, anew: bool) -> Result<Vec<Lease>, Failure> {
        let mut empty_at = line.empty_at.lock().await;
        if !anew && empty_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return Ok(Vec::new());
        }
        let found = self.keeper.lease(validator, limit).await?;
        *empty_at = found.is_empty().then(Instant::now);
        Ok(found)
    }
}
