//! Subnets, neurons, hotkeys and hyperparameters.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::bindings::{
    SubnetRegistry,
    subnet_registry::{ISubnetRegistry::Hyperparameters, SubnetRegistry::SubnetRegistryEvents as Registry},
};

use super::{At, Check, small};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Neuron {
    owner: Address,
    hotkey: Address,
    registered_at: u64,
    endpoint: String,
}

#[derive(Default)]
struct Subnet {
    owner: Address,
    offered: Address,
    registered_at: u64,
    registered_epoch: u64,
    name: String,
    lock: u128,
    neurons: Vec<Neuron>,
    /// From which epoch on, and the new ones.
    hyperparameters: Vec<(u64, Hyperparameters)>,
    pruned_from: Option<u64>,
}

#[derive(Default)]
pub(super) struct Books {
    subnets: BTreeMap<u16, Subnet>,
    owners: BTreeMap<Address, Address>,
    /// In how many subnets a hotkey sits from the next epoch on.
    seats: BTreeMap<Address, u64>,
    limits: Vec<(u64, u16)>,
}

impl Books {
    pub(super) fn read(&mut self, at: At, log: &Log) {
        match Registry::decode_log(log).expect("an event of the registry").data {
            Registry::SubnetRegistered(event) => {
                let genesis = event.lock.is_zero();
                let subnet = Subnet {
                    owner: event.owner,
                    registered_at: at.timestamp,
                    registered_epoch: if genesis { 0 } else { at.epoch },
                    name: event.name,
                    lock: small(event.lock),
                    ..Subnet::default()
                };
                self.subnets.insert(event.netuid, subnet);
            }
            Registry::NeuronRegistered(event) => {
                let neuron = Neuron {
                    owner: event.owner,
                    hotkey: event.hotkey,
                    registered_at: at.timestamp,
                    endpoint: event.endpoint,
                };
                let (subnet, uid) = (self.subnet(event.netuid), usize::from(event.uid));
                if uid == subnet.neurons.len() {
                    subnet.neurons.push(neuron);
                } else {
                    subnet.neurons[uid] = neuron;
                }
                *self.seats.entry(event.hotkey).or_default() += 1;
            }
            Registry::NeuronLeft(event) => {
                let neuron = &self.subnet(event.netuid).neurons[usize::from(event.uid)];
                assert_eq!(neuron.hotkey, event.hotkey);
                *self.seats.entry(event.hotkey).or_default() -= 1;
            }
            Registry::EndpointChanged(event) => {
                self.subnet(event.netuid).neurons[usize::from(event.uid)].endpoint = event.endpoint;
            }
            Registry::HyperparametersScheduled(event) => {
                let params = Hyperparameters {
                    kappa: event.params.kappa,
                    bondsMovingAverage: event.params.bondsMovingAverage,
                    bondsPenalty: event.params.bondsPenalty,
                    maxValidators: event.params.maxValidators,
                    maxUids: event.params.maxUids,
                    activityCutoff: event.params.activityCutoff,
                };
                self.subnet(event.netuid).hyperparameters.push((event.fromEpoch, params));
            }
            Registry::SubnetOffered(event) => self.subnet(event.netuid).offered = event.to,
            Registry::SubnetOwnerChanged(event) => {
                let subnet = self.subnet(event.netuid);
                assert_eq!((subnet.owner, subnet.offered), (event.from, event.to));
                (subnet.owner, subnet.offered) = (event.to, Address::ZERO);
            }
            Registry::HotkeyBound(event) => {
                self.owners.insert(event.hotkey, event.owner);
            }
            Registry::SubnetPruned(event) => self.subnet(event.netuid).pruned_from = Some(event.fromEpoch),
            Registry::MaxSubnetsScheduled(event) => self.limits.push((event.fromEpoch, event.limit)),
            _ => {}
        }
    }

    /// First epoch without the subnet.
    pub(super) fn pruned_from(&self, netuid: u16) -> Option<u64> {
        self.subnets.get(&netuid)?.pruned_from
    }

    fn subnet(&mut self, netuid: u16) -> &mut Subnet {
        self.subnets.get_mut(&netuid).expect("a subnet is registered first")
    }

    pub(super) fn compare(&self, check: &mut Check<'_>) {
        let (registry, running) = (check.facts.suite.subnet_registry, check.running());
        for (netuid, subnet) in &self.subnets {
            subnet.compare(check, *netuid);
        }
        let count = check.view(registry, SubnetRegistry::subnetCountCall {});
        check.same("subnets: count", (), usize::from(count), self.subnets.len());
        let alive = |subnet: &Subnet| {
            subnet.registered_epoch <= running && subnet.pruned_from.is_none_or(|from| running < from)
        };
        let live: Vec<u16> =
            self.subnets.iter().filter(|(_, subnet)| alive(subnet)).map(|(netuid, _)| *netuid).collect();
        check.same("subnets: live", (), check.view(registry, SubnetRegistry::liveAtCall { epoch: running }), live);
        let limit = self.limits.iter().rev().find(|(from, _)| *from <= running).map(|(_, limit)| *limit);
        let limit = limit.unwrap_or(check.facts.config.subnets.max_subnets);
        check.same("subnets: limit", (), check.view(registry, SubnetRegistry::maxSubnetsCall {}), limit);
        for hotkey in self.owners.keys().chain(self.seats.keys()) {
            let there = check.view(registry, SubnetRegistry::ownerOfHotkeyCall { hotkey: *hotkey });
            let owner = self.owners.get(hotkey).copied().unwrap_or_default();
            check.same("neurons: owner of a hotkey", hotkey, there, owner);
        }
        for (hotkey, seats) in &self.seats {
            let ask = SubnetRegistry::subnetsOfAtCall { hotkey: *hotkey, epoch: running + 1 };
            check.same("neurons: seats", hotkey, check.view(registry, ask), U256::from(*seats));
        }
    }
}

impl Subnet {
    fn compare(&self, check: &mut Check<'_>, netuid: u16) {
        let (registry, running) = (check.facts.suite.subnet_registry, check.running());
        let gone = self.pruned_from.is_some_and(|from| from <= running + 1);
        let neurons = if gone { Vec::new() } else { self.neurons.clone() };
        let there = check.view(registry, SubnetRegistry::subnetOfCall { netuid });
        check.same("subnet: owner", netuid, there.owner, self.owner);
        let since = (there.registeredAt, there.registeredEpoch);
        check.same("subnet: since", netuid, since, (self.registered_at, self.registered_epoch));
        check.same("subnet: lock", netuid, there.lockPaid, self.lock);
        check.same("subnet: genesis", netuid, there.genesis, self.lock == 0);
        check.same("subnet: name", netuid, there.name, self.name.clone());
        check.same("subnet: neurons", netuid, usize::from(there.neuronCount), neurons.len());
        let there = check.view(registry, SubnetRegistry::neuronsOfCall { netuid });
        let there: Vec<Neuron> = there
            .into_iter()
            .map(|neuron| Neuron {
                owner: neuron.owner,
                hotkey: neuron.hotkey,
                registered_at: neuron.registeredAt,
                endpoint: neuron.endpoint,
            })
            .collect();
        check.same("neurons: uid to owner, hotkey and endpoint", netuid, there, neurons);
        let offered = check.view(registry, SubnetRegistry::offeredToCall { netuid });
        check.same("subnet: offered to", netuid, offered, self.offered);
        let pruned = check.view(registry, SubnetRegistry::prunedFromOfCall { netuid });
        check.same("subnet: pruned from", netuid, pruned, self.pruned_from.unwrap_or_default());
        for epoch in [running, running + 1] {
            let changed = self.hyperparameters.iter().rev().find(|(from, _)| *from <= epoch);
            let there = check.view(registry, SubnetRegistry::hyperparametersAtCall { netuid, epoch });
            let books = changed.map_or_else(|| defaults(check), |(_, params)| params.clone());
            let own = changed.is_some();
            check.same("subnet: own hyperparameters", netuid, own && there == books, own);
            assert_eq!(there, books, "hyperparameters of {netuid} as of {epoch}");
        }
    }
}

fn defaults(check: &Check<'_>) -> Hyperparameters {
    let params = &check.facts.config.subnets.hyperparameters;
    Hyperparameters {
        kappa: params.kappa,
        bondsMovingAverage: params.bonds_moving_average,
        bondsPenalty: params.bonds_penalty,
        maxValidators: params.max_validators,
        maxUids: params.max_uids,
        activityCutoff: params.activity_cutoff,
    }
}
