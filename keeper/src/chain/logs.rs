//! What validators put on chain because keepers would not take it, from the logs of WeightCommits.

use std::collections::BTreeMap;

use alloy::{
    providers::Provider,
    rpc::types::{Filter, Log},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use tandem_contracts::bindings::WeightCommits;
use tandem_protocol::{messages::SignatureBytes, reveal::Reveal};

use super::{BlockRef, ChainError, ChainReader, CommittedRows, OnChain, RpcChain, without_urls};

/// Blocks of one question to begin with. Services allow from some thousand on, or count results; nodes of one's own any.
const SPAN: u64 = 5_000;

impl RpcChain {
    /// Commits and reveals of `epoch` up to block `at`. The contract has checked that each came in time.
    pub(super) async fn rows_on_chain(&self, epoch: u64, at: &BlockRef) -> Result<OnChain, ChainError> {
        let Some(address) = self.network.weight_commits else { return Ok(OnChain::default()) };
        let start = self.last_block_before(self.network.clock.start_of(epoch), at).await?;
        let first = start.map_or(0, |block| block.number);
        let filter = Filter::new()
            .address(address)
            .event_signature(vec![WeightCommits::Committed::SIGNATURE_HASH, WeightCommits::Revealed::SIGNATURE_HASH])
            .topic2(U256::from(epoch));
        let logs = self.ranged(filter, first, at.number).await?;
        // By number, so it may be another chain's by now.
        if !self.is_canonical(at).await? {
            return Err(ChainError::NoBlock(at.hash.to_string()));
        }
        Ok(sort_out(&logs))
    }

    /// Logs of a range, asked for in spans that halve when a node refuses and grow again when it does not.
    async fn ranged(&self, filter: Filter, first: u64, last: u64) -> Result<Vec<Log>, ChainError> {
        let (mut from, mut span) = (first, SPAN);
        let mut logs = Vec::new();
        while from <= last {
            let to = last.min(from.saturating_add(span - 1));
            match self.provider.get_logs(&filter.clone().from_block(from).to_block(to)).await {
                Ok(found) => {
                    logs.extend(found);
                    from = to.saturating_add(1);
                    span = span.saturating_mul(2).min(SPAN);
                }
                Err(_) if to > from => span = (to - from).div_ceil(2),
                Err(error) => return Err(ChainError::Rpc { what: "eth_getLogs", reason: without_urls(&error) }),
            }
        }
        Ok(logs)
    }
}

/// Commits, and the rows that open a validator's last one. Strangers' are among them: who is a validator is for the
/// aggregation to say.
fn sort_out(logs: &[Log]) -> OnChain {
    let mut found = OnChain::default();
    let mut shown = BTreeMap::new();
    for log in logs {
        if let Ok(event) = WeightCommits::Committed::decode_log(&log.inner) {
            found.commits.insert((event.netuid, event.validator, event.seq), event.commitHash);
        } else if let Ok(event) = WeightCommits::Revealed::decode_log(&log.inner) {
            let entry =
                |bytes: &[u8]| (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]));
            let reveal = Reveal {
                netuid: event.netuid,
                epoch: event.epoch,
                validator: event.validator,
                seq: event.seq,
                salt: event.salt,
                row: event.row.chunks_exact(4).map(entry).collect(),
                signature: SignatureBytes::ZERO,
                receipts: Vec::new(),
            };
            shown.insert((reveal.netuid, reveal.validator, reveal.seq), reveal);
        }
    }
    let last = found.committed();
    shown.retain(|&(netuid, validator, seq), _| last.get(&(netuid, validator)).is_some_and(|last| last.0 == seq));
    found.reveals = shown.into_values().collect();
    found
}

/// Whether the chain holds this very commit as its validator's last one of the epoch.
pub fn is_committed(commits: &CommittedRows, reveal: &Reveal, commit: B256) -> bool {
    commits.get(&(reveal.netuid, reveal.validator)) == Some(&(reveal.seq, commit))
}
