use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::toploc::{Activations, Params, Thresholds};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{FOUND_WRONG, print_json};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print one base64 proof per block of rows.
    Build(Shape),
    /// Compare proofs with one's own activations; print one JSON object per block.
    Verify {
        #[command(flatten)]
        shape: Shape,
        /// Proofs, one base64 line per block.
        #[arg(long, value_name = "FILE")]
        proofs: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct Shape {
    /// Raw little-endian bf16 values, row-major.
    #[arg(long, value_name = "FILE")]
    activations: PathBuf,
    /// Rows in the file.
    #[arg(long)]
    rows: usize,
    /// Values per row.
    #[arg(long)]
    hidden: usize,
    /// Rows per block; blocks start at row 0.
    #[arg(long, default_value_t = 32)]
    block: usize,
    /// Elements committed per block.
    #[arg(long, default_value_t = 128)]
    topk: usize,
}

/// The measurements of one block, named as in the Python library where it has them.
#[derive(Serialize)]
struct Line {
    exp_mismatches: usize,
    mant_err_mean: f64,
    mant_err_median: f64,
    decoy_hits: usize,
    sign_mismatches: usize,
    pass: bool,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Build(shape) => {
                let bits = shape.read()?;
                let proofs = ::toploc::build(Activations::new(&bits, shape.hidden)?, shape.params())?;
                proofs.iter().for_each(|proof| println!("{}", proof.to_base64()));
                Ok(ExitCode::SUCCESS)
            }
            Self::Verify { shape, proofs } => shape.verify(&proofs),
        }
    }
}

impl Shape {
    fn params(&self) -> Params {
        Params { topk: self.topk, block_rows: self.block }
    }

    fn read(&self) -> anyhow::Result<Vec<u16>> {
        let path = self.activations.display();
        let expected = self.rows.checked_mul(self.hidden).and_then(|n| n.checked_mul(2));
        let Some(expected) = expected else { bail!("{} × {} values are too many", self.rows, self.hidden) };
        let bytes = std::fs::read(&self.activations).with_context(|| format!("cannot read {path}"))?;
        ensure!(
            bytes.len() == expected,
            "{path} has {} bytes; {} rows of {} bf16 values are {expected}",
            bytes.len(),
            self.rows,
            self.hidden
        );
        Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    fn verify(&self, proofs: &Path) -> anyhow::Result<ExitCode> {
        let bits = self.read()?;
        let text = std::fs::read_to_string(proofs).with_context(|| format!("cannot read {}", proofs.display()))?;
        let lines: Vec<&str> = text.lines().collect();
        let reports = ::toploc::verify_base64(Activations::new(&bits, self.hidden)?, &lines, self.params())
            .with_context(|| format!("{} does not fit", proofs.display()))?;
        let mut all_pass = true;
        for report in reports {
            let pass = Thresholds::default().judge(&report).is_empty();
            all_pass &= pass;
            print_json(&Line {
                exp_mismatches: report.exp_mismatches,
                mant_err_mean: report.mant_err_mean,
                mant_err_median: report.mant_err_median,
                decoy_hits: report.decoy_hits,
                sign_mismatches: report.sign_mismatches,
                pass,
            })?;
        }
        Ok(ExitCode::from(if all_pass { 0 } else { FOUND_WRONG }))
    }
}
