//! With the feature `embedded-ptx`: puts compiled kernels into the crate.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TANDEM_PTX_DIR");
    if env::var_os("CARGO_FEATURE_EMBEDDED_PTX").is_none() {
        return;
    }
    match embed() {
        Ok(()) => {}
        Err(error) => println!("cargo::error=feature embedded-ptx: {error}"),
    }
}

fn embed() -> Result<(), String> {
    let folder = env::var_os("TANDEM_PTX_DIR")
        .map(PathBuf::from)
        .ok_or("set TANDEM_PTX_DIR to the absolute path of a folder that `cargo xtask kernels --ptx FOLDER` wrote")?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let version = read(&folder.join("nvrtc"))?;
    let (major, minor) = version.trim().split_once('.').ok_or("the file nvrtc holds no version")?;
    let kernels = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?).join("../kernels");
    let mut rust = String::from("/// What is carried.\npub const EMBEDDED: &[Embedded] = &[\n");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in &names {
        // PTX of other sources would compute something else, or nothing.
        if name.ends_with(".cu") || name.ends_with(".h") {
            if read(&folder.join(name))? != read(&kernels.join(name))? {
                return Err(format!("{name} has changed since {} was written: write it again", folder.display()));
            }
        } else if let Some((source, arch)) = name.strip_suffix(".ptx").and_then(|stem| stem.split_once(".compute_")) {
            let path = folder.join(name);
            let _ = writeln!(
                rust,
                "    Embedded {{ source: {source:?}, arch: {arch}, made_by: Version {{ major: {major}, minor: {minor} }}, \
                 ptx: include_str!({path:?}) }},"
            );
        }
    }
    rust.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    fs::write(Path::new(&out).join("embedded.rs"), rust).map_err(|error| error.to_string())
}
