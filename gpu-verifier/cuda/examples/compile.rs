//! Compiles all kernels by NVRTC: `compile NVRTC_FOLDER OUT_FOLDER ARCH…`, for `cargo xtask kernels`. It needs no card.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use tandem_cuda::compile::{Nvrtc, argument_bytes};
use tandem_cuda::kernels::{PRELUDE, SOURCES};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [nvrtc, out, architectures @ ..] = arguments else {
        return Err("usage: compile NVRTC_FOLDER OUT_FOLDER ARCH…".into());
    };
    let nvrtc = Nvrtc::load(Some(Path::new(nvrtc)))?.ok_or("no NVRTC")?;
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("nvrtc"), format!("{}\n", nvrtc.version()))?;
    std::fs::write(out.join("prelude.h"), PRELUDE)?;
    for source in SOURCES {
        std::fs::write(out.join(format!("{}.cu", source.name)), source.text)?;
        for arch in architectures {
            let compiled = nvrtc.compile(&source, arch.parse()?)?;
            if !compiled.log.is_empty() {
                return Err(format!("{} for compute_{arch}: {}", source.name, compiled.log).into());
            }
            for (kernel, bytes) in source.kernels.iter().zip(source.bytes) {
                let declared = argument_bytes(&compiled.ptx, kernel);
                if declared != Some(*bytes) {
                    return Err(format!("{kernel} takes {declared:?} bytes, its host side gives {bytes}").into());
                }
            }
            let name = format!("{}.compute_{arch}.ptx", source.name);
            std::fs::write(out.join(&name), compiled.ptx)?;
            println!("{name}");
        }
    }
    Ok(())
}
