//! What the compiler made of the suite, for manifests and for checking deployed code.

use alloy::primitives::{B256, Bytes, keccak256};

/// One deployable contract as it was compiled.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    /// The contract's name, as in Solidity.
    pub name: &'static str,
    /// Its source file, relative to the repository's root.
    pub source: &'static str,
    /// Creation code, without constructor arguments.
    pub creation: &'static Bytes,
    /// Runtime code with zeros where a constructor writes immutables.
    pub runtime: &'static Bytes,
    /// (start, length) in bytes of each such place in `runtime`, ascending.
    pub immutables: &'static [(u32, u32)],
    /// Its ABI as JSON; value types and enums appear as the integers that they are.
    pub abi: &'static str,
}

/// The standard-JSON input that the whole suite was compiled from; source verifiers accept it as it is.
pub const STANDARD_JSON_INPUT: &str = include_str!(concat!(env!("OUT_DIR"), "/standard-input.json"));

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));

impl Artifact {
    /// The artifact of the contract of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ARTIFACTS.binary_search_by_key(&name, |artifact| artifact.name).ok().map(|index| &ARTIFACTS[index])
    }

    /// Whether `deployed` is this contract's runtime code, whatever its immutables hold.
    pub fn matches(&self, deployed: &[u8]) -> bool {
        deployed.len() == self.runtime.len() && self.masked(deployed) == self.runtime[..]
    }

    /// keccak256 of the runtime code with its immutables set to zero: the same for every deployment of this build.
    pub fn masked_code_hash(&self) -> B256 {
        keccak256(self.runtime)
    }

    /// `code` with zeros in the places of this contract's immutables; places beyond the code's end are ignored.
    pub fn masked(&self, code: &[u8]) -> Vec<u8> {
        let mut masked = code.to_vec();
        for &(start, length) in self.immutables {
            let place = start as usize..(start + length) as usize;
            if let Some(bytes) = masked.get_mut(place) {
                bytes.fill(0);
            }
        }
        masked
    }
}
