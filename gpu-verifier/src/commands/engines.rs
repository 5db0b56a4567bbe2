//! Honest machines and cheats by name.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use tandem_verifier::backend::{self, Backend, Numerics, Options};
use tandem_verifier::cheat::ConstantProof;
use tandem_verifier::engine::{Engine, Honest};
use tandem_verifier::evidence::Named;
use tandem_verifier::model::{ModelFiles, Text};

use super::ModelArgs;

#[derive(Args)]
pub(super) struct EngineArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A smaller model with the same tokens, which cheats may run instead.
    #[arg(long, value_name = "DIR")]
    smaller: Option<PathBuf>,
    /// Kinds of machines that honest contributors may have; repeat it or separate by commas.
    #[arg(long, value_delimiter = ',', default_value = "exact,fast")]
    machine: Vec<Machine>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Machine {
    /// Adds in the one order that is laid down.
    Exact,
    /// Adds in any order.
    Fast,
}

/// Everything that takes part in a trial.
pub(super) struct Engines {
    pub(super) model: [u8; 32],
    pub(super) text: Text,
    pub(super) verifier: Arc<dyn Backend>,
    pub(super) machines: Vec<Named>,
    pub(super) cheats: Vec<Named>,
}

impl EngineArgs {
    pub(super) fn open(&self) -> anyhow::Result<Engines> {
        let (files, verifier) = self.model.open()?;
        let mut machines: Vec<Named> = Vec::new();
        for machine in &self.machine {
            let name = machine.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            ensure!(machines.iter().all(|(other, _)| *other != name), "--machine {name} is given twice");
            let numerics = if *machine == Machine::Fast { Numerics::Fast } else { Numerics::Exact };
            let backend = if verifier.numerics() == numerics {
                verifier.clone()
            } else {
                backend::open(&files, &Options { threads: self.model.threads, numerics })?
            };
            machines.push((name, Arc::new(Honest(backend))));
        }
        let mut cheats: Vec<Named> =
            vec![("constant-proof".to_owned(), Arc::new(ConstantProof(files.config().clone())))];
        if let Some(dir) = &self.smaller {
            let context = || format!("cannot load the model in {}", dir.display());
            let smaller = ModelFiles::open(dir).with_context(context)?;
            ensure!(
                smaller.config().vocab_size == files.config().vocab_size,
                "--smaller has another vocabulary than --model"
            );
            let options = Options { threads: self.model.threads, ..Options::default() };
            let engine: Arc<dyn Engine> = Arc::new(Honest(backend::open(&smaller, &options).with_context(context)?));
            cheats.push(("smaller-model".to_owned(), engine));
        }
        Ok(Engines { model: files.digest()?, text: files.tokenizer()?, verifier, machines, cheats })
    }
}
