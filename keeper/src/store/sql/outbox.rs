//! The outbox. That one transaction of a key is under way at a time is a unique index's to say.

use alloy_primitives::Address;
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, Transaction};

use super::{Db, DbRow, SqlStore, bytes, number};
use crate::store::{NewTx, Outbox, OutboxTx, StoreError, TxAttempt, TxState, int};

#[async_trait]
impl Outbox for SqlStore {
    async fn put_tx(&self, tx: &NewTx) -> Result<i64, StoreError> {
        let mut transaction = self.write_fenced().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO outbox (sender, purpose, target, data, nonce, gas_limit, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(tx.sender.as_slice())
        .bind(&tx.purpose)
        .bind(tx.to.as_slice())
        .bind(&tx.data)
        .bind(int(tx.nonce)?)
        .bind(int(tx.gas_limit)?)
        .bind(TxState::Signed.name())
        .fetch_one(&mut *transaction)
        .await
        .map_err(|error| in_flight(error, tx.sender))?;
        insert_attempt(&mut transaction, id, &tx.first).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn put_attempt(&self, id: i64, attempt: &TxAttempt) -> Result<(), StoreError> {
        let mut transaction = self.write_fenced().await?;
        sqlx::query("UPDATE outbox SET state = 'signed' WHERE id = $1 AND state = 'broadcast'")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        insert_attempt(&mut transaction, id, attempt).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn set_tx_state(&self, id: i64, state: TxState) -> Result<(), StoreError> {
        let mut transaction = self.write_fenced().await?;
        let sender = sqlx::query("SELECT sender FROM outbox WHERE id = $1").bind(id).fetch_optional(&mut *transaction);
        let Some(sender) = sender.await? else { return Ok(()) };
        let sender = bytes(&sender, "sender")?;
        sqlx::query("UPDATE outbox SET state = $1 WHERE id = $2")
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
             WHERE sender = $1 AND state IN ('signed', 'broadcast', 'mined') ORDER BY nonce, id",
        )
        .bind(sender.as_slice())
        .fetch_all(&mut *transaction)
        .await?;
        let mut open = Vec::with_capacity(rows.len());
        for row in rows {
            let id: i64 = row.try_get("id")?;
            let attempts =
                sqlx::query("SELECT hash, raw, max_fee, tip, signed_ms FROM outbox_attempts WHERE tx = $1 ORDER BY n")
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
                to: bytes(&row, "target")?,
                data: row.try_get("data")?,
                nonce: number(&row, "nonce")?,
                gas_limit: number(&row, "gas_limit")?,
                state: TxState::from_name(&state)
                    .ok_or_else(|| StoreError::Malformed { what: "state", reason: state.clone() })?,
                attempts,
            });
        }
        Ok(open)
    }
}

/// Deletes transactions that are done and of which nothing was signed at `signed_before_ms` or later.
pub(super) async fn prune(
    transaction: &mut Transaction<'_, Db>,
    signed_before_ms: u64,
    limit: u32,
) -> Result<u64, StoreError> {
    // The same ones both times: what has lost its forms is still done and has none that is newer.
    let over = "SELECT id FROM outbox WHERE state IN ('final', 'lost') AND NOT EXISTS
                (SELECT 1 FROM outbox_attempts WHERE tx = outbox.id AND signed_ms >= $1) ORDER BY id LIMIT $2";
    let mut deleted = 0;
    for rows in ["outbox_attempts WHERE tx", "outbox WHERE id"] {
        let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {rows} IN ({over})")));
        let done = delete.bind(int(signed_before_ms)?).bind(i64::from(limit)).execute(&mut **transaction).await?;
        deleted = done.rows_affected();
    }
    Ok(deleted)
}

/// The index that allows one transaction of a key speaks by refusing.
fn in_flight(error: sqlx::Error, sender: Address) -> StoreError {
    match &error {
        sqlx::Error::Database(fault) if fault.is_unique_violation() => StoreError::InFlight(sender),
        _ => error.into(),
    }
}

async fn insert_attempt(transaction: &mut Transaction<'_, Db>, id: i64, attempt: &TxAttempt) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO outbox_attempts (tx, n, hash, raw, max_fee, tip, signed_ms)
         VALUES ($1, (SELECT count(*) FROM outbox_attempts WHERE tx = $1), $2, $3, $4, $5, $6)",
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

fn tx_attempt(row: &DbRow) -> Result<TxAttempt, StoreError> {
    let fee = |column: &'static str| -> Result<u128, StoreError> {
        let text: String = row.try_get(column)?;
        text.parse().map_err(|_| StoreError::Malformed { what: column, reason: text })
    };
    Ok(TxAttempt {
        hash: bytes(row, "hash")?,
        raw: row.try_get("raw")?,
        max_fee: fee("max_fee")?,
        tip: fee("tip")?,
        signed_ms: number(row, "signed_ms")?,
    })
}
