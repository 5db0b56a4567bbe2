//! Auditing where the states lie: of a response, only a few kilobytes come to the host. The first half asks for everything and
//! waits for nothing, so that the device goes on with the next pack while the host compares this one.

use tandem_model::audit::{Audit, Audited, UnderWay};
use tandem_model::backend::BackendError;
use tandem_model::commitment::PARAMS;

use crate::backend::Engine;
use crate::checks::{Claimed, Committed, Draws, Margins, Selecting};
use crate::device::Buffer;
use crate::forward::Mode;

/// Committed rows of an audit among the states of its pack.
#[derive(Debug)]
struct Rows {
    address: u64,
    count: usize,
}

/// A pack of which everything is asked for.
#[derive(Debug)]
struct Pack {
    audits: Vec<Audit>,
    rows: Vec<Rows>,
    hidden: usize,
    margins: Margins,
    selecting: Selecting,
    /// Where the rows are.
    _states: Buffer,
}

impl UnderWay for Pack {
    fn finish(self: Box<Self>) -> Result<Vec<Audited>, BackendError> {
        let Self { audits, rows, hidden, margins, selecting, _states } = *self;
        let claims: Vec<Claimed<'_>> = audits.iter().zip(&rows).flat_map(|(audit, rows)| claims(audit, rows)).collect();
        let blocks = selecting.compare(&committed(&audits, &rows, hidden))?;
        let mut margins = margins.wait(&claims)?.into_iter();
        let margins = audits
            .iter()
            .zip(&rows)
            .map(|(audit, rows)| margins.by_ref().take(rows.count.min(audit.output.len())).collect());
        Ok(blocks.into_iter().zip(margins).map(|(blocks, margins)| Audited { blocks, margins }).collect())
    }
}

impl Engine {
    pub(crate) fn begin<M: Mode>(&self, audits: Vec<Audit>) -> Result<Box<dyn UnderWay>, BackendError> {
        let sequences: Vec<&[u32]> = audits.iter().map(|audit| audit.sequence.as_slice()).collect();
        let states = self.states::<M>(&sequences)?;
        let (device, config) = (&self.context.device, &self.context.model.config);
        let hidden = config.hidden_size;
        let row_bytes = 2 * hidden as u64;
        let mut next = states.address();
        let rows: Vec<Rows> = audits
            .iter()
            .map(|audit| {
                let skipped = audit.prompt.saturating_sub(1).min(audit.sequence.len());
                let address = next + skipped as u64 * row_bytes;
                next += audit.sequence.len() as u64 * row_bytes;
                Rows { address, count: audit.sequence.len() - skipped }
            })
            .collect();

        let claims: Vec<Claimed<'_>> = audits.iter().zip(&rows).flat_map(|(audit, rows)| claims(audit, rows)).collect();
        let draws = Draws::new(device, config.vocab_size, &claims)?;
        let most = rows.iter().map(|rows| rows.count).max().unwrap_or_default().min(self.logit_rows());
        let logits = self.context.room::<f32>(most, config.vocab_size)?;
        let mut drawn = 0;
        for (audit, rows) in audits.iter().zip(&rows) {
            let judged = rows.count.min(audit.output.len());
            for first in (0..judged).step_by(most.max(1)) {
                let count = (judged - first).min(most);
                M::logits(&self.context, rows.address + first as u64 * row_bytes, count as u32, logits.address())?;
                draws.judge(logits.address(), drawn, count)?;
                drawn += count;
            }
        }
        let margins = draws.fetch(claims.len())?;
        let selecting = Selecting::begin(device, &committed(&audits, &rows, hidden), PARAMS)?;
        Ok(Box::new(Pack { audits, rows, hidden, margins, selecting, _states: states }))
    }
}

fn claims<'a>(audit: &'a Audit, rows: &Rows) -> impl Iterator<Item = Claimed<'a>> + use<'a> {
    let (sampler, prompt) = (&audit.sampler, audit.prompt);
    let tokens = audit.output.iter().take(rows.count).enumerate();
    tokens.map(move |(index, &token)| Claimed { sampler, position: (prompt + index) as u32, token: Some(token) })
}

fn committed<'a>(audits: &'a [Audit], rows: &[Rows], hidden: usize) -> Vec<Committed<'a>> {
    let one = |(audit, rows): (&'a Audit, &Rows)| Committed {
        address: rows.address,
        rows: rows.count,
        hidden,
        proofs: &audit.proofs,
    };
    audits.iter().zip(rows).map(one).collect()
}
