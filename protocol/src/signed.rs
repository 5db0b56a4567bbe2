//! Signing and recovering the messages of this crate. Signatures are 65 bytes `r ‖ s ‖ v` with `v` 27 or 28 and a low `s`,
//! the only form that OpenZeppelin's ECDSA accepts.

use alloy_primitives::{Address, B256, FixedBytes, Signature};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Eip712Domain, SolStruct};
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use serde::{Deserialize, Serialize};

use crate::messages::SignatureBytes;

/// A message with its signature, as it travels and is stored.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What was signed.
    pub message: T,
    /// `r ‖ s ‖ v`.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: SignatureBytes,
}

/// Why a signature was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Not a curve point, `v` not 27 or 28, or `s` in the upper half.
    #[error("malformed signature")]
    Malformed,
    /// The signature is sound but somebody else's.
    #[error("signed by {found}, expected {expected}")]
    WrongSigner {
        /// Who signed.
        found: Address,
        /// Who should have signed.
        expected: Address,
    },
    /// The key refused to sign.
    #[error("cannot sign: {0}")]
    Signer(String),
}

impl<T: SolStruct> Signed<T> {
    /// Signs `message` in `domain`.
    pub fn new(message: T, domain: &Eip712Domain, key: &PrivateKeySigner) -> Result<Self, SignatureError> {
        let signature = sign(message.eip712_signing_hash(domain), key)?;
        Ok(Self { message, signature })
    }

    /// Who signed.
    pub fn signer(&self, domain: &Eip712Domain) -> Result<Address, SignatureError> {
        recover(self.message.eip712_signing_hash(domain), &self.signature)
    }

    /// Checks that `expected` signed.
    pub fn verify(&self, domain: &Eip712Domain, expected: Address) -> Result<(), SignatureError> {
        let found = self.signer(domain)?;
        if found == expected { Ok(()) } else { Err(SignatureError::WrongSigner { found, expected }) }
    }
}

/// Signs a digest.
pub fn sign(digest: B256, key: &PrivateKeySigner) -> Result<SignatureBytes, SignatureError> {
    let signature = key.sign_hash_sync(&digest).map_err(|error| SignatureError::Signer(error.to_string()))?;
    Ok(FixedBytes(signature.as_bytes()))
}

/// Recovers the signer of a digest; refuses malleable and non-canonical forms. By libsecp256k1, which takes a third of the time
/// of a portable implementation: a keeper of the largest network recovers 150,000 signers for each epoch.
pub fn recover(digest: B256, signature: &SignatureBytes) -> Result<Address, SignatureError> {
    if !matches!(signature[64], 27 | 28) {
        return Err(SignatureError::Malformed);
    }
    let parsed = Signature::from_raw_array(&signature.0).map_err(|_| SignatureError::Malformed)?;
    if parsed.normalize_s().is_some() {
        return Err(SignatureError::Malformed);
    }
    let recovery = if parsed.v() { RecoveryId::One } else { RecoveryId::Zero };
    let key = RecoverableSignature::from_compact(&signature.0[..64], recovery)
        .and_then(|signature| SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &signature))
        .map_err(|_| SignatureError::Malformed)?;
    Ok(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}

/// The ERC-2098 form of a 65-byte signature: `r`, and `s` with the parity of `v` in its highest bit, which a low `s` leaves free.
pub fn compact(signature: &[u8; 65]) -> (B256, B256) {
    let (r, mut vs) = (B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]));
    if matches!(signature[64], 1 | 28) {
        vs.0[0] |= 0x80;
    }
    (r, vs)
}

/// The 65-byte form of an ERC-2098 signature.
pub fn expand(r: B256, mut vs: B256) -> [u8; 65] {
    let odd = vs.0[0] & 0x80 != 0;
    vs.0[0] &= 0x7f;
    let mut signature = [0; 65];
    signature[..32].copy_from_slice(r.as_slice());
    signature[32..64].copy_from_slice(vs.as_slice());
    signature[64] = 27 + u8::from(odd);
    signature
}
