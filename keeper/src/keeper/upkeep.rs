//! Upkeep of the store: jobs that nobody can do are given up, what is old is forgotten.

use std::time::Duration;

use metrics::gauge;

use super::Keeper;
use crate::{
    sender::now_ms,
    store::{Retention, StoreError},
    telemetry,
};

/// Rows of each kind that are forgotten at a time; others write in between.
const BATCH: u32 = 2_000;
/// Finished transactions younger than this are kept, whatever the length of an epoch.
const KEEP_TXS: Duration = Duration::from_secs(7 * 86_400);

impl Keeper {
    /// One round. A process that does not lead only counts.
    pub(super) async fn upkeep(&self) -> anyhow::Result<()> {
        let Some(epoch) = self.chain_time().and_then(|now| self.network.clock.epoch_at(now)) else { return Ok(()) };
        let now_ms = now_ms();
        match self.tidy(epoch, now_ms).await {
            Ok(()) | Err(StoreError::NotLeading) => {}
            Err(error) => return Err(error.into()),
        }
        let depths = self.store.job_depths(epoch, now_ms).await?;
        gauge!(telemetry::JOBS_OPEN).set(depths.open as f64);
        gauge!(telemetry::JOBS_LEASED).set(depths.leased as f64);
        gauge!(telemetry::JOBS_DONE).set(depths.done as f64);
        gauge!(telemetry::JOBS_DEAD).set(depths.dead as f64);
        Ok(())
    }

    async fn tidy(&self, epoch: u64, now_ms: u64) -> Result<(), StoreError> {
        let buried = self.store.bury_jobs(epoch, now_ms, self.jobs.max_attempts).await?;
        if buried > 0 {
            let newest = self.store.dead_jobs(epoch, 1).await?;
            let reason = newest.first().map(|dead| dead.reason.as_str());
            tracing::warn!(epoch, buried, reason, "jobs were given up");
        }
        let kept = Duration::from_secs(self.kept_epochs.saturating_mul(self.network.clock.length())).max(KEEP_TXS);
        let retention = Retention {
            before_epoch: epoch.saturating_sub(self.kept_epochs),
            signed_before_ms: now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)),
            limit: BATCH,
        };
        let forgotten = self.store.prune(retention).await?;
        if forgotten > 0 {
            tracing::debug!(before = retention.before_epoch, forgotten, "old rows were forgotten");
        }
        Ok(())
    }
}
