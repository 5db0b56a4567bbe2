//! What can go wrong with a store, and whether it may go away by itself.

use alloy_primitives::Address;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("[K-STORE-1] database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's shape could not be brought up to date.
    #[error("[K-STORE-2] migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Something in the database is not what was put there.
    #[error("[K-STORE-3] malformed {what} in the database: {reason}")]
    Malformed {
        /// Which column.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A number that the database cannot hold.
    #[error("[K-STORE-4] {0} is too large to store")]
    TooLarge(u64),
    /// A second transaction of one key.
    #[error("[K-STORE-5] a transaction of {0} is still under way")]
    InFlight(Address),
    /// Too many jobs wait.
    #[error("[K-STORE-6] {pending} jobs of epoch {epoch} wait and no more than {max} may; the others were left out")]
    Full {
        /// Epoch.
        epoch: u64,
        /// Jobs without a result.
        pending: u64,
        /// Limit.
        max: u64,
    },
    /// A write that only a leader may do, by a process that does not lead (any more).
    #[error("[K-STORE-7] this process does not lead; nothing was written")]
    NotLeading,
    /// The configuration of the store cannot be used.
    #[error("[K-STORE-8] [store] {0}")]
    Config(String),
    /// The server would forget what it has confirmed.
    #[error("[K-STORE-9] the server's {0} is off: what it confirms could be lost; switch it on")]
    Forgetful(&'static str),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything: a server that is away or restarts, a
    /// lock or a time-out, a full disk that is being cleared.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) | Self::Migration(sqlx::migrate::MigrateError::Execute(error)) => transient(error),
            Self::InFlight(_) | Self::Full { .. } | Self::NotLeading => true,
            Self::Migration(_) | Self::Malformed { .. } | Self::TooLarge(_) | Self::Config(_) | Self::Forgetful(_) => {
                false
            }
        }
    }
}

fn transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(fault) => {
            let code = fault.code().unwrap_or_default();
            if code.len() == 5 && fault.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                // Connection, resources, shutdown or a standby; serialisation, deadlock, lock and statement time-outs.
                return ["08", "53", "57"].iter().any(|class| code.starts_with(class))
                    || ["25006", "40001", "40P01", "55P03"].contains(&&*code);
            }
            // SQLite's primary code: busy, locked, input or output, full.
            code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
        }
        _ => false,
    }
}
