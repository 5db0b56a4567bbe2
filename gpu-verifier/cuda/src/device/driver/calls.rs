//! Calls into the driver, and what their failures mean.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use cudarc::driver::sys::{self, CUresult};

use crate::device::DeviceError;

/// Why this process has lost its device. A fault belongs to the process: there is one context of each card in it.
static LOST: OnceLock<String> = OnceLock::new();

/// Why this process has lost its device, if it has. Only a new process can use it again.
pub fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The driver's code; `None` when it lacks the function.
    pub(super) code: Option<CUresult>,
    /// What was called, and what came of it.
    pub(super) text: String,
}

impl From<Fault> for DeviceError {
    fn from(fault: Fault) -> Self {
        if !fault.code.is_some_and(ends_everything) {
            return Self::Failed(fault.text);
        }
        let first = LOST.get_or_init(|| {
            tracing::error!(fault = %fault.text, "the device is lost");
            fault.text
        });
        Self::Lost(first.clone())
    }
}

/// Fails if an earlier call lost the device.
pub(super) fn alive() -> Result<(), DeviceError> {
    lost().map_or(Ok(()), |why| Err(DeviceError::Lost(why.to_owned())))
}

/// Calls the driver.
///
/// # Errors
/// [`Fault`], also when the driver does not have the function.
pub(super) fn call(name: &'static str, function: impl FnOnce() -> CUresult) -> Result<(), Fault> {
    match guarded(function) {
        Some(CUresult::CUDA_SUCCESS) => Ok(()),
        Some(code) => Err(Fault { code: Some(code), text: format!("{name}: {}", words(code)) }),
        None => Err(Fault {
            code: None,
            text: format!("{name}: the driver does not have it; it is too old: install r580 or later"),
        }),
    }
}

/// `None` where cudarc panics, because a library or a function of it is missing.
pub(super) fn guarded<T>(function: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(function)).ok()
}

/// Whether a code means that nothing of this process on this device can go on.
pub(super) fn ends_everything(code: CUresult) -> bool {
    matches!(
        code,
        CUresult::CUDA_ERROR_DEINITIALIZED
            | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | CUresult::CUDA_ERROR_CONTAINED
            | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK
            | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
            | CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED
            | CUresult::CUDA_ERROR_UNKNOWN
    )
}

/// `CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)`.
pub(super) fn words(code: CUresult) -> String {
    let text = |get: unsafe fn(CUresult, *mut *const c_char) -> CUresult| {
        let mut text = ptr::null();
        // SAFETY: the driver writes the address of a constant text, or null.
        guarded(|| unsafe { get(code, &raw mut text) })?;
        // SAFETY: as above.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    match text(sys::cuGetErrorString) {
        Some(meaning) => format!("{code:?} ({meaning})"),
        None => format!("{code:?}"),
    }
}
