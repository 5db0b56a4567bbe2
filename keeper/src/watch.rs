//! Every report recomputed as it is posted, whoever posted it.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;

use crate::{
    chain::{ChainReader, ReportStatus},
    network::Network,
    replay::{BundleSources, Replay, replay},
};

/// A void report is posted again under its epoch: so many epochs before the last one are looked at again.
const WINDOW: u64 = 64;

/// Remembers which reports it has recomputed.
pub struct Watch {
    network: Network,
    chain: Arc<dyn ChainReader>,
    sources: BundleSources,
    from: Option<u64>,
    /// Reports that were recomputed, by epoch.
    done: BTreeMap<u64, B256>,
    /// The last posted report at the last look at which nothing remained to be done.
    settled: Option<B256>,
    unresolved: u32,
}

impl Watch {
    /// Watches from epoch `from` on, or from the report that is the last one at the first look.
    pub fn new(network: Network, chain: Arc<dyn ChainReader>, sources: BundleSources, from: Option<u64>) -> Self {
        Self { network, chain, sources, from, done: BTreeMap::new(), settled: None, unresolved: 0 }
    }

    /// Posted reports that could not be recomputed at the last look.
    pub fn unresolved(&self) -> u32 {
        self.unresolved
    }

    /// Last epoch that was recomputed, if nothing before it is left to do.
    pub fn through(&self) -> Option<u64> {
        self.settled.and_then(|_| self.done.last_key_value().map(|(epoch, _)| *epoch))
    }

    /// Recomputes what was posted since the last look, and what could not be recomputed then.
    pub async fn look(&mut self) -> anyhow::Result<Vec<Replay>> {
        let heads = self.chain.heads().await?;
        let oracle = self.chain.oracle_state(&heads.latest).await?;
        let Some(last) = oracle.last_posted.filter(|last| self.settled != Some(last.hash)) else {
            return Ok(Vec::new());
        };
        self.settled = None;
        let from = *self.from.get_or_insert(last.epoch);
        let known = self.done.last_key_value().map_or(from, |(epoch, _)| epoch.saturating_sub(WINDOW));
        let (mut found, mut unresolved) = (Vec::new(), 0);
        for epoch in known.max(from)..=last.epoch {
            let stored = self.chain.stored_report(epoch, &heads.latest).await?;
            let posted = matches!(stored.status, ReportStatus::Pending | ReportStatus::Active);
            if !posted || self.done.get(&epoch) == Some(&stored.hash) {
                continue;
            }
            match replay(&self.network, self.chain.as_ref(), &self.sources, epoch).await {
                Ok(replayed) => {
                    self.done.insert(epoch, stored.hash);
                    found.push(replayed);
                }
                // Told at once, tried again: who posts a report and hides its bundle is to be noticed as well.
                Err(error) => {
                    unresolved += 1;
                    tracing::warn!(epoch, error = format!("{error:#}"), "not recomputed yet");
                }
            }
        }
        self.unresolved = unresolved;
        if unresolved == 0 {
            self.settled = Some(last.hash);
        }
        while self.done.len() as u64 > 2 * WINDOW {
            self.done.pop_first();
        }
        Ok(found)
    }
}
