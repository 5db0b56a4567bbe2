//! Signing keys, wherever they are: in a file, a keystore, another process, a cloud or a device. Everything above sees a
//! [`Key`] that signs two kinds of things, messages and transactions, and takes its time to.
//!
//! | in the configuration | where the key is | cargo feature |
//! |---|---|---|
//! | `{ file = … }`, `{ env = … }` | hex, readable by the keeper | |
//! | `{ keystore = { path, password } }` | an encrypted file, read at the start | |
//! | `{ web3signer = { url, address } }` | a Web3Signer | |
//! | `{ aws_kms = { key } }` | AWS KMS | `aws-kms` |
//! | `{ gcp_kms = { … } }` | Google Cloud KMS | `gcp-kms` |
//! | `{ ledger = { account } }` | a Ledger on USB | `ledger` |
//!
//! What comes back from a key outside of the process is checked to be this key's signature before anything is done with it.

use std::{fmt, sync::Arc, time::Duration};

use alloy::{consensus::SignableTransaction, network::TxSigner};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, Signature, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Eip712Domain, SolStruct};
use async_trait::async_trait;
use reqwest::Client;
use serde_json::json;
use tandem_protocol::messages::SignatureBytes;

use crate::{
    chain::without_urls,
    config::{ConfigError, KeyRef, Keys, SecretRef},
};

/// A remote signer that takes longer has not signed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a remote signer's answer that are read.
const MAX_ANSWER: usize = 4 << 10;

/// Why there is no signature.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The key, or who keeps it, failed or refused.
    #[error("[K-KEY-1] {place} did not sign: {reason}")]
    Refused {
        /// Where the key is.
        place: &'static str,
        /// Its words.
        reason: String,
    },
    /// What came back is not a signature of this key over what was asked.
    #[error("[K-KEY-2] {place} signed with another key than {address}, or something else")]
    Foreign {
        /// Where the key is.
        place: &'static str,
        /// Whose signature was wanted.
        address: Address,
    },
}

/// A signing key. Copies share it.
#[derive(Clone)]
pub struct Key {
    address: Address,
    place: Arc<Place>,
}

enum Place {
    Local(PrivateKeySigner),
    Web3Signer(Web3Signer),
    #[cfg(feature = "aws-kms")]
    Aws(alloy_signer_aws::AwsSigner),
    #[cfg(feature = "gcp-kms")]
    Gcp(alloy_signer_gcp::GcpSigner),
    #[cfg(feature = "ledger")]
    Ledger(alloy_signer_ledger::LedgerSigner),
    /// Nobody's: for dry runs, whose signatures never leave the process.
    Pretended(PrivateKeySigner),
}

impl Place {
    fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "the key",
            Self::Web3Signer(_) => "the web3signer",
            #[cfg(feature = "aws-kms")]
            Self::Aws(_) => "AWS KMS",
            #[cfg(feature = "gcp-kms")]
            Self::Gcp(_) => "Google Cloud KMS",
            #[cfg(feature = "ledger")]
            Self::Ledger(_) => "the Ledger",
            Self::Pretended(_) => "a dry run",
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("address", &self.address).field("place", &self.place.name()).finish()
    }
}

impl From<PrivateKeySigner> for Key {
    fn from(key: PrivateKeySigner) -> Self {
        Self { address: key.address(), place: Arc::new(Place::Local(key)) }
    }
}

impl Key {
    /// A stand-in for the key of `address`, without the key: what it signs convinces nobody.
    pub fn pretended(address: Address) -> Self {
        Self { address, place: Arc::new(Place::Pretended(PrivateKeySigner::random())) }
    }

    /// Reaches the key that `reference` names; `name` says in errors which one of the configuration it is. Keys outside of
    /// the process are asked for their address.
    pub async fn open(name: &'static str, reference: &KeyRef, chain_id: u64) -> Result<Self, ConfigError> {
        open(reference, chain_id).await.map_err(|reason| ConfigError::Key { name, reason })
    }

    /// Whose signatures these are.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Where the key is, in words.
    pub fn place(&self) -> &'static str {
        self.place.name()
    }

    /// Whether signing costs nothing but a moment of this process.
    pub fn is_in_process(&self) -> bool {
        matches!(&*self.place, Place::Local(_))
    }

    /// Signs a message in `domain` (EIP-712): `r ‖ s ‖ v` with `v` 27 or 28 and a low `s`.
    pub async fn sign_message<T: SolStruct + Send + Sync>(
        &self,
        message: &T,
        domain: &Eip712Domain,
    ) -> Result<SignatureBytes, KeyError> {
        let mut preimage = [0; 66];
        preimage[..2].copy_from_slice(&[0x19, 0x01]);
        preimage[2..34].copy_from_slice(domain.separator().as_slice());
        preimage[34..].copy_from_slice(message.eip712_hash_struct().as_slice());
        let signature = match &*self.place {
            // The device shows the parts, so it does not take the whole's hash.
            #[cfg(feature = "ledger")]
            Place::Ledger(ledger) => {
                let signed = alloy_signer::Signer::sign_typed_data(ledger, message, domain).await;
                signed.map_err(|error| self.refused(error))?
            }
            _ => self.sign_preimage(&preimage).await?,
        };
        Ok(FixedBytes(self.checked(signature, keccak256(preimage))?.as_bytes()))
    }

    /// Signs a transaction; the signature's `s` is low.
    pub async fn sign_transaction(
        &self,
        transaction: &dyn SignableTransaction<Signature>,
    ) -> Result<Signature, KeyError> {
        let preimage = transaction.encoded_for_signing();
        let signature = match &*self.place {
            #[cfg(feature = "ledger")]
            Place::Ledger(ledger) => ledger.sign_tx_rlp(&preimage).await.map_err(|error| self.refused(error))?,
            _ => self.sign_preimage(&preimage).await?,
        };
        self.checked(signature, keccak256(&preimage))
    }

    /// Signs the Keccak-256 of `preimage`.
    async fn sign_preimage(&self, preimage: &[u8]) -> Result<Signature, KeyError> {
        match &*self.place {
            Place::Local(key) | Place::Pretended(key) => {
                key.sign_hash_sync(&keccak256(preimage)).map_err(|error| self.refused(error))
            }
            Place::Web3Signer(signer) => {
                signer.sign(preimage).await.map_err(|reason| KeyError::Refused { place: self.place.name(), reason })
            }
            #[cfg(feature = "aws-kms")]
            Place::Aws(key) => self.within(alloy_signer::Signer::sign_hash(key, &keccak256(preimage))).await,
            #[cfg(feature = "gcp-kms")]
            Place::Gcp(key) => self.within(alloy_signer::Signer::sign_hash(key, &keccak256(preimage))).await,
            #[cfg(feature = "ledger")]
            Place::Ledger(_) => Err(self.refused("a Ledger signs no hashes")),
        }
    }

    #[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
    async fn within(
        &self,
        signing: impl Future<Output = alloy_signer::Result<Signature>>,
    ) -> Result<Signature, KeyError> {
        match tokio::time::timeout(TIMEOUT, signing).await {
            Ok(signed) => signed.map_err(|error| self.refused(error)),
            Err(_) => Err(self.refused(format!("no answer in {} s", TIMEOUT.as_secs()))),
        }
    }

    fn refused(&self, reason: impl fmt::Display) -> KeyError {
        KeyError::Refused { place: self.place.name(), reason: without_urls(&reason) }
    }

    /// The signature with a low `s`, if it is this key's.
    fn checked(&self, signature: Signature, digest: B256) -> Result<Signature, KeyError> {
        let signature = signature.normalized_s();
        let foreign = || KeyError::Foreign { place: self.place.name(), address: self.address };
        match &*self.place {
            // It cannot sign with anything else, and receipts are many.
            Place::Local(_) | Place::Pretended(_) => Ok(signature),
            _ => {
                let signer = signature.recover_address_from_prehash(&digest).map_err(|_| foreign())?;
                if signer == self.address { Ok(signature) } else { Err(foreign()) }
            }
        }
    }
}

#[async_trait]
impl TxSigner<Signature> for Key {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign_transaction(&self, tx: &mut dyn SignableTransaction<Signature>) -> alloy_signer::Result<Signature> {
        Self::sign_transaction(self, tx).await.map_err(alloy_signer::Error::other)
    }
}

impl Keys {
    /// Reaches both keys: (attest, gas).
    pub async fn open(&self, chain_id: u64) -> Result<(Key, Key), ConfigError> {
        let attest = Key::open("attest", &self.attest, chain_id).await?;
        let gas = match &self.gas {
            Some(gas) => Key::open("gas", gas, chain_id).await?,
            None => attest.clone(),
        };
        Ok((attest, gas))
    }
}

async fn open(reference: &KeyRef, chain_id: u64) -> Result<Key, String> {
    match reference {
        KeyRef::File(path) => from_hex(&SecretRef::File(path.clone())),
        KeyRef::Env(variable) => from_hex(&SecretRef::Env(variable.clone())),
        KeyRef::Keystore { path, password } => {
            let (path, password) = (path.clone(), password.read()?);
            // Deriving the key from the password takes a second or more, by design.
            let decrypted = tokio::task::spawn_blocking(move || {
                PrivateKeySigner::decrypt_keystore(&path, password)
                    .map_err(|error| format!("{}: {error}", path.display()))
            });
            let key = decrypted.await.map_err(|error| error.to_string())??;
            Ok(key.into())
        }
        KeyRef::Web3signer { url, identifier, address } => {
            let signer = Web3Signer::new(url, identifier.as_deref(), *address)?;
            Ok(Key { address: *address, place: Arc::new(Place::Web3Signer(signer)) })
        }
        // Boxed: what the clouds' libraries build is too deep a nest of types for the compiler otherwise.
        KeyRef::AwsKms { key } => Box::pin(open_aws(key, chain_id)).await,
        KeyRef::GcpKms { project, location, key_ring, key, version } => {
            Box::pin(open_gcp([project, location, key_ring, key], *version, chain_id)).await
        }
        KeyRef::Ledger { account } => Box::pin(open_ledger(*account, chain_id)).await,
    }
}

fn from_hex(secret: &SecretRef) -> Result<Key, String> {
    let text = secret.read()?;
    // The key's text must not reach a message.
    let key: PrivateKeySigner = text.trim().parse().map_err(|_| "not a private key of 32 bytes in hex".to_owned())?;
    Ok(key.into())
}

#[cfg(feature = "aws-kms")]
async fn open_aws(key: &str, chain_id: u64) -> Result<Key, String> {
    use alloy_signer_aws::{AwsSigner, aws_sdk_kms};
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = aws_sdk_kms::Client::new(&config);
    let signer = AwsSigner::new(client, key.to_owned(), Some(chain_id)).await;
    let signer = signer.map_err(|error| format!("AWS KMS: {error}"))?;
    Ok(Key { address: alloy_signer::Signer::address(&signer), place: Arc::new(Place::Aws(signer)) })
}

#[cfg(not(feature = "aws-kms"))]
async fn open_aws(_key: &str, _chain_id: u64) -> Result<Key, String> {
    Err(without_feature("AWS KMS", "aws-kms"))
}

#[cfg(feature = "gcp-kms")]
async fn open_gcp(
    [project, location, key_ring, key]: [&String; 4],
    version: u64,
    chain_id: u64,
) -> Result<Key, String> {
    use alloy_signer_gcp::{
        GcpKeyRingRef, GcpSigner, KeySpecifier,
        gcloud_sdk::{
            GoogleApi, google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient as Service,
        },
    };
    let client = GoogleApi::from_function(Service::new, "https://cloudkms.googleapis.com", None).await;
    let client = client.map_err(|error| format!("Google Cloud KMS: {error}"))?;
    let key = KeySpecifier::new(GcpKeyRingRef::new(project, location, key_ring), key, version);
    let signer = GcpSigner::new(client, key, Some(chain_id)).await;
    let signer = signer.map_err(|error| format!("Google Cloud KMS: {error}"))?;
    Ok(Key { address: alloy_signer::Signer::address(&signer), place: Arc::new(Place::Gcp(signer)) })
}

#[cfg(not(feature = "gcp-kms"))]
async fn open_gcp(_key: [&String; 4], _version: u64, _chain_id: u64) -> Result<Key, String> {
    Err(without_feature("Google Cloud KMS", "gcp-kms"))
}

#[cfg(feature = "ledger")]
async fn open_ledger(account: usize, chain_id: u64) -> Result<Key, String> {
    use alloy_signer_ledger::{HDPath, LedgerSigner};
    let signer = LedgerSigner::new(HDPath::LedgerLive(account), Some(chain_id)).await;
    let signer = signer.map_err(|error| format!("Ledger: {error}; unlock it and open its Ethereum app"))?;
    Ok(Key { address: alloy_signer::Signer::address(&signer), place: Arc::new(Place::Ledger(signer)) })
}

#[cfg(not(feature = "ledger"))]
async fn open_ledger(_account: usize, _chain_id: u64) -> Result<Key, String> {
    Err(without_feature("Ledger", "ledger"))
}

#[cfg(not(all(feature = "aws-kms", feature = "gcp-kms", feature = "ledger")))]
fn without_feature(place: &str, feature: &str) -> String {
    format!("this program was built without {place}: build it with `--features {feature}`")
}

/// A signer process that hashes (Keccak-256) and signs what it is sent, without a prefix of its own.
struct Web3Signer {
    http: Client,
    url: String,
}

impl Web3Signer {
    fn new(base: &str, identifier: Option<&str>, address: Address) -> Result<Self, String> {
        let identifier = identifier.map_or_else(|| format!("{address:#x}"), str::to_owned);
        let url = format!("{}/api/v1/eth1/sign/{identifier}", base.trim_end_matches('/'));
        if url.parse::<reqwest::Url>().is_err() {
            return Err("web3signer.url is not a URL".to_owned());
        }
        let http = Client::builder().timeout(TIMEOUT).build().map_err(|error| without_urls(&error))?;
        Ok(Self { http, url })
    }

    async fn sign(&self, preimage: &[u8]) -> Result<Signature, String> {
        let body = json!({ "data": Bytes::copy_from_slice(preimage) });
        let mut answer = self.http.post(&self.url).json(&body).send().await.map_err(|error| without_urls(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("HTTP status {status}"));
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| without_urls(&error))? {
            if text.len() + chunk.len() > MAX_ANSWER {
                return Err("the answer is no signature".to_owned());
            }
            text.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&text);
        let bytes: Bytes = text.trim().trim_matches('"').parse().map_err(|_| "the answer is no hex".to_owned())?;
        Signature::try_from(bytes.as_ref()).map_err(|_| "the answer is no signature".to_owned())
    }
}
