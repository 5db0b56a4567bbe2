//! One row per subnet and epoch: formed shortly before the commit deadline, committed to every keeper, revealed to every keeper
//! after it. The only sequence number used is 1, and the state file holds what was signed before anybody sees it, so there
//! are never two commits for one number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct as _;
use metrics::counter;
use tandem_protocol::clock::EpochClock;
use tandem_protocol::messages::{CommitReceipt, WeightsCommit};
use tandem_protocol::reveal::Reveal;
use tandem_protocol::signed::{self, Signed};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::row::{Finding, row};
use super::store::StoredCommit;
use crate::chain::Head;

/// Sequence number of every commit.
const SEQ: u32 = 1;
/// Epochs before its own that a row takes into account for contributors who are a little off all the time: a week of hours.
const LOOK_BACK: u64 = 167;
/// Between two attempts to reach a keeper.
const PAUSE: Duration = Duration::from_millis(400);

/// Where an epoch stands for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The row is due.
    Commit,
    /// The row may be shown.
    Reveal,
}

/// What is due at `time`: at most one epoch's commits and one epoch's reveals.
fn due(clock: &EpochClock, lead: u64, time: u64) -> Vec<(u64, Stage)> {
    let Some(epoch) = clock.epoch_at(time) else { return Vec::new() };
    let deadline = clock.commit_deadline(epoch);
    let mut due = Vec::new();
    if epoch > 0 && time < clock.reveal_deadline(epoch - 1) {
        due.push((epoch - 1, Stage::Reveal));
    }
    if time >= deadline {
        due.push((epoch, Stage::Reveal));
    } else if time >= deadline.saturating_sub(lead) {
        due.push((epoch, Stage::Commit));
    }
    due
}

/// Seconds before the commit deadline at which rows are formed if nothing else is asked for.
fn default_lead(clock: &EpochClock) -> u64 {
    (clock.length() / 20).max(2)
}

/// Commits and reveals until `ending`.
///
/// # Errors
/// When the state file fails.
pub(super) async fn run(
    worker: &Arc<Worker>,
    mut head: watch::Receiver<Head>,
    ending: &CancellationToken,
) -> anyhow::Result<()> {
    let lead = worker.settings.commit_lead.unwrap_or_else(|| default_lead(&worker.network.clock));
    let mut begun = BTreeSet::new();
    let mut senders = JoinSet::new();
    loop {
        let time = head.borrow_and_update().time;
        for (epoch, stage) in due(&worker.network.clock, lead, time) {
            if !begun.insert((epoch, stage == Stage::Reveal)) {
                continue;
            }
            if stage == Stage::Commit {
                form(worker, epoch).await?;
                worker.store.prune(epoch).await?;
            }
            for commit in worker.store.commits(epoch).await? {
                for keeper in 0..worker.keepers.count() {
                    let (worker, head, commit) = (worker.clone(), head.clone(), commit.clone());
                    senders.spawn(async move { send(&worker, head, epoch, stage, &commit, keeper).await });
                }
            }
            begun.retain(|(old, _)| old + 2 > epoch);
        }
        // Errors of single senders are logged by themselves.
        while senders.try_join_next().is_some() {}
        tokio::select! {
            changed = head.changed() => changed?,
            () = ending.cancelled() => return Ok(()),
        }
    }
}

/// Turns the findings of an epoch into rows and stores their commits.
async fn form(worker: &Worker, epoch: u64) -> anyhow::Result<()> {
    let by_subnet = |findings: Vec<(u16, Finding)>| {
        let mut subnets: BTreeMap<u16, Vec<Finding>> = BTreeMap::new();
        findings.into_iter().for_each(|(netuid, finding)| subnets.entry(netuid).or_default().push(finding));
        subnets
    };
    let subnets = by_subnet(worker.store.findings(epoch..epoch + 1).await?);
    let mut earlier = by_subnet(worker.store.findings(epoch.saturating_sub(LOOK_BACK)..epoch).await?);
    for (netuid, findings) in subnets {
        let earlier = earlier.remove(&netuid).unwrap_or_default();
        let row = row(&findings, &earlier, worker.settings.speed, worker.auditor.policy());
        let salt = B256::from(rand::random::<[u8; 32]>());
        let mut commit = StoredCommit { netuid, seq: SEQ, salt, row, signature: Default::default() };
        let message = reveal(worker, epoch, &commit, Vec::new()).commit(worker.network.chain_id, worker.network.oracle);
        commit.signature = Signed::new(message, &worker.network.oracle_domain(), &worker.hotkey)?.signature;
        let commit = worker.store.put_commit(epoch, &commit).await?;
        counter!("tandem_worker_rows_total").increment(1);
        tracing::info!(epoch, netuid, row = ?commit.row, audits = findings.len(), "formed a row");
    }
    Ok(())
}

fn reveal(
    worker: &Worker,
    epoch: u64,
    commit: &StoredCommit,
    receipts: Vec<(Address, tandem_protocol::messages::SignatureBytes)>,
) -> Reveal {
    Reveal {
        netuid: commit.netuid,
        epoch,
        validator: worker.hotkey.address(),
        seq: commit.seq,
        salt: commit.salt,
        row: commit.row.clone(),
        signature: commit.signature,
        receipts,
    }
}

/// Shows one commit or its row to one keeper until it is taken or too late.
async fn send(
    worker: &Worker,
    head: watch::Receiver<Head>,
    epoch: u64,
    stage: Stage,
    commit: &StoredCommit,
    keeper: usize,
) {
    let clock = &worker.network.clock;
    let until = match stage {
        Stage::Commit => clock.commit_deadline(epoch),
        Stage::Reveal => clock.reveal_deadline(epoch),
    };
    loop {
        let sent = match stage {
            Stage::Commit => send_commit(worker, epoch, commit, keeper).await,
            Stage::Reveal => send_reveal(worker, epoch, commit, keeper).await,
        };
        match sent {
            Ok(()) => return,
            Err(error) if head.borrow().time >= until => {
                let netuid = commit.netuid;
                tracing::warn!(
                    epoch,
                    netuid,
                    ?stage,
                    error = format!("{error:#}"),
                    "a keeper did not take a row in time"
                );
                return;
            }
            Err(error) => tracing::debug!(epoch, ?stage, error = format!("{error:#}"), "will try again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn send_commit(worker: &Worker, epoch: u64, commit: &StoredCommit, keeper: usize) -> anyhow::Result<()> {
    let message: WeightsCommit =
        reveal(worker, epoch, commit, Vec::new()).commit(worker.network.chain_id, worker.network.oracle);
    let hash = message.eip712_hash_struct();
    let answer = worker.keepers.commit(keeper, &Signed { message, signature: commit.signature }).await?;
    let receipt = CommitReceipt { epoch, commit: hash };
    let signer = signed::recover(receipt.eip712_signing_hash(&worker.network.oracle_domain()), &answer.signature)?;
    anyhow::ensure!(signer == answer.keeper, "the receipt of {} is signed by {signer}", answer.keeper);
    worker.store.put_receipt(epoch, commit, signer, &answer.signature).await?;
    Ok(())
}

async fn send_reveal(worker: &Worker, epoch: u64, commit: &StoredCommit, keeper: usize) -> anyhow::Result<()> {
    // A receipt of somebody who is no keeper would spoil the rest.
    let keepers = worker.chain.keepers(epoch).await?;
    let mut receipts = worker.store.receipts(epoch, commit).await?;
    receipts.retain(|(signer, _)| keepers.contains(signer));
    worker.keepers.reveal(keeper, &reveal(worker, epoch, commit, receipts)).await?;
    tracing::info!(epoch, netuid = commit.netuid, keeper, "revealed a row");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_due_before_their_deadline_and_reveals_from_it_on_into_the_next_epoch() {
        let clock = EpochClock::new(1_000, 20).unwrap();
        let stages = |time| due(&clock, default_lead(&clock), time);
        assert_eq!(stages(999), []);
        assert_eq!(stages(1_000), []);
        assert_eq!(stages(1_016), [(0, Stage::Commit)]);
        assert_eq!(stages(1_018), [(0, Stage::Reveal)]);
        assert_eq!(stages(1_021), [(0, Stage::Reveal)]);
        assert_eq!(stages(1_022), []);
        assert_eq!(stages(1_037), [(1, Stage::Commit)]);
    }
}
