use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::toploc::{Params, Proof, Thresholds, build_block, verify_block};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{FOUND_WRONG, print_json};

/// Largest block in memory, in values: that of 4,096 rows of the widest models.
const BLOCK_LIMIT: usize = 1 << 28;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print one base64 proof per block of rows.
    Build(Shape),
    /// Compare proofs with one's own activations; print one JSON object per block.
    Verify {
        #[command(flatten)]
        shape: Shape,
        /// Proofs, one base64 line per block; standard input if left out.
        #[arg(long, value_name = "FILE")]
        proofs: Option<PathBuf>,
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
    /// Rows per block; blocks start at row 0, and the last may be short.
    #[arg(long, default_value_t = 32)]
    block: usize,
    /// Values committed per block; no block may have fewer.
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
                let params = shape.params()?;
                // Nothing is printed before everything is known to be good.
                let mut lines = String::new();
                shape.each_block(|index, block| {
                    let proof = build_block(block, params).map_err(anyhow::Error::from);
                    lines += &proof.with_context(|| format!("block {index}"))?.to_base64();
                    lines.push('\n');
                    Ok(())
                })?;
                print!("{lines}");
                Ok(ExitCode::SUCCESS)
            }
            Self::Verify { shape, proofs } => shape.verify(proofs.as_deref()),
        }
    }
}

impl Shape {
    fn params(&self) -> anyhow::Result<Params> {
        for (name, value) in [("rows", self.rows), ("hidden", self.hidden), ("block", self.block), ("topk", self.topk)]
        {
            ensure!(value > 0, "--{name} must be at least 1");
        }
        ensure!(self.topk <= Params::MAX_TOPK, "--topk {} is above {}", self.topk, Params::MAX_TOPK);
        self.rows
            .checked_mul(self.hidden)
            .and_then(|values| values.checked_mul(2))
            .with_context(|| format!("{} × {} values are too many", self.rows, self.hidden))?;
        let block = self.block.min(self.rows) * self.hidden;
        ensure!(block <= BLOCK_LIMIT, "a block of {block} values is above {BLOCK_LIMIT}");
        let last = match self.rows % self.block {
            0 => block,
            rows => rows * self.hidden,
        };
        ensure!(self.topk <= last, "--topk {} is more than the {last} values of the last block", self.topk);
        Ok(Params { topk: self.topk, block_rows: self.block })
    }

    /// Reads the file block by block, so that its size does not matter.
    fn each_block(&self, mut work: impl FnMut(usize, &[u16]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let path = self.activations.display();
        let failed = || format!("cannot read {path}");
        let mut file = File::open(&self.activations).with_context(failed)?;
        let metadata = file.metadata().with_context(failed)?;
        let expected = self.rows * self.hidden * 2;
        let wrong_size = |got: String| {
            format!("{path} has {got} bytes; {} rows of {} bf16 values are {expected}", self.rows, self.hidden)
        };
        if metadata.is_file() && metadata.len() != expected as u64 {
            bail!(wrong_size(metadata.len().to_string()));
        }
        let mut bytes = Vec::new();
        let mut left = expected;
        for index in 0..self.rows.div_ceil(self.block) {
            let size = left.min(self.block.min(self.rows) * self.hidden * 2);
            bytes.clear();
            (&mut file).take(size as u64).read_to_end(&mut bytes).with_context(failed)?;
            ensure!(bytes.len() == size, wrong_size(format!("only {}", expected - left + bytes.len())));
            left -= size;
            let block: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            work(index, &block)?;
        }
        ensure!(file.read(&mut [0]).with_context(failed)? == 0, wrong_size("more".to_owned()));
        Ok(())
    }

    fn verify(&self, proofs: Option<&Path>) -> anyhow::Result<ExitCode> {
        let params = self.params()?;
        let (proofs, source) = self.read_proofs(proofs, params)?;
        let mut reports = Vec::with_capacity(proofs.len());
        self.each_block(|index, block| {
            let report = verify_block(block, &proofs[index], params);
            reports.push(report.map_err(anyhow::Error::from).with_context(|| format!("{source}, line {}", index + 1))?);
            Ok(())
        })?;
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

    /// The proofs, exactly one per block, and where they came from. No more is read than they can take.
    fn read_proofs(&self, path: Option<&Path>, params: Params) -> anyhow::Result<(Vec<Proof>, String)> {
        let source = path.map_or("standard input".to_owned(), |path| path.display().to_string());
        let failed = || format!("cannot read {source}");
        let input: Box<dyn Read> = match path {
            Some(path) => Box::new(File::open(path).with_context(failed)?),
            None => Box::new(std::io::stdin()),
        };
        let expected = params.proof_count(self.rows);
        let line = params.proof_bytes().div_ceil(3) * 4 + "\r\n".len();
        let mut text = String::new();
        let limit = expected.saturating_mul(line).saturating_add(line) as u64;
        input.take(limit).read_to_string(&mut text).with_context(failed)?;
        let lines: Vec<&str> = text.lines().collect();
        ensure!(
            lines.len() == expected,
            "{source} has {}{} lines; {expected} proofs are expected, one per {} rows",
            if text.len() as u64 == limit { "at least " } else { "" },
            lines.len(),
            self.block,
        );
        let parse = |(index, line): (usize, &&str)| {
            Proof::parse_base64(line, params.topk).with_context(|| format!("{source}, line {}", index + 1))
        };
        Ok((lines.iter().enumerate().map(parse).collect::<anyhow::Result<_>>()?, source))
    }
}
