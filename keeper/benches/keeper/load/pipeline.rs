//! One epoch from the first commit to claims that are served.

use alloy_primitives::keccak256;
use alloy_sol_types::SolCall;
use tandem_contracts::bindings::{EpochOracle, epoch_oracle::IEpochOracle};
use tandem_keeper::{
    chain::{BlockRef, ChainReader},
    claims::ClaimsIndex,
    inputs::{Sources, assemble},
    rows::SoundRows,
};
use tandem_protocol::{bundle::EpochBundle, messages::rows_hash, outcome, tree::RewardTree};

use super::{
    Clients, Figures, Meter, Size, Target,
    clients::Order,
    memory_mib,
    network::{EPOCH, LENGTH},
    served::{Served, until},
};

/// Validators' connections.
const CONNECTIONS: usize = 64;
/// All of it, seconds.
const SECONDS: f64 = 20.0;
/// Peak of the process, MiB.
const MEMORY: f64 = 2_048.0;

/// Measures an epoch of that size.
pub(crate) async fn pipeline(size: &Size, mut clients: Clients, apart: bool) -> Figures {
    let mut figures = Figures::new("pipeline");
    let served = Served::start(size, &mut clients).await;
    let bytes: usize = clients.ask(&Order::Sign);
    let rows = size.rows().len();
    figures.add("rows", rows as f64, "");
    figures.add("weights", rows as f64 * f64::from(size.uids), "");
    figures.add("a row as JSON", bytes as f64 / rows as f64, "B");
    figures.add("memory before", memory_mib("self", "VmRSS"), "MiB");

    let (server, clock) = (served.address, size.network().clock);
    let whole = Meter::start();
    let (mut wall, mut cpu) = (0.0, 0.0);
    let mut stage = |figures: &mut Figures, name: &str, meter: &Meter| {
        let (of_wall, of_cpu) = meter.read();
        figures.stage(name, meter);
        (wall, cpu) = (wall + of_wall, cpu + of_cpu);
        (wall, cpu)
    };

    let meter = Meter::start();
    clients.flood(&Order::Commit { server, connections: CONNECTIONS });
    stage(&mut figures, "commits checked, stored, receipted", &meter);

    // Past the end of the epoch and every keeper's turn to settle it, within the time for reveals.
    served.chain.set_time(clock.end_of(EPOCH) + LENGTH / 12);
    let settled = async || served.chain.sent().contains(&"settle".to_owned());
    until("settled", settled).await;
    let meter = Meter::start();
    clients.flood(&Order::Reveal { server, connections: CONNECTIONS });
    stage(&mut figures, "rows judged, stored", &meter);

    served.chain.set_time(clock.reveal_deadline(EPOCH) + 1);
    let meter = Meter::start();
    let chosen = async || served.store.chosen(EPOCH, 0).await.unwrap().is_some();
    until("a list was decided for", chosen).await;
    stage(&mut figures, "list agreed", &meter);
    let meter = Meter::start();
    let attested = async || !served.store.attestations(EPOCH).await.unwrap().is_empty();
    until("the report is signed", attested).await;
    stage(&mut figures, "Yuma, tree, bundle, report signed", &meter);
    let meter = Meter::start();
    let posted = async || served.chain.posted().len() == 2;
    until("the report is posted", posted).await;
    stage(&mut figures, "signatures gathered, posted", &meter);

    served.chain.set_time(served.chain.time() + LENGTH / 4);
    let active = async || served.chain.active() == 2;
    until("the report is active", active).await;
    let meter = Meter::start();
    served.until_claims_of(EPOCH).await;
    let (wall, cpu) = stage(&mut figures, "claims of the new root served", &meter);
    figures.promised("in all", wall, "s", Some(Target::AtMost(SECONDS)));
    figures.add("in all, processor", cpu, "s");
    figures.add("with what lies between the stages", whole.read().0, "s");
    figures.promised("peak memory", memory_mib("self", "VmHWM"), "MiB", Some(Target::AtMost(MEMORY)));

    let bundle = size_of_report(&mut figures, &served).await;
    if apart {
        one_by_one(&mut figures, &served, bundle).await;
    }
    served.stop().await;
    figures
}

/// The bundle, and what goes on chain.
async fn size_of_report(figures: &mut Figures, served: &Served) -> EpochBundle {
    let report = served.chain.posted().pop().unwrap();
    let bytes = served.bundles.bytes(report.bundleHash).await.unwrap().unwrap();
    figures.add("bundle", bytes.len() as f64 / f64::from(1 << 20), "MiB");
    let bundle = EpochBundle::decode(&bytes).unwrap();
    figures.add("leaves", bundle.outcome.rewards.len() as f64, "");
    let counted: usize = bundle.inputs.subnets.iter().map(|subnet| subnet.rows.len()).sum();
    let all: usize = bundle.inputs.subnets.iter().map(|subnet| subnet.rows.len() + subnet.dropped.len()).sum();
    assert_eq!(counted, all, "rows were dropped");
    let signatures = vec![IEpochOracle::Signature::default(); served.facts().await.keeper_set.threshold];
    let call = EpochOracle::postCall { report: Default::default(), signatures };
    figures.add("input of the posting transaction", call.abi_encode().len() as f64, "B");
    bundle
}

/// The pure steps of one report, on one thread each.
async fn one_by_one(figures: &mut Figures, served: &Served, bundle: EpochBundle) {
    let content = served.store.chosen(EPOCH, 0).await.unwrap().unwrap();
    let reveals = served.store.list(EPOCH, content).await.unwrap().unwrap();
    let facts = served.facts().await;
    let netuids: Vec<u16> = facts.subnets.iter().map(|subnet| subnet.netuid).collect();
    let granted = served.chain.granted(EPOCH..=EPOCH, &netuids).await.unwrap();

    let meter = Meter::start();
    let before = served.bundles.get(served.before.bundleHash).await.unwrap().unwrap();
    figures.stage("apart: last bundle read and checked", &meter);
    let inputs = &bundle.inputs;
    let block = BlockRef { number: inputs.inputs_block_number, hash: inputs.inputs_block, time: 0 };
    let meter = Meter::start();
    assert_eq!(rows_hash(&reveals), content);
    figures.stage("apart: name of the list", &meter);
    let sound = SoundRows::default();
    let put_together = || {
        assemble(&Sources {
            network: &served.chain.network,
            facts: &facts,
            inputs_block: block,
            attempt: 0,
            previous: Some((inputs.previous_report, served.before.bundleHash, &before)),
            reveals: &reveals,
            granted: &granted,
            sound: &sound,
        })
        .unwrap()
    };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let meter = Meter::start();
    drop(one.install(put_together));
    figures.stage("apart: inputs put together, no signature known, one thread", &meter);
    let meter = Meter::start();
    let assembled = put_together();
    figures.stage("apart: inputs put together, signatures known", &meter);
    drop((before, reveals));
    assert!(assembled == bundle.inputs, "the inputs are not the same again");
    let meter = Meter::start();
    let computed = outcome::compute(&assembled).unwrap();
    figures.stage("apart: Yuma of all subnets, rewards, tree", &meter);
    assert!(computed == bundle.outcome, "the outcome is not the same again");
    drop((assembled, computed));
    let meter = Meter::start();
    let bytes = bundle.encode();
    figures.stage("apart: bundle encoded", &meter);
    let meter = Meter::start();
    let hash = keccak256(&bytes);
    figures.stage("apart: bundle named", &meter);
    let meter = Meter::start();
    served.bundles.put(hash, bytes.into()).await.unwrap();
    figures.stage("apart: bundle checked and stored", &meter);
    let rewards = bundle.outcome.rewards;
    let meter = Meter::start();
    RewardTree::new(rewards.clone()).unwrap();
    figures.stage("apart: tree", &meter);
    let meter = Meter::start();
    ClaimsIndex::new(EPOCH, hash, rewards).unwrap();
    figures.stage("apart: tree and index of claims", &meter);
}
