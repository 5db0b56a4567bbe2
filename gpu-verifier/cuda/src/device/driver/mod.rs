//! A card, through its driver.
//!
//! Nothing is linked: the driver, NVRTC and cuBLASLt are looked for when a card is asked for, and a machine without them
//! is told what is missing. One context and one queue; memory is allocated in the queue's order, and what goes up and down
//! passes through pinned memory, so that the host waits for results only.
//!
//! A kernel that faults ends all work of the process on the card; from then on every call fails with [`DeviceError::Lost`],
//! and [`lost`] tells a service that it must be started anew.
#![allow(unsafe_code)]

mod calls;
mod context;
mod memory;
mod products;
mod staging;
mod survey;

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUfunction_attribute as FunctionAttribute};

pub use self::calls::lost;
use self::calls::{Fault, alive, call};
use self::context::{Context, Module, Stream};
use self::memory::Pool;
use self::products::{Products, WORKSPACE};
use self::staging::{Download, RING, Uploads};
pub use self::survey::{Card, Choice, Lack, Origin, Survey, origin};
use super::{Device, DeviceError, Fetch, Memory, Product, Shape, Tally};
use crate::compile::{self, CacheFolder, EMBEDDED, Version, argument_bytes};
use crate::kernels::{SOURCES, Source};

/// Shared memory that every kernel may use without asking.
const SHARED_UNASKED: u32 = 48 << 10;

/// Most bytes of a kernel's arguments: what compute capability 8.0 takes.
const MOST_ARGUMENTS: usize = 4_096;

/// How to open a card.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which card.
    pub card: Choice,
    /// Folder with NVRTC and cuBLASLt, if the loader does not know theirs.
    pub libraries: Option<PathBuf>,
    /// Where compiled kernels are kept.
    pub cache: CacheFolder,
    /// Whether [`Device::multiply`] will be called: without cuBLASLt opening fails then, not the first product.
    pub products: bool,
    /// Bytes of memory that must be free.
    pub needs: u64,
    /// Bytes that may stay with this process after they were freed, so that the next pass has them at once. What two
    /// processes on one card keep, the other lacks.
    pub keeps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { card: Choice::Any, libraries: None, cache: CacheFolder::Usual, products: true, needs: 0, keeps: 1 << 30 }
    }
}

impl Options {
    /// As the environment has it: `TANDEM_DEVICE`, `TANDEM_NVRTC_DIR`, `TANDEM_KERNEL_CACHE` (a folder, or `off`).
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] when `TANDEM_DEVICE` names no card.
    pub fn from_environment() -> Result<Self, DeviceError> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let card = set("TANDEM_DEVICE").map(|text| text.parse::<Choice>()).transpose();
        Ok(Self {
            card: card
                .map_err(|error| DeviceError::Unavailable(format!("TANDEM_DEVICE: {error}")))?
                .unwrap_or_default(),
            libraries: set("TANDEM_NVRTC_DIR").map(PathBuf::from),
            cache: set("TANDEM_KERNEL_CACHE").map(|text| text.as_str().into()).unwrap_or_default(),
            ..Self::default()
        })
    }
}

/// A card.
pub struct CudaDevice {
    card: Card,
    kernels: HashMap<&'static str, Kernel>,
    uploads: Mutex<Uploads>,
    downloads: Mutex<Vec<Download>>,
    products: Option<Mutex<Products>>,
    /// Addresses of what this device allocated for itself.
    own: Vec<(u64, u64)>,
    pool: Option<Pool>,
    tally: Tally,
    most_shared: u32,
    made_by: String,
    // Dropped in this order.
    modules: Vec<Module>,
    stream: Stream,
    context: Context,
}

#[derive(Debug)]
struct Kernel {
    function: sys::CUfunction,
    arguments: usize,
    most_threads: u32,
    shared: u32,
    /// Whether it may use all the shared memory that there is.
    unlocked: AtomicBool,
}

// SAFETY: handles may be used from any thread, and a function's lives as long as its module.
unsafe impl Send for Kernel {}
// SAFETY: as above; the driver serialises.
unsafe impl Sync for Kernel {}

impl CudaDevice {
    /// Opens a card and loads the kernels.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] says what is missing (see [`Lack`]), [`DeviceError::Kernel`] which kernel the compiler or
    /// the driver refused, [`DeviceError::Lost`] that this process lost its card before.
    pub fn open(options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
        alive()?;
        let survey = Survey::take(options.libraries.as_deref());
        let (card, origin) = survey.choose(&options.card, options.products)?;
        let (sources, made_by) = sources(&survey, origin, &options.cache)?;

        let context = Context::of(card)?;
        let stream = Stream::new()?;
        let modules =
            sources.iter().map(|(source, ptx)| Module::load(source.name, ptx)).collect::<Result<Vec<_>, _>>()?;
        let mut kernels = HashMap::new();
        for ((source, ptx), module) in sources.iter().zip(&modules) {
            for (name, bytes) in source.kernels.iter().zip(source.bytes) {
                kernels.insert(*name, Kernel::find(name, *bytes, ptx, module)?);
            }
        }
        let pool = context.pool(options.keeps)?.map(Pool);
        let mut device = Self {
            card: card.clone(),
            kernels,
            uploads: Mutex::new(Uploads::new(RING)?),
            downloads: Mutex::default(),
            products: None,
            own: Vec::new(),
            pool,
            tally: Tally::default(),
            most_shared: context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            made_by,
            modules,
            stream,
            context,
        };
        let free = device.memory()?.free;
        if free < options.needs {
            return Err(Lack::Memory { card: card.name.clone(), free, needed: options.needs }.into());
        }
        if options.products {
            let workspace = device.allocate(WORKSPACE)?;
            device.own.push((workspace, WORKSPACE));
            device.products = Some(Mutex::new(Products::new(workspace)?));
        }
        Ok(Arc::new(device))
    }

    /// Makes the context this thread's, if the device still lives.
    fn enter(&self) -> Result<(), DeviceError> {
        alive()?;
        Ok(self.context.enter()?)
    }
}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaDevice").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Device for CudaDevice {
    fn describe(&self) -> String {
        let Card { ordinal, uuid, name, arch, memory } = &self.card;
        let gib = *memory as f64 / f64::from(1 << 30);
        let (major, minor) = (arch / 10, arch % 10);
        format!(
            "{name} ({ordinal}, {uuid}), compute capability {major}.{minor}, {gib:.1} GiB, kernels {}",
            self.made_by
        )
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the driver writes two numbers.
        call("cuMemGetInfo", || unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut total) })?;
        Ok(Memory { free: free as u64 + self.idle()?, total: total as u64 })
    }

    fn watch(&self) -> Result<(), DeviceError> {
        self.synchronize()?;
        self.trim()?;
        self.tally.reset();
        Ok(self.forget_peak()?)
    }

    fn peak(&self) -> Result<u64, DeviceError> {
        self.enter()?;
        Ok(self.tally.most().max(self.pool_peak()?))
    }

    fn allocate(&self, bytes: u64) -> Result<u64, DeviceError> {
        self.enter()?;
        if let Some(address) = self.try_allocate(bytes.max(1))? {
            return Ok(address);
        }
        // What was freed returns when the queue has come so far.
        self.synchronize()?;
        self.trim()?;
        let refused = || Ok(DeviceError::OutOfMemory { asked: bytes, free: self.memory()?.free });
        self.try_allocate(bytes.max(1))?.ok_or_else(|| refused().unwrap_or_else(|error| error))
    }

    fn free(&self, address: u64, bytes: u64) {
        self.tally.give(bytes.max(1));
        // A device that is lost has nothing to give back.
        if self.enter().is_ok()
            && let Err(fault) = self.release(address)
        {
            tracing::error!(error = %DeviceError::from(fault), "memory could not be given back");
        }
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.enter()?;
        Ok(hold(&self.uploads).send(to, bytes, self.stream.0)?)
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.enter()?;
        let mut way = hold(&self.downloads).pop().unwrap_or_default();
        let done = way.begin(from, bytes.len(), self.stream.0).and_then(|()| way.finish(from, bytes, self.stream.0));
        hold(&self.downloads).push(way);
        Ok(done?)
    }

    fn fetch(self: Arc<Self>, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        self.enter()?;
        let way = hold(&self.downloads).pop().unwrap_or_default();
        let mut fetching = Fetching { device: self, way, from };
        let stream = fetching.device.stream.0;
        fetching.way.begin(from, bytes, stream)?;
        Ok(Box::new(fetching))
    }

    fn copy(&self, from: u64, to: u64, bytes: u64) -> Result<(), DeviceError> {
        self.enter()?;
        // SAFETY: both are the device's; it faults by itself if they are not.
        Ok(call("cuMemcpyDtoDAsync", || unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes as usize, self.stream.0) })?)
    }

    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &[u8]) -> Result<(), DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel, reason };
        let known = self.kernels.get(kernel).ok_or_else(|| wrong("is in no source".to_owned()))?;
        known.check(shape, arguments.len(), self.most_shared).map_err(wrong)?;
        self.enter()?;
        if known.shared + shape.shared > SHARED_UNASKED && !known.unlocked.load(Ordering::Acquire) {
            let most = (self.most_shared - known.shared) as i32;
            let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function lives in a module of this device.
            call("cuFuncSetAttribute", || unsafe { sys::cuFuncSetAttribute(known.function, attribute, most) })?;
            known.unlocked.store(true, Ordering::Release);
        }
        let mut aligned = vec![0_u64; arguments.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut aligned)[..arguments.len()].copy_from_slice(arguments);
        let mut parameters = [aligned.as_mut_ptr().cast::<c_void>()];
        let ([x, y, z], [a, b, c]) = (shape.grid, shape.block);
        // SAFETY: the arguments have the size that the kernel declares, and are copied before this returns. What the kernel
        // does with the addresses in them is its own affair.
        let launched = call("cuLaunchKernel", || unsafe {
            let (stream, none) = (self.stream.0, std::ptr::null_mut());
            sys::cuLaunchKernel(known.function, x, y, z, a, b, c, shape.shared, stream, parameters.as_mut_ptr(), none)
        });
        launched.map_err(|fault| match DeviceError::from(fault) {
            DeviceError::Failed(reason) => wrong(reason),
            lost => lost,
        })
    }

    fn multiply(&self, product: &Product) -> Result<(), DeviceError> {
        self.enter()?;
        match &self.products {
            Some(products) => hold(products).multiply(product, self.stream.0),
            None => Err(DeviceError::Failed("the device was opened without products".to_owned())),
        }
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        self.enter()?;
        Ok(self.stream.wait()?)
    }
}

/// A copy to the host under way.
#[derive(Debug)]
struct Fetching {
    device: Arc<CudaDevice>,
    way: Download,
    from: u64,
}

impl Fetch for Fetching {
    fn wait(mut self: Box<Self>, to: &mut [u8]) -> Result<(), DeviceError> {
        self.device.enter()?;
        let stream = self.device.stream.0;
        Ok(self.way.finish(self.from, to, stream)?)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // A copy that nobody waited for may still come. Whatever uses the way next comes behind it in the queue.
        hold(&self.device.downloads).push(std::mem::take(&mut self.way));
    }
}

impl Drop for CudaDevice {
    fn drop(&mut self) {
        // What follows needs the context; where it is lost, it takes everything with it.
        let _ = self.synchronize();
        for (address, bytes) in std::mem::take(&mut self.own) {
            self.free(address, bytes);
        }
        let _ = self.synchronize();
        tracing::debug!(modules = self.modules.len(), "the device is closed");
    }
}

impl Kernel {
    fn find(name: &'static str, bytes: usize, ptx: &str, module: &Module) -> Result<Self, DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel: name, reason };
        if argument_bytes(ptx, name) != Some(bytes) || bytes > MOST_ARGUMENTS {
            return Err(wrong(format!("is compiled for other arguments than the host's {bytes} bytes")));
        }
        let function = module.function(name)?;
        let ask = |attribute| {
            let mut value = 0;
            // SAFETY: the function lives, and the driver writes one number.
            call("cuFuncGetAttribute", || unsafe { sys::cuFuncGetAttribute(&raw mut value, attribute, function) })?;
            Ok::<_, Fault>(u32::try_from(value).unwrap_or(0))
        };
        Ok(Self {
            function,
            arguments: bytes,
            most_threads: ask(FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            shared: ask(FunctionAttribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
            unlocked: AtomicBool::new(false),
        })
    }

    /// Whether it can be launched so.
    fn check(&self, shape: Shape, arguments: usize, most_shared: u32) -> Result<(), String> {
        if self.arguments != arguments {
            return Err(format!("takes {} bytes of arguments, not {arguments}", self.arguments));
        }
        let threads = shape.block.iter().try_fold(1_u32, |threads, &side| threads.checked_mul(side));
        if threads.is_none_or(|threads| threads == 0 || threads > self.most_threads) {
            return Err(format!("runs with at most {} threads, not {:?}", self.most_threads, shape.block));
        }
        if shape.grid[0] == 0 || shape.grid[1..].iter().any(|&n| n == 0 || n > 65_535) {
            return Err(format!("cannot be launched as {shape:?}"));
        }
        let shared = self.shared.saturating_add(shape.shared);
        if shared > most_shared {
            return Err(format!("needs {shared} bytes of shared memory, of which this card gives {most_shared}"));
        }
        Ok(())
    }
}

/// The PTX of each source, and who made it.
fn sources(
    survey: &Survey,
    origin: Origin,
    cache: &CacheFolder,
) -> Result<(Vec<(Source, String)>, String), DeviceError> {
    match (origin, &survey.nvrtc) {
        (Origin::Nvrtc(arch), Ok(Some(nvrtc))) => {
            let all = std::thread::scope(|scope| {
                let started =
                    SOURCES.map(|source| (source, scope.spawn(move || compile::ptx(nvrtc, cache, &source, arch))));
                let ended = started.into_iter().map(|(source, thread)| {
                    let ptx = thread.join().unwrap_or_else(|_| {
                        Err(DeviceError::Kernel { kernel: source.name, reason: "the compiler failed".to_owned() })
                    });
                    Ok((source, ptx?))
                });
                ended.collect::<Result<Vec<_>, DeviceError>>()
            })?;
            Ok((all, format!("by NVRTC {} for {arch}", nvrtc.version())))
        }
        (Origin::Embedded(arch), _) => {
            let built_in = |source: Source| {
                let mut fitting = EMBEDDED.iter().filter(|ptx| ptx.source == source.name && ptx.arch == arch);
                let missing =
                    || DeviceError::Kernel { kernel: source.name, reason: format!("not built in for {arch}") };
                fitting.next().ok_or_else(missing).map(|ptx| (source, ptx.ptx.to_owned()))
            };
            let all = SOURCES.into_iter().map(built_in).collect::<Result<Vec<_>, _>>()?;
            let made_by = EMBEDDED.first().map_or(Version { major: 0, minor: 0 }, |ptx| ptx.made_by);
            Ok((all, format!("built in by NVRTC {made_by} for {arch}")))
        }
        (Origin::Nvrtc(_), _) => Err(Lack::Compiler.into()),
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
