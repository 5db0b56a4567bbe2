//! Bundles by hash, in an object store. What is read is checked against its name, so a damaged object is as good as none.

use std::{path::Path, sync::Arc};

use alloy_primitives::B256;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath};
use tandem_protocol::bundle::{BundleError, EpochBundle};

/// Why a bundle could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleStoreError {
    /// The object store.
    #[error("[K-BUNDLE-1] bundle store: {0}")]
    Store(#[from] object_store::Error),
    /// The folder.
    #[error("[K-BUNDLE-2] bundle folder: {0}")]
    Folder(#[from] std::io::Error),
    /// Not what its name says.
    #[error("[K-BUNDLE-3] {0}")]
    Content(#[from] BundleError),
}

/// Bundles of one network.
#[derive(Clone, Debug)]
pub struct Bundles {
    objects: Arc<dyn ObjectStore>,
}

impl Bundles {
    /// Bundles in a local folder, created if missing; a bundle is on disk before it is answered for.
    pub fn in_folder(path: &Path) -> Result<Self, BundleStoreError> {
        std::fs::create_dir_all(path)?;
        Ok(Self { objects: Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true)) })
    }

    /// Keeps a bundle's bytes, after checking that they are the bundle named `hash`.
    pub async fn put(&self, hash: B256, bytes: Bytes) -> Result<EpochBundle, BundleStoreError> {
        let bundle = EpochBundle::decode_named(&bytes, hash)?;
        self.objects.put(&location(hash), PutPayload::from_bytes(bytes)).await?;
        Ok(bundle)
    }

    /// The bytes of a bundle.
    pub async fn bytes(&self, hash: B256) -> Result<Option<Bytes>, BundleStoreError> {
        match self.objects.get(&location(hash)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A bundle; one whose bytes do not bear its name is not there.
    pub async fn get(&self, hash: B256) -> Result<Option<EpochBundle>, BundleStoreError> {
        let Some(bytes) = self.bytes(hash).await? else { return Ok(None) };
        match EpochBundle::decode_named(&bytes, hash) {
            Ok(bundle) => Ok(Some(bundle)),
            Err(error) => {
                tracing::error!(%hash, %error, "[K-BUNDLE-3] damaged bundle, will be fetched again");
                Ok(None)
            }
        }
    }
}

fn location(hash: B256) -> ObjectPath {
    ObjectPath::from(format!("{hash:x}.bundle"))
}
