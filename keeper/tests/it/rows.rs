//! Which rows and lists count.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use proptest::prelude::*;
use tandem_keeper::{
    agree::Step,
    chain::{ChainReader, EpochFacts, KeeperSetFacts},
    rows::{
        IntakeFault, MAX_ROW, ProposalFault, RowKey, SoundRows, better, check_list, check_proposal, check_vote,
        judge_row, proposer, sort_rows, turn_of,
    },
};
use tandem_protocol::{
    api::{Proposal, Vote},
    messages::{ListVote, RowList, SignatureBytes, rows_hash},
    reveal::{Reveal, RowFault},
    signed::Signed,
};

use crate::support::{commit, keeper_keys, key, memory::MemoryChain, network, reveal};

const EPOCH: u64 = 2;

async fn facts() -> EpochFacts {
    let chain = Arc::new(MemoryChain::new(crate::support::GENESIS + 250));
    let head = chain.heads().await.unwrap().latest;
    chain.facts(EPOCH, &head).await.unwrap()
}

fn row_of(validator: u8, row: &[(u16, u16)], keepers: &[PrivateKeySigner]) -> Reveal {
    let network = network();
    reveal(&network, &commit(&network, &key(validator), EPOCH, 1, 1, row), row, keepers)
}

fn two_rows() -> Vec<Reveal> {
    let mut rows = vec![row_of(11, &[(3, 1)], &keeper_keys()), row_of(12, &[(4, 1)], &keeper_keys())];
    rows.sort_by_key(|row| row.validator);
    rows
}

fn propose(facts: &EpochFacts, round: u32) -> Proposal {
    let address = proposer(&facts.keeper_set, EPOCH, round).unwrap();
    let key = keeper_keys().into_iter().find(|key| key.address() == address).unwrap();
    let list = RowList { epoch: EPOCH, attempt: 0, round, rowsHash: B256::repeat_byte(7) };
    Proposal { proposer: address, list: Signed::new(list, &network().domain(), &key).unwrap() }
}

/// What comes of rows under their own name.
fn list(facts: &EpochFacts, reveals: &[Reveal]) -> Result<BTreeMap<RowKey, u32>, ProposalFault> {
    let judge = |reveal: &Reveal| {
        judge_row(reveal, &network(), &network().domain(), facts, &SoundRows::default()).map(|row| row.is_ok())
    };
    check_list(rows_hash(reveals), reveals, EPOCH, judge)
}

#[tokio::test]
async fn a_proposal_counts_if_it_is_the_rightful_proposers_and_its_round_has_come() {
    let facts = facts().await;
    let check = |proposal: &Proposal, attempt| check_proposal(proposal, attempt, 1, &network().domain(), &facts);
    let good = propose(&facts, 1);
    assert_eq!(check(&good, 0), Ok(()));
    assert_eq!(check(&propose(&facts, 0), 0), Ok(()));
    assert!(matches!(check(&good, 1), Err(ProposalFault::WrongEpoch { .. })));
    assert_eq!(check(&propose(&facts, 2), 0), Ok(()), "clocks may see different heads");
    assert_eq!(check(&propose(&facts, 3), 0), Err(ProposalFault::TooEarly { round: 3, now: 1 }));

    let mut borrowed = good.clone();
    borrowed.proposer = proposer(&facts.keeper_set, EPOCH, 0).unwrap();
    assert!(matches!(check(&borrowed, 0), Err(ProposalFault::NotItsTurn { round: 1, .. })));
    let mut other_round = good.clone();
    other_round.list.message.round = 4;
    let checked = check_proposal(&other_round, 0, 4, &network().domain(), &facts);
    assert_eq!(checked, Err(ProposalFault::Unsigned(good.proposer)));
}

#[tokio::test]
async fn a_vote_counts_if_a_keeper_signed_it_for_a_step_that_exists() {
    let facts = facts().await;
    let vote = |signer: &PrivateKeySigner, round, step| {
        let message = ListVote { epoch: EPOCH, attempt: 0, round, step, rowsHash: B256::repeat_byte(7) };
        Vote { keeper: signer.address(), vote: Signed::new(message, &network().domain(), signer).unwrap() }
    };
    let check = |vote: &Vote, attempt| check_vote(vote, attempt, 1, &network().domain(), &facts);
    let keeper = keeper_keys().remove(0);
    for step in [Step::Prevote, Step::Precommit] {
        assert_eq!(check(&vote(&keeper, 2, step.number()), 0), Ok(()));
        assert_eq!(Step::from_number(step.number()), Some(step));
    }
    assert!(matches!(check(&vote(&keeper, 1, 1), 1), Err(ProposalFault::WrongEpoch { .. })));
    assert_eq!(check(&vote(&keeper, 3, 1), 0), Err(ProposalFault::TooEarly { round: 3, now: 1 }));
    for step in [0, 3, 255] {
        assert_eq!(check(&vote(&keeper, 1, step), 0), Err(ProposalFault::UnknownStep(step)));
    }
    assert_eq!(check(&vote(&key(99), 1, 1), 0), Err(ProposalFault::NoKeeper(key(99).address())));
    let mut stolen = vote(&key(99), 1, 1);
    stolen.keeper = keeper.address();
    assert_eq!(check(&stolen, 0), Err(ProposalFault::Unsigned(keeper.address())));
}

#[tokio::test]
async fn a_list_is_known_by_its_name_and_has_its_rows_in_order() {
    let facts = facts().await;
    let rows = two_rows();
    let counting = rows.iter().map(|row| ((row.netuid, row.validator), row.seq)).collect();
    assert_eq!(list(&facts, &rows), Ok(counting));
    assert_eq!(list(&facts, &[]), Ok(BTreeMap::new()));
    let judge = |_: &Reveal| Ok(true);
    assert_eq!(check_list(rows_hash(&rows), &rows[..1], EPOCH, judge), Err(ProposalFault::WrongRows));
    // Enough receipts are left for the row to count, but it is not what was signed.
    let mut stripped = rows.clone();
    stripped[0].receipts.pop();
    assert_eq!(check_list(rows_hash(&rows), &stripped, EPOCH, judge), Err(ProposalFault::WrongRows));
    assert_eq!(check_list(rows_hash(&rows), &rows, EPOCH + 1, judge), Err(ProposalFault::WrongRows));
    let mut backwards = rows.clone();
    backwards.reverse();
    assert_eq!(list(&facts, &backwards), Err(ProposalFault::NotAscending(1)));
    assert_eq!(list(&facts, &[rows[0].clone(), rows[0].clone()]), Err(ProposalFault::NotAscending(1)));
}

#[tokio::test]
async fn nobody_can_put_words_into_a_validators_mouth() {
    let facts = facts().await;
    let mut forged = row_of(11, &[(3, 1)], &keeper_keys());
    forged.row = vec![(3, 2)];
    let judged = judge_row(&forged, &network(), &network().domain(), &facts, &SoundRows::default());
    assert_eq!(judged, Err(IntakeFault::Unsigned(key(11).address())));
    assert!(matches!(list(&facts, &[forged]), Err(ProposalFault::Row { fault: IntakeFault::Unsigned(_), .. })));
}

#[tokio::test]
async fn a_validators_own_faulty_row_is_dropped_with_a_published_reason() {
    let facts = facts().await;
    let keepers = keeper_keys();
    for (row, receipts, expected) in [
        (vec![(3, 1)], &keepers[..1], RowFault::TooFewReceipts { found: 1, needed: 2 }),
        (vec![(4, 1), (3, 1)], &keepers[..], RowFault::UnsortedRow(1)),
        (vec![(9, 1)], &keepers[..], RowFault::UidOutOfRange { uid: 9, count: 5 }),
    ] {
        let reveal = row_of(11, &row, receipts);
        let sorted = sort_rows(std::slice::from_ref(&reveal), &network(), &facts, &SoundRows::default()).unwrap();
        assert!(sorted[&1].rows.is_empty());
        assert_eq!(sorted[&1].dropped[0].reason, expected.to_string());
        assert_eq!(list(&facts, &[reveal]), Ok(BTreeMap::new()), "listed, and not counted");
    }
}

/// `[EP-4]`: what the chain holds needs nobody's receipt.
#[tokio::test]
async fn a_row_whose_commit_is_on_chain_counts_without_receipts_and_only_that_one() {
    let mut facts = facts().await;
    let bare = row_of(11, &[(3, 1)], &[]);
    let judge = |reveal: &Reveal, facts: &EpochFacts| {
        judge_row(reveal, &network(), &network().domain(), facts, &SoundRows::default())
    };
    let too_few = Ok(Err(RowFault::TooFewReceipts { found: 0, needed: 2 }));
    assert_eq!(judge(&bare, &facts), too_few);
    let mut from_chain = bare.clone();
    from_chain.signature = SignatureBytes::ZERO;
    assert_eq!(judge(&from_chain, &facts), Err(IntakeFault::Unsigned(key(11).address())));

    let hash = bare.commit(network().chain_id, network().oracle).commitHash;
    facts.committed.insert((1, key(11).address()), (1, hash));
    assert_eq!(judge(&bare, &facts), Ok(Ok(())), "committed on chain, revealed to the keepers");
    assert_eq!(judge(&from_chain, &facts), Ok(Ok(())), "revealed on chain");
    let mut padded = from_chain.clone();
    padded.receipts = row_of(11, &[(3, 1)], &keeper_keys()[..1]).receipts;
    assert_eq!(judge(&padded, &facts), Err(IntakeFault::Unsigned(key(11).address())), "one form only");
    let mut other = from_chain.clone();
    other.row = vec![(3, 2)];
    assert_eq!(judge(&other, &facts), Err(IntakeFault::Unsigned(key(11).address())));
    facts.committed.insert((1, key(11).address()), (2, hash));
    assert_eq!(judge(&bare, &facts), too_few, "a later commit replaced it");
}

#[tokio::test]
async fn oversized_rows_and_receipts_are_refused_unread() {
    let facts = facts().await;
    let mut long = row_of(11, &[(3, 1)], &keeper_keys());
    long.row = vec![(0, 0); MAX_ROW + 1];
    let judge = |reveal: &Reveal| judge_row(reveal, &network(), &network().domain(), &facts, &SoundRows::default());
    assert_eq!(judge(&long), Err(IntakeFault::TooLong(MAX_ROW + 1)));
    let mut receipts = row_of(11, &[(3, 1)], &keeper_keys());
    receipts.receipts.extend(receipts.receipts.clone());
    assert_eq!(judge(&receipts), Err(IntakeFault::TooManyReceipts { given: 6, keepers: 3 }));
}

/// Remembering signatures saves time and changes nothing: not for a row that was changed since, nor for one that other rules
/// hold for now.
#[tokio::test]
async fn what_is_remembered_of_signatures_changes_no_verdict() {
    let facts = facts().await;
    let known = SoundRows::default();
    let judge = |reveal: &Reveal, facts: &EpochFacts, sound: &SoundRows| {
        judge_row(reveal, &network(), &network().domain(), facts, sound)
    };
    let good = row_of(11, &[(3, 1)], &keeper_keys());
    let mut rows =
        vec![good.clone(), row_of(11, &[(3, 1)], &keeper_keys()[..1]), row_of(11, &[(9, 1)], &keeper_keys())];
    let change = |changed: fn(&mut Reveal)| {
        let mut reveal = good.clone();
        changed(&mut reveal);
        reveal
    };
    rows.extend([
        change(|reveal| reveal.row[0].1 = 2),
        change(|reveal| reveal.seq = 2),
        change(|reveal| reveal.salt = B256::ZERO),
        change(|reveal| reveal.signature.0[5] ^= 1),
        change(|reveal| reveal.receipts[0].1.0[5] ^= 1),
        change(|reveal| reveal.receipts.swap(0, 1)),
        change(|reveal| reveal.receipts[0].0 = Address::ZERO),
        change(|reveal| reveal.receipts.truncate(2)),
        change(|reveal| reveal.validator = key(12).address()),
    ]);
    let mut fewer = facts.clone();
    fewer.keeper_set.keepers.remove(0);
    let mut stricter = facts.clone();
    stricter.keeper_set.threshold = 4;
    let mut emptier = facts.clone();
    emptier.subnets[0].neurons.truncate(3);
    for _ in 0..2 {
        for reveal in &rows {
            for facts in [&facts, &fewer, &stricter, &emptier] {
                assert_eq!(judge(reveal, facts, &known), judge(reveal, facts, &SoundRows::default()), "{reveal:?}");
            }
        }
    }
    assert_eq!(judge(&good, &facts, &known), Ok(Ok(())));
}

#[test]
fn receipts_belong_to_a_lists_content_and_order_of_arrival_does_not_matter() {
    let keepers = keeper_keys();
    let (some, all) = (row_of(11, &[(3, 1)], &keepers[..2]), row_of(11, &[(3, 1)], &keepers));
    assert_ne!(rows_hash(std::slice::from_ref(&some)), rows_hash(std::slice::from_ref(&all)));
    let others = row_of(11, &[(3, 1)], &keepers[1..]);
    for (one, other) in [(&some, &all), (&some, &others), (&others, &all)] {
        assert_eq!(better((one, true), (other, true)), better((other, true), (one, true)));
    }
    assert_eq!(better((&some, true), (&all, true)), &all);
    assert_eq!(better((&some, true), (&all, false)), &some);
}

proptest! {
    #[test]
    fn every_keeper_has_exactly_one_turn_in_as_many_rounds_as_there_are_keepers(
        count in 1usize..=31, epoch: u64, digest: [u8; 32], from in 0u32..1_000_000,
    ) {
        let set = KeeperSetFacts {
            keepers: (1..=count as u8).map(Address::repeat_byte).collect(),
            endpoints: vec![String::new(); count],
            threshold: 1,
            config_digest: B256::from(digest),
        };
        let turns: BTreeSet<Address> = (0..count as u32).filter_map(|round| proposer(&set, epoch, from + round)).collect();
        prop_assert_eq!(turns.len(), count);
        for (round, keeper) in (0..count as u32).map(|round| (round, proposer(&set, epoch, round).unwrap())) {
            prop_assert_eq!(turn_of(&set, epoch, keeper), Some(u64::from(round)));
        }
        prop_assert_eq!(turn_of(&set, epoch, Address::ZERO), None);
    }
}
