//! Who leads among processes that share a store, and the fence that keeps a former leader from writing.
//!
//! A lease saves work; nothing that must never happen depends on it or on a clock. What a leader alone may write is
//! written in one database transaction with the look whether it still leads, so that one that was paused, cut off or
//! restored from a backup is refused however sure it is of itself.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;

use super::StoreError;

/// A held lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is led.
    pub name: String,
    /// Random name of the process: after a restored backup a term may come up twice, this does not.
    pub holder: B256,
    /// Rises with each change of leader.
    pub term: u64,
}

/// What writes that only a leader may do are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fence {
    /// Nothing: nobody shares the store.
    #[default]
    Open,
    /// They are refused unless this lease still is the last one given.
    Lease(Lease),
    /// They are refused.
    Shut,
}

/// Leases and the fence.
#[async_trait]
pub trait Leases {
    /// Takes the lease if nobody holds it, its time is over, or the same holder has it; each time under a higher term.
    /// `now_ms` is the caller's clock and is used by stores of one machine; a server asks its own.
    async fn acquire(&self, name: &str, holder: B256, ttl: Duration, now_ms: u64) -> Result<Option<Lease>, StoreError>;

    /// Prolongs the lease; `false` if another one was given since. One that ran out but was given to nobody goes on.
    async fn renew(&self, lease: &Lease, ttl: Duration, now_ms: u64) -> Result<bool, StoreError>;

    /// Gives the lease back, so that the next one need not wait.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// From now on this handle's writes of jobs, proposals, decisions and transactions are held against `fence`.
    fn fence(&self, fence: Fence);
}

/// The fence of one handle.
#[derive(Debug, Default)]
pub(super) struct FenceCell(RwLock<Fence>);

impl FenceCell {
    pub(super) fn new(fence: Fence) -> Self {
        Self(RwLock::new(fence))
    }

    pub(super) fn set(&self, fence: Fence) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fence;
    }

    /// The lease to look for; `None` if nothing is.
    pub(super) fn wanted(&self) -> Result<Option<Lease>, StoreError> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Fence::Open => Ok(None),
            Fence::Lease(lease) => Ok(Some(lease.clone())),
            Fence::Shut => Err(StoreError::NotLeading),
        }
    }
}

/// Milliseconds of a duration, as databases hold them.
pub(super) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
