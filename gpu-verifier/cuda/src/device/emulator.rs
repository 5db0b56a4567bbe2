//! The host as a device: kernels compiled by its C++ compiler, threads as fibers. Slow, strict, and deterministic.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, c_char, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use libloading::Library;

use super::{Device, DeviceError, Element, Memory, Product, Shape, Tally};
use crate::kernels::{SOURCES, Source};

const EMULATOR: [(&str, &str); 3] = [
    ("emulator.h", include_str!("../../../kernels/emulator/emulator.h")),
    ("tensor.h", include_str!("../../../kernels/emulator/tensor.h")),
    ("emulator.cpp", include_str!("../../../kernels/emulator/emulator.cpp")),
];

/// Nothing may be contracted: what is fused says so. A vector that is not where a card could read it stops the process.
const FLAGS: [&str; 10] = [
    "-std=c++17",
    "-O2",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fPIC",
    "-shared",
    "-U_FORTIFY_SOURCE",
    "-Werror=return-type",
    "-fsanitize=alignment",
    "-fsanitize-undefined-trap-on-error",
];

/// What a real allocation is aligned to.
const ALIGNMENT: usize = 256;

/// Written behind each allocation; a kernel that writes there is found out when the memory is freed.
const GUARD: [u8; 64] = [0xa5; 64];

/// What memory holds before anything is written: as floating point, NaN in either width.
const UNDEFINED: u8 = 0xff;

type Entry = unsafe extern "C" fn(*const c_void);
type Emulate = unsafe extern "C" fn(Entry, *const c_void, *const u32, *const u32, *mut u8, i32) -> *const c_char;

/// How to emulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes that may be allocated at a time.
    pub memory: u64,
    /// Threads and blocks take turns in reverse order: results that depend on it show a race.
    pub backwards: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory: 4 << 30, backwards: false }
    }
}

/// The host as a device.
#[derive(Debug)]
pub struct Emulator {
    library: &'static Compiled,
    options: Options,
    allocations: Mutex<BTreeMap<u64, u64>>,
    tally: Tally,
}

#[derive(Debug)]
struct Compiled {
    emulate: Emulate,
    kernels: HashMap<&'static str, Kernel>,
}

#[derive(Debug)]
struct Kernel {
    entry: Entry,
    argument_bytes: u32,
    most_threads: u32,
}

impl Emulator {
    /// Compiles the kernels, once per process.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] with the compiler's own words.
    pub fn open(options: Options) -> Result<Arc<dyn Device>, DeviceError> {
        static COMPILED: OnceLock<Result<Compiled, DeviceError>> = OnceLock::new();
        let library = COMPILED.get_or_init(compile).as_ref().map_err(Clone::clone)?;
        Ok(Arc::new(Self { library, options, allocations: Mutex::default(), tally: Tally::default() }))
    }

    /// The file of the compiled kernels: each with its name, its `NAME_argument_bytes` and `NAME_most_threads`, and `emulate`.
    ///
    /// # Errors
    /// [`DeviceError::Unavailable`] with the compiler's own words.
    pub fn library() -> Result<PathBuf, DeviceError> {
        compiled_file()
    }

    fn allocated(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
        self.allocations.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `bytes` from `address` on, which must lie within one allocation.
    fn check(&self, address: u64, bytes: u64) -> Result<*mut u8, DeviceError> {
        let allocated = self.allocated();
        match allocated.range(..=address).next_back() {
            Some((start, size)) if address - start + bytes <= *size => Ok(address as *mut u8),
            _ => Err(DeviceError::Failed(format!("{bytes} bytes at {address:#x} are not allocated"))),
        }
    }
}

/// Compiles the kernels and loads them.
fn compile() -> Result<Compiled, DeviceError> {
    load(&compiled_file()?)
}

/// Compiles the kernels, or takes what another test of the same sources compiled.
fn compiled_file() -> Result<PathBuf, DeviceError> {
    let unavailable = |error: std::io::Error| DeviceError::Unavailable(format!("the emulator's folder: {error}"));
    let program = std::env::current_exe().map_err(unavailable)?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let mut hasher = DefaultHasher::new();
    (EMULATOR, SOURCES.map(|source| (source.headers, source.text)), FLAGS).hash(&mut hasher);
    let path = folder.join(format!("tandem-kernels-{:016x}.so", hasher.finish()));
    if !path.exists() {
        let dir = tempfile::tempdir_in(folder).map_err(unavailable)?;
        build(dir.path())?;
        std::fs::rename(dir.path().join("kernels.so"), &path).map_err(unavailable)?;
    }
    Ok(path)
}

/// Compiles all sources into `kernels.so` in `dir`.
fn build(dir: &Path) -> Result<(), DeviceError> {
    let write = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).map_err(|error| DeviceError::Unavailable(format!("{name}: {error}")))
    };
    for (name, text) in EMULATOR {
        write(name, text)?;
    }
    for Source { name, headers, text, .. } in SOURCES {
        let mut begin = "#include \"emulator.h\"\n".to_owned();
        for (header, text) in headers {
            write(header, text)?;
            begin += &format!("#include \"{header}\"\n");
        }
        write(&format!("{name}.cpp"), &format!("{begin}#line 1 \"{name}.cu\"\n{text}"))?;
    }
    let mut compiler = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    compiler.current_dir(dir).args(FLAGS);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        compiler.arg("-mfma");
    }
    // Variables of a thread, of which there are many, at a fraction of a call's price.
    #[cfg(target_arch = "x86_64")]
    compiler.arg("-mtls-dialect=gnu2");
    compiler.args(["-o", "kernels.so", "emulator.cpp"]);
    compiler.args(SOURCES.iter().map(|source| format!("{}.cpp", source.name)));
    let output = compiler.output().map_err(|error| {
        DeviceError::Unavailable(format!("the emulator needs a C++ compiler ({:?}): {error}", compiler.get_program()))
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(DeviceError::Unavailable(format!("the kernels do not compile:\n{}", String::from_utf8_lossy(&output.stderr))))
}

fn load(path: &Path) -> Result<Compiled, DeviceError> {
    let missing = |error: libloading::Error| DeviceError::Unavailable(format!("the kernels: {error}"));
    // SAFETY: the library is made of the sources above; it has no initialisers but those of its own statics.
    let library: &'static Library = Box::leak(Box::new(unsafe { Library::new(path) }.map_err(missing)?));
    // SAFETY: the symbols have these types in emulator.h and emulator.cpp, and the library is never unloaded.
    unsafe {
        let emulate = *library.get::<Emulate>(b"emulate\0").map_err(missing)?;
        let mut kernels = HashMap::new();
        for name in SOURCES.iter().flat_map(|source| source.kernels) {
            let number = |what: &str| {
                library.get::<*const u32>(format!("{name}_{what}\0").as_bytes()).map(|symbol| **symbol).map_err(missing)
            };
            let entry = *library.get::<Entry>(format!("{name}\0").as_bytes()).map_err(missing)?;
            kernels.insert(
                *name,
                Kernel { entry, argument_bytes: number("argument_bytes")?, most_threads: number("most_threads")? },
            );
        }
        Ok(Compiled { emulate, kernels })
    }
}

impl Device for Emulator {
    fn describe(&self) -> String {
        "emulated on the host".to_owned()
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        let used: u64 = self.allocated().values().sum();
        Ok(Memory { free: self.options.memory.saturating_sub(used), total: self.options.memory })
    }

    fn watch(&self) -> Result<(), DeviceError> {
        self.tally.reset();
        Ok(())
    }

    fn peak(&self) -> Result<u64, DeviceError> {
        Ok(self.tally.most())
    }

    fn allocate(&self, bytes: u64) -> Result<u64, DeviceError> {
        let free = self.memory()?.free;
        let refused = DeviceError::OutOfMemory { asked: bytes, free };
        let layout = layout(bytes).filter(|_| bytes > 0 && bytes <= free).ok_or_else(|| refused.clone())?;
        // SAFETY: the layout is not empty, and the pointer is used within it.
        let address = unsafe {
            let start = alloc(layout);
            if start.is_null() {
                return Err(refused);
            }
            start.write_bytes(UNDEFINED, bytes as usize);
            start.add(bytes as usize).copy_from_nonoverlapping(GUARD.as_ptr(), GUARD.len());
            start as u64
        };
        self.allocated().insert(address, bytes);
        self.tally.take(bytes);
        Ok(address)
    }

    fn free(&self, address: u64, bytes: u64) {
        let known = self.allocated().remove(&address);
        assert_eq!(known, Some(bytes), "memory that is not allocated is freed");
        self.tally.give(bytes);
        // SAFETY: it was allocated with this layout, and the guard lies behind it.
        unsafe {
            let start = address as *mut u8;
            let guard = std::slice::from_raw_parts(start.add(bytes as usize), GUARD.len()) == GUARD;
            assert!(guard || std::thread::panicking(), "a kernel wrote behind its memory");
            if let Some(layout) = layout(bytes) {
                dealloc(start, layout);
            }
        }
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        let to = self.check(to, bytes.len() as u64)?;
        // SAFETY: checked to be allocated; the host's memory is elsewhere.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        let from = self.check(from, bytes.len() as u64)?;
        // SAFETY: checked to be allocated, and all of it was written when it was.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn copy(&self, from: u64, to: u64, bytes: u64) -> Result<(), DeviceError> {
        let (from, to) = (self.check(from, bytes)?, self.check(to, bytes)?);
        // SAFETY: both are checked to be allocated.
        unsafe { from.copy_to(to, bytes as usize) };
        Ok(())
    }

    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &[u8]) -> Result<(), DeviceError> {
        let wrong = |reason: String| DeviceError::Kernel { kernel, reason };
        let known = self.library.kernels.get(kernel).ok_or_else(|| wrong("is in no source".to_owned()))?;
        if known.argument_bytes as usize != arguments.len() {
            return Err(wrong(format!("takes {} bytes of arguments, not {}", known.argument_bytes, arguments.len())));
        }
        let threads: u32 = shape.block.iter().product();
        if threads == 0 || threads > known.most_threads {
            return Err(wrong(format!("runs with at most {} threads, not {threads}", known.most_threads)));
        }
        if shape.grid[0] == 0 || shape.grid[1..].iter().any(|&n| n == 0 || n > 65_535) || shape.shared > 227 << 10 {
            return Err(wrong(format!("cannot be launched as {shape:?}")));
        }
        let mut aligned = vec![0_u64; arguments.len().div_ceil(8)];
        bytemuck::cast_slice_mut::<u64, u8>(&mut aligned)[..arguments.len()].copy_from_slice(arguments);
        let mut shared = vec![[UNDEFINED; 16]; shape.shared as usize / 16 + 1];
        // SAFETY: the arguments have the size that the kernel expects. What it does with the addresses in them is its own
        // affair, as on a card.
        let fault = unsafe {
            let fault = (self.library.emulate)(
                known.entry,
                aligned.as_ptr().cast(),
                shape.grid.as_ptr(),
                shape.block.as_ptr(),
                shared.as_mut_ptr().cast(),
                i32::from(self.options.backwards),
            );
            (!fault.is_null()).then(|| CStr::from_ptr(fault).to_string_lossy().into_owned())
        };
        fault.map_or(Ok(()), |fault| Err(DeviceError::Failed(format!("kernel {kernel}: {fault}"))))
    }

    fn multiply(&self, product: &Product) -> Result<(), DeviceError> {
        let Product { rows, columns, depth, .. } = *product;
        let (rows, columns, depth) = (u64::from(rows), u64::from(columns), u64::from(depth));
        let width = match product.element {
            Element::Bf16 => 2,
            Element::F32 => 4,
        };
        let x = self.check(product.x, rows * depth * 2)?.cast::<half::bf16>();
        let weights = self.check(product.weights, columns * depth * 2)?.cast::<half::bf16>();
        let out = self.check(product.out, rows * columns * width)?;
        // SAFETY: all three are checked to be allocated, aligned, and of plain numbers; the result overlaps no factor.
        let (x, weights) = unsafe {
            (
                std::slice::from_raw_parts(x, (rows * depth) as usize),
                std::slice::from_raw_parts(weights, (columns * depth) as usize),
            )
        };
        let (columns, depth) = (columns as usize, depth as usize);
        for index in 0..rows as usize * columns {
            let factors =
                x[index / columns * depth..][..depth].iter().zip(&weights[index % columns * depth..][..depth]);
            let dot = factors.fold(0.0, |sum, (x, w)| sum + x.to_f32() * w.to_f32());
            // SAFETY: as above; the index is below rows × columns.
            unsafe {
                match product.element {
                    Element::Bf16 => out.cast::<half::bf16>().add(index).write(half::bf16::from_f32(dot)),
                    Element::F32 => {
                        let at = out.cast::<f32>().add(index);
                        at.write(if product.add { at.read() + dot } else { dot });
                    }
                }
            }
        }
        Ok(())
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn layout(bytes: u64) -> Option<Layout> {
    Layout::from_size_align(usize::try_from(bytes).ok()?.checked_add(GUARD.len())?, ALIGNMENT).ok()
}
