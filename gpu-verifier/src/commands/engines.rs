//! Honest machines and cheats by name.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use tandem_verifier::cheat::{Cheat, Machine};
use tandem_verifier::model::ModelFiles;

use super::ModelArgs;

#[derive(Args)]
pub(super) struct EngineArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// A smaller model with the same tokens, which some cheats run.
    #[arg(long, value_name = "DIR")]
    smaller: Option<PathBuf>,
    /// Machines that honest contributors may have; repeat it or separate by commas.
    #[arg(long, value_delimiter = ',', default_value = "exact,fast,rounding")]
    machine: Vec<Machine>,
    /// Cheats to measure [default: all that change an answer, with --smaller also those that run a smaller model].
    #[arg(long, value_delimiter = ',')]
    cheat: Vec<Cheat>,
}

impl EngineArgs {
    pub(super) fn machines(&self) -> anyhow::Result<Vec<Machine>> {
        ensure!(distinct(&self.machine), "a machine is given twice");
        Ok(self.machine.clone())
    }

    pub(super) fn cheats(&self) -> anyhow::Result<Vec<Cheat>> {
        ensure!(distinct(&self.cheat), "a cheat is given twice");
        let possible = |cheat: &Cheat| !cheat.only_signs() && (self.smaller.is_some() || !cheat.needs_other());
        if self.cheat.is_empty() {
            return Ok(Cheat::ALL.iter().copied().filter(possible).collect());
        }
        if let Some(cheat) = self.cheat.iter().find(|cheat| !possible(cheat)) {
            anyhow::bail!("{} needs --smaller, or changes nothing but what is signed", cheat.name());
        }
        Ok(self.cheat.clone())
    }

    pub(super) fn smaller(&self) -> anyhow::Result<Option<ModelFiles>> {
        let open = |dir: &PathBuf| {
            ModelFiles::open(dir).with_context(|| format!("cannot load the model in {}", dir.display()))
        };
        self.smaller.as_ref().map(open).transpose()
    }
}

fn distinct<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().all(|(index, item)| !list[..index].contains(item))
}
