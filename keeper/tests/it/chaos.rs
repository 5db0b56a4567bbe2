//! Real keepers through storms: every third epoch something breaks at a random moment and is mended at another. In the two
//! epochs after it everything is in time again, whatever it was, and at no time does anybody sign two reports.
//!
//! `TANDEM_CHAOS_SEED=… TANDEM_CHAOS_EPOCHS=… cargo nextest run -p tandem-keeper chaos` repeats the choices, not the moments.

use std::{collections::BTreeSet, env, fmt::Debug, process::Command, str::FromStr, time::Duration};

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolStruct;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tandem_contracts::bindings::EpochOracle;
use tandem_protocol::bundle::EpochBundle;
use tokio::time::sleep;

use crate::{
    fleet::Fleet,
    keys::private,
    suite::{KEEPERS, Net, Place, Program, replay},
    support::{
        postgres::Cluster,
        proxy::{Fault, Proxy},
    },
};

const EPOCHS: u64 = if cfg!(feature = "deep") { 200 } else { 6 };
/// A storm, and two epochs without.
const RHYTHM: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Storm {
    /// SIGKILL to some keepers.
    Keepers,
    /// SIGKILL to the PostgreSQL server of one of them.
    Database,
    /// SIGKILL to the node, which then knows no more than at some moment before.
    Node,
    /// Other blocks instead of the last 1 to 20.
    Reorganisation,
    /// The node forgets what is pending.
    Dropped,
    /// Fifty times the base fee.
    Fees,
    /// A keeper's node hangs, refuses, errs, breaks off or answers too late.
    Rpc,
    /// Files of a keeper cannot grow.
    DiskFull,
    /// No block for half an epoch or longer.
    Gap,
}

const STORMS: [Storm; 9] = [
    Storm::DiskFull,
    Storm::Node,
    Storm::Database,
    Storm::Keepers,
    Storm::Reorganisation,
    Storm::Rpc,
    Storm::Dropped,
    Storm::Fees,
    Storm::Gap,
];

fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// The first keeper's store is PostgreSQL, the others' SQLite; each has a way of its own to the node.
fn start(net: &Net, proxies: &[Proxy], index: usize) -> Program {
    let url = net.folder.path().join("store.url");
    let more = if index == 0 { format!("[store]\nurl = {{ file = {url:?} }}\nlease_s = 3\n") } else { String::new() };
    let place = Place { name: &index.to_string(), port: net.ports[index], rpc: &proxies[index].url, more: &more };
    net.start_at(index, &place, &[])
}

async fn begin() -> (Fleet, Cluster, Vec<Proxy>) {
    let (cluster, net) = (Cluster::start().await, Net::deploy().await);
    let url = net.folder.path().join("store.url");
    private(&url, &cluster.url("postgres"));
    let mut proxies = Vec::new();
    for _ in 0..KEEPERS {
        proxies.push(Proxy::before(&net.anvil.url).await);
    }
    let fleet = Fleet::new(net, false, |net, index| start(net, &proxies, index));
    for index in 0..KEEPERS {
        fleet.net.healthy(index).await;
    }
    (fleet, cluster, proxies)
}

async fn rage(storm: Storm, fleet: &Fleet, cluster: &mut Cluster, proxies: &[Proxy], random: &mut ChaCha8Rng) {
    let anvil = &fleet.net.anvil;
    let moment = |random: &mut ChaCha8Rng, up_to: u64| sleep(Duration::from_millis(random.random_range(0..up_to)));
    moment(random, 4_000).await;
    match storm {
        Storm::Keepers => {
            let mut chosen: Vec<usize> = (0..KEEPERS).collect();
            chosen.retain(|_| random.random_bool(0.6));
            for index in &chosen {
                fleet.programs.borrow_mut()[*index] = None;
                moment(random, 300).await;
            }
            moment(random, 2_000).await;
            for index in chosen {
                let again = start(&fleet.net, proxies, index);
                fleet.programs.borrow_mut()[index] = Some(again);
            }
        }
        Storm::Database => {
            cluster.kill();
            moment(random, 3_000).await;
            cluster.launch().await;
        }
        Storm::Node => {
            let state = {
                let _node = fleet.node.lock().await;
                anvil.ask("anvil_dumpState", json!([true])).await
            };
            moment(random, 1_500).await;
            let _node = fleet.node.lock().await;
            anvil.kill();
            moment(random, 2_000).await;
            anvil.relaunch().await;
            anvil.ask("anvil_loadState", json!([state])).await;
            anvil.ask("evm_setAutomine", json!([false])).await;
        }
        Storm::Reorganisation => {
            let depth = random.random_range(1..=20);
            let _node = fleet.node.lock().await;
            anvil.ask("anvil_reorg", json!([depth, []])).await;
        }
        Storm::Dropped => {
            for _ in 0..10 {
                {
                    let _node = fleet.node.lock().await;
                    anvil.ask("anvil_dropAllTransactions", json!([])).await;
                }
                moment(random, 400).await;
            }
        }
        Storm::Fees => {
            let node = fleet.node.lock().await;
            let block = anvil.ask("eth_getBlockByNumber", json!(["latest", false])).await;
            let fee: U256 = block["baseFeePerGas"].as_str().unwrap().parse().unwrap();
            anvil.ask("anvil_setNextBlockBaseFeePerGas", json!([fee * U256::from(50)])).await;
            drop(node);
            moment(random, 3_000).await;
            let _node = fleet.node.lock().await;
            anvil.ask("anvil_setNextBlockBaseFeePerGas", json!([fee])).await;
        }
        Storm::Rpc => {
            let faults = [
                Fault::Hang,
                Fault::Status(429, Some(1)),
                Fault::Status(503, None),
                Fault::Truncated,
                Fault::Error(-32_603, "internal error"),
                Fault::LostAnswer,
            ];
            let methods = ["*", "eth_call", "eth_getLogs", "eth_getBlockByNumber", "eth_sendRawTransaction"];
            for proxy in proxies {
                if random.random_bool(0.6) {
                    let fault = faults.choose(random).unwrap().clone();
                    proxy.fail(methods.choose(random).unwrap(), fault, usize::MAX);
                }
            }
            moment(random, 3_000).await;
            proxies.iter().for_each(Proxy::heal);
        }
        Storm::DiskFull => {
            let index = random.random_range(0..KEEPERS);
            let pid = fleet.programs.borrow()[index].as_ref().unwrap().0.id();
            let limit = |size: &str| {
                let limits = [format!("--pid={pid}"), format!("--fsize={size}:")];
                assert!(Command::new("prlimit").args(limits).status().unwrap().success());
            };
            limit("4096");
            moment(random, 3_000).await;
            limit("unlimited");
        }
        Storm::Gap => {
            let length = fleet.net.network.clock.length();
            let _node = fleet.node.lock().await;
            anvil.mine_at(anvil.time().await + random.random_range(length / 2..=length)).await;
        }
    }
}

/// Of an epoch that is active: its report, signed and posted, holds the rows that everybody took.
async fn nothing_is_lost(fleet: &Fleet, epoch: u64, taken: &BTreeSet<Address>) {
    let net = &fleet.net;
    let oracle = EpochOracle::new(net.network.oracle, &net.anvil.provider);
    let posted = oracle.reportOf(epoch).call().await.unwrap();
    let seen = fleet.audit(epoch).await;
    let posted = seen.iter().find(|shown| shown.report.message.eip712_hash_struct() == posted.reportHash);
    let hash = posted.unwrap_or_else(|| panic!("nobody shows epoch {epoch}'s report")).report.message.bundleHash;
    let url = format!("{}/v1/bundles/{hash}", net.base(1));
    let bytes = net.http.get(url).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
    let bundle = EpochBundle::decode(&bytes).unwrap();
    let rows: Vec<_> = bundle.inputs.subnets.iter().flat_map(|subnet| &subnet.rows).map(|row| row.validator).collect();
    let lost: Vec<_> = taken.iter().filter(|validator| !rows.contains(validator)).collect();
    assert!(lost.is_empty(), "the rows of {lost:?} were taken and are not in epoch {epoch}'s bundle");
}

/// `[KP-1]` `[KP-2]` `[EP-2]` `[SN-2]`
#[tokio::test]
async fn after_every_storm_the_next_epoch_is_whole_and_in_time() {
    let (seed, epochs) = (setting("TANDEM_CHAOS_SEED", 7_u64), setting("TANDEM_CHAOS_EPOCHS", EPOCHS));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (fleet, mut cluster, proxies) = begin().await;
    let (mut last, mut storms, mut kept) = (None, Vec::new(), 0);
    for epoch in 0..epochs {
        // Each kind once before any comes again.
        let storm = (epoch % RHYTHM == 0).then(|| STORMS[(epoch / RHYTHM) as usize % STORMS.len()]);
        let (taken, in_time) = match storm {
            Some(storm) => {
                storms.push(storm);
                let raging = rage(storm, &fleet, &mut cluster, &proxies, &mut random);
                tokio::join!(fleet.epoch(epoch), raging).0
            }
            None => fleet.epoch(epoch).await,
        };
        let history = || format!("epoch {epoch}, seed {seed}, storms {storms:?}:\n{}", fleet.net.logs());
        assert!((0..KEEPERS).all(|index| !fleet.has_ended(index)), "a keeper ended: {}", history());
        if epoch % RHYTHM == 1 {
            assert_eq!(taken.len(), 3, "not everybody took every row: {}", history());
        }
        if epoch % RHYTHM == 2 {
            assert!(in_time, "the epoch after the storm is not active in time: {}", history());
        }
        if let Some((before, rows)) = last.replace((epoch, taken))
            && in_time
        {
            kept += 1;
            nothing_is_lost(&fleet, before, &rows).await;
        }
    }
    eprintln!("seed {seed}: of {} epochs, {} of them with a storm, {kept} in time", epochs - 1, storms.len());
    let (code, words) = replay(&fleet.net, epochs - 2, &fleet.net.base(1));
    assert_eq!(code, Some(0), "{words}");
}
