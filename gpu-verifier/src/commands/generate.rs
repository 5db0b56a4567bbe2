use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tandem_verifier::generate::{Completion, Request, run};

use super::{ModelArgs, print_json};

#[derive(Args)]
pub(super) struct Command {
    #[command(flatten)]
    model: ModelArgs,
    /// The prompt.
    #[arg(long)]
    prompt: String,
    /// Longest answer, in tokens.
    #[arg(long, default_value_t = 64)]
    max_tokens: usize,
    /// Seed of the draw.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Temperature, 0 to 2; 0 takes the likeliest token.
    #[arg(long, default_value_t = 1.0)]
    temperature: f32,
}

/// What `generate` prints and `verify` reads.
#[derive(Serialize)]
struct Answer<'a> {
    request: &'a Request,
    #[serde(flatten)]
    completion: &'a Completion,
    text: String,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (files, backend) = self.model.open()?;
        let tokenizer = files.tokenizer()?;
        let prompt = tokenizer.encode(&self.prompt).map_err(anyhow::Error::from_boxed)?;
        let request = Request { prompt, max_tokens: self.max_tokens, seed: self.seed, temperature: self.temperature };
        let completion = run(backend.as_ref(), &request)?;
        let text = tokenizer.decode(&completion.output).map_err(anyhow::Error::from_boxed)?;
        print_json(&Answer { request: &request, completion: &completion, text })?;
        Ok(ExitCode::SUCCESS)
    }
}
