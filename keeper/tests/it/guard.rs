//! The sign-once guard.

use alloy_primitives::{Address, B256};
use tandem_keeper::{
    attester::{AttestError, Attester},
    guard::{Guard, GuardError, Slot},
};
use tandem_protocol::messages::EpochReport;

use crate::support::{key, network};

const SLOT: Slot = Slot { chain_id: 1, contract: Address::repeat_byte(7), epoch: 5, attempt: 0 };

fn report(epoch: u64, attempt: u32, root: u8) -> EpochReport {
    EpochReport {
        epoch,
        attempt,
        configDigest: B256::ZERO,
        inputsBlock: B256::ZERO,
        previousReport: B256::ZERO,
        subnetsRoot: B256::ZERO,
        rewardsRoot: B256::repeat_byte(root),
        bundleHash: B256::ZERO,
        rulesVersion: 1,
    }
}

/// `[KP-2]`
#[tokio::test]
async fn a_second_digest_is_refused_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.sqlite");
    let (first, second) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let guard = Guard::open(&path).await.unwrap();
    guard.authorize(SLOT, first).await.unwrap();
    guard.authorize(SLOT, first).await.unwrap();
    guard.close().await;

    let guard = Guard::open(&path).await.unwrap();
    let refused = guard.authorize(SLOT, second).await;
    assert!(matches!(refused, Err(GuardError::AlreadySigned { signed, .. }) if signed == first));
    guard.authorize(SLOT, first).await.unwrap();
    for other in [
        Slot { attempt: 1, ..SLOT },
        Slot { epoch: 6, ..SLOT },
        Slot { chain_id: 2, ..SLOT },
        Slot { contract: Address::ZERO, ..SLOT },
    ] {
        guard.authorize(other, second).await.unwrap();
    }
}

/// `[KP-2]`
#[tokio::test]
async fn two_keepers_cannot_share_a_guard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.sqlite");
    let first = Guard::open(&path).await.unwrap();
    assert!(Guard::open(&path).await.is_err());
    first.close().await;
    Guard::open(&path).await.unwrap();
}

/// `[KP-2]`
#[tokio::test]
async fn a_report_is_signed_once_and_what_peers_remember_binds_too() {
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::open(&folder.path().join("guard.sqlite")).await.unwrap();
    let attester = Attester::new(key(1), &network(), guard);
    let signed = attester.report(report(1, 0, 1)).await.unwrap();
    assert_eq!(signed.signer(&network().domain()).unwrap(), attester.address());
    assert_eq!(attester.report(report(1, 0, 1)).await.unwrap(), signed);
    let second = attester.report(report(1, 0, 2)).await;
    assert!(matches!(second, Err(AttestError::Guard(GuardError::AlreadySigned { .. }))));
    attester.report(report(1, 1, 2)).await.unwrap();

    attester.remember(&report(2, 0, 7)).await.unwrap();
    assert!(attester.report(report(2, 0, 8)).await.is_err());
    attester.report(report(2, 0, 7)).await.unwrap();
}
