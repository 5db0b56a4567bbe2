//! From CUDA C to PTX: by NVRTC, from a cache on disk, or made when this crate was built.

pub mod cache;
mod embedded;
mod nvrtc;

use std::fmt;

use serde::Serialize;

pub use self::cache::CacheFolder;
pub use self::embedded::{EMBEDDED, Embedded};
pub use self::nvrtc::{Compiled, Nvrtc};
pub(crate) use self::nvrtc::{newest, preload, usual_folders};
use crate::device::DeviceError;
use crate::kernels::Source;

/// Nothing is contracted: what is fused says so. Division, root and subnormals stay as IEEE 754 has them, by default.
pub const FLAGS: [&str; 2] = ["--fmad=false", "--std=c++17"];

/// The oldest architecture that kernels are written for: compute capability 8.0.
pub const OLDEST: u32 = 80;

/// A version of CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 13 of 13.0.
    pub major: u32,
    /// 0 of 13.0.
    pub minor: u32,
}

impl Version {
    /// As the driver numbers it: 13020 for 13.2.
    pub const fn of_driver(number: u32) -> Self {
        Self { major: number / 1_000, minor: number % 1_000 / 10 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text that is compiled.
pub(crate) fn whole(source: &Source) -> String {
    let headers: String = source.headers.iter().map(|(name, text)| format!("#line 1 \"{name}\"\n{text}\n")).collect();
    format!("{headers}#line 1 \"{}.cu\"\n{}", source.name, source.text)
}

/// PTX of `source`, from the cache if it has it. A cache that cannot be written costs a warning, no more.
///
/// # Errors
/// [`DeviceError::Kernel`] when it does not compile.
pub fn ptx(nvrtc: &Nvrtc, folder: &CacheFolder, source: &Source, arch: u32) -> Result<String, DeviceError> {
    let Some(folder) = folder.path() else { return Ok(nvrtc.compile(source, arch)?.ptx) };
    let key = cache::key(source, arch, nvrtc.version());
    if let Some(ptx) = cache::load(&folder, &key) {
        return Ok(ptx);
    }
    let ptx = nvrtc.compile(source, arch)?.ptx;
    if let Err(error) = cache::store(&folder, &key, &ptx) {
        tracing::warn!(
            folder = %folder.display(), %error,
            "compiled kernels cannot be kept, every start compiles them: give a folder by TANDEM_KERNEL_CACHE"
        );
    }
    Ok(ptx)
}

/// Bytes of the single structure that `kernel` takes, as its PTX declares it.
pub fn argument_bytes(ptx: &str, kernel: &str) -> Option<usize> {
    let (_, entry) = ptx.split_once(&format!(".entry {kernel}("))?;
    let (parameters, _) = entry.split_once(')')?;
    let (_, declared) = parameters.rsplit_once('[')?;
    let (bytes, rest) = declared.split_once(']')?;
    // More than one parameter is none of ours.
    (!rest.contains(',') && parameters.matches(".param").count() == 1).then(|| bytes.parse().ok())?
}
