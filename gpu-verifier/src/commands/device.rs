//! What a model runs on.

#[cfg(feature = "cuda")]
mod cuda;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tandem_verifier::backend::{self, Backend, Options};
use tandem_verifier::model::ModelFiles;

#[cfg(feature = "cuda")]
pub(super) use self::cuda::{CardArgs, Devices};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A card if there is one that can be used, else the CPU; the log says which and why.
    Auto,
    /// The CPU: the reference.
    Cpu,
    /// A card; without one the command ends and says what is missing.
    Cuda,
}

/// What to run on.
#[derive(Args)]
pub(super) struct DeviceArgs {
    /// What the model runs on. In exact numerics every backend gives the same bits.
    #[arg(long, value_enum, default_value_t = Kind::Auto, env = "TANDEM_BACKEND")]
    backend: Kind,
    #[cfg(feature = "cuda")]
    #[command(flatten)]
    card: cuda::CardArgs,
}

impl DeviceArgs {
    /// Loads the model.
    pub(super) fn load(&self, files: &ModelFiles, options: &Options) -> anyhow::Result<Arc<dyn Backend>> {
        #[cfg(feature = "cuda")]
        if self.backend != Kind::Cpu {
            match self.card.load(files, options)? {
                Ok(backend) => return Ok(backend),
                Err(error) if self.backend == Kind::Cuda => {
                    return Err(anyhow::Error::new(error).context("--backend cuda"));
                }
                Err(error) => tracing::info!(why = %error, "the model runs on the CPU"),
            }
        }
        #[cfg(not(feature = "cuda"))]
        anyhow::ensure!(self.backend != Kind::Cuda, "--backend cuda: this program was built without the feature cuda");
        Ok(backend::open(files, options)?)
    }
}

/// The exit code of a command that came to its end, or failed with `code`: a lost device is told apart, because starting the
/// command again is what helps.
pub(crate) fn exit_code(code: u8) -> ExitCode {
    #[cfg(feature = "cuda")]
    if tandem_cuda::device::driver::lost().is_some() {
        return ExitCode::from(super::DEVICE_LOST);
    }
    ExitCode::from(code)
}

/// Ends a service whose device is lost: whatever it does next would fail.
#[cfg(feature = "network")]
pub(super) fn end_when_lost(ending: &tokio_util::sync::CancellationToken) {
    #[cfg(feature = "cuda")]
    {
        let ending = ending.clone();
        tokio::spawn(async move {
            while !ending.is_cancelled() {
                if let Some(why) = tandem_cuda::device::driver::lost() {
                    tracing::error!(why, "the device is lost: this process ends, start it again");
                    ending.cancel();
                }
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
        });
    }
    #[cfg(not(feature = "cuda"))]
    let _ = ending;
}
