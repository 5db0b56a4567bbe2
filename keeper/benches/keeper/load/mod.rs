//! What is measured, by part.

pub(crate) mod clients;
mod http;
mod network;
mod pipeline;
mod proofs;
mod restart;
mod served;
mod waiting;

use std::{fs, time::Instant};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

pub(crate) use clients::Clients;
pub(crate) use network::Size;
pub(crate) use pipeline::pipeline;
pub(crate) use proofs::proofs;
pub(crate) use restart::{History, restart};
pub(crate) use waiting::waiting;

/// One measured number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What it should be, if anything was promised: at most so much, or at least.
    pub(crate) target: Option<Target>,
}

/// A promise.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(limit) => self.value <= limit,
            Target::AtLeast(limit) => self.value >= limit,
        })
    }
}

/// Gathers figures of one part.
pub(crate) struct Figures {
    part: &'static str,
    pub(crate) list: Vec<Figure>,
}

impl Figures {
    fn new(part: &'static str) -> Self {
        Self { part, list: Vec::new() }
    }

    fn add(&mut self, name: &str, value: f64, unit: &str) {
        self.promised(name, value, unit, None);
    }

    fn promised(&mut self, name: &str, value: f64, unit: &str, target: Option<Target>) {
        let figure = Figure { part: self.part.to_owned(), name: name.to_owned(), value, unit: unit.to_owned(), target };
        eprintln!("{}: {} {:.3} {}", figure.part, figure.name, figure.value, figure.unit);
        self.list.push(figure);
    }

    /// What has passed since `meter` was started, as a stage.
    fn stage(&mut self, name: &str, meter: &Meter) {
        let (wall, cpu) = meter.read();
        self.add(name, wall, "s");
        self.add(&format!("{name}, processor"), cpu, "s");
    }
}

/// Wall and processor time of this process.
pub(crate) struct Meter {
    started: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu_seconds() }
    }

    /// Seconds of wall and processor time.
    fn read(&self) -> (f64, f64) {
        (self.started.elapsed().as_secs_f64(), cpu_seconds() - self.cpu)
    }
}

fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// MiB of `VmRSS`, `VmHWM`, … of a process.
fn memory_mib(process: &str, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}
