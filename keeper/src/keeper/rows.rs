//! Rows of the other keepers. Rows are named first: of what validators have shown to everybody, nothing travels twice.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use metrics::counter;
use rayon::prelude::*;
use tandem_protocol::{api::RowNames, messages::row_hash, reveal::Reveal};

use super::{Keeper, collect::Counting};
use crate::{
    chain::EpochFacts,
    peers::{Peer, PeerError, Peers, Rows, peers_of},
    rows::{IntakeFault, ProposalFault, check_list, judge_row},
    telemetry,
};

/// Where rows of no more subnets than these are missing, they are asked for by subnet; otherwise all at once.
const FEW_SUBNETS: usize = 8;

/// Rows by the hashes in their names.
pub(super) type ByName = BTreeMap<B256, Reveal>;

fn by_name(reveals: Vec<Reveal>) -> ByName {
    reveals.into_par_iter().map(|reveal| (row_hash(&reveal), reveal)).collect()
}

impl Keeper {
    /// Rows that this keeper holds.
    pub(super) async fn held(&self, epoch: u64) -> anyhow::Result<ByName> {
        let rows = self.store.reveals(epoch).await?;
        Ok(by_name(rows.into_iter().map(|held| held.reveal).collect()))
    }

    /// Names of a peer's rows, and at least those rows among them that are not held here.
    async fn named(
        &self,
        peer: &Peer,
        epoch: u64,
        rows: Rows,
        held: &ByName,
    ) -> Result<Option<(RowNames, ByName)>, PeerError> {
        let Some(names) = self.peers.names(peer, epoch, rows).await? else { return Ok(None) };
        let missing = names.rows.iter().filter(|name| !held.contains_key(&name.hash));
        let subnets: BTreeSet<_> = missing.map(|name| Some(name.netuid)).collect();
        let asked = if subnets.len() > FEW_SUBNETS { BTreeSet::from([None]) } else { subnets };
        let mut sent = Vec::new();
        for netuid in asked {
            match self.peers.rows(peer, epoch, rows, netuid).await? {
                Some(list) => sent.extend(list.reveals),
                None => return Ok(None),
            }
        }
        Ok(Some((names, by_name(sent))))
    }

    /// Takes in what a peer holds, once in an epoch.
    pub(super) async fn ask_for_rows(&self, peer: &Peer, facts: &EpochFacts, held: &ByName) {
        if self.live().heard.1.contains(&peer.keeper) {
            return;
        }
        let sent = match self.named(peer, facts.epoch, Rows::Held, held).await {
            Ok(Some((_, sent))) => sent,
            Ok(None) => return,
            Err(error) => return tracing::debug!(peer = peer.base, %error, "no rows"),
        };
        let domain = self.network.domain();
        let new = sent.iter().filter(|(hash, reveal)| reveal.epoch == facts.epoch && !held.contains_key(*hash));
        for (_, reveal) in new {
            let Ok(verdict) = judge_row(reveal, &self.network, &domain, facts, &self.sound) else { continue };
            let fault = verdict.err().map(|fault| fault.to_string());
            if let Err(error) = self.store.put_reveal(reveal, fault.as_deref()).await {
                return tracing::error!(%error, "a peer's row could not be stored");
            }
        }
        self.live_mut().heard.1.insert(peer.keeper);
    }

    /// Rows of the lists that matter now, from the store or from any peer that has them.
    pub(super) async fn lists(
        &self,
        facts: &EpochFacts,
        wanted: BTreeSet<B256>,
    ) -> anyhow::Result<BTreeMap<B256, Counting>> {
        let mut lists = BTreeMap::new();
        for content in wanted {
            let known = self.live().listed.get(&content).cloned();
            let counting = match known {
                Some(counting) => Some(counting),
                None => match self.store.list(facts.epoch, content).await? {
                    Some(reveals) => Some(self.check_list(content, &reveals, facts)?),
                    None => self.fetch_list(content, facts).await?,
                },
            };
            if let Some(counting) = counting {
                self.live_mut().listed.insert(content, counting.clone());
                lists.insert(content, counting);
            }
        }
        Ok(lists)
    }

    async fn fetch_list(&self, content: B256, facts: &EpochFacts) -> anyhow::Result<Option<Counting>> {
        let epoch = facts.epoch;
        let held = self.held(epoch).await?;
        for peer in peers_of(&facts.keeper_set, self.attester.address(), &self.endpoints) {
            let (names, sent) = match self.named(&peer, epoch, Rows::List(content), &held).await {
                Ok(Some(named)) => named,
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(peer = peer.base, %content, %error, "no list");
                    continue;
                }
            };
            let row = |hash: &B256| held.get(hash).or_else(|| sent.get(hash)).cloned();
            // A row that was named and not sent is missing here, so the list has another hash.
            let reveals: Vec<Reveal> = names.rows.iter().filter_map(|name| row(&name.hash)).collect();
            match self.check_list(content, &reveals, facts) {
                Ok(counting) => {
                    self.store.put_list(epoch, content, &reveals).await?;
                    return Ok(Some(counting));
                }
                Err(fault) => {
                    counter!(telemetry::REFUSED_PROPOSALS).increment(1);
                    tracing::warn!(peer = peer.base, epoch, %content, %fault, "list refused");
                }
            }
        }
        Ok(None)
    }

    /// See [`check_list`]; of a row that was taken in before, no signature is checked again.
    pub(super) fn check_list(
        &self,
        content: B256,
        reveals: &[Reveal],
        facts: &EpochFacts,
    ) -> Result<Counting, ProposalFault> {
        let domain = self.network.domain();
        let judge = |reveal: &Reveal| -> Result<bool, IntakeFault> {
            judge_row(reveal, &self.network, &domain, facts, &self.sound).map(|verdict| verdict.is_ok())
        };
        check_list(content, reveals, facts.epoch, judge)
    }
}
