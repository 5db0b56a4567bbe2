//! Which store a keeper uses, `[store]` of its configuration.

use std::{path::Path, sync::Arc, time::Duration};

use serde::Deserialize;

use super::{MAX_PENDING, PostgresStore, SqliteStore, Store, StoreError, postgres};
use crate::{config::SecretRef, guard::Register};

/// `[store]`: without it, a SQLite file in `data_dir` that one process uses alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where the `postgres://` URL of a database that several processes share is to be found; it holds a password.
    pub url: Option<SecretRef>,
    /// Connections to PostgreSQL at most; twice its processor cores, divided by the processes that share it.
    pub max_connections: u32,
    /// Whether a starting keeper brings the database up to date; otherwise `tandem-keeper db migrate` does.
    pub migrate: bool,
    /// Seconds without a word after which another process leads. Only with `url`.
    pub lease_s: u64,
    /// Jobs of one epoch that may wait; what is beyond is not published.
    pub max_pending: u64,
    /// Epochs for which commits, rows, proposals, attestations, evidence and finished transactions are kept.
    pub keep_epochs: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, max_connections: 8, migrate: true, lease_s: 15, max_pending: MAX_PENDING, keep_epochs: 1_000 }
    }
}

/// An open store.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The sign-once table that replicas share, if the store is shared.
    pub register: Option<Arc<dyn Register>>,
}

impl StoreConfig {
    /// The URL, if one is referred to. No part of it is in an error.
    pub fn resolve(&self) -> Result<Option<String>, StoreError> {
        let Some(url) = &self.url else { return Ok(None) };
        url.read().map(Some).map_err(|reason| StoreError::Config(format!("url: {reason}")))
    }

    /// [`Self::lease_s`].
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }
}

/// Opens the store that `config` means: the file `keeper.sqlite` in `data_dir`, or the database of its URL.
pub async fn open(config: &StoreConfig, data_dir: &Path) -> Result<Opened, StoreError> {
    let Some(url) = config.resolve()? else {
        let path = data_dir.join("keeper.sqlite");
        let store = SqliteStore::open_with(&path, config.max_pending).await?;
        return Ok(Opened { store: Arc::new(store), register: None });
    };
    let opened = PostgresStore::open(&url, config.max_connections, config.max_pending, config.migrate).await?;
    let store = Arc::new(opened);
    Ok(Opened { store: store.clone(), register: Some(store) })
}

/// Brings the store up to date and answers the number of its last migration, for `db migrate`.
pub async fn migrate(config: &StoreConfig, data_dir: &Path) -> Result<i64, StoreError> {
    match config.resolve()? {
        Some(url) => postgres::migrate(&url).await,
        None => SqliteStore::open(&data_dir.join("keeper.sqlite")).await?.version().await,
    }
}
