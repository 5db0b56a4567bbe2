//! How much memory audits take, beside how much they should.

use serde::Serialize;
use tandem_model::audit::{self, UNDER_WAY};
use tandem_model::backend::Backend as _;
use tandem_model::model::ModelConfig;

use super::work::Work;
use super::{Bench, MeasureError};
use crate::backend::Options;
use crate::device::DeviceError;

/// Memory in bytes. Not in it is what the driver takes for itself before anything is allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// What the model's weights take.
    pub weights: u64,
    /// What a stream of audits needs beside them: see [`activations`].
    pub activations: u64,
    /// Taken in all with the model loaded.
    pub loaded: u64,
    /// Taken after the streamed audits' first packs.
    pub first: u64,
    /// Taken after their last.
    pub last: u64,
    /// Taken at most while they were streamed.
    pub peak: u64,
}

/// What the activations of streamed audits take in fast mode at a time, by their shapes: packs of up to `rows` rows that go
/// through the layers `chunk` at a time. For each pack under way `2 h` bytes per row of final hidden states; and either, while
/// one goes through the layers, per row `4 h` of the residual stream and `4 k` of one layer's keys and values, and per row of a
/// chunk `2 max(h, q)` of a norm's or attention's result, `2 (q + 2 k)` of queries, keys and values and `6 f` of the
/// feed-forward's two halves and their product; or, after that, `4 v` per row whose logits are computed together. `h` is the
/// width of the model, `q` of all query heads, `k` of all key heads, `f` of the feed-forward, `v` the size of the vocabulary.
pub fn activations(config: &ModelConfig, options: &Options, rows: usize) -> u64 {
    let (h, f, v) = (config.hidden_size, config.intermediate_size, config.vocab_size);
    let (q, k) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let in_layers = rows * (4 * h + 4 * k) + options.chunk.min(rows) * (2 * h.max(q) + 2 * (q + 2 * k) + 6 * f);
    let logits = options.logits.min(rows) * 4 * v;
    (rows * 2 * h * UNDER_WAY + in_layers.max(logits)) as u64
}

/// Streams the plan's audits: first those of the packed batch, then the others, of the same lengths, in one stream.
/// `used` tells what is taken; `loaded` was before.
pub(super) fn stream(
    bench: &Bench<'_>,
    loaded: u64,
    used: &dyn Fn() -> Result<u64, DeviceError>,
) -> Result<MemoryUse, MeasureError> {
    let (config, plan, fast) = (bench.config, bench.plan, bench.fast);
    let pass = fast.pass();
    let lengths = |from: usize| plan.packed.iter().copied().cycle().take(plan.stream).skip(from);
    let warm = plan.packed.len().min(plan.stream);
    let device = fast.device();
    device.watch()?;
    let run = |lengths: &mut dyn Iterator<Item = usize>| -> Result<u64, MeasureError> {
        let (mut made, mut compared) = (Ok(()), Ok(()));
        let packs = audit::packs(lengths, pass, |length| *length).map_while(|pack| {
            let work = Work::new(config, bench.sequences(&pack), |length| length / 2);
            work.map(|work| ((), work.audits())).map_err(|error| made = Err(error)).ok()
        });
        audit::stream(fast, packs, |(), audited| {
            if let (Ok(()), Err(error)) = (&compared, audited) {
                compared = Err(error);
            }
        });
        made?;
        compared?;
        device.synchronize()?;
        Ok(used()?)
    };
    let first = run(&mut lengths(0).take(warm))?;
    let last = if plan.stream > warm { run(&mut lengths(warm))? } else { first };
    let packs = audit::packs(lengths(0), pass, |length| *length);
    let rows = packs.map(|pack| pack.iter().sum()).max().unwrap_or_default();
    Ok(MemoryUse {
        weights: config.parameters() * 2,
        activations: activations(config, &fast.options(), rows),
        loaded,
        first,
        last,
        peak: device.peak()?,
    })
}
