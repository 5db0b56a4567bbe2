//! The CUDA backend, on the emulated device.
#![allow(missing_docs, clippy::unwrap_used)]

mod checks;
mod common;
mod compile;
#[cfg(not(feature = "gpu"))]
mod driver;
mod emulated;
mod exact;
#[cfg(not(feature = "gpu"))]
mod fake;
mod fast;
mod fast_attention;
mod fast_rows;
#[cfg(feature = "gpu")]
mod gpu;
mod kernels;
mod ledger;
mod limits;
mod measure;
mod numbers;
#[path = "../../../tests/shared/mod.rs"]
mod shared;
#[cfg(not(feature = "gpu"))]
mod stream;
