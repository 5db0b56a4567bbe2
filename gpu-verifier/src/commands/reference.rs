use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;
use tandem_verifier::model::{ModelConfig, Text};
use tandem_verifier::reference::{ReferenceServer, Settings};

/// Longest wait for a reference server.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server to compare tokens with, in place of running the model here.
#[derive(Args)]
pub(super) struct ReferenceArgs {
    /// Compare tokens through the vLLM-compatible server at this address instead of running the model here. Hidden states are
    /// not compared then, and the server is believed.
    #[arg(long, value_name = "URL", requires = "reference_model", conflicts_with = "calibration")]
    reference: Option<Url>,
    /// The model's name at the reference server.
    #[arg(long, value_name = "NAME", requires = "reference")]
    reference_model: Option<String>,
    /// Likeliest tokens to ask the reference server for at each position; more see more, servers allow 20 by default.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    reference_top: u16,
    /// File with the API key of the reference server, one line.
    #[arg(long, value_name = "FILE", requires = "reference")]
    reference_key: Option<PathBuf>,
}

impl ReferenceArgs {
    /// The server that was asked for, if one was.
    pub(super) fn server(self) -> anyhow::Result<Option<ReferenceServer>> {
        let (Some(url), Some(model)) = (self.reference, self.reference_model) else { return Ok(None) };
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok::<_, anyhow::Error>(text.trim_end().to_owned())
        };
        let api_key = self.reference_key.map(read).transpose()?;
        let settings = Settings { url, model, top: self.reference_top, api_key, patience: PATIENCE };
        Ok(Some(ReferenceServer::new(settings).context("--reference")?))
    }
}

/// What checking tokens takes of a model's folder: no weights.
pub(super) fn config_and_text(dir: &Path) -> anyhow::Result<(ModelConfig, Text)> {
    let config = ModelConfig::read(&dir.join("config.json"))?;
    let text = Text::read(dir, config.vocab_size)?;
    Ok((config, text))
}
