//! A real anvil of the test's own, killed when dropped.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy::providers::{DynProvider, Provider, ProviderBuilder};

pub(crate) struct Anvil {
    process: Child,
    pub(crate) url: String,
    pub(crate) provider: DynProvider,
}

impl Anvil {
    /// Starts anvil with its own flags; blocks come when a transaction does unless the flags say otherwise.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let anvil = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node_modules/.bin/anvil");
        let process = Command::new(anvil)
            .args(["--silent", "--network", "optimism", "--slots-in-an-epoch", "1", "--port", &port.to_string()])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil comes with `npm ci`");
        let url = format!("http://127.0.0.1:{port}");
        let provider = ProviderBuilder::new().connect_http(url.parse().unwrap()).erased();
        let anvil = Self { process, url, provider };
        for _ in 0..200 {
            if anvil.provider.get_block_number().await.is_ok() {
                return anvil;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("anvil did not start");
    }

    /// An anvil method without a binding.
    pub(crate) async fn ask(&self, method: &'static str, parameters: serde_json::Value) -> serde_json::Value {
        self.provider.raw_request(method.into(), parameters).await.unwrap()
    }

    /// Timestamp of the newest block.
    pub(crate) async fn time(&self) -> u64 {
        let block = self.provider.get_block_by_number(alloy::eips::BlockNumberOrTag::Latest).await.unwrap();
        block.unwrap().header.timestamp
    }

    /// A block at this time.
    pub(crate) async fn mine_at(&self, time: u64) {
        self.ask("evm_setNextBlockTimestamp", serde_json::json!([time])).await;
        self.ask("evm_mine", serde_json::json!([])).await;
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
