//! How the services of the demo are started: with the configuration files and flags that an operator would write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use eyre::{Context, Result, bail};

use super::actors::{Contributor, ContributorKind, Keeper, Validator};
use super::network::{Folders, MODEL_ID, Programs};
use super::process::{Process, Service};
use crate::keys;

const START_PATIENCE: Duration = Duration::from_secs(30);

/// What every service needs to know.
#[derive(Clone, Debug)]
pub(super) struct Ground<'a> {
    pub programs: &'a Programs,
    pub folders: &'a Folders,
    pub rpc: &'a str,
    pub manifest: &'a Path,
}

/// Folders of the two models.
#[derive(Clone, Debug)]
pub(super) struct Models {
    pub full: PathBuf,
    pub small: PathBuf,
}

impl Ground<'_> {
    /// Writes the network's model and the smaller one that a cheat serves.
    pub(super) async fn make_models(programs: &Programs, folders: &Folders, seed: u64) -> Result<Models> {
        let models = Models { full: folders.models.join("full"), small: folders.models.join("small") };
        for (path, small) in [(&models.full, false), (&models.small, true)] {
            let mut arguments = vec![
                "model".to_owned(),
                "make-test".to_owned(),
                path.display().to_string(),
                "--seed".to_owned(),
                seed.to_string(),
            ];
            if small {
                arguments.push("--small".to_owned());
            }
            let name = if small { "make-small-model" } else { "make-model" };
            Service::new(name, &programs.verifier, &folders.logs, arguments).run_to_end().await?;
        }
        Ok(models)
    }

    pub(super) fn keeper(&self, keeper: &Keeper, port: u16) -> Result<Process> {
        let name = format!("keeper-{}", keeper.name);
        let key = self.key(keeper.name, &keeper.key)?;
        let config = self.folders.state.join(format!("{name}.toml"));
        let text = format!(
            "rpc = {:?}\nmanifest = {:?}\ndata_dir = {:?}\nlisten = \"127.0.0.1:{port}\"\npoll_ms = 300\n\n\
             [keys]\nattest = {{ file = {:?} }}\n\n[jobs]\nrounds = 1\nlease_s = 6\n",
            self.rpc,
            self.manifest,
            self.folders.state.join(&name),
            key,
        );
        std::fs::write(&config, text).wrap_err_with(|| format!("cannot write {}", config.display()))?;
        let arguments = ["run".to_owned(), "--config".to_owned(), config.display().to_string()];
        Service::new(name, &self.programs.keeper, &self.folders.logs, arguments).start()
    }

    pub(super) fn contributor(&self, contributor: &Contributor, port: u16, models: &Models) -> Result<Process> {
        let name = format!("contributor-{}", contributor.name);
        let model = match contributor.kind {
            ContributorKind::SmallerModel => &models.small,
            ContributorKind::Honest | ContributorKind::ForgedProofs => &models.full,
        };
        let mut arguments = self.service_arguments("serve", model);
        arguments.extend(
            [
                ("--listen", format!("127.0.0.1:{port}")),
                ("--netuid", contributor.netuid.to_string()),
                ("--hotkey-key", self.key(&format!("{name}-hotkey"), &contributor.hotkey)?.display().to_string()),
                ("--speed-class", contributor.speed_class.to_string()),
                ("--settle-key", self.key(&format!("{name}-hotkey"), &contributor.hotkey)?.display().to_string()),
                ("--settle-every", "6".to_owned()),
                ("--state", self.folders.state.join(&name).display().to_string()),
            ]
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]),
        );
        if contributor.kind == ContributorKind::ForgedProofs {
            arguments.extend(["--cheat", "constant-polynomial", "--allow-cheating"].map(str::to_owned));
        }
        Service::new(name, &self.programs.verifier, &self.folders.logs, arguments).start()
    }

    /// Every worker prefers another keeper; all of them know all.
    pub(super) fn worker(
        &self,
        validator: &Validator,
        index: usize,
        keepers: &[String],
        models: &Models,
    ) -> Result<Process> {
        let name = format!("worker-{}", validator.name);
        let mut arguments = self.service_arguments("work", &models.full);
        for offset in 0..keepers.len() {
            arguments.extend(["--keeper".to_owned(), keepers[(index + offset) % keepers.len()].clone()]);
        }
        arguments.extend(
            [
                ("--hotkey-key", self.key(&format!("{name}-hotkey"), &validator.hotkey)?.display().to_string()),
                ("--channel-credits", "30".to_owned()),
                ("--payer-key", self.key(&format!("{name}-payer"), &validator.payer)?.display().to_string()),
                ("--state", self.folders.state.join(&name).display().to_string()),
            ]
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]),
        );
        Service::new(name, &self.programs.verifier, &self.folders.logs, arguments).start()
    }

    fn service_arguments(&self, command: &str, model: &Path) -> Vec<String> {
        [
            command.to_owned(),
            "--model".to_owned(),
            model.display().to_string(),
            "--model-id".to_owned(),
            MODEL_ID.to_owned(),
            "--rpc".to_owned(),
            self.rpc.to_owned(),
            "--manifest".to_owned(),
            self.manifest.display().to_string(),
        ]
        .to_vec()
    }

    fn key(&self, name: &str, key: &PrivateKeySigner) -> Result<PathBuf> {
        let path = self.folders.keys.join(name);
        if !path.exists() {
            keys::write(&path, key)?;
        }
        Ok(path)
    }
}

/// Waits until a service answers at its health endpoint.
pub(super) async fn wait_until_healthy(http: &reqwest::Client, url: &str, process: &mut Process) -> Result<()> {
    let deadline = tokio::time::Instant::now() + START_PATIENCE;
    loop {
        process.check()?;
        let answer = http.get(format!("{url}/health")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{} does not answer at {url} after {} s", process.name(), START_PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
