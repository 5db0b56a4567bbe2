//! Models and devices that tests share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tandem_cuda::device::Device;
use tandem_cuda::device::emulator::{Emulator, Options};
use tandem_cuda::{CudaBackend, Options as Bounds};
use tandem_model::backend::Numerics;
use tandem_model::backend::cpu::CpuBackend;
use tandem_model::model::ModelFiles;
use tandem_model::testmodel;
use tempfile::TempDir;

/// Small enough that every test goes through several passes and chunks.
pub(crate) const SMALL: Bounds = Bounds { pass: 100, chunk: 37, logits: 5 };

pub(crate) fn device() -> Arc<dyn Device> {
    Emulator::open(Options::default()).unwrap()
}

/// Devices whose threads take turns in either order.
pub(crate) fn both_orders() -> [Arc<dyn Device>; 2] {
    [false, true].map(|backwards| Emulator::open(Options { backwards, ..Options::default() }).unwrap())
}

/// What the tests of the verifier's CPU backend freeze: see `gpu-verifier/tests/it/golden.rs`.
#[derive(Deserialize)]
pub(crate) struct Golden {
    config: serde_json::Value,
    seed: u64,
    pub(crate) tokens: Vec<u32>,
    /// The first eight bytes of SHA-256 of the exact hidden states of `tokens`, as little-endian bf16.
    #[serde(default)]
    pub(crate) exact: String,
}

/// All golden files, by name.
pub(crate) fn goldens() -> BTreeMap<String, Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

impl Golden {
    pub(crate) fn write(&self) -> (TempDir, ModelFiles) {
        written(self.seed, &self.config)
    }
}

pub(crate) fn written(seed: u64, config: &serde_json::Value) -> (TempDir, ModelFiles) {
    let dir = tempfile::tempdir().unwrap();
    testmodel::write_config(dir.path(), seed, &config.to_string()).unwrap();
    let files = ModelFiles::open(dir.path()).unwrap();
    (dir, files)
}

pub(crate) fn cpu(files: &ModelFiles) -> CpuBackend {
    CpuBackend::load(files, &tandem_model::backend::Options::default()).unwrap()
}

pub(crate) fn exact(device: Arc<dyn Device>, files: &ModelFiles) -> CudaBackend {
    CudaBackend::load_with(device, files, Numerics::Exact, SMALL).unwrap()
}

pub(crate) fn prompt(seed: u32, length: usize) -> Vec<u32> {
    let byte = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 7) % 256;
    (0..length as u32).map(byte).collect()
}
