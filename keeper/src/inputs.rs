//! From facts, rows and the previous bundle to the inputs of an epoch: pure, so that every keeper and every auditor puts
//! the same ones together.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use tandem_protocol::{
    bundle::{Carry, EpochBundle, EpochInputs, RULES_VERSION, SubnetInputs, SubnetOutcome},
    reveal::Reveal,
};

use crate::{
    chain::{BlockRef, EpochFacts, Granted},
    network::Network,
    rows::{IntakeFault, SoundRows, sort_rows},
};

/// What an epoch is put together from.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Network.
    pub network: &'a Network,
    /// The epoch as of its start, read at `inputs_block`.
    pub facts: &'a EpochFacts,
    /// The last block before the epoch's end.
    pub inputs_block: BlockRef,
    /// Attempt.
    pub attempt: u32,
    /// The last posted report: struct hash, bundle hash, bundle. `None` for the first.
    pub previous: Option<(B256, B256, &'a EpochBundle)>,
    /// The agreed list of rows.
    pub reveals: &'a [Reveal],
    /// Grants since the last posted report up to this epoch: what skipped epochs were granted is paid with this one.
    pub granted: &'a BTreeMap<u16, Granted>,
    /// Rows whose signatures need no second look.
    pub sound: &'a SoundRows,
}

/// Puts the inputs together.
pub fn assemble(sources: &Sources<'_>) -> Result<EpochInputs, IntakeFault> {
    let Sources { network, facts, inputs_block, attempt, previous, reveals, granted, sound } = sources;
    let before = previous.map(|(_, _, bundle)| bundle);
    let mut rows = sort_rows(reveals, network, facts, sound)?;
    let subnets = facts
        .subnets
        .iter()
        .map(|subnet| {
            let netuid = subnet.netuid;
            let last = before.and_then(|bundle| outcome_of(bundle, netuid));
            let rows = rows.remove(&netuid).unwrap_or_default();
            let granted = granted.get(&netuid).copied().unwrap_or_default();
            SubnetInputs {
                netuid,
                owner: subnet.owner,
                hyperparameters: subnet.hyperparameters,
                neurons: subnet.neurons.iter().map(|neuron| neuron.input.clone()).collect(),
                bonds: last.map_or_else(Vec::new, |outcome| padded(&outcome.bonds, subnet.neurons.len())),
                rows: rows.rows,
                dropped: rows.dropped,
                alpha: granted.alpha,
                usdc: granted.usdc,
                carry: last.map_or_else(Carry::default, |outcome| outcome.carry),
            }
        })
        .collect();
    Ok(EpochInputs {
        chain_id: network.chain_id,
        oracle: network.oracle,
        epoch: facts.epoch,
        attempt: *attempt,
        rules_version: RULES_VERSION,
        config_digest: facts.keeper_set.config_digest,
        inputs_block_number: inputs_block.number,
        inputs_block: inputs_block.hash,
        epoch_start: network.clock.start_of(facts.epoch),
        bonds_since: before.map_or(0, |bundle| bundle.inputs.epoch_start),
        previous_report: previous.map_or(B256::ZERO, |(report, _, _)| report),
        previous_bundle: previous.map_or(B256::ZERO, |(_, bundle, _)| bundle),
        neuron_immunity: facts.neuron_immunity,
        keepers: facts.keeper_set.keepers.clone(),
        subnets,
        rewards_before: before.map_or_else(Vec::new, |bundle| bundle.outcome.rewards.clone()),
    })
}

/// The first epoch whose grants a report after `previous` pays.
pub fn first_granted(previous: Option<&EpochBundle>) -> u64 {
    previous.map_or(0, |bundle| bundle.inputs.epoch.saturating_add(1))
}

fn outcome_of(bundle: &EpochBundle, netuid: u16) -> Option<&SubnetOutcome> {
    bundle.outcome.subnets.iter().find(|subnet| subnet.netuid == netuid)
}

/// Bonds of the uids that were there, none for those that came since.
fn padded(bonds: &[Vec<(u16, u16)>], neurons: usize) -> Vec<Vec<(u16, u16)>> {
    let mut bonds = bonds.to_vec();
    bonds.resize(neurons, Vec::new());
    bonds
}
