//! A real anvil of the test's own, killed when dropped.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use alloy::providers::{DynProvider, Provider, ProviderBuilder};

pub(crate) struct Anvil {
    arguments: Vec<String>,
    process: Mutex<Child>,
    pub(crate) url: String,
    pub(crate) provider: DynProvider,
}

impl Anvil {
    /// Starts anvil with its own flags; blocks come when a transaction does unless the flags say otherwise.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port_flag = port.to_string();
        let common = ["--silent", "--network", "optimism", "--slots-in-an-epoch", "1", "--port", &port_flag];
        let arguments: Vec<String> = common.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        let process = Mutex::new(launch(&arguments));
        let url = format!("http://127.0.0.1:{port}");
        let provider = ProviderBuilder::new().connect_http(url.parse().unwrap()).erased();
        let anvil = Self { arguments, process, url, provider };
        anvil.answers().await;
        anvil
    }

    async fn answers(&self) {
        for _ in 0..400 {
            if self.provider.get_block_number().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("anvil did not start");
    }

    /// SIGKILL, in the middle of whatever it is doing.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again, as empty as at first.
    pub(crate) async fn relaunch(&self) {
        *self.process.lock().unwrap() = launch(&self.arguments);
        self.answers().await;
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

fn launch(arguments: &[String]) -> Child {
    let anvil = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node_modules/.bin/anvil");
    let mut command = Command::new(anvil);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("anvil comes with `npm ci`")
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}
