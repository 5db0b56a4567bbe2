//! Models and devices that tests share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tandem_cuda::device::Device;
use tandem_cuda::device::driver::{self, CudaDevice};
use tandem_cuda::device::emulator::{Emulator, Options};
use tandem_cuda::{CudaBackend, Options as Bounds};
use tandem_model::backend::Numerics;
use tandem_model::backend::cpu::CpuBackend;
use tandem_model::model::ModelFiles;
use tandem_model::testmodel::{self, Size};
use tempfile::TempDir;

use crate::shared;

/// Small enough that most tests go through several passes and chunks.
pub(crate) const SMALL: Bounds = Bounds { pass: 100, chunk: 37, logits: 5 };

/// The device that tests run on which need one: the card with the feature `gpu`, else an emulated one.
pub(crate) fn device() -> Arc<dyn Device> {
    if cfg!(feature = "gpu") { card() } else { emulated(false) }
}

/// All devices that must agree: two emulated ones, whose threads take turns in either order, and with the feature `gpu` the
/// card.
pub(crate) fn devices() -> Vec<Arc<dyn Device>> {
    let card = cfg!(feature = "gpu").then(card);
    both_orders().into_iter().chain(card).collect()
}

/// One emulated device, and with the feature `gpu` the card: where work is shared out to keep the quick run quick.
pub(crate) fn one_order(backwards: bool) -> Vec<Arc<dyn Device>> {
    let card = cfg!(feature = "gpu").then(card);
    std::iter::once(emulated(backwards)).chain(card).collect()
}

/// The emulated ones, which have the same bits in every mode.
pub(crate) fn both_orders() -> [Arc<dyn Device>; 2] {
    [false, true].map(emulated)
}

fn emulated(backwards: bool) -> Arc<dyn Device> {
    Emulator::open(Options { backwards, ..Options::default() }).unwrap()
}

/// The card that the environment names; there must be one.
pub(crate) fn card() -> Arc<dyn Device> {
    CudaDevice::open(&driver::Options::from_environment().unwrap()).unwrap()
}

/// A golden file of the verifier's tests.
#[derive(Deserialize)]
pub(crate) struct Golden {
    config: Value,
    seed: u64,
    pub(crate) tokens: Vec<u32>,
}

/// All golden files, by name.
pub(crate) fn goldens() -> BTreeMap<String, Golden> {
    shared::goldens(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden"))
}

impl Golden {
    pub(crate) fn write(&self) -> (TempDir, ModelFiles) {
        written(self.seed, &self.config)
    }
}

pub(crate) fn written(seed: u64, config: &Value) -> (TempDir, ModelFiles) {
    let dir = tempfile::tempdir().unwrap();
    testmodel::write_config(dir.path(), seed, &config.to_string()).unwrap();
    let files = ModelFiles::open(dir.path()).unwrap();
    (dir, files)
}

pub(crate) fn seeded(size: Size) -> (TempDir, ModelFiles) {
    let dir = tempfile::tempdir().unwrap();
    testmodel::write(dir.path(), 1, size).unwrap();
    let files = ModelFiles::open(dir.path()).unwrap();
    (dir, files)
}

/// A configuration of one layer, over which `fields` go.
pub(crate) fn config(architecture: &str, fields: Value) -> Value {
    let mut config = json!({
        "architectures": [architecture], "vocab_size": 288, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 512, "eos_token_id": 257,
    });
    let fields = fields.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    config
}

pub(crate) fn cpu(files: &ModelFiles) -> CpuBackend {
    CpuBackend::load(files, &tandem_model::backend::Options::default()).unwrap()
}

pub(crate) fn exact(device: &Arc<dyn Device>, files: &ModelFiles) -> CudaBackend {
    CudaBackend::load_with(Arc::clone(device), files, Numerics::Exact, SMALL).unwrap()
}

/// The prompts of the verifier's tests.
pub(crate) fn prompt(seed: u32, length: usize) -> Vec<u32> {
    let byte = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 7) % 256;
    std::iter::once(256).chain((1..length as u32).map(byte)).take(length).collect()
}

/// SplitMix64: the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Between -1 and 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// Nearly normal, of deviation 1.
    pub(crate) fn normal(&mut self) -> f32 {
        let z = self.bits();
        let sum: i32 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i32).sum();
        (sum - 131_070) as f32 / 37_837.0
    }

    pub(crate) fn units(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.unit()).collect()
    }
}

/// Equal bits; any NaN is any other.
pub(crate) fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}
