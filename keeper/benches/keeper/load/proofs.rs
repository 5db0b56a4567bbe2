//! How many proofs of claims one core serves.

use super::{Clients, Figures, Meter, Size, Target, clients::Order, http::Flood, memory_mib, served::Served};

/// Claimants' connections.
const CONNECTIONS: usize = 64;
/// Proofs of a batch.
const BATCH: usize = 256;
/// Answers per second.
const PER_SECOND: f64 = 5_000.0;

/// Serves single proofs, then batches of them, for so many seconds each.
pub(crate) async fn proofs(size: &Size, mut clients: Clients, seconds: u64) -> Figures {
    let mut figures = Figures::new("proofs");
    let served = Served::start(size, &mut clients).await;
    let server = served.address;
    let claims = |seconds| Order::Claims { server, connections: CONNECTIONS, seconds };
    clients.flood(&claims(seconds.div_ceil(5)));
    let meter = Meter::start();
    let flood = clients.flood(&claims(seconds));
    report(&mut figures, "single", &flood, 1, &meter, Some(Target::AtLeast(PER_SECOND)));
    let meter = Meter::start();
    let proofs = BATCH.min(size.claimants as usize);
    let flood = clients.flood(&Order::Batches { server, connections: 8, seconds, proofs });
    report(&mut figures, "in batches", &flood, proofs, &meter, None);
    figures.add("memory", memory_mib("self", "VmRSS"), "MiB");
    served.stop().await;
    figures
}

fn report(figures: &mut Figures, how: &str, flood: &Flood, each: usize, meter: &Meter, target: Option<Target>) {
    let (_, cpu) = meter.read();
    let proofs = (flood.answered * each) as f64;
    figures.promised(&format!("proofs, {how}"), proofs / flood.seconds, "/s", target);
    figures.add(&format!("p50, {how}"), flood.p50_ms, "ms");
    figures.add(&format!("p99, {how}"), flood.p99_ms, "ms");
    figures.add(&format!("processor per 1,000 requests, {how}"), cpu / flood.answered as f64 * 1e3, "s");
}
