use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use tandem_verifier::generate::Request;
use tandem_verifier::verdict::ResponseVerdict;
use tandem_verifier::verify::{Claim, ResponseFeatures, verify_response};

use super::{FOUND_WRONG, ModelArgs, PolicyArgs, print_json};

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The answer, as `generate` printed it; standard input if left out.
    #[arg(value_name = "FILE")]
    answer: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Answer {
    request: Request,
    output: Vec<u32>,
    proofs: Vec<String>,
}

#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    verdict: &'a ResponseVerdict,
    grade: usize,
    features: &'a ResponseFeatures,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut text = String::new();
        match &self.answer {
            Some(path) => {
                text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            }
            None => {
                std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            }
        }
        let Answer { request, output, proofs } =
            serde_json::from_str(&text).context("the answer is not what `generate` prints")?;
        let (files, backend) = self.model.open()?;
        let policy = self.policy.open(&files)?;
        let claim = Claim { request: &request, output: &output, proofs: &proofs };
        let features = verify_response(backend.as_ref(), &claim)?;
        let (verdict, grade) = policy.examine(&features);
        print_json(&Checked { verdict: &verdict, grade, features: &features })?;
        Ok(ExitCode::from(if verdict == ResponseVerdict::Pass { 0 } else { FOUND_WRONG }))
    }
}
