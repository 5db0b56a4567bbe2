//! Compiles all kernels by NVRTC: `compile NVRTC_FOLDER OUT_FOLDER ARCH…`, for `cargo xtask kernels`. It needs no card.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use tandem_cuda::compile::{Nvrtc, argument_bytes};
use tandem_cuda::kernels::{SOURCES, Source};

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
    let architectures = architectures.iter().map(|arch| arch.parse()).collect::<Result<Vec<u32>, _>>()?;
    for source in SOURCES {
        for (name, text) in source.headers {
            std::fs::write(out.join(name), text)?;
        }
        std::fs::write(out.join(format!("{}.cu", source.name)), source.text)?;
    }
    let all = SOURCES.iter().flat_map(|source| architectures.iter().map(move |arch| (source, *arch)));
    let nvrtc = &nvrtc;
    let compiled: Vec<Result<(String, String), String>> = std::thread::scope(|scope| {
        let started: Vec<_> = all.map(|(source, arch)| scope.spawn(move || one(nvrtc, source, arch))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("the compiler failed".to_owned())))
            .collect()
    });
    for result in compiled {
        let (name, ptx) = result?;
        std::fs::write(out.join(&name), ptx)?;
        println!("{name}");
    }
    Ok(())
}

/// Compiles one source; a warning is an error, and so are arguments that differ from the host's.
fn one(nvrtc: &Nvrtc, source: &Source, arch: u32) -> Result<(String, String), String> {
    let compiled = nvrtc.compile(source, arch).map_err(|error| error.to_string())?;
    if !compiled.log.is_empty() {
        return Err(format!("{} for compute_{arch}: {}", source.name, compiled.log));
    }
    for (kernel, bytes) in source.kernels.iter().zip(source.bytes) {
        let declared = argument_bytes(&compiled.ptx, kernel);
        if declared != Some(*bytes) {
            return Err(format!("{kernel} takes {declared:?} bytes, its host side gives {bytes}"));
        }
    }
    Ok((format!("{}.compute_{arch}.ptx", source.name), compiled.ptx))
}
