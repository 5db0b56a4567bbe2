//! A server of Amazon's S3 protocol in this process, over a folder.

use std::{path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use object_store::{ObjectStore, aws::AmazonS3Builder};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::net::TcpListener;

const BUCKET: &str = "bundles";
const USER: &str = "tandem";
const SECRET: &str = "not-a-secret";

pub(crate) struct S3 {
    folder: tempfile::TempDir,
    endpoint: String,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(USER, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        Self { folder, endpoint }
    }

    /// Where the server keeps the bucket.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// A client of the bucket.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        let [endpoint, region, key, secret, _] = self.variables().map(|(_, value)| value);
        let builder = AmazonS3Builder::new().with_bucket_name(BUCKET).with_allow_http(true).with_endpoint(endpoint);
        Arc::new(builder.with_region(region).with_access_key_id(key).with_secret_access_key(secret).build().unwrap())
    }

    /// What tells a program of the server.
    pub(crate) fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", USER.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}
