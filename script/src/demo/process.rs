//! The processes of a network on this machine: started with their output in log files, ended with the demo however it
//! ends.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use eyre::{Context, Result, bail, eyre};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How to start a process; kept, so that a killed one can be started again.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Its name in messages and of its log file.
    pub name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
}

/// A started [`Service`].
#[derive(Debug)]
pub(super) struct Process {
    service: Service,
    child: Child,
}

impl Service {
    /// A service whose log goes to `logs/NAME.log`.
    pub(super) fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        logs: &Path,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let name = name.into();
        let log = logs.join(format!("{name}.log"));
        Self { name, program: program.into(), arguments: arguments.into_iter().map(Into::into).collect(), log }
    }

    /// Starts it in a process group of its own, so that Ctrl-C reaches the demo alone and the demo ends the rest.
    pub(super) fn start(self) -> Result<Process> {
        let child = self.spawn()?;
        Ok(Process { service: self, child })
    }

    fn spawn(&self) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .wrap_err_with(|| format!("cannot write {}", self.log.display()))?;
        let errors = log.try_clone().wrap_err("cannot share a log file")?;
        Command::new(&self.program)
            .args(&self.arguments)
            // Many processes: one card is not for all of them.
            .env("TANDEM_BACKEND", "cpu")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .wrap_err_with(|| format!("cannot start {} ({})", self.name, self.program.display()))
    }

    /// Runs a program that ends by itself and must succeed.
    pub(super) async fn run_to_end(self) -> Result<()> {
        let mut process = self.start()?;
        let status = process.child.wait().await.wrap_err_with(|| format!("waiting for {}", process.service.name))?;
        if !status.success() {
            bail!("{} ended with {status}:\n{}", process.service.name, process.log_tail());
        }
        Ok(())
    }
}

impl Process {
    /// The service's name.
    pub(super) fn name(&self) -> &str {
        &self.service.name
    }

    /// An error with the end of its log if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait().wrap_err_with(|| format!("asking for {}", self.service.name))? {
            Some(status) => Err(eyre!("{} ended unexpectedly with {status}:\n{}", self.service.name, self.log_tail())),
            None => Ok(()),
        }
    }

    /// SIGKILL, as a power cut would, and start again with the same arguments after `pause`.
    pub(super) async fn kill_and_restart(&mut self, pause: Duration) -> Result<()> {
        self.signal(Signal::SIGKILL);
        self.child.wait().await.wrap_err_with(|| format!("waiting for {}", self.service.name))?;
        tokio::time::sleep(pause).await;
        self.child = self.service.spawn()?;
        Ok(())
    }

    /// SIGTERM, and SIGKILL for what does not listen.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            // It was killed; there is nothing left to do about a failing wait.
            let _ = self.child.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // A process that is gone already cannot be signalled, which is what was wanted.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.service.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Ports that are free now. All are held open until all are chosen, so that they differ.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<std::io::Result<_>>()
        .wrap_err("no free port on 127.0.0.1")?;
    listeners.iter().map(|listener| Ok(listener.local_addr().wrap_err("a port without address")?.port())).collect()
}
