//! The CUDA backend of [`tandem_model::backend`].
//!
//! Kernels are CUDA C in `gpu-verifier/kernels/`. [`device::Device`] is what they run on: a card through its driver, or,
//! with the feature `emulator`, the host itself, so that everything but the card is tested where there is none.

pub mod device;
pub mod flash;
pub mod kernels;
