//! Kernels compiled when this crate was built.

use super::Version;

/// One source, compiled for one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// Name of the source.
    pub source: &'static str,
    /// 80 for compute capability 8.0 and what came later.
    pub arch: u32,
    /// Who compiled it.
    pub made_by: Version,
    /// PTX.
    pub ptx: &'static str,
}

/// What is carried: nothing without the feature `embedded-ptx`.
#[cfg(not(feature = "embedded-ptx"))]
pub const EMBEDDED: &[Embedded] = &[];

#[cfg(feature = "embedded-ptx")]
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
