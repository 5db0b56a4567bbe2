//! The CUDA backend, on the emulated device.
#![allow(missing_docs, clippy::unwrap_used)]

mod checks;
mod common;
mod emulated;
mod exact;
mod kernels;
mod limits;
