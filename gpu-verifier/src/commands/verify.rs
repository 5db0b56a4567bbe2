use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use tandem_verifier::generate::Request;
use tandem_verifier::verdict::{Policy, ResponseVerdict};
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
    #[cfg(feature = "network")]
    #[command(flatten)]
    reference: super::reference::ReferenceArgs,
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
    /// Tokens whose margin a reference server's list gives exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    certain: Option<usize>,
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
        let claim = Claim { request: &request, output: &output, proofs: &proofs };
        let (policy, features, certain) = self.measure(&claim)?;
        let (verdict, grade) = policy.examine(&features);
        print_json(&Checked { verdict: &verdict, grade, features: &features, certain })?;
        Ok(ExitCode::from(if verdict == ResponseVerdict::Pass { 0 } else { FOUND_WRONG }))
    }

    /// How to judge, what was measured, and of how many tokens a reference server told the margin exactly.
    #[cfg(feature = "network")]
    fn measure(self, claim: &Claim<'_>) -> anyhow::Result<(Policy, ResponseFeatures, Option<usize>)> {
        let Some(server) = self.reference.server()? else { return here(&self.model, &self.policy, claim) };
        let (config, _) = super::reference::config_and_text(&self.model.model)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(server.verify(&config, claim))?;
        Ok((Policy::default(), report.features, Some(report.certain)))
    }

    #[cfg(not(feature = "network"))]
    fn measure(self, claim: &Claim<'_>) -> anyhow::Result<(Policy, ResponseFeatures, Option<usize>)> {
        here(&self.model, &self.policy, claim)
    }
}

/// On the verifier's own copy of the model.
fn here(
    model: &ModelArgs,
    policy: &PolicyArgs,
    claim: &Claim<'_>,
) -> anyhow::Result<(Policy, ResponseFeatures, Option<usize>)> {
    let (files, backend) = model.open()?;
    let policy = policy.open(&files)?;
    Ok((policy, verify_response(backend.as_ref(), claim)?, None))
}
