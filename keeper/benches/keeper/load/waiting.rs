//! Thousands of workers that wait for jobs, all at once, until a new epoch has some.

use tandem_keeper::{sender::now_ms, telemetry};

use super::{
    Clients, Figures, Meter, Size,
    clients::{Answers, Order},
    memory_mib,
    network::EPOCH,
    served::{Served, until},
};

/// Lets so many workers wait through the end of an epoch.
pub(crate) async fn waiting(size: &Size, mut clients: Clients, workers: usize) -> Figures {
    let mut figures = Figures::new("poll");
    let served = Served::start(size, &mut clients).await;
    let clock = size.network().clock;
    // From the commit deadline on no job is handed out.
    served.chain.set_time(clock.commit_deadline(EPOCH) + 1);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (before, meter) = (memory_mib("self", "VmRSS"), Meter::start());
    let _: usize = clients.ask(&Order::Wait { server: served.address, workers });
    until("all wait", async || served.metric(telemetry::WAITING).await >= workers as f64).await;
    figures.stage("until all wait", &meter);
    let waiting = memory_mib("self", "VmRSS");
    figures.add("memory per waiting worker", (waiting - before) * 1024.0 / workers as f64, "KiB");

    let (meter, began) = (Meter::start(), now_ms());
    served.chain.set_time(clock.start_of(EPOCH + 1) + 1);
    let answers: Answers = clients.ask(&Order::Answers);
    let (_, cpu) = meter.read();
    assert!(answers.wrong.is_none(), "{}", answers.wrong.unwrap());
    let since = |at: u64| at.saturating_sub(began) as f64 / 1e3;
    figures.add("workers", workers as f64, "");
    figures.add("answered with a job", answers.with_job as f64, "");
    figures.add("answered with none", answers.without as f64, "");
    figures.add("new epoch to first answer", since(answers.first_ms), "s");
    figures.add("new epoch to last answer", since(answers.last_ms), "s");
    figures.add("processor until the last answer", cpu, "s");
    figures.add("processor per 1,000 answers", cpu / workers as f64 * 1e3, "s");
    figures.add("memory", memory_mib("self", "VmRSS"), "MiB");
    served.stop().await;
    figures
}
