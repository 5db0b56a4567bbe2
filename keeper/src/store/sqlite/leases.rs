//! Leases by the caller's clock.

use std::time::Duration;

use alloy_primitives::B256;
use async_trait::async_trait;

use super::{SqliteStore, sql::number};
use crate::store::{Fence, Lease, Leases, StoreError, int, lease::millis};

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, name: &str, holder: B256, ttl: Duration, now_ms: u64) -> Result<Option<Lease>, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "INSERT INTO leases (name, holder, term, until_ms) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (name) DO UPDATE SET holder = ?2, term = term + 1, until_ms = ?3
             WHERE until_ms <= ?4 OR holder = ?2 RETURNING term",
        )
        .bind(name)
        .bind(holder.as_slice())
        .bind(int(now_ms.saturating_add(millis(ttl)))?)
        .bind(int(now_ms)?)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(|row| Ok(Lease { name: name.to_owned(), holder, term: number(&row, "term")? })).transpose()
    }

    async fn renew(&self, lease: &Lease, ttl: Duration, now_ms: u64) -> Result<bool, StoreError> {
        self.set_lease_end(lease, now_ms.saturating_add(millis(ttl))).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.set_lease_end(lease, 0).await.map(|_| ())
    }

    fn fence(&self, fence: Fence) {
        self.fence.set(fence);
    }
}

impl SqliteStore {
    async fn set_lease_end(&self, lease: &Lease, until_ms: u64) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let set = sqlx::query("UPDATE leases SET until_ms = ? WHERE name = ? AND holder = ? AND term = ?")
            .bind(int(until_ms)?)
            .bind(&lease.name)
            .bind(lease.holder.as_slice())
            .bind(int(lease.term)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(set.rows_affected() == 1)
    }
}
