//! A real chain of a test's own, and a configuration that deploys.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use alloy::signers::local::PrivateKeySigner;
use tandem::chain::Chain;
use tandem_contracts::suite::GenesisConfig;
use tandem_contracts::world::World;

/// An anvil that ends with the test.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: String,
}

impl Anvil {
    pub(crate) async fn start() -> (Self, Chain) {
        Self::start_as(31_337).await
    }

    pub(crate) async fn start_as(chain_id: u64) -> (Self, Chain) {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let child = Command::new(root.join("node_modules/.bin/anvil"))
            .args(["--port", &port.to_string(), "--network", "optimism", "--slots-in-an-epoch", "1", "--order", "fifo"])
            .args(["--gas-limit", "60000000", "--block-time", "1", "--chain-id", &chain_id.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil is installed by `npm ci`");
        let anvil = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..100 {
            if let Ok(chain) = Chain::connect(&anvil.url).await {
                return (anvil, chain);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("anvil does not answer at {}", anvil.url);
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A funded deployer.
pub(crate) async fn deployer(chain: &Chain) -> PrivateKeySigner {
    let key = PrivateKeySigner::random();
    fund(chain, key.address()).await;
    key
}

pub(crate) async fn fund(chain: &Chain, account: Address) {
    let balance = U256::from(10u128.pow(20));
    chain.provider().raw_request::<_, ()>("anvil_setBalance".into(), (account, balance)).await.unwrap();
}

/// The devnet with people in it.
pub(crate) fn config() -> GenesisConfig {
    let mut config = GenesisConfig::devnet();
    World::new().populate(&mut config);
    config
}
