//! The CUDA backend, on the emulated device.
#![allow(missing_docs, clippy::unwrap_used)]

mod emulated;
mod fast_attention;
mod fast_rows;
mod numbers;
