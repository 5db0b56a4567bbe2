//! A driver, an NVRTC and a cuBLASLt that are none, from `tests/fake/`: what stands between the backend and a card is tested
//! where there is no card. They belong to the process, as the real ones do: each test needs its own, which nextest gives it.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_long};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tandem_cuda::compile::CacheFolder;
use tandem_cuda::device::driver::{CudaDevice, Options};
use tandem_cuda::device::emulator::Emulator;
use tandem_cuda::device::{Device, DeviceError};
use tandem_cuda::kernels::SOURCES;

const CUDA: &str = include_str!("../fake/cuda.cpp");
const CUBLASLT: &str = include_str!("../fake/cublaslt.cpp");

/// The fake driver, loaded into this process.
pub(crate) struct Fake {
    pub(crate) folder: PathBuf,
    library: Library,
}

impl Fake {
    pub(crate) fn load() -> &'static Self {
        static LOADED: OnceLock<Fake> = OnceLock::new();
        LOADED.get_or_init(|| {
            let folder = build();
            // SAFETY: the library is made of the sources here, whose only initialisers are those of its statics.
            let library = unsafe { Library::open(Some(folder.join("libcuda.so")), RTLD_NOW | RTLD_GLOBAL) }.unwrap();
            let kernels = CString::new(Emulator::library().unwrap().to_str().unwrap()).unwrap();
            // SAFETY: the function has this type.
            let loaded = unsafe {
                library.get::<unsafe extern "C" fn(*const c_char) -> c_int>(b"fake_kernels\0").unwrap()(
                    kernels.as_ptr(),
                )
            };
            assert_eq!(loaded, 1);
            Fake { folder, library }
        })
    }

    /// Changes what the driver says; the names are in `tests/fake/cuda.cpp`.
    pub(crate) fn set(&self, name: &str, value: i64) {
        let name = CString::new(name).unwrap();
        // SAFETY: the function has this type.
        unsafe {
            self.library.get::<unsafe extern "C" fn(*const c_char, c_long)>(b"fake_set\0").unwrap()(
                name.as_ptr(),
                value,
            );
        }
    }

    /// What the driver saw.
    pub(crate) fn get(&self, name: &str) -> i64 {
        let name = CString::new(name).unwrap();
        // SAFETY: the function has this type.
        unsafe {
            self.library.get::<unsafe extern "C" fn(*const c_char) -> c_long>(b"fake_get\0").unwrap()(name.as_ptr())
        }
    }

    /// How many algorithms cuBLASLt chose, once it is loaded.
    pub(crate) fn choices(&self) -> i32 {
        let path = self.folder.join("libcublasLt.so");
        // SAFETY: as above.
        unsafe { **Library::open(Some(path), RTLD_NOW).unwrap().get::<*const c_int>(b"fake_choices\0").unwrap() }
    }

    /// Options that find the fake libraries, and keep nothing.
    pub(crate) fn options(&self) -> Options {
        Options { libraries: Some(self.folder.clone()), cache: CacheFolder::Off, ..Options::default() }
    }

    pub(crate) fn open(&self) -> Arc<dyn Device> {
        CudaDevice::open(&self.options()).unwrap()
    }

    /// Why it does not open.
    pub(crate) fn refusal(&self, options: &Options) -> DeviceError {
        CudaDevice::open(options).unwrap_err()
    }
}

/// PTX in so far as the host's side reads it.
fn ptx() -> String {
    let mut text = String::from(".version 9.0\n");
    for source in SOURCES {
        for (kernel, bytes) in source.kernels.iter().zip(source.bytes) {
            let _ =
                writeln!(text, ".visible .entry {kernel}(\n\t.param .align 8 .b8 {kernel}_param_0[{bytes}]\n)\n{{}}");
        }
    }
    text
}

/// A folder with the libraries, made once for all tests.
fn build() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let beside = program.parent().unwrap();
    let ptx = ptx();
    let mut hasher = DefaultHasher::new();
    (CUDA, CUBLASLT, &ptx).hash(&mut hasher);
    let folder = beside.join(format!("tandem-fake-{:016x}", hasher.finish()));
    if !folder.exists() {
        let dir = tempfile::tempdir_in(beside).unwrap();
        let at = dir.path();
        library(at, "libcuda.so", CUDA);
        library(at, "libcublasLt.so", CUBLASLT);
        std::os::unix::fs::symlink("libcuda.so", at.join("libnvrtc.so.13")).unwrap();
        std::fs::write(at.join("all.ptx"), ptx).unwrap();
        // Another test may have been faster.
        if std::fs::rename(at, &folder).is_ok() {
            let _ = dir.keep();
        }
    }
    folder
}

fn library(folder: &Path, name: &str, text: &str) {
    let source = folder.join(format!("{name}.cpp"));
    std::fs::write(&source, text).unwrap();
    let mut compiler = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    compiler.args(["-std=c++17", "-O1", "-Wall", "-Werror", "-fPIC", "-shared", &format!("-Wl,-soname,{name}"), "-o"]);
    let output = compiler.arg(folder.join(name)).arg(&source).arg("-ldl").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
