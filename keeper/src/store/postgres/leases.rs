//! Leases by the database's clock, and the guard's table that replicas share.

use std::time::Duration;

use alloy_primitives::{Address, B256};
use async_trait::async_trait;

use super::{
    PostgresStore,
    sql::{bytes, number},
};
use crate::{
    guard::{Register, Slot},
    store::{Fence, Lease, Leases, StoreError, int, lease::millis},
};

#[async_trait]
impl Leases for PostgresStore {
    async fn acquire(
        &self,
        name: &str,
        holder: B256,
        ttl: Duration,
        _now_ms: u64,
    ) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query(
            "INSERT INTO leases (name, holder, term, until)
             VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, until = excluded.until
             WHERE leases.until <= clock_timestamp() OR leases.holder = excluded.holder RETURNING term",
        )
        .bind(name)
        .bind(holder.as_slice())
        .bind(int(millis(ttl))?)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok(Lease { name: name.to_owned(), holder, term: number(&row, "term")? })).transpose()
    }

    async fn renew(&self, lease: &Lease, ttl: Duration, _now_ms: u64) -> Result<bool, StoreError> {
        self.set_lease_end(lease, int(millis(ttl))?).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.set_lease_end(lease, 0).await.map(|_| ())
    }

    fn fence(&self, fence: Fence) {
        self.fence.set(fence);
    }
}

impl PostgresStore {
    async fn set_lease_end(&self, lease: &Lease, from_now_ms: i64) -> Result<bool, StoreError> {
        let set = sqlx::query(
            "UPDATE leases SET until = clock_timestamp() + $4 * interval '1 millisecond'
             WHERE name = $1 AND holder = $2 AND term = $3",
        )
        .bind(&lease.name)
        .bind(lease.holder.as_slice())
        .bind(int(lease.term)?)
        .bind(from_now_ms)
        .execute(&self.pool)
        .await?;
        Ok(set.rows_affected() == 1)
    }
}

#[async_trait]
impl Register for PostgresStore {
    async fn reserve(&self, slot: Slot, digest: B256) -> Result<B256, StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO signed (chain_id, contract, epoch, attempt, digest) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(int(slot.chain_id)?)
        .bind(slot.contract.as_slice())
        .bind(int(slot.epoch)?)
        .bind(i64::from(slot.attempt))
        .bind(digest.as_slice())
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query(
            "SELECT digest FROM signed WHERE chain_id = $1 AND contract = $2 AND epoch = $3 AND attempt = $4",
        )
        .bind(int(slot.chain_id)?)
        .bind(slot.contract.as_slice())
        .bind(int(slot.epoch)?)
        .bind(i64::from(slot.attempt))
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        bytes(&row, "digest")
    }

    async fn reserved(
        &self,
        chain_id: u64,
        contract: Address,
        from_epoch: u64,
    ) -> Result<Vec<(Slot, B256)>, StoreError> {
        let rows = sqlx::query(
            "SELECT epoch, attempt, digest FROM signed WHERE chain_id = $1 AND contract = $2 AND epoch >= $3
             ORDER BY epoch, attempt",
        )
        .bind(int(chain_id)?)
        .bind(contract.as_slice())
        .bind(int(from_epoch)?)
        .fetch_all(&self.pool)
        .await?;
        let slot = |row| {
            let (epoch, attempt) = (number(row, "epoch")?, number(row, "attempt")?);
            Ok((Slot { chain_id, contract, epoch, attempt }, bytes(row, "digest")?))
        };
        rows.iter().map(slot).collect()
    }
}
