//! What SQLite and PostgreSQL are told in the same words: numbered parameters, 64-bit numbers, `ON CONFLICT`, `RETURNING`.
//!
//! Each adapter compiles these files for its own database: over any database at all, every function would need a bound
//! for every kind of value that it binds or reads. The adapter says what differs:
//!
//! - `Db`, `DbRow` and `SqlStore`: the database, its row and the store;
//! - `write`, `write_with`, `reader`, `close_connections`: how a transaction begins, which may share one, where what needs
//!   none is read, and the end of it all;
//! - `alone`: what keeps other transactions of the same key out;
//! - `LEADS`, `HELD_JOB`, `KEEP_EVIDENCE`, `ROW`: the statements and the word that are not the same;
//! - `jobs::insert`, `jobs::new_ones`: many jobs in one statement.

mod ballots;
pub(super) mod jobs;
mod outbox;
mod said;

use std::fmt::Display;

use alloy_primitives::{Address, keccak256};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, Transaction};

use super::{Db, DbRow, KEEP_EVIDENCE, LEADS, SqlStore, alone};
use crate::store::{MAX_EVIDENCE, StoreError, int, json, note_evidence};

impl SqlStore {
    /// A transaction for a write that only a leader may do.
    pub(super) async fn write_fenced(&self) -> Result<Transaction<'static, Db>, StoreError> {
        let wanted = self.fence.wanted()?;
        let mut transaction = self.write().await?;
        if let Some(lease) = wanted {
            let held = sqlx::query(LEADS)
                .bind(&lease.name)
                .bind(lease.holder.as_slice())
                .bind(int(lease.term)?)
                .fetch_optional(&mut *transaction)
                .await?;
            held.ok_or(StoreError::NotLeading)?;
        }
        Ok(transaction)
    }
}

/// Keeps two contradicting statements, or one that is out of place.
async fn add_evidence<T: Serialize>(
    transaction: &mut Transaction<'_, Db>,
    kind: &'static str,
    subject: Address,
    epoch: u64,
    statements: &T,
) -> Result<(), StoreError> {
    let statements = json(statements)?;
    let digest = keccak256(&statements);
    sqlx::query(KEEP_EVIDENCE)
        .bind(int(epoch)?)
        .bind(kind)
        .bind(subject.as_slice())
        .bind(statements)
        .bind(MAX_EVIDENCE)
        .bind(digest.as_slice())
        .execute(&mut **transaction)
        .await?;
    note_evidence(kind, subject, epoch);
    Ok(())
}

/// A number of any width; all are 64-bit in the database.
pub(super) fn number<T: TryFrom<i64>>(row: &DbRow, column: &'static str) -> Result<T, StoreError> {
    let value: i64 = row.try_get(column)?;
    T::try_from(value).map_err(|_| StoreError::Malformed { what: column, reason: format!("{value} is out of range") })
}

/// A hash or an address.
pub(super) fn bytes<T>(row: &DbRow, column: &'static str) -> Result<T, StoreError>
where
    T: for<'a> TryFrom<&'a [u8], Error: Display>,
{
    let bytes: Vec<u8> = row.try_get(column)?;
    T::try_from(bytes.as_slice()).map_err(|error| StoreError::Malformed { what: column, reason: error.to_string() })
}

fn message<T: DeserializeOwned>(row: &DbRow) -> Result<T, StoreError> {
    let text: String = row.try_get("message")?;
    serde_json::from_str(&text).map_err(|error| StoreError::Malformed { what: "message", reason: error.to_string() })
}
