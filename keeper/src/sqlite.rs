//! What all connections to SQLite files have in common.

use sqlx::{Connection, sqlite::SqlitePoolOptions};

/// A pool that gives up connections that are stuck in a transaction.
///
/// When a disk is full SQLite may end a transaction itself; the library then neither commits nor rolls it back and believes for
/// ever that one is open, so that every later one on the connection fails.
pub(crate) fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}
