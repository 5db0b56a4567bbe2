//! What there is to run on, found without taking any of it, and whether it will do.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cudarc::cublaslt::sys as cublaslt;
use cudarc::driver::sys::{self, CUdevice_attribute as Attribute};
use serde::Serialize;
use thiserror::Error;

use super::calls::{Fault, call, guarded};
use crate::compile::{EMBEDDED, Embedded, Nvrtc, OLDEST, Version, newest, preload, usual_folders};
use crate::device::DeviceError;

/// A card, as the driver lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Its number in this process; `CUDA_VISIBLE_DEVICES` changes it.
    pub ordinal: u32,
    /// `GPU-…`, as `nvidia-smi -L` shows it: the same wherever it is seen.
    pub uuid: String,
    /// The maker's name.
    pub name: String,
    /// 90 for compute capability 9.0.
    pub arch: u32,
    /// Bytes of memory.
    pub memory: u64,
}

/// Which card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first that will do.
    #[default]
    Any,
    /// By number.
    Ordinal(u32),
    /// By the beginning of its UUID.
    Uuid(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ordinal) = text.parse() {
            return Ok(Self::Ordinal(ordinal));
        }
        let digits = text.strip_prefix("GPU-").filter(|rest| !rest.is_empty());
        match digits {
            Some(digits) if digits.chars().all(|c| c.is_ascii_hexdigit() || c == '-') => {
                Ok(Self::Uuid(text.to_ascii_lowercase().replacen("gpu-", "GPU-", 1)))
            }
            _ => Err("neither a number nor a UUID like GPU-1f3a…; `tandem-verifier devices` lists both".to_owned()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Ordinal(ordinal) => ordinal.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

/// What is missing, and what to do about it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Lack {
    /// No driver.
    #[error(
        "no CUDA driver (libcuda.so.1): install NVIDIA's driver r580 or later; in a container, pass the cards into it \
         (docker: --gpus all)"
    )]
    Driver,
    /// A driver that does not start.
    #[error("the CUDA driver does not start: {0}; `nvidia-smi` must work first")]
    Start(String),
    /// No card at all.
    #[error(
        "the CUDA driver sees no card: see whether `nvidia-smi` lists one, and what CUDA_VISIBLE_DEVICES is set to"
    )]
    Card,
    /// Not the card that was asked for.
    #[error("there is no card {asked}: `tandem-verifier devices` lists {there}")]
    Chosen {
        /// What was asked for.
        asked: String,
        /// What is there.
        there: String,
    },
    /// A card that is too old.
    #[error("{card} has compute capability {}.{}, but 8.0 (A100 and later) is needed: choose another card", arch / 10, arch % 10)]
    Arch {
        /// Its name.
        card: String,
        /// 75 for 7.5.
        arch: u32,
    },
    /// Neither a compiler nor compiled kernels.
    #[error(
        "no NVRTC (libnvrtc.so.13) to compile the kernels with, and none are built in for this card: install the CUDA toolkit, or \
         `pip install nvidia-cuda-nvrtc==13.0.88` and point --nvrtc-dir (TANDEM_NVRTC_DIR) to its nvidia/cu13/lib"
    )]
    Compiler,
    /// PTX that the driver does not know.
    #[error(
        "the driver knows CUDA {driver}, but the kernels come from CUDA {ptx}: update the driver (r580 for 13.0), or give an \
         NVRTC that is not newer than the driver by --nvrtc-dir (TANDEM_NVRTC_DIR)"
    )]
    OldDriver {
        /// What the driver knows.
        driver: Version,
        /// What made the PTX.
        ptx: Version,
    },
    /// No library for fast mode.
    #[error(
        "no cuBLASLt (libcublasLt.so.13), which fast numerics need: install the CUDA toolkit, or `pip install nvidia-cublas` and \
         point --nvrtc-dir (TANDEM_NVRTC_DIR) to its nvidia/cu13/lib; --numerics exact does without"
    )]
    Products,
    /// Too little memory.
    #[error(
        "{card} has {free} bytes of memory free, but {needed} are needed: end what else runs on it, or choose another card by \
         --device"
    )]
    Memory {
        /// Its name.
        card: String,
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
}

impl From<Lack> for DeviceError {
    fn from(lack: Lack) -> Self {
        Self::Unavailable(lack.to_string())
    }
}

/// Where the kernels' PTX comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// NVRTC compiles for this architecture.
    Nvrtc(u32),
    /// It is built in, for this architecture.
    Embedded(u32),
}

/// What there is.
#[derive(Debug)]
pub struct Survey {
    /// The version of CUDA that the driver knows.
    pub driver: Result<Version, Lack>,
    /// All cards, usable or not.
    pub cards: Vec<Card>,
    /// The compiler, or why there is none.
    pub nvrtc: Result<Option<Nvrtc>, DeviceError>,
    /// The version of cuBLASLt.
    pub cublaslt: Option<String>,
}

impl Survey {
    /// Looks; `folder` is where NVRTC and cuBLASLt may lie besides the usual places.
    pub fn take(folder: Option<&Path>) -> Self {
        let (driver, cards) = match cards() {
            Ok((version, cards)) => (Ok(version), cards),
            Err(lack) => (Err(lack), Vec::new()),
        };
        Self { driver, cards, nvrtc: Nvrtc::load(folder), cublaslt: cublaslt_version(folder) }
    }

    /// Why `card` cannot be used, with fast mode's products or without; where its kernels come from if it can.
    ///
    /// # Errors
    /// [`Lack`], or that NVRTC is there and broken.
    pub fn judge(&self, card: &Card, products: bool) -> Result<Origin, DeviceError> {
        let driver = self.driver.clone()?;
        if card.arch < OLDEST {
            return Err(Lack::Arch { card: card.name.clone(), arch: card.arch }.into());
        }
        let compiler = self.nvrtc.as_ref().ok().and_then(Option::as_ref);
        let compiler = compiler.map(|nvrtc| (nvrtc.version(), nvrtc.architectures()));
        let origin = origin(driver, card.arch, compiler, EMBEDDED);
        if let (Err(Lack::Compiler), Err(broken)) = (&origin, &self.nvrtc) {
            return Err(broken.clone());
        }
        if products && self.cublaslt.is_none() {
            return Err(Lack::Products.into());
        }
        Ok(origin?)
    }

    /// The chosen card, and where its kernels come from.
    ///
    /// # Errors
    /// As [`judge`](Self::judge); [`Choice::Any`] says why the first does not do when none does.
    pub fn choose(&self, choice: &Choice, products: bool) -> Result<(&Card, Origin), DeviceError> {
        self.driver.clone()?;
        let first = self.cards.first().ok_or(Lack::Card)?;
        let chosen = match choice {
            Choice::Any => {
                let usable = self.cards.iter().find(|card| self.judge(card, products).is_ok());
                Some(usable.unwrap_or(first))
            }
            Choice::Ordinal(ordinal) => self.cards.iter().find(|card| card.ordinal == *ordinal),
            Choice::Uuid(begin) => {
                let mut found = self.cards.iter().filter(|card| card.uuid.starts_with(begin));
                found.next().filter(|_| found.next().is_none())
            }
        };
        let chosen = chosen.ok_or_else(|| Lack::Chosen {
            asked: choice.to_string(),
            there: self
                .cards
                .iter()
                .map(|card| format!("{} ({})", card.ordinal, card.uuid))
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        Ok((chosen, self.judge(chosen, products)?))
    }
}

/// Where the PTX comes from for a card of this architecture: from a compiler, if the driver knows what it writes, else from
/// what is built in.
///
/// # Errors
/// [`Lack::OldDriver`] if there is PTX, but none that the driver knows; [`Lack::Compiler`].
pub fn origin(
    driver: Version,
    arch: u32,
    nvrtc: Option<(Version, &[u32])>,
    embedded: &[Embedded],
) -> Result<Origin, Lack> {
    let compiled = nvrtc.and_then(|(version, known)| {
        let best = known.iter().copied().filter(|known| (OLDEST..=arch).contains(known)).max()?;
        Some((version, Origin::Nvrtc(best)))
    });
    let built_in = embedded.iter().filter(|ptx| ptx.arch <= arch).max_by_key(|ptx| ptx.arch);
    let built_in = built_in.map(|ptx| (ptx.made_by, Origin::Embedded(ptx.arch)));
    let there = [compiled, built_in].into_iter().flatten();
    match there.clone().find(|(made_by, _)| *made_by <= driver) {
        Some((_, origin)) => Ok(origin),
        None => Err(there.map(|(ptx, _)| ptx).min().map_or(Lack::Compiler, |ptx| Lack::OldDriver { driver, ptx })),
    }
}

/// The driver's version, and its cards.
fn cards() -> Result<(Version, Vec<Card>), Lack> {
    // SAFETY: it loads the driver's library, which runs no code of ours.
    if !guarded(|| unsafe { sys::is_culib_present() }).unwrap_or(false) {
        return Err(Lack::Driver);
    }
    let start = |fault: Fault| match fault.code {
        Some(sys::CUresult::CUDA_ERROR_NO_DEVICE) => Lack::Card,
        _ => Lack::Start(fault.text),
    };
    let (mut version, mut count) = (0, 0);
    // SAFETY: the driver writes to what is given, and is there.
    unsafe {
        call("cuInit", || sys::cuInit(0)).map_err(start)?;
        call("cuDriverGetVersion", || sys::cuDriverGetVersion(&raw mut version)).map_err(start)?;
        call("cuDeviceGetCount", || sys::cuDeviceGetCount(&raw mut count)).map_err(start)?;
    }
    let cards = (0..count).map(card).collect::<Result<Vec<_>, _>>().map_err(start)?;
    if cards.is_empty() {
        return Err(Lack::Card);
    }
    Ok((Version::of_driver(version as u32), cards))
}

fn card(ordinal: c_int) -> Result<Card, Fault> {
    let (mut device, mut memory, mut uuid) = (0, 0, sys::CUuuid { bytes: [0; 16] });
    let mut name = [0 as c_char; 256];
    // SAFETY: the driver writes to what is given; the name's last byte stays zero.
    let name = unsafe {
        call("cuDeviceGet", || sys::cuDeviceGet(&raw mut device, ordinal))?;
        call("cuDeviceTotalMem", || sys::cuDeviceTotalMem_v2(&raw mut memory, device))?;
        call("cuDeviceGetUuid", || sys::cuDeviceGetUuid_v2(&raw mut uuid, device))?;
        call("cuDeviceGetName", || sys::cuDeviceGetName(name.as_mut_ptr(), 255, device))?;
        CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned()
    };
    let major = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let hex = hex::encode(uuid.bytes.map(|byte| byte as u8));
    Ok(Card {
        ordinal: ordinal as u32,
        uuid: format!("GPU-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
        name,
        arch: major * 10 + minor,
        memory: memory as u64,
    })
}

/// A property of a card.
pub(super) fn attribute(device: sys::CUdevice, attribute: Attribute) -> Result<u32, Fault> {
    let mut value = 0;
    // SAFETY: the driver writes one number.
    call("cuDeviceGetAttribute", || unsafe { sys::cuDeviceGetAttribute(&raw mut value, attribute, device) })?;
    Ok(u32::try_from(value).unwrap_or(0))
}

/// `None` if there is no cuBLASLt. Loads it from `folder`, the loader's places, or a toolkit's.
fn cublaslt_version(folder: Option<&Path>) -> Option<String> {
    let folders = folder.map(|folder| vec![folder.to_owned()]);
    let preloaded = |folders: Vec<PathBuf>| {
        folders.iter().any(|folder| {
            // It needs nothing but the driver's runtime, which it carries, and in some versions its sibling.
            newest(folder, "libcublasLt.so").is_some_and(|path| preload(&path).is_ok())
        })
    };
    // SAFETY: it loads NVIDIA's library, which runs no code of ours.
    let present = || guarded(|| unsafe { cublaslt::is_culib_present() }).unwrap_or(false);
    let found = folders.is_some_and(preloaded);
    if !found && !present() {
        preloaded(usual_folders());
    }
    if !present() {
        return None;
    }
    // SAFETY: it takes nothing and returns a number.
    let version = guarded(|| unsafe { cublaslt::cublasLtGetVersion() })?;
    Some(format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100))
}
