//! Audits as a pure function of beacon and validator.

use std::collections::BTreeSet;

use alloy_primitives::{B256, keccak256};
use proptest::prelude::*;
use tandem_protocol::jobs::{beacon, jobs};

use crate::support::{account, address, word};

fn contributors() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::btree_set(any::<u16>(), 0..20).prop_map(|uids| uids.into_iter().collect())
}

proptest! {
    /// Any keeper serves the same jobs, in whatever order it happens to hold the contributors.
    #[test]
    fn jobs_do_not_depend_on_who_asks(
        beacon in word(), validator in account(), epoch: u64, netuid: u16, uids in contributors(), rounds in 0..4u32,
        shift in 0..20usize,
    ) {
        let served = jobs(beacon, validator, epoch, netuid, &uids, rounds);
        let mut otherwise = uids.clone();
        otherwise.rotate_left(shift.min(uids.len()));
        prop_assert_eq!(&jobs(beacon, validator, epoch, netuid, &otherwise, rounds), &served);
        otherwise.reverse();
        prop_assert_eq!(jobs(beacon, validator, epoch, netuid, &otherwise, rounds), served);
    }

    #[test]
    fn every_contributor_is_audited_in_every_round_once(
        beacon in word(), validator in account(), epoch: u64, netuid: u16, uids in contributors(), rounds in 0..4u32,
    ) {
        let jobs = jobs(beacon, validator, epoch, netuid, &uids, rounds);
        let found: Vec<(u32, u16)> = jobs.iter().map(|job| (job.round, job.uid)).collect();
        prop_assert!(found.is_sorted_by_key(|(round, _)| *round));
        let found: BTreeSet<_> = found.into_iter().collect();
        let owed = (0..rounds).flat_map(|round| uids.iter().map(move |uid| (round, *uid))).collect();
        prop_assert_eq!(found, owed);
        prop_assert_eq!(jobs.len(), uids.len() * rounds as usize);
        prop_assert!(jobs.iter().all(|job| job.epoch == epoch && job.netuid == netuid));
    }

    /// A job's id is the key of its result, so it names one audit of one network only.
    #[test]
    fn no_two_audits_share_an_id(
        blocks in prop::array::uniform2(word()), validators in prop::array::uniform2(account()), epoch in 0..u64::MAX,
        netuid in 0..u16::MAX, uids in contributors(),
    ) {
        prop_assume!(blocks[0] != blocks[1] && validators[0] != validators[1]);
        let mut seen = BTreeSet::new();
        let mut count = 0;
        for (block, epoch) in blocks.iter().flat_map(|block| [(block, epoch), (block, epoch + 1)]) {
            for (validator, netuid) in validators.iter().flat_map(|who| [(who, netuid), (who, netuid + 1)]) {
                let jobs = jobs(beacon(*block, epoch), *validator, epoch, netuid, &uids, 2);
                count += jobs.len();
                seen.extend(jobs.into_iter().map(|job| job.id));
            }
        }
        prop_assert_eq!(seen.len(), count);
    }

    #[test]
    fn the_beacon_is_of_one_block_and_one_epoch(block in word(), epoch: u64) {
        prop_assert_eq!(beacon(block, epoch), keccak256([block.to_vec(), epoch.to_be_bytes().to_vec()].concat()));
    }
}

/// Contributors are not all probed by everybody at once.
#[test]
fn validators_begin_with_different_contributors() {
    let uids: Vec<u16> = (0..8).collect();
    let beacon = beacon(B256::repeat_byte(1), 4);
    let orders: Vec<Vec<u16>> =
        (0..64).map(|n| jobs(beacon, address(n), 4, 1, &uids, 1).iter().map(|job| job.uid).collect()).collect();
    let first: BTreeSet<u16> = orders.iter().map(|order| order[0]).collect();
    assert_eq!(first.len(), uids.len());
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), orders.len());
    // Nor does a validator keep its order from epoch to epoch.
    let later = jobs(self::beacon(B256::repeat_byte(1), 5), address(0), 5, 1, &uids, 1);
    assert_ne!(later.iter().map(|job| job.uid).collect::<Vec<_>>(), orders[0]);
}
