//! `cargo xtask kernels`: compiles every kernel for every kind of card, and sees what it needs there. No card is needed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::stage::{Stages, succeed};
use crate::{cargo, install, root, target_directory};

/// A100, L4 and RTX 40, H100 and H200, B200.
const ARCHITECTURES: [&str; 4] = ["80", "89", "90", "100"];

/// Bytes of a thread's memory that a kernel may use on an architecture: spilled in all, and of stack. Each must be needed in
/// full, so that nothing stays allowed that was mended.
const ALLOWED: [(&str, u32, u32, u32); 0] = [];

/// Options of the kernels command.
#[derive(Args)]
pub(crate) struct Options {
    /// Write what the kernels need into snapshots/kernels.json instead of comparing with it.
    #[arg(long)]
    write: bool,
    /// Keep the PTX in this folder, for building with `TANDEM_PTX_DIR=FOLDER` and the feature `embedded-ptx`.
    #[arg(long, value_name = "FOLDER")]
    ptx: Option<PathBuf>,
}

/// What a kernel needs on one architecture.
#[derive(Clone, Copy, Default)]
struct Needs {
    registers: u32,
    shared: u32,
    stack: u32,
    spilled: u32,
}

/// By kernel, then by architecture.
type Table = BTreeMap<String, BTreeMap<u32, Needs>>;

pub(crate) fn run(stages: &mut Stages, options: &Options) -> Result<ExitCode> {
    stages.run("build the compiler of kernels", || {
        succeed(cargo().args(["build", "--quiet", "--package", "tandem-cuda", "--example", "compile"]))
    })?;
    let table = measure(stages, options.ptx.as_deref())?;
    print(&table);
    faults(&table, &ALLOWED)?;
    if options.write {
        fs::write(snapshot_path(), json(&table)).context("cannot write snapshots/kernels.json")?;
    } else {
        compare(&table)?;
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}

/// Fails if a kernel does not compile without warnings, spills, uses memory of a thread, or needs other registers or shared
/// memory than the snapshot says. The workspace must be built with its examples.
pub(crate) fn check(stages: &mut Stages) -> Result<()> {
    let table = measure(stages, None)?;
    faults(&table, &ALLOWED)?;
    compare(&table)
}

fn measure(stages: &mut Stages, ptx: Option<&Path>) -> Result<Table> {
    let tools =
        install::python_packages(stages, "kernels", "gpu-verifier/kernels/requirements.txt")?.join("nvidia/cu13");
    let folder = match ptx {
        Some(folder) => folder.to_owned(),
        None => target_directory()?.join("kernels"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in ptx_files(&folder)? {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    stages.run("compile kernels", || {
        let mut compile = Command::new(target_directory()?.join("debug/examples/compile"));
        compile.current_dir(root()).arg(tools.join("lib")).arg(&folder).args(ARCHITECTURES);
        succeed(compile.stdout(Stdio::null()))
    })?;
    stages.run("assemble kernels", || {
        let table = assemble(&tools, &ptx_files(&folder)?)?;
        ensure!(table.values().all(|needs| needs.len() == ARCHITECTURES.len()), "a kernel lacks an architecture");
        ensure!(!table.is_empty(), "there are no kernels in {}", folder.display());
        Ok(table)
    })
}

fn ptx_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ptx"));
    files.sort();
    Ok(files)
}

/// Assembles all files at the same time.
fn assemble(tools: &Path, files: &[PathBuf]) -> Result<Table> {
    let start = |file: &PathBuf| -> Result<(String, Child)> {
        let name = file.file_stem().and_then(|stem| stem.to_str()).context("a file without a name")?;
        let arch = name.rsplit('_').next().unwrap_or_default();
        let mut ptxas = Command::new(tools.join("bin/ptxas"));
        ptxas.args(["--verbose", "--gpu-name", &format!("sm_{arch}"), "--output-file", "/dev/null"]).arg(file);
        Ok((name.to_owned(), ptxas.stderr(Stdio::piped()).spawn().context("cannot start ptxas")?))
    };
    let started = files.iter().map(start).collect::<Result<Vec<_>>>()?;
    let mut table = Table::new();
    for (name, child) in started {
        let output = child.wait_with_output().context("cannot wait for ptxas")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("warning") {
            bail!("ptxas says of {name}:\n{said}");
        }
        let arch = name.rsplit('_').next().and_then(|arch| arch.parse().ok()).context("a file without architecture")?;
        for (kernel, needs) in read(&said)? {
            table.entry(kernel).or_default().insert(arch, needs);
        }
    }
    Ok(table)
}

/// Reads what `ptxas --verbose` says.
fn read(said: &str) -> Result<Vec<(String, Needs)>> {
    let mut found: Vec<(String, Needs)> = Vec::new();
    for line in said.lines() {
        if let Some(rest) = line.split_once("Compiling entry function '").map(|(_, rest)| rest) {
            let name = rest.split('\'').next().unwrap_or_default();
            found.push((name.to_owned(), Needs::default()));
        }
        let Some((name, needs)) = found.last_mut() else { continue };
        let before = |words: &str| -> Option<u32> { line.split_once(words)?.0.rsplit([' ', ',']).next()?.parse().ok() };
        if line.contains("stack frame") {
            let numbers = [before(" bytes stack frame"), before(" bytes spill stores"), before(" bytes spill loads")];
            let [Some(stack), Some(stores), Some(loads)] = numbers else { bail!("{name}: cannot read {line:?}") };
            (needs.stack, needs.spilled) = (stack, stores + loads);
        } else if line.contains("Used ") {
            needs.registers = before(" registers").with_context(|| format!("{name}: cannot read {line:?}"))?;
            needs.shared = before(" bytes smem").unwrap_or(0);
        }
    }
    ensure!(found.iter().all(|(_, needs)| needs.registers > 0), "ptxas says nothing of a kernel:\n{said}");
    Ok(found)
}

/// Fails if a kernel keeps what it computes with in memory.
fn faults(table: &Table, allowed: &[(&str, u32, u32, u32)]) -> Result<()> {
    let mut faults = String::new();
    for (kernel, needs) in table {
        for (arch, Needs { stack, spilled, .. }) in needs {
            let entry = allowed.iter().find(|(name, on, ..)| name == kernel && on == arch);
            if (*spilled, *stack) != entry.map_or((0, 0), |&(_, _, spilled, stack)| (spilled, stack)) {
                let _ = write!(faults, "\n{kernel} for sm_{arch}: {spilled} bytes spilled, {stack} bytes of stack");
            }
        }
    }
    ensure!(
        faults.is_empty(),
        "kernels do not fit into their registers, or better than xtask/src/kernels.rs allows:{faults}"
    );
    Ok(())
}

fn snapshot_path() -> PathBuf {
    root().join("snapshots").join("kernels.json")
}

fn compare(table: &Table) -> Result<()> {
    let (wanted, is) = (fs::read_to_string(snapshot_path()).unwrap_or_default(), json(table));
    let only = |a: &str, b: &str| -> String {
        a.lines()
            .filter(|line| !b.lines().any(|other| other == *line))
            .fold(String::new(), |all, line| all + "\n" + line)
    };
    ensure!(
        wanted == is,
        "kernels need something else than snapshots/kernels.json says; `cargo xtask kernels --write` writes it anew.\nIt says:{}\n\
         They need:{}",
        only(&wanted, &is),
        only(&is, &wanted)
    );
    Ok(())
}

/// One line for each kernel and architecture.
fn json(table: &Table) -> String {
    let kernels = table.iter().map(|(kernel, needs)| {
        let needs = needs.iter().map(|(arch, Needs { registers, shared, .. })| {
            format!("    \"sm_{arch}\": {{ \"registers\": {registers}, \"shared\": {shared} }}")
        });
        format!("  \"{kernel}\": {{\n{}\n  }}", needs.collect::<Vec<_>>().join(",\n"))
    });
    format!("{{\n{}\n}}\n", kernels.collect::<Vec<_>>().join(",\n"))
}

fn print(table: &Table) {
    eprintln!("registers of a thread, and bytes of shared memory of a block:");
    for (kernel, needs) in table {
        let columns = needs.iter().map(|(arch, needs)| format!("sm_{arch} {:>3} {:>6}", needs.registers, needs.shared));
        eprintln!("{kernel:<28} {}", columns.collect::<Vec<_>>().join("   "));
    }
}

#[cfg(test)]
mod tests {
    use super::{Needs, Table, faults, read};

    const SAID: &str = "ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_90'
ptxas info    : Function properties for first
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 16 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compile time = 12.719 ms
ptxas info    : Compiling entry function 'second' for 'sm_90'
ptxas info    : Function properties for second
    24 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers, 24 bytes cumulative stack size
";

    #[test]
    fn what_the_assembler_says_is_read() {
        let found = read(SAID).unwrap();
        let numbers: Vec<_> =
            found.iter().map(|(name, n)| (name.as_str(), n.registers, n.shared, n.stack, n.spilled)).collect();
        assert_eq!(numbers, [("first", 16, 1024, 0, 0), ("second", 255, 0, 24, 20)]);
        assert!(read("ptxas info    : Compiling entry function 'first' for 'sm_90'").is_err());
    }

    #[test]
    fn spilling_and_a_stack_are_faults() {
        for (needs, fault) in [
            (Needs { registers: 9, shared: 9, ..Needs::default() }, false),
            (Needs { registers: 9, spilled: 4, ..Needs::default() }, true),
            (Needs { registers: 9, stack: 8, ..Needs::default() }, true),
        ] {
            let table = Table::from([("kernel".to_owned(), [(90, needs)].into())]);
            assert_eq!(faults(&table, &[]).is_err(), fault);
            // What is allowed and not needed is a fault as well.
            assert_eq!(faults(&table, &[("kernel", 90, 4, 0)]).is_err(), needs.spilled != 4);
        }
    }
}
