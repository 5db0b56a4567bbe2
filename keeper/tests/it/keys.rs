//! Keys that are not simply hex: keystores, and signers in other processes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use axum::{Json, Router, extract::Path as Segment, routing::post};
use tandem_keeper::{
    config::{Config, Overrides},
    keys::{Key, KeyError},
};
use tandem_protocol::{messages::RowList, signed::Signed};

use crate::support::{key, network};

const PASSWORD: &str = "correct horse";

fn config(attest: &str) -> Config {
    let minimal = include_str!("../../examples/minimal.toml");
    let set = vec![("keys.attest".to_owned(), attest.to_owned())];
    Config::parse(minimal, &Overrides { set, ..Overrides::default() }).unwrap()
}

async fn open(attest: &str) -> Result<Key, String> {
    config(attest).keys.open(network().chain_id).await.map(|(attest, _)| attest).map_err(|error| error.to_string())
}

pub(crate) fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn list() -> RowList {
    RowList { epoch: 1, attempt: 0, round: 2, rowsHash: keccak256("rows") }
}

/// What a remote signer may do.
pub(crate) const HONEST: u8 = 0;
const WITH_ANOTHER_KEY: u8 = 1;
const WITH_A_PREFIX: u8 = 2;
const RUBBISH: u8 = 3;
const HIGH_S: u8 = 4;
const ENDLESS: u8 = 5;

/// A process that speaks Web3Signer's way of signing: Keccak-256 of the bytes it is sent, no prefix.
pub(crate) async fn signer(own: PrivateKeySigner, mood: Arc<AtomicU8>) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        data: Bytes,
    }
    let sign = move |Segment(identifier): Segment<String>, Json(body): Json<Body>| {
        let (own, mood) = (own.clone(), mood.load(Ordering::SeqCst));
        async move {
            assert_eq!(identifier, format!("{:#x}", own.address()));
            let signature = match mood {
                RUBBISH => return "0x1234".to_owned(),
                ENDLESS => return "0".repeat(1 << 20),
                WITH_ANOTHER_KEY => key(99).sign_hash_sync(&keccak256(&body.data)),
                WITH_A_PREFIX => own.sign_message_sync(&body.data),
                _ => own.sign_hash_sync(&keccak256(&body.data)),
            };
            let mut signature = signature.unwrap();
            if mood == HIGH_S {
                let order: alloy_primitives::U256 =
                    "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
                signature = alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
            }
            Bytes::from(signature.as_bytes().to_vec()).to_string()
        }
    };
    let router = Router::new().route("/api/v1/eth1/sign/{identifier}", post(sign));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The published test vector of the format, with the password "testpassword"; weak on purpose: a real one takes a second to
/// derive.
pub(crate) fn published_keystore() -> String {
    let stored = serde_json::json!({
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": { "c": 262144, "dklen": 32, "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd" },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3
    });
    stored.to_string()
}

#[tokio::test]
async fn a_keystore_opens_with_its_password_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (own, path) = (key(7), folder.path().join("attest.json"));
    private(&path, &published_keystore());
    let password = folder.path().join("password");
    private(&password, "testpassword\n");
    let reference = |path: &Path, password: &Path| {
        format!("{{ keystore = {{ path = {path:?}, password = {{ file = {password:?} }} }} }}")
    };
    let opened = open(&reference(&path, &password)).await.unwrap();
    let expected: PrivateKeySigner =
        "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d".parse().unwrap();
    assert_eq!(opened.address(), expected.address());
    assert_ne!(opened.address(), own.address());
    private(&password, PASSWORD);
    let said = open(&reference(&path, &password)).await.unwrap_err();
    assert!(said.starts_with("[K-CONFIG-3] key attest: ") && !said.contains(PASSWORD), "{said}");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(open(&reference(&path, &password)).await.unwrap_err().contains("chmod 600"));
}

#[tokio::test]
async fn a_signer_in_another_process_signs_messages_and_transactions_and_is_not_believed() {
    let mood = Arc::new(AtomicU8::new(HONEST));
    let own = key(7);
    let url = signer(own.clone(), mood.clone()).await;
    let reference = format!("{{ web3signer = {{ url = \"{url}/\", address = \"{}\" }} }}", own.address());
    let remote = open(&reference).await.unwrap();
    let domain = network().domain();
    let transaction = TxEip1559 { chain_id: 31_337, nonce: 3, gas_limit: 21_000, ..TxEip1559::default() };
    for honest in [HONEST, HIGH_S] {
        mood.store(honest, Ordering::SeqCst);
        let signature = remote.sign_message(&list(), &domain).await.unwrap();
        let local = Signed::new(list(), &domain, &own).unwrap();
        assert_eq!(signature, local.signature, "the same bytes as with the key at hand");
        let signature = remote.sign_transaction(&transaction).await.unwrap();
        let signer = signature.recover_address_from_prehash(&transaction.signature_hash()).unwrap();
        assert_eq!(signer, own.address());
    }
    for dishonest in [WITH_ANOTHER_KEY, WITH_A_PREFIX] {
        mood.store(dishonest, Ordering::SeqCst);
        let refused = remote.sign_message(&list(), &domain).await;
        assert!(matches!(refused, Err(KeyError::Foreign { address, .. }) if address == own.address()), "{refused:?}");
        assert!(remote.sign_transaction(&transaction).await.is_err());
    }
    for broken in [RUBBISH, ENDLESS] {
        mood.store(broken, Ordering::SeqCst);
        assert!(matches!(remote.sign_message(&list(), &domain).await, Err(KeyError::Refused { .. })));
    }
}

#[tokio::test]
async fn a_signer_that_is_not_there_is_an_error_and_its_url_is_not_shown() {
    let reference =
        format!("{{ web3signer = {{ url = \"http://user:secret@127.0.0.1:1\", address = \"{}\" }} }}", Address::ZERO);
    let remote = open(&reference).await.unwrap();
    let refused = remote.sign_message(&list(), &network().domain()).await.unwrap_err();
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert!(!format!("{remote:?}").contains("secret"));
}

/// Which of these a program has is a choice of its builder.
#[tokio::test]
#[cfg(not(any(feature = "aws-kms", feature = "gcp-kms", feature = "ledger")))]
async fn a_program_without_a_feature_says_which() {
    for (reference, feature) in [
        ("{ aws_kms = { key = \"alias/x\" } }", "aws-kms"),
        ("{ gcp_kms = { project = \"p\", location = \"l\", key_ring = \"r\", key = \"k\", version = 1 } }", "gcp-kms"),
        ("{ ledger = { account = 0 } }", "ledger"),
    ] {
        let said = open(reference).await.unwrap_err();
        assert!(said.contains(&format!("--features {feature}")), "{said}");
    }
}
