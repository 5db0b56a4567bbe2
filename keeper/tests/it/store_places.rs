//! Where the rules of stores are tried out: one place per adapter.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use tandem_keeper::store::{Fence, MemoryStore, PostgresStore, SqliteStore, Store};

const HOLDER: B256 = B256::repeat_byte(0x77);

/// Something that can be opened, closed and opened again.
pub(crate) enum Place {
    Memory(MemoryStore),
    Sqlite { folder: tempfile::TempDir, max_pending: u64 },
    Postgres { url: String, max_pending: u64 },
}

impl Place {
    pub(crate) fn memory(max_pending: u64) -> Self {
        Self::Memory(MemoryStore::new(max_pending))
    }

    pub(crate) fn sqlite(max_pending: u64) -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap(), max_pending }
    }

    /// A handle that does not lead.
    pub(crate) async fn follow(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(store.another()),
            Self::Sqlite { folder, max_pending } => {
                let path = folder.path().join("keeper.sqlite");
                Arc::new(SqliteStore::open_with(&path, *max_pending).await.unwrap())
            }
            Self::Postgres { url, max_pending } => {
                Arc::new(PostgresStore::open(url, 4, *max_pending, true).await.unwrap())
            }
        }
    }

    /// A handle that leads, after whichever did.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let store = self.follow().await;
        let lease = store.acquire("keeper", HOLDER, Duration::from_secs(3_600), 0).await.unwrap().unwrap();
        store.fence(Fence::Lease(lease));
        store
    }
}
