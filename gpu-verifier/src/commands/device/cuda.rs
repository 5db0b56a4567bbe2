//! Cards.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tandem_cuda::compile::{CacheFolder, EMBEDDED, Version};
use tandem_cuda::device::driver::{self, Card, Choice, CudaDevice, Survey};
use tandem_cuda::device::{Device, DeviceError};
use tandem_cuda::{CudaBackend, LoadError};
use tandem_verifier::backend::{Backend, Numerics, Options};
use tandem_verifier::model::ModelFiles;

use crate::commands::{FOUND_WRONG, print_json};

/// Which card, and what it needs.
#[derive(Args)]
pub(crate) struct CardArgs {
    /// The card: its number, or its UUID (GPU-…) or the beginning of it; `tandem-verifier devices` lists them. One process uses
    /// one card; several processes may share one [default: the first that can be used].
    #[arg(long, value_name = "N|UUID", env = "TANDEM_DEVICE")]
    device: Option<Choice>,
    #[command(flatten)]
    libraries: LibraryArgs,
    /// Folder where compiled kernels are kept, or `off` [default: $XDG_CACHE_HOME/tandem/kernels, else ~/.cache/tandem/kernels].
    #[arg(long, value_name = "DIR", env = "TANDEM_KERNEL_CACHE")]
    kernel_cache: Option<String>,
}

#[derive(Args)]
struct LibraryArgs {
    /// Folder with libnvrtc.so.* and libcublasLt.so.*, where the loader does not find them by itself: `pip install
    /// nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.0.2.14` puts them into site-packages/nvidia/cu13/lib.
    #[arg(long, value_name = "DIR", env = "TANDEM_NVRTC_DIR")]
    nvrtc_dir: Option<PathBuf>,
}

impl CardArgs {
    /// Opens the card, with matrix `products` or without, if `needs` bytes are free.
    pub(crate) fn open(&self, products: bool, needs: u64) -> Result<Arc<dyn Device>, DeviceError> {
        CudaDevice::open(&driver::Options {
            card: self.device.clone().unwrap_or_default(),
            libraries: self.libraries.nvrtc_dir.clone(),
            cache: self.kernel_cache.as_deref().map(CacheFolder::from).unwrap_or_default(),
            products,
            needs,
            ..driver::Options::default()
        })
    }

    /// Loads the model onto the card. The inner error is that of the card, which a CPU may do without.
    pub(super) fn load(
        &self,
        files: &ModelFiles,
        options: &Options,
    ) -> anyhow::Result<Result<Arc<dyn Backend>, DeviceError>> {
        // Weights are bf16; what a sequence needs comes on top.
        let opened = self.open(options.numerics == Numerics::Fast, files.config().parameters() * 2);
        let loaded = opened.map_err(LoadError::from).and_then(|device| {
            let described = device.describe();
            Ok((CudaBackend::load(device, files, options.numerics)?, described))
        });
        match loaded {
            Ok((backend, device)) => {
                tracing::info!(device, "the model runs on a card");
                Ok(Ok(Arc::new(backend)))
            }
            Err(LoadError::Device(error)) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// List cards, and what is missing to use them. Exit code 0 if one can be used, 1 if none.
#[derive(Args)]
pub(crate) struct Devices {
    #[command(flatten)]
    libraries: LibraryArgs,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What is there.
#[derive(Serialize)]
struct Found<'a> {
    /// The version of CUDA that the driver knows.
    driver: Option<Version>,
    /// What keeps the driver from working.
    driver_lacks: Option<String>,
    nvrtc: Option<Version>,
    nvrtc_lacks: Option<String>,
    cublaslt: Option<&'a str>,
    /// Architectures that kernels are built in for.
    built_in: Vec<u32>,
    cards: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    card: &'a Card,
    exact: Usable,
    fast: Usable,
}

#[derive(Serialize)]
struct Usable {
    usable: bool,
    lacks: Option<String>,
}

impl From<Result<driver::Origin, DeviceError>> for Usable {
    fn from(judged: Result<driver::Origin, DeviceError>) -> Self {
        Self { usable: judged.is_ok(), lacks: judged.err().map(|error| error.to_string()) }
    }
}

impl Devices {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let survey = Survey::take(self.libraries.nvrtc_dir.as_deref());
        let any = survey.choose(&Choice::Any, false);
        let mut built_in: Vec<u32> = EMBEDDED.iter().map(|ptx| ptx.arch).collect();
        built_in.sort_unstable();
        built_in.dedup();
        let judged = survey.cards.iter().map(|card| Judged {
            card,
            exact: survey.judge(card, false).into(),
            fast: survey.judge(card, true).into(),
        });
        let found = Found {
            driver: survey.driver.as_ref().ok().copied(),
            driver_lacks: survey.driver.as_ref().err().map(ToString::to_string),
            nvrtc: survey.nvrtc.as_ref().ok().and_then(Option::as_ref).map(|nvrtc| nvrtc.version()),
            nvrtc_lacks: survey.nvrtc.as_ref().err().map(ToString::to_string),
            cublaslt: survey.cublaslt.as_deref(),
            built_in,
            cards: judged.collect(),
        };
        if self.json {
            print_json(&found)?;
        } else {
            found.print();
            if let Err(error) = &any {
                println!("no card can be used: {error}");
            }
        }
        Ok(ExitCode::from(if any.is_ok() { 0 } else { FOUND_WRONG }))
    }
}

impl Found<'_> {
    fn print(&self) {
        let or = |version: Option<String>, lacks: &Option<String>| {
            version.or_else(|| lacks.clone()).unwrap_or_else(|| "none".to_owned())
        };
        println!("driver    {}", or(self.driver.map(|version| format!("CUDA {version}")), &self.driver_lacks));
        println!("NVRTC     {}", or(self.nvrtc.map(|version| version.to_string()), &self.nvrtc_lacks));
        println!("cuBLASLt  {}", self.cublaslt.unwrap_or("none"));
        if !self.built_in.is_empty() {
            println!("built in  kernels for {:?}", self.built_in);
        }
        for Judged { card: Card { ordinal, uuid, name, arch, memory }, exact, fast } in &self.cards {
            let gib = *memory as f64 / f64::from(1 << 30);
            println!("card {ordinal}    {name}, compute capability {}.{}, {gib:.1} GiB, {uuid}", arch / 10, arch % 10);
            for (numerics, Usable { lacks, .. }) in [("exact", exact), ("fast", fast)] {
                println!("  {numerics:<7} {}", lacks.as_deref().unwrap_or("can be used"));
            }
        }
    }
}
