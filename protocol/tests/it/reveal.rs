//! When a revealed row counts, and the name of every reason why it does not.

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Eip712Domain, SolStruct};
use proptest::prelude::*;
use tandem_protocol::messages::{CommitReceipt, SignatureBytes, commit_hash, oracle_domain};
use tandem_protocol::reveal::{Reveal, RevealRules, RowFault};
use tandem_protocol::signed::{SignatureError, Signed};

use crate::support::{CHAIN, ORACLE, key};

const EPOCH: u64 = 12;
const NETUID: u16 = 3;

/// A subnet of five uids of which the first validates, three keepers, two receipts needed.
struct Scene {
    domain: Eip712Domain,
    validator: PrivateKeySigner,
    hotkeys: Vec<Address>,
    keepers: Vec<PrivateKeySigner>,
    keeper_addresses: Vec<Address>,
}

impl Scene {
    fn new() -> Self {
        let mut keepers: Vec<PrivateKeySigner> = (10..13).map(key).collect();
        keepers.sort_unstable_by_key(PrivateKeySigner::address);
        Self {
            domain: oracle_domain(CHAIN, ORACLE),
            validator: key(1),
            hotkeys: (1..6).map(|n| key(n).address()).collect(),
            keeper_addresses: keepers.iter().map(PrivateKeySigner::address).collect(),
            keepers,
        }
    }

    fn rules(&self) -> RevealRules<'_> {
        RevealRules {
            chain_id: CHAIN,
            oracle: ORACLE,
            domain: &self.domain,
            epoch: EPOCH,
            hotkeys: &self.hotkeys,
            keepers: &self.keeper_addresses,
            threshold: 2,
        }
    }

    /// A row, signed and with the receipts of all keepers.
    fn reveal(&self, row: Vec<(u16, u16)>) -> Reveal {
        let mut reveal = Reveal {
            netuid: NETUID,
            epoch: EPOCH,
            validator: self.validator.address(),
            seq: 1,
            salt: B256::repeat_byte(0x5a),
            row,
            signature: SignatureBytes::ZERO,
            receipts: Vec::new(),
        };
        self.sign(&mut reveal);
        reveal
    }

    /// Signs what the reveal says now.
    fn sign(&self, reveal: &mut Reveal) {
        let commit = reveal.commit(CHAIN, ORACLE);
        let receipt = CommitReceipt { epoch: reveal.epoch, commit: commit.eip712_hash_struct() };
        reveal.signature = Signed::new(commit, &self.domain, &self.validator).unwrap().signature;
        let signed = |keeper: &PrivateKeySigner| Signed::new(receipt.clone(), &self.domain, keeper).unwrap().signature;
        reveal.receipts = self.keepers.iter().map(|keeper| (keeper.address(), signed(keeper))).collect();
    }

    /// The verdict on a sound reveal after a change.
    fn after(&self, change: impl FnOnce(&mut Reveal)) -> Result<(), RowFault> {
        let mut reveal = self.reveal(vec![(1, 10), (4, 20)]);
        assert_eq!(reveal.check(&self.rules()), Ok(()));
        change(&mut reveal);
        reveal.check(&self.rules())
    }

    /// The verdict after a change that the validator and the keepers signed.
    fn after_signed(&self, change: impl FnOnce(&mut Reveal)) -> Result<(), RowFault> {
        self.after(|reveal| {
            change(reveal);
            self.sign(reveal);
        })
    }
}

fn receipt_fault(verdict: Result<(), RowFault>, of: Address, because: &str) {
    let Err(RowFault::Receipt { keeper, reason }) = verdict else { panic!("not a receipt's fault: {verdict:?}") };
    assert_eq!((keeper, reason.as_str()), (of, because));
}

#[test]
fn a_reveal_opens_the_commit_it_was_made_for() {
    let reveal = Scene::new().reveal(vec![(0, 7)]);
    let commit = reveal.commit(CHAIN, ORACLE);
    assert_eq!((commit.netuid, commit.epoch, commit.validator, commit.seq), (NETUID, EPOCH, reveal.validator, 1));
    let hash = commit_hash(CHAIN, ORACLE, NETUID, EPOCH, reveal.validator, 1, reveal.salt, &[(0, 7)]);
    assert_eq!(commit.commitHash, hash);
    assert_ne!(reveal.commit(CHAIN + 1, ORACLE).commitHash, hash);
}

#[test]
fn empty_and_full_rows_count() {
    let scene = Scene::new();
    assert_eq!(scene.reveal(Vec::new()).check(&scene.rules()), Ok(()));
    assert_eq!(scene.reveal((0..5).map(|uid| (uid, uid)).collect()).check(&scene.rules()), Ok(()));
}

#[test]
fn another_epochs_row_is_refused() {
    let verdict = Scene::new().after_signed(|reveal| reveal.epoch = 11);
    assert_eq!(verdict, Err(RowFault::WrongEpoch { found: 11, expected: EPOCH }));
}

#[test]
fn unsorted_and_doubled_uids_are_refused() {
    let scene = Scene::new();
    for (row, at) in [
        (vec![(4, 1), (1, 1)], 1),
        (vec![(1, 1), (1, 1)], 1),
        (vec![(0, 1), (1, 1), (3, 1), (2, 1)], 3),
        // Even if the offender is out of range as well.
        (vec![(65_535, 1), (0, 1)], 1),
    ] {
        assert_eq!(scene.after_signed(|reveal| reveal.row = row), Err(RowFault::UnsortedRow(at)));
    }
}

#[test]
fn a_uid_that_does_not_exist_is_refused() {
    let verdict = Scene::new().after_signed(|reveal| reveal.row = vec![(4, 1), (5, 0)]);
    assert_eq!(verdict, Err(RowFault::UidOutOfRange { uid: 5, count: 5 }));
}

#[test]
fn a_signer_without_a_uid_is_refused() {
    let stranger = key(77);
    let mut scene = Scene::new();
    let verdict = scene.after(|reveal| reveal.validator = stranger.address());
    assert_eq!(verdict, Err(RowFault::UnknownValidator(stranger.address())));
    // Its own signature does not help.
    scene.validator = stranger.clone();
    let own = scene.reveal(vec![(1, 1)]).check(&scene.rules());
    assert_eq!(own, Err(RowFault::UnknownValidator(stranger.address())));
}

/// Whatever is altered after the commit was signed, the signature does not fit any more.
#[test]
fn an_altered_row_is_refused() {
    let scene = Scene::new();
    let alterations: [fn(&mut Reveal); 6] = [
        |reveal| reveal.netuid += 1,
        |reveal| reveal.seq += 1,
        |reveal| reveal.salt.0[0] ^= 1,
        |reveal| reveal.row[1].1 += 1,
        |reveal| reveal.row.truncate(1),
        |reveal| reveal.row.insert(0, (0, 0)),
    ];
    for alter in alterations {
        let verdict = scene.after(alter);
        assert!(matches!(verdict, Err(RowFault::Commit(SignatureError::WrongSigner { .. }))), "{verdict:?}");
    }
    let malformed = scene.after(|reveal| reveal.signature.0[64] = 0);
    assert_eq!(malformed, Err(RowFault::Commit(SignatureError::Malformed)));
    let hotkeys = scene.hotkeys.clone();
    let borrowed = scene.after(|reveal| reveal.validator = hotkeys[1]);
    assert!(
        matches!(borrowed, Err(RowFault::Commit(SignatureError::WrongSigner { expected, .. })) if expected == hotkeys[1])
    );
}

#[test]
fn a_row_of_another_network_is_refused() {
    let scene = Scene::new();
    let reveal = scene.reveal(vec![(1, 1)]);
    let elsewhere = oracle_domain(CHAIN + 1, ORACLE);
    for rules in [
        RevealRules { chain_id: CHAIN + 1, domain: &elsewhere, ..scene.rules() },
        RevealRules { oracle: Address::repeat_byte(1), ..scene.rules() },
        RevealRules { domain: &elsewhere, ..scene.rules() },
    ] {
        assert!(matches!(reveal.check(&rules), Err(RowFault::Commit(SignatureError::WrongSigner { .. }))));
    }
}

#[test]
fn receipts_are_of_distinct_keepers_in_order() {
    let scene = Scene::new();
    let keepers = &scene.keeper_addresses;
    let order = "keepers are not strictly ascending";
    receipt_fault(scene.after(|reveal| reveal.receipts.swap(0, 1)), keepers[0], order);
    receipt_fault(scene.after(|reveal| reveal.receipts[1] = reveal.receipts[0]), keepers[0], order);
    let mut rules = scene.rules();
    rules.keepers = &keepers[..2];
    let Err(fault) = scene.reveal(vec![(1, 1)]).check(&rules) else { panic!("a former keeper's receipt counted") };
    receipt_fault(Err(fault), keepers[2], "no keeper of this epoch");
}

#[test]
fn receipts_are_signed_by_whom_they_name_for_this_very_commit() {
    let scene = Scene::new();
    let keepers = &scene.keeper_addresses;
    let foreign = "somebody else's signature";
    let swapped = scene.after(|reveal| reveal.receipts[1].1 = reveal.receipts[2].1);
    receipt_fault(swapped, keepers[1], foreign);
    let mut later = scene.reveal(vec![(1, 1)]);
    later.seq = 2;
    scene.sign(&mut later);
    receipt_fault(scene.after(|reveal| reveal.receipts = later.receipts), keepers[0], foreign);
    let malformed = scene.after(|reveal| reveal.receipts[2].1 = SignatureBytes::ZERO);
    receipt_fault(malformed, keepers[2], "malformed signature");
}

#[test]
fn receipts_below_the_threshold_are_too_few() {
    let scene = Scene::new();
    assert_eq!(scene.after(|reveal| reveal.receipts.truncate(2)), Ok(()));
    for found in [0, 1] {
        let verdict = scene.after(|reveal| reveal.receipts.truncate(found));
        assert_eq!(verdict, Err(RowFault::TooFewReceipts { found, needed: 2 }));
    }
}

/// The words are published in the bundle.
#[test]
fn faults_say_what_is_wrong() {
    let scene = Scene::new();
    let said = |verdict: Result<(), RowFault>| verdict.unwrap_err().to_string();
    assert_eq!(said(scene.after_signed(|reveal| reveal.epoch = 11)), "row is for epoch 11, not 12");
    assert_eq!(said(scene.after(|reveal| reveal.signature.0[64] = 0)), "commit signature: malformed signature");
    assert_eq!(said(scene.after(|reveal| reveal.receipts.clear())), "0 receipts, 2 needed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_well_formed_row_counts(weights in prop::collection::btree_map(0..5u16, any::<u16>(), 0..6)) {
        let scene = Scene::new();
        prop_assert_eq!(scene.reveal(weights.into_iter().collect()).check(&scene.rules()), Ok(()));
    }

    /// A row from outside may be anything; it is refused, never a panic.
    #[test]
    fn a_strangers_reveal_never_counts(
        row: Vec<(u16, u16)>, seq: u32, salt: [u8; 32], head: [u8; 32], tail: [u8; 32], v in 26..30u8, uid in 0..5usize,
    ) {
        let scene = Scene::new();
        let mut signature = SignatureBytes::ZERO;
        signature.0[..32].copy_from_slice(&head);
        signature.0[32..64].copy_from_slice(&tail);
        signature.0[64] = v;
        let receipts = scene.keeper_addresses.iter().map(|keeper| (*keeper, signature)).collect();
        let (validator, salt) = (scene.hotkeys[uid], salt.into());
        let reveal = Reveal { netuid: NETUID, epoch: EPOCH, validator, seq, salt, row, signature, receipts };
        prop_assert!(reveal.check(&scene.rules()).is_err());
    }
}
