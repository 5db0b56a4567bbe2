//! The store of bundles.

use std::{fs, path::Path};

use alloy_primitives::B256;
use tandem_keeper::{
    bundles::{BundleStoreError, Bundles},
    config::BundlesConfig,
};
use tandem_protocol::{
    bundle::{EpochBundle, EpochInputs, RULES_VERSION},
    outcome,
};

use crate::support::network;

/// A bundle of an epoch without subnets.
fn bundle(epoch: u64) -> (B256, EpochBundle) {
    let network = network();
    let inputs = EpochInputs {
        chain_id: network.chain_id,
        oracle: network.oracle,
        epoch,
        attempt: 0,
        rules_version: RULES_VERSION,
        config_digest: B256::ZERO,
        inputs_block_number: epoch,
        inputs_block: B256::with_last_byte(1),
        epoch_start: network.clock.start_of(epoch),
        bonds_since: 0,
        previous_report: B256::ZERO,
        previous_bundle: B256::ZERO,
        neuron_immunity: 0,
        keepers: Vec::new(),
        subnets: Vec::new(),
        rewards_before: Vec::new(),
    };
    let bundle = outcome::bundle(inputs).unwrap();
    (outcome::report(&bundle).bundleHash, bundle)
}

#[tokio::test]
async fn what_is_older_than_the_bound_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let config = BundlesConfig { url: Some(format!("file://{}", folder.path().display())), ..BundlesConfig::default() };
    let bundles = Bundles::open(&config, folder.path()).unwrap();
    only_the_old_are_forgotten(&bundles, folder.path()).await;
}

#[cfg(feature = "deep-s3")]
#[tokio::test]
async fn a_server_of_amazons_protocol_keeps_and_forgets_as_a_folder_does() {
    let server = crate::support::s3::S3::start().await;
    let bundles = Bundles::over(server.store(), "s3");
    only_the_old_are_forgotten(&bundles, &server.bucket()).await;
    damage_is_noticed(&bundles, &server.bucket()).await;
}

async fn only_the_old_are_forgotten(bundles: &Bundles, folder: &Path) {
    bundles.probe().await.unwrap();
    let kept: Vec<_> = (5..12).map(bundle).collect();
    for (hash, bundle) in &kept {
        bundles.put(*hash, bundle.encode().into()).await.unwrap();
    }
    // As a version without markers left it, and something that is none of ours.
    let (old_hash, old) = bundle(1);
    fs::write(folder.join(format!("{old_hash:x}.bundle")), old.encode()).unwrap();
    fs::create_dir_all(folder.join("epochs/notes")).unwrap();
    fs::write(folder.join("epochs/notes/readme"), "x").unwrap();
    assert_eq!(bundles.prune(8).await.unwrap(), 3);
    assert_eq!(bundles.prune(8).await.unwrap(), 0);
    for (hash, bundle) in &kept {
        let found = bundles.get(*hash).await.unwrap();
        assert_eq!(found.as_ref(), (bundle.inputs.epoch >= 8).then_some(bundle), "epoch {}", bundle.inputs.epoch);
    }
    assert!(bundles.get(old_hash).await.unwrap().is_some());
    // A bundle of the same bytes may come back, and is forgotten again in its turn.
    bundles.put(kept[0].0, kept[0].1.encode().into()).await.unwrap();
    assert_eq!(bundles.prune(6).await.unwrap(), 1);
}

#[tokio::test]
async fn damaged_bytes_are_neither_taken_nor_shown() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = Bundles::in_folder(folder.path()).unwrap();
    damage_is_noticed(&bundles, folder.path()).await;
}

async fn damage_is_noticed(bundles: &Bundles, folder: &Path) {
    let (hash, bundle) = bundle(3);
    let mut bytes = bundle.encode();
    bytes[20] ^= 1;
    let refused = bundles.put(hash, bytes.clone().into()).await;
    assert!(matches!(refused, Err(BundleStoreError::Content(_))), "{refused:?}");
    assert!(bundles.bytes(hash).await.unwrap().is_none());
    fs::write(folder.join(format!("{hash:x}.bundle")), &bytes).unwrap();
    assert!(bundles.get(hash).await.unwrap().is_none());
    bundles.put(hash, bundle.encode().into()).await.unwrap();
    assert_eq!(bundles.get(hash).await.unwrap(), Some(bundle));
}

#[test]
fn only_urls_that_a_store_can_be_made_of_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let open = |url: &str| {
        let config = BundlesConfig { url: Some(url.to_owned()), ..BundlesConfig::default() };
        Bundles::open(&config, folder.path())
            .map(|bundles| bundles.place().to_owned())
            .map_err(|error| error.to_string())
    };
    for url in ["ftp://somewhere/x", "bundles", "file://elsewhere/x", "az://bucket"] {
        assert!(open(url).unwrap_err().starts_with("[K-BUNDLE-5]"), "{url}");
    }
    #[cfg(not(feature = "gcs"))]
    assert!(open("gs://bucket/prefix").unwrap_err().contains("--features gcs"));
    #[cfg(not(feature = "s3"))]
    assert!(open("s3://bucket/prefix").unwrap_err().contains("--features s3"));
    assert!(Bundles::open(&BundlesConfig::default(), folder.path()).unwrap().place().ends_with("bundles"));
}
