//! The CUDA backend of [`tandem_model::backend`].
//!
//! Kernels are CUDA C in `gpu-verifier/kernels/`. [`device::Device`] is what they run on: a card through its driver, or,
//! with the feature `emulator`, the host itself, so that everything but the card is tested where there is none.
//! [`CudaBackend`] puts the weights there and drives the layers, in the arithmetic of either
//! [`Numerics`](tandem_model::backend::Numerics).

mod backend;
pub mod checks;
pub mod compile;
pub mod device;
pub mod flash;
mod forward;
pub mod kernels;
mod model;
pub mod pack;
mod session;

pub use backend::{CudaBackend, LoadError, Options};
