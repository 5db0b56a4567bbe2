//! NVIDIA's runtime compiler, found and called without a card.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

use libloading::Library;

use super::{FLAGS, Version, whole};
use crate::device::DeviceError;
use crate::kernels::Source;

type Program = *mut c_void;
type Code = c_int;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> Code;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Code;
type Destroy = unsafe extern "C" fn(*mut Program) -> Code;
type Size = unsafe extern "C" fn(Program, *mut usize) -> Code;
type Text = unsafe extern "C" fn(Program, *mut c_char) -> Code;
type Words = unsafe extern "C" fn(Code) -> *const c_char;

/// NVRTC, loaded.
#[derive(Debug)]
pub struct Nvrtc {
    version: Version,
    architectures: Vec<u32>,
    create: Create,
    compile: Compile,
    destroy: Destroy,
    log: (Size, Text),
    ptx: (Size, Text),
    words: Words,
}

/// What a compilation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// PTX.
    pub ptx: String,
    /// Warnings; empty if there are none.
    pub log: String,
}

impl Nvrtc {
    /// Loads it from `folder`, or from where the loader and CUDA's usual places have it. `None` if it is nowhere.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] when one is there but does not work, or when `folder` has none.
    pub fn load(folder: Option<&Path>) -> Result<Option<Self>, DeviceError> {
        if let Some(folder) = folder {
            let path = newest(folder, "libnvrtc.so").ok_or_else(|| {
                DeviceError::Unavailable(format!(
                    "no libnvrtc.so.* in {}: point --nvrtc-dir (TANDEM_NVRTC_DIR) to the folder that has it, or leave it out",
                    folder.display()
                ))
            })?;
            return Self::open(&path).map(Some);
        }
        for name in ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"] {
            // SAFETY: NVIDIA's library runs no code of ours when it is loaded, and stays loaded.
            if let Ok(library) = unsafe { Library::new(name) } {
                return Self::take(library, name).map(Some);
            }
        }
        usual_folders()
            .iter()
            .find_map(|folder| newest(folder, "libnvrtc.so"))
            .map(|path| Self::open(&path))
            .transpose()
    }

    /// From a file, whose folder need not be known to the loader.
    fn open(path: &Path) -> Result<Self, DeviceError> {
        let broken = |error| DeviceError::Unavailable(format!("{} cannot be loaded: {error}", path.display()));
        // It opens its second part by name alone: that is found if it is loaded already.
        if let Some(builtins) = path.parent().and_then(|folder| newest(folder, "libnvrtc-builtins.so")) {
            preload(&builtins).map_err(broken)?;
        }
        // SAFETY: as above.
        Self::take(unsafe { Library::new(path) }.map_err(broken)?, &path.display().to_string())
    }

    fn take(library: Library, name: &str) -> Result<Self, DeviceError> {
        let broken = |reason: String| DeviceError::Unavailable(format!("{name} is no NVRTC that works: {reason}"));
        let library: &'static Library = Box::leak(Box::new(library));
        // SAFETY: these are the types of NVRTC's interface, unchanged since CUDA 11, and the library is never unloaded.
        unsafe {
            macro_rules! symbol {
                ($name:literal as $type:ty) => {
                    *library.get::<$type>($name).map_err(|error| broken(error.to_string()))?
                };
            }
            let (mut major, mut minor, mut count) = (0, 0, 0);
            let code = symbol!(b"nvrtcVersion\0" as unsafe extern "C" fn(*mut c_int, *mut c_int) -> Code)(
                &raw mut major,
                &raw mut minor,
            );
            let counted =
                symbol!(b"nvrtcGetNumSupportedArchs\0" as unsafe extern "C" fn(*mut c_int) -> Code)(&raw mut count);
            let mut architectures = vec![0 as c_int; usize::try_from(count).unwrap_or(0)];
            let listed = symbol!(b"nvrtcGetSupportedArchs\0" as unsafe extern "C" fn(*mut c_int) -> Code)(
                architectures.as_mut_ptr(),
            );
            if let Some(code) = [code, counted, listed].into_iter().find(|&code| code != 0) {
                return Err(broken(format!("it answers with code {code}")));
            }
            Ok(Self {
                version: Version { major: major as u32, minor: minor as u32 },
                architectures: architectures.into_iter().map(|arch| arch as u32).collect(),
                create: symbol!(b"nvrtcCreateProgram\0" as Create),
                compile: symbol!(b"nvrtcCompileProgram\0" as Compile),
                destroy: symbol!(b"nvrtcDestroyProgram\0" as Destroy),
                log: (symbol!(b"nvrtcGetProgramLogSize\0" as Size), symbol!(b"nvrtcGetProgramLog\0" as Text)),
                ptx: (symbol!(b"nvrtcGetPTXSize\0" as Size), symbol!(b"nvrtcGetPTX\0" as Text)),
                words: symbol!(b"nvrtcGetErrorString\0" as Words),
            })
        }
    }

    /// Its version: PTX that it writes needs a driver that knows at least this version of CUDA.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What it can compile for, as 80 for compute capability 8.0.
    pub fn architectures(&self) -> &[u32] {
        &self.architectures
    }

    /// Compiles a source with [`FLAGS`].
    ///
    /// # Errors
    /// [`DeviceError::Kernel`] with the compiler's own words.
    pub fn compile(&self, source: &Source, arch: u32) -> Result<Compiled, DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel: source.name, reason };
        let c_string = |text: String| CString::new(text).map_err(|error| wrong(error.to_string()));
        let (text, name) = (c_string(whole(source))?, c_string(format!("{}.cu", source.name))?);
        let options = std::iter::once(format!("--gpu-architecture=compute_{arch}"))
            .chain(FLAGS.map(str::to_owned))
            .map(c_string)
            .collect::<Result<Vec<_>, _>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program = Started { program: ptr::null_mut(), destroy: self.destroy };
        // SAFETY: all strings end in zero and outlive the program.
        unsafe {
            let made =
                (self.create)(&raw mut program.program, text.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null());
            self.checked(made).map_err(wrong)?;
            let compiled = (self.compile)(program.program, options.len() as c_int, options.as_ptr());
            let log = self.text(program.program, self.log).map_err(wrong)?;
            self.checked(compiled).map_err(|words| wrong(format!("{words}\n{log}")))?;
            Ok(Compiled { ptx: self.text(program.program, self.ptx).map_err(wrong)?, log })
        }
    }

    /// # Safety
    /// The program must be one of NVRTC's.
    unsafe fn text(&self, program: Program, (size, text): (Size, Text)) -> Result<String, String> {
        let mut bytes = 0;
        // SAFETY: the program is valid, and the buffer has the size that is asked for.
        let buffer = unsafe {
            self.checked(size(program, &raw mut bytes))?;
            let mut buffer = vec![0_u8; bytes];
            self.checked(text(program, buffer.as_mut_ptr().cast()))?;
            buffer
        };
        let text = CStr::from_bytes_until_nul(&buffer).map_or_else(|_| "".into(), CStr::to_string_lossy);
        Ok(text.trim_end_matches('\n').to_owned())
    }

    fn checked(&self, code: Code) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: it returns a constant text for any code.
        let words = unsafe { CStr::from_ptr((self.words)(code)) };
        Err(format!("NVRTC {}: {}", self.version, words.to_string_lossy()))
    }
}

/// Ends a program however compiling it ended.
struct Started {
    program: Program,
    destroy: Destroy,
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: it was created, and is destroyed once.
            unsafe { (self.destroy)(&raw mut self.program) };
        }
    }
}

/// The file of the highest version whose name is `name`, or begins with it and a dot.
pub(crate) fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let version = |file: &str| -> Option<Vec<u32>> {
        let rest = file.strip_prefix(name)?;
        if rest.is_empty() {
            return Some(Vec::new());
        }
        rest.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect()
    };
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    files.filter_map(|file| Some((version(file.file_name().to_str()?)?, file.path()))).max().map(|(_, path)| path)
}

/// Loads a library so that others find it by its name.
pub(crate) fn preload(path: &Path) -> Result<(), libloading::Error> {
    use libloading::os::unix;
    // SAFETY: NVIDIA's libraries run no code of ours when they are loaded; it is never unloaded.
    let library = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_GLOBAL) }?;
    std::mem::forget(library);
    Ok(())
}

/// Where a CUDA toolkit puts its libraries.
pub(crate) fn usual_folders() -> Vec<PathBuf> {
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    homes.chain([PathBuf::from("/usr/local/cuda")]).flat_map(|home| [home.join("lib64"), home.join("lib")]).collect()
}
