//! Brings vouchers to the chain: one transaction at a time, every so often.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use metrics::counter;
use tandem_protocol::messages::Voucher;
use tandem_protocol::signed::Signed;
use tokio_util::sync::CancellationToken;

use super::metric;
use super::till::{Till, TillError};
use crate::chain::Chain;

/// Vouchers in one transaction.
const BATCH: usize = 40;
/// A voucher that did not settle in so many mined transactions never will: its channel was settled further, or closed.
const ATTEMPTS: u32 = 3;

/// Settles every `every`, and once more at the end.
pub async fn run(till: Arc<Till>, chain: Arc<dyn Chain>, every: Duration, ending: CancellationToken) {
    let mut failures = HashMap::new();
    loop {
        let ended = tokio::select! {
            () = ending.cancelled() => true,
            () = tokio::time::sleep(every) => false,
        };
        if let Err(error) = settle(&till, chain.as_ref(), &mut failures).await {
            tracing::warn!(%error, "cannot settle; will try again");
        }
        if ended {
            return;
        }
    }
}

/// One round: every voucher that is owed is tried once. `failures` counts, per channel, mined transactions in which its voucher
/// did not settle.
///
/// # Errors
/// [`TillError`] when the chain or the state file failed; the next round does what is left.
pub async fn settle(till: &Till, chain: &dyn Chain, failures: &mut HashMap<U256, u32>) -> Result<(), TillError> {
    for batch in till.owed(u32::MAX).await?.chunks(BATCH) {
        settle_batch(till, chain, batch, failures).await?;
    }
    Ok(())
}

async fn settle_batch(
    till: &Till,
    chain: &dyn Chain,
    vouchers: &[Signed<Voucher>],
    failures: &mut HashMap<U256, u32>,
) -> Result<(), TillError> {
    let transaction = chain.settle(till.batch(vouchers)).await?;
    let mut settled = 0_usize;
    for Signed { message: Voucher { channelId: id, amount, .. }, .. } in vouchers {
        if till.reconcile(*id).await? >= *amount {
            failures.remove(id);
            settled += 1;
            continue;
        }
        let attempts = failures.entry(*id).or_default();
        *attempts += 1;
        tracing::warn!(channel = %id, attempts, %transaction, "a voucher did not settle");
        if *attempts >= ATTEMPTS {
            tracing::error!(channel = %id, "a voucher never settles; giving it up");
            till.write_off(*id).await?;
            failures.remove(id);
        }
    }
    counter!(metric::VOUCHERS_SETTLED).increment(settled as u64);
    tracing::info!(%transaction, settled, of = vouchers.len(), "settled");
    Ok(())
}
