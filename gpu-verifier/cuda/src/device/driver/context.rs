//! What lives on a card: its context, a queue, modules.

use std::ffi::{CString, c_void};
use std::ptr;

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};

use super::calls::{Fault, call};
use super::survey::{self, Card};
use crate::device::DeviceError;

/// The card's primary context, which all of a process share.
#[derive(Debug)]
pub(super) struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: handles may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: as above; the driver serialises.
unsafe impl Sync for Context {}

impl Context {
    /// Makes it, and makes it this thread's.
    pub(super) fn of(card: &Card) -> Result<Self, DeviceError> {
        let (mut device, mut context) = (0, ptr::null_mut());
        // SAFETY: the driver writes handles.
        let made = unsafe {
            call("cuDeviceGet", || sys::cuDeviceGet(&raw mut device, card.ordinal as i32))?;
            call("cuDevicePrimaryCtxRetain", || sys::cuDevicePrimaryCtxRetain(&raw mut context, device))
        };
        made.map_err(|fault| match fault.code {
            Some(CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE | CUresult::CUDA_ERROR_INVALID_DEVICE) => {
                DeviceError::Unavailable(format!(
                    "{} is taken: another process has it for itself, or its compute mode forbids use (`nvidia-smi -c DEFAULT` \
                     allows several): {}",
                    card.name, fault.text
                ))
            }
            Some(CUresult::CUDA_ERROR_OUT_OF_MEMORY) => DeviceError::Unavailable(format!(
                "{} has no memory left to begin with: end what else runs on it, or choose another card by --device",
                card.name
            )),
            _ => fault.into(),
        })?;
        let context = Self { device, context };
        context.enter()?;
        Ok(context)
    }

    pub(super) fn enter(&self) -> Result<(), Fault> {
        // SAFETY: the context is retained.
        call("cuCtxSetCurrent", || unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    pub(super) fn attribute(&self, attribute: Attribute) -> Result<u32, Fault> {
        survey::attribute(self.device, attribute)
    }

    /// The pool that memory is allocated from in the queue's order, if the card has such; it keeps up to `keeps` bytes.
    pub(super) fn pool(&self, keeps: u64) -> Result<Option<sys::CUmemoryPool>, Fault> {
        if self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? == 0 {
            return Ok(None);
        }
        let (mut pool, mut keeps) = (ptr::null_mut(), keeps);
        // SAFETY: the driver writes a handle, and reads eight bytes.
        unsafe {
            call("cuDeviceGetDefaultMemPool", || sys::cuDeviceGetDefaultMemPool(&raw mut pool, self.device))?;
            let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            call("cuMemPoolSetAttribute", || sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut keeps).cast()))?;
        }
        Ok(Some(pool))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was retained once.
        let _ = call("cuDevicePrimaryCtxRelease", || unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) });
    }
}

/// A queue.
#[derive(Debug)]
pub(super) struct Stream(pub(super) sys::CUstream);

// SAFETY: handles may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above; the driver serialises.
unsafe impl Sync for Stream {}

impl Stream {
    pub(super) fn new() -> Result<Self, Fault> {
        let mut stream = ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: the driver writes a handle.
        call("cuStreamCreate", || unsafe { sys::cuStreamCreate(&raw mut stream, flags) })?;
        Ok(Self(stream))
    }

    pub(super) fn wait(&self) -> Result<(), Fault> {
        // SAFETY: the handle lives.
        call("cuStreamSynchronize", || unsafe { sys::cuStreamSynchronize(self.0) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it was created and is destroyed once.
        let _ = call("cuStreamDestroy", || unsafe { sys::cuStreamDestroy_v2(self.0) });
    }
}

/// Kernels on the card.
#[derive(Debug)]
pub(super) struct Module(sys::CUmodule);

// SAFETY: handles may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: as above; the driver serialises.
unsafe impl Sync for Module {}

impl Module {
    /// Compiles PTX for the card.
    pub(super) fn load(source: &'static str, ptx: &str) -> Result<Self, DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel: source, reason };
        let ptx = CString::new(ptx).map_err(|error| wrong(error.to_string()))?;
        let mut log = vec![0_u8; 8 << 10];
        let mut names =
            [sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER, sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        // The driver takes a number in the place of an address here.
        let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let mut module = ptr::null_mut();
        // SAFETY: the text ends in zero, and the log has the size that is told.
        let loaded = call("cuModuleLoadDataEx", || unsafe {
            let (names, values) = (names.as_mut_ptr(), values.as_mut_ptr());
            sys::cuModuleLoadDataEx(&raw mut module, ptx.as_ptr().cast(), 2, names, values)
        });
        loaded.map_err(|fault| {
            let log = String::from_utf8_lossy(log.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
            match DeviceError::from(fault) {
                DeviceError::Failed(reason) => wrong(format!("{reason} {log}").trim().to_owned()),
                other => other,
            }
        })?;
        Ok(Self(module))
    }

    pub(super) fn function(&self, name: &'static str) -> Result<sys::CUfunction, DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel: name, reason };
        let text = CString::new(name).map_err(|error| wrong(error.to_string()))?;
        let mut function = ptr::null_mut();
        // SAFETY: the driver writes a handle.
        let found = call("cuModuleGetFunction", || unsafe {
            sys::cuModuleGetFunction(&raw mut function, self.0, text.as_ptr())
        });
        found.map_err(|fault| wrong(fault.text))?;
        Ok(function)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: it was loaded and is unloaded once; its kernels are asked for no more.
        let _ = call("cuModuleUnload", || unsafe { sys::cuModuleUnload(self.0) });
    }
}
