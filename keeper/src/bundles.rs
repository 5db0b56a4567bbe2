//! Bundles by hash, in an object store. What is read is checked against its name, so a damaged object is as good as none.
//!
//! Beside each bundle lies an empty marker `epochs/<epoch>/<hash>`, so that old ones can be forgotten without reading them.
//! A bundle without a marker, as older versions left them, is kept for ever.

use std::{fmt, path::Path, sync::Arc};

use alloy_primitives::B256;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path as ObjectPath};
use tandem_protocol::bundle::{BundleError, EpochBundle};

use crate::config::BundlesConfig;

/// Folder of the markers.
const EPOCHS: &str = "epochs";

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
    /// No store can be made of the URL.
    #[error("[K-BUNDLE-5] bundles.url: {0}")]
    Url(String),
}

impl BundleStoreError {
    /// Whether the same call may succeed later without anybody changing anything: a server or a disk that does not answer.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(object_store::Error::Generic { .. }))
    }
}

/// Bundles of one network.
#[derive(Clone)]
pub struct Bundles {
    objects: Arc<dyn ObjectStore>,
    place: String,
}

impl fmt::Debug for Bundles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Bundles").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Bundles {
    /// The bundles of a configuration; nothing is asked yet.
    pub fn open(config: &BundlesConfig, data_dir: &Path) -> Result<Self, BundleStoreError> {
        let Some(url) = &config.url else { return Self::in_folder(&data_dir.join("bundles")) };
        let parsed: reqwest::Url = url.parse().map_err(|_| BundleStoreError::Url("not a URL".to_owned()))?;
        match parsed.scheme() {
            "file" => {
                let path = parsed.to_file_path();
                let path = path.map_err(|()| BundleStoreError::Url("not a path of this machine".to_owned()))?;
                Self::in_folder(&path)
            }
            "s3" => Self::in_s3(url, parsed.path().trim_matches('/')),
            "gs" => Self::in_gcs(url, parsed.path().trim_matches('/')),
            other => Err(BundleStoreError::Url(format!("{other}:// is none of file://, s3:// and gs://"))),
        }
    }

    /// Bundles in a local folder, created if missing; a bundle is on disk before it is answered for.
    pub fn in_folder(path: &Path) -> Result<Self, BundleStoreError> {
        std::fs::create_dir_all(path)?;
        let place = path.display().to_string();
        Ok(Self { objects: Arc::new(LocalFileSystem::new_with_prefix(path)?.with_fsync(true)), place })
    }

    /// Bundles in any object store; `place` names it for people.
    pub fn over(objects: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self { objects, place: place.to_owned() }
    }

    #[cfg(any(feature = "s3", feature = "gcs"))]
    fn under(store: impl ObjectStore, prefix: &str, place: &str) -> Self {
        Self::over(Arc::new(object_store::prefix::PrefixStore::new(store, ObjectPath::from(prefix))), place)
    }

    #[cfg(feature = "s3")]
    fn in_s3(url: &str, prefix: &str) -> Result<Self, BundleStoreError> {
        // Credentials, region and endpoint as AWS_… in the environment say, or the machine's role.
        let store = object_store::aws::AmazonS3Builder::from_env().with_url(url).build()?;
        Ok(Self::under(store, prefix, url))
    }

    #[cfg(not(feature = "s3"))]
    fn in_s3(_url: &str, _prefix: &str) -> Result<Self, BundleStoreError> {
        Err(BundleStoreError::Url("this program was built without S3: build it with `--features s3`".to_owned()))
    }

    #[cfg(feature = "gcs")]
    fn in_gcs(url: &str, prefix: &str) -> Result<Self, BundleStoreError> {
        // Credentials as GOOGLE_… in the environment say, or the machine's account.
        let store = object_store::gcp::GoogleCloudStorageBuilder::from_env().with_url(url).build()?;
        Ok(Self::under(store, prefix, url))
    }

    #[cfg(not(feature = "gcs"))]
    fn in_gcs(_url: &str, _prefix: &str) -> Result<Self, BundleStoreError> {
        Err(BundleStoreError::Url("this program was built without GCS: build it with `--features gcs`".to_owned()))
    }

    /// Where the bundles are.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether the store answers at all.
    pub async fn probe(&self) -> Result<(), BundleStoreError> {
        self.bytes(B256::ZERO).await.map(drop)
    }

    /// Keeps a bundle's bytes, after checking that they are the bundle named `hash`.
    pub async fn put(&self, hash: B256, bytes: Bytes) -> Result<EpochBundle, BundleStoreError> {
        let bundle = EpochBundle::decode_named(&bytes, hash)?;
        self.put_computed(bundle.inputs.epoch, hash, bytes).await?;
        Ok(bundle)
    }

    /// Keeps the bytes of a bundle of `epoch` that this process has itself computed and named.
    pub async fn put_computed(&self, epoch: u64, hash: B256, bytes: Bytes) -> Result<(), BundleStoreError> {
        // The marker first: a bundle without one would be kept for ever, a marker without a bundle does no harm.
        self.objects.put(&marker(epoch, hash), PutPayload::new()).await?;
        self.objects.put(&location(hash), PutPayload::from_bytes(bytes)).await?;
        Ok(())
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

    /// Forgets the bundles of epochs before `before`; answers how many there were.
    pub async fn prune(&self, before: u64) -> Result<u64, BundleStoreError> {
        let mut markers = self.objects.list(Some(&ObjectPath::from(EPOCHS)));
        let mut old = Vec::new();
        while let Some(found) = markers.try_next().await? {
            if let Some((epoch, hash)) = marked(&found.location)
                && epoch < before
            {
                old.push((epoch, hash));
            }
        }
        for (epoch, hash) in &old {
            self.delete(&location(*hash)).await?;
            self.delete(&marker(*epoch, *hash)).await?;
        }
        Ok(old.len() as u64)
    }

    async fn delete(&self, object: &ObjectPath) -> Result<(), BundleStoreError> {
        match self.objects.delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn location(hash: B256) -> ObjectPath {
    ObjectPath::from(format!("{hash:x}.bundle"))
}

fn marker(epoch: u64, hash: B256) -> ObjectPath {
    ObjectPath::from(format!("{EPOCHS}/{epoch:020}/{hash:x}"))
}

fn marked(location: &ObjectPath) -> Option<(u64, B256)> {
    let mut parts = location.parts().skip(1);
    let (epoch, hash) = (parts.next()?, parts.next()?);
    Some((epoch.as_ref().parse().ok()?, hash.as_ref().parse().ok()?))
}
