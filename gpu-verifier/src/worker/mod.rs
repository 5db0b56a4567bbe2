//! The verifier's worker: leases audits from keepers, buys a response like any client, re-runs it, and turns the verdicts of
//! an epoch into one row of weights per subnet, committed before and revealed after the deadline.
//!
//! - [`channels`] pays for what a probe asks, [`audit`] buys and judges one response, which
//!   [`rerun`] runs again;
//! - [`row`] turns verdicts into weights, a pure function;
//! - [`epoch`] commits and reveals;
//! - [`keepers`] speaks to keepers, [`store`] remembers across restarts.

pub mod audit;
pub mod channels;
pub mod endpoint;
pub mod epoch;
mod jobs;
pub mod keepers;
mod purchase;
pub mod rerun;
pub mod row;
pub mod store;

pub use crate::probe;

use std::sync::Arc;
use std::time::Duration;

use alloy_signer_local::PrivateKeySigner;
use metrics::gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::audit::Auditor;
use self::keepers::Keepers;
use self::row::Speed;
use self::store::Store;
use crate::chain::{Chain, Head, Network};

/// How often the chain's time is read.
const LOOK: Duration = Duration::from_millis(500);

/// Settings of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Audits at the same time.
    pub concurrency: u16,
    /// What makes one correct contributor worth more than another.
    pub speed: Speed,
    /// Seconds before the commit deadline at which the row is formed; a twentieth of an epoch, at least two seconds, if none.
    pub commit_lead: Option<u64>,
}

/// Everything that a worker works with.
pub struct Worker {
    /// Signs commits and requests.
    pub hotkey: PrivateKeySigner,
    /// The network.
    pub network: Network,
    /// Its chain.
    pub chain: Arc<dyn Chain>,
    /// The keepers.
    pub keepers: Arc<Keepers>,
    /// Memory.
    pub store: Arc<Store>,
    /// Buys and judges.
    pub auditor: Arc<Auditor>,
    /// Settings.
    pub settings: Settings,
}

/// Works until `ending` is cancelled.
///
/// # Errors
/// When the state file fails, without which a worker must not sign.
pub async fn run(worker: Worker, ending: CancellationToken) -> anyhow::Result<()> {
    let worker = Arc::new(worker);
    let (publish, head) = watch::channel(Head::default());
    let clock = tokio::spawn(follow(worker.chain.clone(), publish));
    let jobs = tokio::spawn(jobs::run(worker.clone(), head.clone(), ending.clone()));
    let result = epoch::run(&worker, head, &ending).await;
    ending.cancel();
    jobs.await?;
    clock.abort();
    result
}

async fn follow(chain: Arc<dyn Chain>, publish: watch::Sender<Head>) {
    loop {
        match chain.head().await {
            Ok(head) => {
                gauge!("tandem_worker_head_number").set(head.number as f64);
                publish.send_if_modified(|known| std::mem::replace(known, head) != head);
            }
            Err(error) => tracing::warn!(%error, "cannot read the chain's head"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
