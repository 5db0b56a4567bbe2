//! Which of the processes that share a store decides, proposes, attests and posts. All of them serve.
//!
//! ```text
//!   follows ── acquire, before a step ──▶ leads ── renew, all the time ──▶ leads
//!      ▲                                    │
//!      └── another one was given the lease ─┘   (the fence is shut at once, even in the middle of a step)
//! ```
//!
//! A term begins before a step only, never within one: what a step has read under a lost lease is not written under a new
//! one. Nothing that must never happen rests on this; see [`crate::store::Leases`] and [`crate::guard`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use metrics::gauge;

use crate::{
    store::{Fence, Lease, Store, StoreError},
    telemetry,
};

/// Name of the lease.
const NAME: &str = "keeper";

/// This process's part.
pub struct Lead {
    shared: Option<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    /// Nobody can guess it, and it dies with the process.
    holder: B256,
    ttl: Duration,
    held: Mutex<Option<Lease>>,
}

impl std::fmt::Debug for Lead {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lead").field("shared", &self.shared.is_some()).finish()
    }
}

impl Lead {
    /// Nobody shares the store: leads for ever.
    pub fn alone() -> Self {
        gauge!(telemetry::LEADS).set(1.0);
        Self { shared: None }
    }

    /// One of several that share `store`. Another one leads at the latest `ttl` after this one was heard of last.
    pub fn among(store: Arc<dyn Store>, ttl: Duration) -> Self {
        store.fence(Fence::Shut);
        Self { shared: Some(Shared { store, holder: B256::new(rand::random()), ttl, held: Mutex::new(None) }) }
    }

    /// To be asked before each step: whether this process may take it. Takes the lease if it is to be had. `now_ms` is the
    /// caller's clock; a server's own one counts where there is one.
    pub async fn ask(&self, now_ms: u64) -> bool {
        let Some(shared) = &self.shared else { return true };
        let leads = match shared.ask(now_ms).await {
            Ok(leads) => leads,
            Err(error) => {
                tracing::warn!(%error, "who leads cannot be told, so this process does not");
                false
            }
        };
        gauge!(telemetry::LEADS).set(f64::from(u8::from(leads)));
        leads
    }

    /// Whether this process leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.lock().is_some())
    }

    /// Prolongs the lease while steps take their time; every [`Self::pace`].
    pub async fn renew(&self, now_ms: u64) {
        let Some(shared) = &self.shared else { return };
        if let Err(error) = shared.renew(now_ms).await {
            tracing::warn!(%error, "the lease was not prolonged, trying again");
        }
    }

    /// Gives the lease back, so that another process leads at once.
    pub async fn resign(&self) {
        let Some(shared) = &self.shared else { return };
        let held = {
            let mut held = shared.lock();
            shared.store.fence(Fence::Shut);
            held.take()
        };
        gauge!(telemetry::LEADS).set(0.0);
        if let Some(lease) = held
            && let Err(error) = shared.store.release(&lease).await
        {
            tracing::warn!(%error, "the lease was not given back; it runs out");
        }
    }

    /// Between two renewals.
    pub fn pace(&self) -> Duration {
        self.shared.as_ref().map_or(Duration::from_secs(60), |shared| shared.ttl / 3)
    }
}

impl Shared {
    async fn ask(&self, now_ms: u64) -> Result<bool, StoreError> {
        if self.renew(now_ms).await? {
            return Ok(true);
        }
        let Some(lease) = self.store.acquire(NAME, self.holder, self.ttl, now_ms).await? else { return Ok(false) };
        tracing::info!(term = lease.term, "this process leads");
        let mut held = self.lock();
        self.store.fence(Fence::Lease(lease.clone()));
        *held = Some(lease);
        Ok(true)
    }

    /// Whether a lease is held and goes on.
    async fn renew(&self, now_ms: u64) -> Result<bool, StoreError> {
        let Some(lease) = self.lock().clone() else { return Ok(false) };
        if self.store.renew(&lease, self.ttl, now_ms).await? {
            return Ok(true);
        }
        tracing::warn!(term = lease.term, "another process leads");
        let mut held = self.lock();
        // Unless a new term has begun since the question was put.
        if *held == Some(lease) {
            *held = None;
            self.store.fence(Fence::Shut);
            gauge!(telemetry::LEADS).set(0.0);
        }
        Ok(false)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
