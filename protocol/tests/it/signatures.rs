//! Which signatures are taken, and that no other form of the same one is.

use alloy_primitives::{Address, B256, FixedBytes, Signature, U256};
use proptest::prelude::*;
use tandem_protocol::messages::{CommitReceipt, SignatureBytes, oracle_domain, settlement_domain};
use tandem_protocol::signed::{SignatureError, Signed, recover, sign};

use crate::support::{CHAIN, ORACLE, key, word};

/// Order of secp256k1.
const N: U256 =
    U256::from_be_bytes(alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

fn with(signature: SignatureBytes, r: Option<U256>, s: Option<U256>, v: Option<u8>) -> SignatureBytes {
    let mut bytes = signature.0;
    if let Some(r) = r {
        bytes[..32].copy_from_slice(&r.to_be_bytes::<32>());
    }
    if let Some(s) = s {
        bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    }
    bytes[64] = v.unwrap_or(bytes[64]);
    FixedBytes(bytes)
}

fn s_of(signature: &SignatureBytes) -> U256 {
    U256::from_be_slice(&signature[32..64])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_signed_is_recovered(digest in word(), n: u64) {
        let key = key(n);
        let signature = sign(digest, &key).unwrap();
        prop_assert_eq!(recover(digest, &signature), Ok(key.address()));
        prop_assert!(matches!(signature[64], 27 | 28));
        prop_assert!(s_of(&signature) <= N >> 1);
        // The same digest and key give the same bytes: nothing is stored twice under two names.
        prop_assert_eq!(sign(digest, &key).unwrap(), signature);
    }

    /// The twin that exists of every ECDSA signature is refused, so a signature can serve as a name.
    #[test]
    fn the_malleable_twin_is_refused(digest in word()) {
        let signature = sign(digest, &key(1)).unwrap();
        let twin = with(signature, None, Some(N - s_of(&signature)), Some(55 - signature[64]));
        prop_assert_eq!(recover(digest, &twin), Err(SignatureError::Malformed));
    }

    /// Against the portable implementation that signs.
    #[test]
    fn both_implementations_recover_the_same(digest in word(), head: [u8; 32], tail: [u8; 32], odd: bool, n: u64, own: bool) {
        let any = with(SignatureBytes::ZERO, Some(U256::from_be_bytes(head)), Some(U256::from_be_bytes(tail) >> 1), Some(27 + u8::from(odd)));
        let bytes = if own { sign(digest, &key(n)).unwrap() } else { any };
        let theirs = Signature::from_raw_array(&bytes.0)
            .ok()
            .filter(|signature| signature.normalize_s().is_none())
            .and_then(|signature| signature.recover_address_from_prehash(&digest).ok());
        prop_assert_eq!(recover(digest, &bytes).ok(), theirs);
    }

    #[test]
    fn a_flipped_bit_never_yields_the_same_signer(digest in word(), bit in 0..65 * 8usize) {
        let signer = key(1);
        let mut bytes = sign(digest, &signer).unwrap();
        bytes.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(recover(digest, &bytes), Ok(signer.address()));
    }

    #[test]
    fn any_bytes_are_a_signature_or_refused_but_never_a_panic(digest in word(), head: [u8; 32], tail: [u8; 32], v: u8) {
        let bytes = with(SignatureBytes::ZERO, Some(U256::from_be_bytes(head)), Some(U256::from_be_bytes(tail)), Some(v));
        if let Ok(signer) = recover(digest, &bytes) {
            prop_assert_ne!(signer, Address::ZERO);
            prop_assert!(matches!(v, 27 | 28));
        }
    }
}

#[test]
fn only_27_and_28_are_recovery_bytes() {
    let digest = B256::repeat_byte(7);
    let signature = sign(digest, &key(1)).unwrap();
    for v in (0..=u8::MAX).filter(|v| !matches!(v, 27 | 28)) {
        assert_eq!(recover(digest, &with(signature, None, None, Some(v))), Err(SignatureError::Malformed), "v = {v}");
    }
    let other = with(signature, None, None, Some(55 - signature[64]));
    assert_ne!(recover(digest, &other), Ok(key(1).address()));
}

#[test]
fn zero_and_scalars_beyond_the_order_are_refused() {
    let digest = B256::repeat_byte(7);
    let signature = sign(digest, &key(1)).unwrap();
    for scalar in [U256::ZERO, N, N + U256::from(1), U256::MAX] {
        for v in [27, 28] {
            for forged in [
                with(signature, Some(scalar), None, Some(v)),
                with(signature, None, Some(scalar), Some(v)),
                with(signature, Some(scalar), Some(scalar), Some(v)),
            ] {
                assert_eq!(recover(digest, &forged), Err(SignatureError::Malformed));
            }
        }
    }
    assert_eq!(recover(digest, &SignatureBytes::ZERO), Err(SignatureError::Malformed));
    assert_eq!(recover(digest, &SignatureBytes::repeat_byte(0xff)), Err(SignatureError::Malformed));
}

/// Among them the 64 bytes of EIP-2098, which would be a second form of the same signature.
#[test]
fn shorter_and_longer_signatures_are_refused() {
    let full = sign(B256::repeat_byte(7), &key(1)).unwrap().to_string();
    assert_eq!(serde_json::from_value::<SignatureBytes>(full.clone().into()).unwrap().to_string(), full);
    for text in [&full[..full.len() - 2], &full[..130], &full[..full.len() - 1], "0x", "", &format!("{full}00")] {
        assert!(serde_json::from_value::<SignatureBytes>(text.into()).is_err(), "{text}");
    }
}

/// A signature is bound to chain, contract and purpose; the error names both parties.
#[test]
fn a_signature_counts_in_its_own_domain_only() {
    let (signer, other) = (key(1), key(2));
    let domain = oracle_domain(CHAIN, ORACLE);
    let signed = Signed::new(CommitReceipt { epoch: 3, commit: B256::repeat_byte(9) }, &domain, &signer).unwrap();
    assert_eq!(signed.signer(&domain), Ok(signer.address()));
    assert_eq!(signed.verify(&domain, signer.address()), Ok(()));
    assert_eq!(
        signed.verify(&domain, other.address()),
        Err(SignatureError::WrongSigner { found: signer.address(), expected: other.address() })
    );
    for foreign in [
        oracle_domain(CHAIN + 1, ORACLE),
        oracle_domain(CHAIN, Address::repeat_byte(0x0b)),
        settlement_domain(CHAIN, ORACLE),
    ] {
        assert!(matches!(signed.verify(&foreign, signer.address()), Err(SignatureError::WrongSigner { .. })));
    }
    let altered = Signed { message: CommitReceipt { epoch: 4, ..signed.message.clone() }, ..signed };
    assert!(matches!(altered.verify(&domain, signer.address()), Err(SignatureError::WrongSigner { .. })));
}
