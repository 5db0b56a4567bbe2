//! Auditing where the states lie: of a response, only a few kilobytes come to the host.

use tandem_model::audit::{Audit, Audited};
use tandem_model::backend::BackendError;
use tandem_model::commitment::PARAMS;

use crate::backend::Engine;
use crate::checks::{Claimed, Committed, Draws, verify_proofs};
use crate::device::Buffer;
use crate::forward::Mode;

/// Committed rows of an audit among the states of its group.
struct Rows {
    address: u64,
    count: usize,
}

impl Engine {
    pub(crate) fn audit<M: Mode>(&self, audits: &[Audit<'_>]) -> Result<Vec<Audited>, BackendError> {
        let sequences: Vec<&[u32]> = audits.iter().map(|audit| audit.sequence).collect();
        let mut audited = Vec::with_capacity(audits.len());
        self.each_group::<M>(&sequences, &mut |group, states| {
            let audits = &audits[audited.len()..][..group.len()];
            audited.extend(self.compare::<M>(audits, states)?);
            Ok(())
        })?;
        Ok(audited)
    }

    /// Compares audits with the states of their sequences, which follow each other.
    fn compare<M: Mode>(&self, audits: &[Audit<'_>], states: &Buffer) -> Result<Vec<Audited>, BackendError> {
        let (device, config) = (&self.context.device, &self.context.model.config);
        let row_bytes = 2 * config.hidden_size as u64;
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

        // Tokens first: their kernels are all asked for before anything waits.
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

        let committed: Vec<Committed<'_>> = audits
            .iter()
            .zip(&rows)
            .map(|(audit, rows)| Committed {
                address: rows.address,
                rows: rows.count,
                hidden: config.hidden_size,
                proofs: audit.proofs,
            })
            .collect();
        let blocks = verify_proofs(device, &committed, PARAMS)?;
        let mut margins = draws.margins(&claims)?.into_iter();
        let margins = audits
            .iter()
            .zip(&rows)
            .map(|(audit, rows)| margins.by_ref().take(rows.count.min(audit.output.len())).collect());
        Ok(blocks.into_iter().zip(margins).map(|(blocks, margins)| Audited { blocks, margins }).collect())
    }
}

fn claims<'a>(audit: &Audit<'a>, rows: &Rows) -> impl Iterator<Item = Claimed<'a>> + use<'a> {
    let (sampler, prompt) = (audit.sampler, audit.prompt);
    let tokens = audit.output.iter().take(rows.count).enumerate();
    tokens.map(move |(index, &token)| Claimed { sampler, position: (prompt + index) as u32, token: Some(token) })
}
