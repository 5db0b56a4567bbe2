//! `cargo xtask bench`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo;
use crate::stage::{Stages, succeed};

/// Name, package and bench target.
const BENCHES: [(&str, &str, &str); 1] = [("yuma", "yuma", "epoch")];

pub(crate) fn run(stages: &mut Stages, name: Option<&str>) -> Result<ExitCode> {
    let chosen: Vec<_> = BENCHES.iter().filter(|(known, ..)| name.is_none_or(|name| name == *known)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|(known, ..)| *known).collect();
        bail!("no benchmark is called {:?}; there are: {}", name.unwrap_or_default(), known.join(", "));
    }
    for (name, package, target) in chosen {
        stages.run(&format!("bench {name}"), || {
            succeed(cargo().args(["bench", "--package", package, "--bench", target]))
        })?;
    }
    stages.report();
    Ok(ExitCode::SUCCESS)
}
