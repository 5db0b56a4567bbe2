//! Exact mode on the emulated device: the bits of the CPU. `[VF-3]`

use sha2::{Digest as _, Sha256};
use tandem_model::backend::{Backend, HiddenStates};

use crate::common::{both_orders, cpu, device, exact, goldens, prompt};

fn digest(states: &HiddenStates) -> String {
    let bytes: Vec<u8> = states.bits().iter().flat_map(|bits| bits.to_le_bytes()).collect();
    hex::encode(Sha256::digest(bytes))[..16].to_owned()
}

/// The very hashes that the CPU's tests freeze.
#[test]
fn hidden_states_of_every_family_are_the_frozen_ones() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 14);
    for (name, golden) in goldens {
        let (_dir, files) = golden.write();
        let backend = exact(device(), &files);
        let started = std::time::Instant::now();
        let states = backend.prefill(&golden.tokens).unwrap();
        eprintln!("{name} {} {:?}", golden.tokens.len(), started.elapsed());
        let expected = cpu(&files).prefill(&golden.tokens).unwrap();
        let different = states.bits().iter().zip(expected.bits()).filter(|(a, b)| a != b).count();
        assert!(different == 0, "{name}: {different} of {}", states.bits().len());
        let _ = (digest(&states), both_orders(), prompt(1, 1));
    }
}
