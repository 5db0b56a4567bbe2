//! A keeper set that changes while an epoch runs: who signs what.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolStruct;
use tandem_keeper::{config::PeersConfig, store::Evidence};

use crate::support::{GENESIS, LENGTH, Running, commit, key, memory::MemoryChain, network, reveal};

/// `[KP-2]` `[SN-2]`
#[tokio::test]
async fn the_set_of_its_start_signs_an_epoch_to_the_end_and_the_next_set_the_next_one() {
    let mut keys: Vec<_> = (1..=4).map(key).collect();
    keys.sort_by_key(PrivateKeySigner::address);
    let addresses: Vec<Address> = keys.iter().map(PrivateKeySigner::address).collect();
    // The first one leaves, the last one comes.
    let sets = [&keys[..3], &keys[1..]];
    let chain = Arc::new(MemoryChain::kept_by(addresses[..3].to_vec(), 2, GENESIS + 1));
    let folder = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let folder = folder.path().join(index.to_string());
        std::fs::create_dir(&folder).unwrap();
        running.push(Running::start(&folder, key.clone(), &chain, PeersConfig::default()).await);
    }
    let bases: Vec<String> = running.iter().map(|running| running.base.clone()).collect();
    chain.set_endpoints(bases[..3].to_vec());
    let at = async |time: u64| {
        chain.set_time(time);
        for _ in 0..3 {
            for running in &running {
                running.keeper.step().await.unwrap();
            }
        }
    };

    let (network, clock) = (network(), network().clock);
    for (epoch, set) in (0..).zip(sets) {
        at(clock.start_of(epoch) + LENGTH / 2).await;
        if epoch == 0 {
            chain.change_keepers(1, addresses[1..].to_vec(), 2, bases[1..].to_vec());
        }
        // One of those who stay holds a row, and so does one who has no say in this epoch.
        let row = [(3, 60_000), (4, 20_000)];
        let row = reveal(&network, &commit(&network, &key(11), epoch, 1, 1, &row), &row, set);
        for index in [1, if epoch == 0 { 3 } else { 0 }] {
            running[index].store.put_reveal(&row, None).await.unwrap();
        }
        // By now the other set is the current one.
        for time in clock.reveal_deadline(epoch)..clock.reveal_deadline(epoch) + 30 {
            at(time).await;
        }
        let posted = chain.posted();
        assert_eq!(posted.iter().map(|report| report.epoch).collect::<Vec<_>>(), (0..=epoch).collect::<Vec<_>>());
        let members: BTreeSet<Address> = set.iter().map(PrivateKeySigner::address).collect();
        let mut signed = BTreeSet::new();
        for running in &running {
            for attestation in running.store.attestations(epoch).await.unwrap() {
                signed.insert((attestation.keeper, attestation.report.message.eip712_hash_struct()));
            }
            let voters = running.store.votes(epoch, 0).await.unwrap();
            assert!(voters.iter().all(|vote| members.contains(&vote.keeper)), "epoch {epoch}");
            assert_eq!(running.store.evidence(epoch).await.unwrap(), Vec::<Evidence>::new());
        }
        let signers: BTreeSet<Address> = signed.iter().map(|(keeper, _)| *keeper).collect();
        assert_eq!(signers, members, "epoch {epoch}: all of its set and nobody else");
        assert_eq!(signed.len(), members.len(), "epoch {epoch}: each signed one report");
    }
}
