//! Keys: from a file or an environment variable, never from the command line itself.

use std::fs;
use std::path::Path;

use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result, bail};

/// Reads a key reference: `env:NAME`, `file:PATH` or just a path. The content is one line, 32 bytes of 0x-hex.
pub fn read(reference: &str) -> Result<PrivateKeySigner> {
    let text = match reference.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).wrap_err_with(|| format!("environment variable {name} holds no key"))?
        }
        Some(("file", path)) => read_file(Path::new(path))?,
        _ => read_file(Path::new(reference))?,
    };
    match text.trim().parse() {
        Ok(key) => Ok(key),
        // The text itself stays out of the message: it may be a secret with a typing error.
        Err(_) => bail!("{reference} does not hold a private key of 32 bytes in hex"),
    }
}

/// Writes a key where only its owner can read it.
pub fn write(path: &Path, key: &PrivateKeySigner) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .wrap_err_with(|| format!("cannot create {}", path.display()))?;
    writeln!(file, "0x{}", hex::encode(key.to_bytes())).wrap_err_with(|| format!("cannot write {}", path.display()))
}

fn read_file(path: &Path) -> Result<String> {
    fs::read_to_string(path).wrap_err_with(|| format!("cannot read the key file {}", path.display()))
}
