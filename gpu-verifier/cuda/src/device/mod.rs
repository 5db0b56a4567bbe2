//! What kernels run on: memory, launches and matrix products, in the order they are asked for.

pub mod driver;
#[cfg(feature = "emulator")]
pub mod emulator;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::{NoUninit, Pod};
use thiserror::Error;

use crate::kernels::Arguments;

/// Why a device could not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    /// No device, no driver, no compiler, or a device that is too old: what, and what to do about it.
    #[error("{0}")]
    Unavailable(String),
    /// Memory ran out.
    #[error("out of memory: {asked} bytes asked for, {free} free")]
    OutOfMemory {
        /// Bytes asked for.
        asked: u64,
        /// Bytes free at that time.
        free: u64,
    },
    /// A kernel could not be compiled, or does not fit its host side.
    #[error("kernel {kernel}: {reason}")]
    Kernel {
        /// Its name.
        kernel: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The device failed while it worked. Nothing on it can be trusted afterwards.
    #[error("{0}")]
    Failed(String),
    /// A fault ended all work of this process on the device: every later call says so, and only a new process can go on.
    #[error("the device is lost, restart this process: {0}")]
    Lost(String),
}

/// Memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes free now.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What is allocated, counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Now, and at most since the last reset.
    bytes: Mutex<(u64, u64)>,
}

impl Tally {
    /// Some more.
    pub fn take(&self, bytes: u64) {
        let (now, most) = &mut *self.hold();
        *now += bytes;
        *most = (*most).max(*now);
    }

    /// Some less.
    pub fn give(&self, bytes: u64) {
        let (now, _) = &mut *self.hold();
        *now = now.saturating_sub(bytes);
    }

    /// At most is what is now.
    pub fn reset(&self) {
        let (now, most) = &mut *self.hold();
        *most = *now;
    }

    /// At most since the last reset.
    pub fn most(&self) -> u64 {
        self.hold().1
    }

    fn hold(&self) -> MutexGuard<'_, (u64, u64)> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many threads run a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks, in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block, in x, y and z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

impl Shape {
    /// `blocks` blocks of `threads` threads.
    pub const fn line(blocks: u32, threads: u32) -> Self {
        Self { grid: [blocks, 1, 1], block: [threads, 1, 1], shared: 0 }
    }
}

/// Type of a matrix product's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Rounded to bf16.
    Bf16,
    /// Single precision.
    F32,
}

/// `out = x · Wᵀ`, or `out += x · Wᵀ`, for fast mode: bf16 factors, sums in single precision in any order. All matrices are
/// row-major and dense: `x` is `rows × depth`, `weights` is `columns × depth`, `out` is `rows × columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Address of `x`.
    pub x: u64,
    /// Address of `W`.
    pub weights: u64,
    /// Address of the result.
    pub out: u64,
    /// Rows of `x`.
    pub rows: u32,
    /// Rows of `W`.
    pub columns: u32,
    /// Columns of both.
    pub depth: u32,
    /// Type of the result.
    pub element: Element,
    /// Whether to add to what is in `out`; only with [`Element::F32`].
    pub add: bool,
}

/// A device with one queue: operations happen in the order of the calls, and only [`download`](Self::download),
/// [`synchronize`](Self::synchronize) and the end of a [`fetch`](Self::fetch) wait for them. A failure may therefore show only at the next call that waits.
/// Addresses are those of the device, from [`allocate`](Self::allocate), perhaps with an offset.
pub trait Device: Debug + Send + Sync {
    /// What it is, for people.
    fn describe(&self) -> String;

    /// Its memory.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn memory(&self) -> Result<Memory, DeviceError>;

    /// Begins anew to watch how much is taken at most; what nobody uses is given back first.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn watch(&self) -> Result<(), DeviceError>;

    /// Most bytes that were taken at a time since [`watch`](Self::watch), with what is kept between two uses.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn peak(&self) -> Result<u64, DeviceError>;

    /// Memory of undefined content, aligned to 256 bytes; at least one byte. [`Buffer`] frees it.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`].
    fn allocate(&self, bytes: u64) -> Result<u64, DeviceError>;

    /// Gives memory back, after all work that was asked for before.
    fn free(&self, address: u64, bytes: u64);

    /// Copies from the host.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Copies to the host, after all work that was asked for before.
    ///
    /// # Errors
    /// [`DeviceError::Failed`], also of earlier work.
    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), DeviceError>;

    /// Begins a copy of `bytes` bytes to the host, after all work that was asked for before and ahead of what is asked for
    /// later. The memory must stay allocated until the copy is waited for or dropped. Here, for devices that have nothing to
    /// go on with meanwhile, it waits.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn fetch(self: Arc<Self>, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        let mut copy = vec![0; bytes];
        self.download(from, &mut copy)?;
        Ok(Box::new(copy))
    }

    /// Copies within the device.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn copy(&self, from: u64, to: u64, bytes: u64) -> Result<(), DeviceError>;

    /// Runs a kernel of [`SOURCES`](crate::kernels::SOURCES); `arguments` are the bytes of its structure.
    ///
    /// # Errors
    /// [`DeviceError::Kernel`], [`DeviceError::Failed`].
    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &[u8]) -> Result<(), DeviceError>;

    /// Multiplies matrices.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn multiply(&self, product: &Product) -> Result<(), DeviceError>;

    /// Waits for all work.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    fn synchronize(&self) -> Result<(), DeviceError>;
}

/// A copy to the host under way.
pub trait Fetch: Debug + Send {
    /// Waits for it and for nothing that was asked for later; `to` has as many bytes as were asked for.
    ///
    /// # Errors
    /// [`DeviceError::Failed`], also of earlier work.
    fn wait(self: Box<Self>, to: &mut [u8]) -> Result<(), DeviceError>;
}

impl Fetch for Vec<u8> {
    fn wait(self: Box<Self>, to: &mut [u8]) -> Result<(), DeviceError> {
        to.copy_from_slice(&self);
        Ok(())
    }
}

/// Launches the kernel that `arguments` belong to; nothing happens for an empty grid.
///
/// # Errors
/// As [`Device::launch`].
pub fn launch<A: Arguments>(device: &dyn Device, shape: Shape, arguments: &A) -> Result<(), DeviceError> {
    if shape.grid.contains(&0) {
        return Ok(());
    }
    device.launch(A::KERNEL, shape, bytemuck::bytes_of(arguments))
}

/// Memory of a device, given back when dropped.
#[derive(Debug)]
pub struct Buffer {
    device: Arc<dyn Device>,
    address: u64,
    bytes: u64,
}

impl Buffer {
    /// `length` elements of undefined content.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`].
    pub fn of<T>(device: &Arc<dyn Device>, length: usize) -> Result<Self, DeviceError> {
        let bytes = (length as u64).saturating_mul(size_of::<T>() as u64).max(1);
        Ok(Self { device: Arc::clone(device), address: device.allocate(bytes)?, bytes })
    }

    /// A copy of `values`.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn from<T: NoUninit>(device: &Arc<dyn Device>, values: &[T]) -> Result<Self, DeviceError> {
        let buffer = Self::of::<T>(device, values.len())?;
        device.upload(buffer.address, bytemuck::cast_slice(values))?;
        Ok(buffer)
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `length` elements from the element `first` on.
    ///
    /// # Errors
    /// [`DeviceError::Failed`], also where there are not so many.
    pub fn read<T: Pod>(&self, first: usize, length: usize) -> Result<Vec<T>, DeviceError> {
        let size = size_of::<T>() as u64;
        if (first as u64 + length as u64) * size > self.bytes {
            return Err(DeviceError::Failed(format!(
                "{length} elements from {first} on are not in {} bytes",
                self.bytes
            )));
        }
        let mut values = vec![T::zeroed(); length];
        self.device.download(self.address + first as u64 * size, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

impl Buffer {
    /// Begins to read all of it: `length` elements.
    ///
    /// # Errors
    /// [`DeviceError::Failed`], also where there are not so many.
    pub fn fetch<T: Pod>(self, length: usize) -> Result<Reading<T>, DeviceError> {
        let bytes = length * size_of::<T>();
        if bytes as u64 > self.bytes {
            return Err(DeviceError::Failed(format!("{length} elements are not in {} bytes", self.bytes)));
        }
        let fetch = Arc::clone(&self.device).fetch(self.address, bytes)?;
        Ok(Reading { fetch, _buffer: self, length, kind: PhantomData })
    }
}

/// The content of a buffer, on its way to the host.
#[derive(Debug)]
pub struct Reading<T> {
    // Dropped before what it copies from.
    fetch: Box<dyn Fetch>,
    _buffer: Buffer,
    length: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T: Pod> Reading<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// [`DeviceError::Failed`], also of earlier work.
    pub fn wait(self) -> Result<Vec<T>, DeviceError> {
        let mut values = vec![T::zeroed(); self.length];
        self.fetch.wait(bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.device.free(self.address, self.bytes);
    }
}
