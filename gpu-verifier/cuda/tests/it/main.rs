//! The CUDA backend, on the emulated device.
#![allow(missing_docs, clippy::unwrap_used)]

mod checks;
mod common;
mod emulated;
mod exact;
mod fast;
mod fast_attention;
mod fast_rows;
mod kernels;
mod limits;
mod numbers;
