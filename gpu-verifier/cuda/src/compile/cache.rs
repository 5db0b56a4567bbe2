//! Compiled kernels on disk, so that only the first start compiles.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{FLAGS, Version, whole};
use crate::kernels::Source;

/// First word of an entry; another layout has another one.
const MAGIC: &str = "tandem-ptx-1";

/// Where compiled kernels are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheFolder {
    /// `$XDG_CACHE_HOME/tandem/kernels`, else `~/.cache/tandem/kernels`; nowhere if neither is set.
    #[default]
    Usual,
    /// There.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl CacheFolder {
    /// The folder.
    pub fn path(&self) -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        match self {
            Self::Usual => set("XDG_CACHE_HOME")
                .or_else(|| set("HOME").map(|home| home.join(".cache")))
                .map(|cache| cache.join("tandem").join("kernels")),
            Self::At(path) => Some(path.clone()),
            Self::Off => None,
        }
    }
}

impl From<&str> for CacheFolder {
    /// `off`, or a folder.
    fn from(text: &str) -> Self {
        if text == "off" { Self::Off } else { Self::At(text.into()) }
    }
}

/// What PTX depends on: source, architecture, compiler, flags.
pub fn key(source: &Source, arch: u32, nvrtc: Version) -> String {
    let mut hash = Sha256::new();
    let (arch, version, flags) = (format!("compute_{arch}"), nvrtc.to_string(), FLAGS.join(" "));
    for part in [MAGIC, &whole(source), &arch, &version, &flags] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The entry of `key`; `None` if there is none, or none that is whole.
pub fn load(folder: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path(folder, key)).ok()?;
    let (header, ptx) = text.split_once('\n')?;
    (header == self::header(ptx)).then(|| ptx.to_owned())
}

/// Writes the entry of `key` at once or not at all, whoever else writes it.
///
/// # Errors
/// When the folder cannot be made or written.
pub fn store(folder: &Path, key: &str, ptx: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    write!(file, "{}\n{ptx}", header(ptx))?;
    file.as_file().sync_all()?;
    file.persist(path(folder, key))?;
    Ok(())
}

/// The file of `key`.
fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.ptx"))
}

fn header(ptx: &str) -> String {
    format!("// {MAGIC} {}", hex::encode(Sha256::digest(ptx)))
}
