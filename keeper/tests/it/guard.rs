//! The sign-once guard.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use tandem_keeper::{
    attester::{AttestError, Attester},
    commands::{
        ConfigArgs,
        db::{self, DbCommand, MigrateArgs},
        guard::{self, FileArgs, GuardCommand},
    },
    guard::{Guard, GuardError, Interchange, Register, SignedReport, Slot},
    store::{MemoryStore, StoreError},
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

async fn open(folder: &tempfile::TempDir, name: &str) -> Guard {
    Guard::open(&folder.path().join(name)).await.unwrap()
}

/// `[KP-2]`
#[tokio::test]
async fn what_was_signed_moves_to_another_machine_and_is_united_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder, "one").await, open(&folder, "other").await);
    let digest = B256::repeat_byte;
    for (epoch, attempt) in [(6, 1), (6, 0), (5, 0)] {
        one.authorize(Slot { epoch, attempt, ..SLOT }, digest(1)).await.unwrap();
    }
    one.authorize(Slot { chain_id: 2, ..SLOT }, digest(9)).await.unwrap();
    other.authorize(SLOT, digest(1)).await.unwrap();
    other.authorize(Slot { epoch: 7, ..SLOT }, digest(3)).await.unwrap();

    let export = one.export(SLOT.chain_id, SLOT.contract).await.unwrap();
    let text = serde_json::to_string(&export).unwrap();
    let read = Interchange::parse(&text).unwrap();
    assert_eq!(read, export);
    let slots: Vec<_> = read.signed.iter().map(|report| (report.epoch, report.attempt)).collect();
    assert_eq!(slots, [(5, 0), (6, 0), (6, 1)]);
    let imported = other.import(&read, SLOT.chain_id, SLOT.contract).await.unwrap();
    assert_eq!((imported.new, imported.known), (2, 1));
    let refused = other.authorize(Slot { epoch: 6, ..SLOT }, digest(2)).await;
    assert!(matches!(refused, Err(GuardError::AlreadySigned { .. })));
    let all = other.export(SLOT.chain_id, SLOT.contract).await.unwrap();
    assert_eq!(all.signed.iter().map(|report| report.epoch).collect::<Vec<_>>(), [5, 6, 6, 7]);
    let again = other.import(&read, SLOT.chain_id, SLOT.contract).await.unwrap();
    assert_eq!((again.new, again.known), (0, 3));
}

/// `[KP-2]`
#[tokio::test]
async fn an_export_that_contradicts_or_is_of_another_network_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder, "one").await, open(&folder, "other").await);
    let digest = B256::repeat_byte;
    for epoch in 4..=6 {
        one.authorize(Slot { epoch, ..SLOT }, digest(1)).await.unwrap();
    }
    other.authorize(Slot { epoch: 6, ..SLOT }, digest(2)).await.unwrap();
    let export = one.export(SLOT.chain_id, SLOT.contract).await.unwrap();
    let refused = other.import(&export, SLOT.chain_id, SLOT.contract).await;
    assert!(matches!(refused, Err(GuardError::AlreadySigned { epoch: 6, .. })));
    // The register of replicas may know better than the file.
    let register = MemoryStore::default();
    register.reserve(Slot { epoch: 5, ..SLOT }, digest(7)).await.unwrap();
    let third = open(&folder, "third").await.shared(Arc::new(register));
    let refused = third.import(&export, SLOT.chain_id, SLOT.contract).await;
    assert!(matches!(refused, Err(GuardError::AlreadySigned { epoch: 5, .. })));

    let fault = |export: Interchange, chain_id| {
        let other = other.clone();
        async move { other.import(&export, chain_id, SLOT.contract).await.unwrap_err().to_string() }
    };
    assert!(fault(export.clone(), 2).await.starts_with("[K-GUARD-7] the export is of"));
    assert!(fault(Interchange { version: 2, ..export.clone() }, 1).await.contains("version 2"));
    assert!(fault(Interchange { format: "else".into(), ..export.clone() }, 1).await.contains("else"));
    let strange = [
        "",
        "{}",
        "[1]",
        r#"{"format":"tandem-keeper-guard","version":1,"chain_id":-1,"contract":"0x00","signed":[]}"#,
    ];
    for text in strange {
        assert!(matches!(Interchange::parse(text), Err(GuardError::Interchange(_))));
    }
    let huge = vec![SignedReport { epoch: u64::MAX, attempt: 0, digest: digest(1) }];
    assert!(fault(Interchange { signed: huge, ..export }, 1).await.starts_with("[K-GUARD-4]"));
    for guard in [&other, &third] {
        let held = guard.export(SLOT.chain_id, SLOT.contract).await.unwrap().signed;
        assert!(held.iter().all(|report| report.epoch == 6), "{held:?}");
    }
}

/// `[KP-2]`
#[tokio::test]
async fn a_guard_that_has_forgotten_what_the_key_signed_is_not_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let guard = open(&folder, "guard").await;
    let ask = |signed: Vec<u64>| {
        let guard = guard.clone();
        async move { guard.refuse_if_forgetful(SLOT.chain_id, SLOT.contract, &signed).await }
    };
    ask(vec![]).await.unwrap();
    let missing = ask(vec![3, 5]).await.unwrap_err();
    assert!(missing.to_string().contains("epoch 5, but the guard knows of none; restore"), "{missing}");
    guard.authorize(Slot { epoch: 4, ..SLOT }, B256::ZERO).await.unwrap();
    guard.authorize(Slot { epoch: 9, chain_id: 2, ..SLOT }, B256::ZERO).await.unwrap();
    ask(vec![3, 4]).await.unwrap();
    let old = ask(vec![5, 3]).await.unwrap_err();
    assert!(matches!(old, GuardError::Forgetful { signed: 5, known: Some(4) }));
    guard.authorize(SLOT, B256::ZERO).await.unwrap();
    ask(vec![5, 3]).await.unwrap();
}

/// A register that is away.
#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl Register for Away {
    async fn reserve(&self, _slot: Slot, _digest: B256) -> Result<B256, StoreError> {
        Err(StoreError::Config("away".into()))
    }

    async fn reserved(&self, _: u64, _: Address, _: u64) -> Result<Vec<(Slot, B256)>, StoreError> {
        Err(StoreError::Config("away".into()))
    }
}

/// `[KP-2]`
#[tokio::test]
async fn a_replica_that_has_never_signed_knows_what_the_others_have() {
    let folder = tempfile::tempdir().unwrap();
    let register = Arc::new(MemoryStore::default());
    let leader = open(&folder, "leader").await.shared(register.clone());
    let follower = open(&folder, "follower").await.shared(register.clone());
    for epoch in [3, 4, 5] {
        leader.authorize(Slot { epoch, ..SLOT }, B256::repeat_byte(1)).await.unwrap();
        if epoch != 4 {
            follower.catch_up(SLOT.chain_id, SLOT.contract).await.unwrap();
        }
    }
    follower.refuse_if_forgetful(SLOT.chain_id, SLOT.contract, &[5]).await.unwrap();
    let known = follower.export(SLOT.chain_id, SLOT.contract).await.unwrap();
    assert_eq!(known, leader.export(SLOT.chain_id, SLOT.contract).await.unwrap());
    // A database restored from an old backup does not unlearn it.
    follower.close().await;
    let follower = open(&folder, "follower").await.shared(Arc::new(MemoryStore::default()));
    follower.catch_up(SLOT.chain_id, SLOT.contract).await.unwrap();
    let refused = follower.authorize(SLOT, B256::repeat_byte(2)).await;
    assert!(matches!(refused, Err(GuardError::AlreadySigned { .. })));
    // A register that contradicts the file is no ground to go on.
    let other = Arc::new(MemoryStore::default());
    other.reserve(SLOT, B256::repeat_byte(9)).await.unwrap();
    follower.close().await;
    let follower = open(&folder, "follower").await.shared(other);
    assert!(follower.catch_up(SLOT.chain_id, SLOT.contract).await.is_err());
}

/// `[KP-2]`
#[tokio::test]
async fn without_the_register_nothing_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let guard = open(&folder, "guard").await;
    guard.authorize(SLOT, B256::ZERO).await.unwrap();
    let guard = guard.shared(Arc::new(Away));
    for slot in [SLOT, Slot { epoch: 6, ..SLOT }] {
        assert!(matches!(guard.authorize(slot, B256::ZERO).await, Err(GuardError::Register(_))));
    }
    assert_eq!(guard.export(SLOT.chain_id, SLOT.contract).await.unwrap().signed.len(), 1);
}

/// `[KP-2]`
#[tokio::test]
async fn the_commands_export_and_import_and_overwrite_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "EpochOracle",
        "KeeperSet",
        "SubnetRegistry",
        "Staking",
        "EmissionController",
        "RewardDistributor",
        "CreditDesk",
    ];
    let address = SLOT.contract;
    let contracts: Vec<_> = names.iter().map(|name| format!(r#""{name}": {{"address": "{address}"}}"#)).collect();
    let manifest =
        format!(r#"{{"chainId": 1, "genesis": 5, "epochLength": 20, "contracts": {{{}}}}}"#, contracts.join(","));
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("1.json"), manifest).unwrap();
    let config = |name: &str| {
        let text = format!(
            "rpc = \"http://127.0.0.1:1\"\nmanifest = {:?}\ndata_dir = {:?}\n[keys]\nattest = {{ env = \"NONE\" }}\n",
            at("1.json"),
            at(name)
        );
        std::fs::write(at(&format!("{name}.toml")), text).unwrap();
        let config = at(&format!("{name}.toml"));
        ConfigArgs { config, rpc: None, manifest: None, data_dir: None, listen: None, set: Vec::new() }
    };
    let files = |name: &str| FileArgs { config: config(name), file: at("export.json") };
    let export = |name: &str| guard::run(GuardCommand::Export(files(name)));
    let import = |name: &str| guard::run(GuardCommand::Import(files(name)));

    assert!(export("old").await.unwrap_err().to_string().starts_with("there is no guard"));
    std::fs::create_dir(at("old")).unwrap();
    let old = Guard::open(&at("old").join("guard.sqlite")).await.unwrap();
    old.authorize(SLOT, B256::repeat_byte(1)).await.unwrap();
    assert!(format!("{:#}", export("old").await.unwrap_err()).contains("stop the keeper"));
    old.close().await;
    assert!(export("old").await.unwrap().starts_with("1 signed reports are in"));
    assert!(export("old").await.unwrap_err().to_string().contains("is not written"));
    assert_eq!(import("new").await.unwrap(), "1 signed reports were added, 0 were known");
    let new = Guard::open(&at("new").join("guard.sqlite")).await.unwrap();
    assert!(new.authorize(SLOT, B256::repeat_byte(2)).await.is_err());
    let migrate = DbCommand::Migrate(MigrateArgs { config: config("new") });
    assert_eq!(db::run(migrate).await.unwrap(), "the database is at migration 1");
}
