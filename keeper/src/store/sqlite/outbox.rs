//! The outbox in SQL. That one transaction of a key is under way at a time is a unique index's to say.

use alloy_primitives::Address;
use async_trait::async_trait;
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};

use super::{SqliteStore, address, hash};
use crate::store::{NewTx, Outbox, OutboxTx, StoreError, TxAttempt, TxState, int, uint};

#[async_trait]
impl Outbox for SqliteStore {
    async fn put_tx(&self, tx: &NewTx) -> Result<i64, StoreError> {
        let mut transaction = self.write_fenced().await?;
        let inserted = sqlx::query(
            "INSERT INTO outbox (sender, purpose, target, data, nonce, gas_limit, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(tx.sender.as_slice())
        .bind(&tx.purpose)
        .bind(tx.to.as_slice())
        .bind(&tx.data)
        .bind(int(tx.nonce)?)
        .bind(int(tx.gas_limit)?)
        .bind(TxState::Signed.name())
        .execute(&mut *transaction)
        .await
        .map_err(|error| in_flight(error, tx.sender))?;
        let id = inserted.last_insert_rowid();
        insert_attempt(&mut transaction, id, &tx.first).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn put_attempt(&self, id: i64, attempt: &TxAttempt) -> Result<(), StoreError> {
        let mut transaction = self.write_fenced().await?;
        insert_attempt(&mut transaction, id, attempt).await?;
        sqlx::query("UPDATE outbox SET state = 'signed' WHERE id = ? AND state = 'broadcast'")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn set_tx_state(&self, id: i64, state: TxState) -> Result<(), StoreError> {
        let mut transaction = self.write_fenced().await?;
        let sender = sqlx::query("SELECT sender FROM outbox WHERE id = ?").bind(id).fetch_optional(&mut *transaction);
        let Some(sender) = sender.await? else { return Ok(()) };
        let sender = address(&sender, "sender")?;
        sqlx::query("UPDATE outbox SET state = ? WHERE id = ?")
            .bind(state.name())
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(|error| in_flight(error, sender))?;
        transaction.commit().await?;
        Ok(())
    }

    async fn open_txs(&self, sender: Address) -> Result<Vec<OutboxTx>, StoreError> {
        // Read where it is written: what was just stored must be seen.
        let mut transaction = self.write().await?;
        let rows = sqlx::query(
            "SELECT id, purpose, target, data, nonce, gas_limit, state FROM outbox
             WHERE sender = ? AND state IN ('signed', 'broadcast', 'mined') ORDER BY nonce, id",
        )
        .bind(sender.as_slice())
        .fetch_all(&mut *transaction)
        .await?;
        let mut open = Vec::with_capacity(rows.len());
        for row in rows {
            let id: i64 = row.try_get("id")?;
            let attempts =
                sqlx::query("SELECT hash, raw, max_fee, tip, signed_ms FROM outbox_attempts WHERE tx = ? ORDER BY n")
                    .bind(id)
                    .fetch_all(&mut *transaction)
                    .await?
                    .iter()
                    .map(tx_attempt)
                    .collect::<Result<_, _>>()?;
            let state: String = row.try_get("state")?;
            open.push(OutboxTx {
                id,
                purpose: row.try_get("purpose")?,
                to: address(&row, "target")?,
                data: row.try_get("data")?,
                nonce: uint(row.try_get("nonce")?, "nonce")?,
                gas_limit: uint(row.try_get("gas_limit")?, "gas_limit")?,
                state: TxState::from_name(&state)
                    .ok_or_else(|| StoreError::Malformed { what: "state", reason: state.clone() })?,
                attempts,
            });
        }
        Ok(open)
    }
}

/// The index that allows one transaction of a key speaks by refusing.
fn in_flight(error: sqlx::Error, sender: Address) -> StoreError {
    match &error {
        sqlx::Error::Database(fault) if fault.is_unique_violation() => StoreError::InFlight(sender),
        _ => error.into(),
    }
}

/// Deletes transactions that are done and of which nothing was signed at `signed_before_ms` or later.
pub(super) async fn prune(
    transaction: &mut Transaction<'_, Sqlite>,
    signed_before_ms: u64,
    limit: u32,
) -> Result<u64, StoreError> {
    let over = "SELECT id FROM outbox WHERE state IN ('final', 'lost') AND NOT EXISTS
                (SELECT 1 FROM outbox_attempts WHERE tx = outbox.id AND signed_ms >= ?) ORDER BY id LIMIT ?";
    let ids: Vec<i64> =
        sqlx::query_scalar(over).bind(int(signed_before_ms)?).bind(limit).fetch_all(&mut **transaction).await?;
    for id in &ids {
        sqlx::query("DELETE FROM outbox_attempts WHERE tx = ?").bind(id).execute(&mut **transaction).await?;
        sqlx::query("DELETE FROM outbox WHERE id = ?").bind(id).execute(&mut **transaction).await?;
    }
    Ok(ids.len() as u64)
}

async fn insert_attempt(
    transaction: &mut Transaction<'_, Sqlite>,
    id: i64,
    attempt: &TxAttempt,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outbox_attempts (tx, n, hash, raw, max_fee, tip, signed_ms)
         VALUES (?1, (SELECT count(*) FROM outbox_attempts WHERE tx = ?1), ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(id)
    .bind(attempt.hash.as_slice())
    .bind(&attempt.raw)
    .bind(attempt.max_fee.to_string())
    .bind(attempt.tip.to_string())
    .bind(int(attempt.signed_ms)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn tx_attempt(row: &SqliteRow) -> Result<TxAttempt, StoreError> {
    let fee = |column: &'static str| -> Result<u128, StoreError> {
        let text: String = row.try_get(column)?;
        text.parse().map_err(|_| StoreError::Malformed { what: column, reason: text })
    };
    Ok(TxAttempt {
        hash: hash(row, "hash")?,
        raw: row.try_get("raw")?,
        max_fee: fee("max_fee")?,
        tip: fee("tip")?,
        signed_ms: uint(row.try_get("signed_ms")?, "signed_ms")?,
    })
}
