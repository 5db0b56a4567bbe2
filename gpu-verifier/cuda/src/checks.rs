//! Checks where the states lie: the largest elements of blocks, what proofs say of them, and the draw of tokens. Only a few
//! kilobytes per response come to the host.

use std::sync::Arc;

use tandem_model::sampling::Sampler;
use toploc::{BlockReport, Element, Params, Proof, Selection, VerifyError};

use crate::device::{Buffer, Device, DeviceError, Shape, launch};
use crate::kernels::proofs::{self, Block, Evaluate, Found, SelectLargest};
use crate::kernels::sampling::{Draw, DrawTokens, Drawn};

/// Room for the elements of one block that are as large as the last one committed. A block with more of them, which no
/// real model has, is looked through on the host.
const TIES: usize = 896;

/// Rows of bf16 states on the device that one list of proofs is about.
#[derive(Clone, Copy, Debug)]
pub struct Committed<'a> {
    /// Address of the first row.
    pub address: u64,
    /// Rows.
    pub rows: usize,
    /// Elements of a row.
    pub hidden: usize,
    /// The proofs, one per block.
    pub proofs: &'a [Proof],
}

/// Compares each of `committed` with its proofs, as [`toploc::verify`] does and with the same result.
///
/// # Errors
/// [`DeviceError`]; what is wrong with proofs is in the results.
pub fn verify_proofs(
    device: &Arc<dyn Device>,
    committed: &[Committed<'_>],
    params: Params,
) -> Result<Vec<Result<Vec<BlockReport>, VerifyError>>, DeviceError> {
    let blocks: Vec<Block> = committed.iter().flat_map(|committed| committed.blocks(params)).collect();
    let mut selections = select(device, &blocks, params)?.into_iter();

    // What is asked of all proofs goes to the device together.
    let selections: Vec<Vec<Selection>> = committed
        .iter()
        .map(|committed| selections.by_ref().take(params.proof_count(committed.rows)).collect())
        .collect();
    let questions = committed.iter().zip(&selections).map(|(committed, selections)| {
        let (expected, got) = (selections.len(), committed.proofs.len());
        if expected != got {
            return Err(VerifyError::Count { expected, got });
        }
        let pairs = selections.iter().zip(committed.proofs).enumerate();
        pairs.map(|(index, (selection, proof))| Ok((selection.question(proof, params, index)?, proof))).collect()
    });
    let questions: Vec<Result<Vec<_>, VerifyError>> = questions.collect();
    let asked: Vec<_> = questions.iter().flatten().flatten().map(|(q, proof)| (q.asked(), *proof)).collect();
    let answers = evaluate(device, &asked, params.topk)?;
    let mut rest = answers.as_slice();
    let mut report = |question: &toploc::Question<'_>| {
        let (own, others) = rest.split_at(question.asked().len());
        rest = others;
        question.report(own)
    };
    Ok(questions.into_iter().map(|questions| Ok(questions?.iter().map(|(q, _)| report(q)).collect())).collect())
}

impl Committed<'_> {
    fn blocks(&self, params: Params) -> impl Iterator<Item = Block> {
        let (hidden, rows, address) = (self.hidden, self.rows, self.address);
        (0..rows.div_ceil(params.block_rows)).map(move |index| {
            let first = index * params.block_rows;
            let count = (rows - first).min(params.block_rows) * hidden;
            let points = params.topk.min(count) as u32;
            Block { elements: address + 2 * (first * hidden) as u64, count: count as u32, points }
        })
    }
}

fn select(device: &Arc<dyn Device>, blocks: &[Block], params: Params) -> Result<Vec<Selection>, DeviceError> {
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let capacity = params.topk + TIES;
    let descriptors = Buffer::from(device, blocks)?;
    let found = Buffer::of::<Found>(device, blocks.len())?;
    let elements = Buffer::of::<proofs::Element>(device, blocks.len() * capacity)?;
    let arguments = SelectLargest {
        blocks: descriptors.address(),
        found: found.address(),
        elements: elements.address(),
        capacity: capacity as u32,
        count: blocks.len() as u32,
    };
    launch(device.as_ref(), Shape::line(blocks.len() as u32, proofs::SELECT_THREADS), &arguments)?;
    let found = found.read::<Found>(0, blocks.len())?;
    let elements = elements.read::<proofs::Element>(0, blocks.len() * capacity)?;
    let selected = blocks.iter().zip(found).zip(elements.chunks_exact(capacity));
    let selection = |((block, found), elements): ((&Block, Found), &[proofs::Element])| {
        let (above, ties, points) = (found.above as usize, found.ties as usize, block.points as usize);
        if above >= points || points + ties > capacity {
            return select_on_host(device.as_ref(), block, params);
        }
        let element = |e: &proofs::Element| Element { index: e.index as usize, bits: e.bits as u16 };
        Ok(Selection {
            above: elements[..above].iter().map(element).collect(),
            ties: elements[points..points + ties].iter().map(element).collect(),
            elements: block.count as usize,
        })
    };
    selected.map(selection).collect()
}

fn select_on_host(device: &dyn Device, block: &Block, params: Params) -> Result<Selection, DeviceError> {
    let mut bits = vec![0_u16; block.count as usize];
    device.download(block.elements, bytemuck::cast_slice_mut(&mut bits))?;
    Ok(Selection::of(&bits, params))
}

/// Values of each proof's polynomial at its points, one after the other.
fn evaluate(device: &Arc<dyn Device>, asked: &[(&[u32], &Proof)], terms: usize) -> Result<Vec<u16>, DeviceError> {
    let coefficients: Vec<u16> = asked.iter().flat_map(|(_, proof)| proof.coefficients()).copied().collect();
    let points: Vec<u32> = asked.iter().flat_map(|(points, _)| *points).copied().collect();
    let owner = |(owner, (points, _)): (u32, &(&[u32], &Proof))| std::iter::repeat_n(owner, points.len());
    let owners: Vec<u32> = (0..).zip(asked).flat_map(owner).collect();
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let (coefficients, owners) = (Buffer::from(device, &coefficients)?, Buffer::from(device, &owners)?);
    let values = Buffer::of::<u16>(device, points.len())?;
    let at = Buffer::from(device, &points)?;
    let arguments = Evaluate {
        coefficients: coefficients.address(),
        points: at.address(),
        owners: owners.address(),
        values: values.address(),
        terms: terms as u32,
        count: points.len() as u32,
    };
    let threads = 256;
    launch(device.as_ref(), Shape::line((points.len() as u32).div_ceil(threads), threads), &arguments)?;
    values.read(0, points.len())
}

/// A token to draw.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    /// The rule.
    pub sampler: &'a Sampler,
    /// Position in the sequence.
    pub position: u32,
    /// The token that is claimed, if one is.
    pub token: Option<u32>,
}

/// What the rule gives for each of `claims`, given one row of logits on the device for each: the token, and the margin of
/// the claimed one as of [`Sampler::margin`] (infinite where none is claimed).
///
/// # Errors
/// [`DeviceError`].
pub fn draw(
    device: &Arc<dyn Device>,
    logits: u64,
    vocabulary: usize,
    claims: &[Claimed<'_>],
) -> Result<Vec<(u32, f32)>, DeviceError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let draws: Vec<Draw> = claims.iter().map(Claimed::draw).collect();
    let draws = Buffer::from(device, &draws)?;
    let drawn = Buffer::of::<Drawn>(device, claims.len())?;
    let arguments = DrawTokens {
        logits,
        draws: draws.address(),
        drawn: drawn.address(),
        vocabulary: vocabulary as u32,
        rows: claims.len() as u32,
    };
    launch(device.as_ref(), Shape::line(claims.len() as u32, 256), &arguments)?;
    let drawn = drawn.read::<Drawn>(0, claims.len())?;
    let margin = |(drawn, claim): (Drawn, &Claimed<'_>)| {
        let (score, own) = (drawn.best_score, drawn.claimed_score);
        let margin = match claim.token {
            Some(token) if token as usize >= vocabulary => f32::INFINITY,
            Some(token) if token == drawn.best => 0.0,
            // A NaN on either side is no agreement.
            Some(_) if score >= own => score - own,
            _ => f32::INFINITY,
        };
        (drawn.best, margin)
    };
    Ok(drawn.into_iter().zip(claims).map(margin).collect())
}

impl Claimed<'_> {
    fn draw(&self) -> Draw {
        let seed = self.sampler.seed();
        Draw {
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            temperature: self.sampler.temperature(),
            position: self.position,
            claimed: self.token.unwrap_or(u32::MAX),
        }
    }
}
