//! Checks where the states lie: the largest elements of blocks, what proofs say of them, and the draw of tokens. Only a few
//! kilobytes per response come to the host.

use std::sync::Arc;

use tandem_model::sampling::Sampler;
use toploc::{BlockReport, Element, Params, Proof, Selection, VerifyError};

use crate::device::{Buffer, Device, DeviceError, Reading, Shape, launch};
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
    Selecting::begin(device, committed, params)?.compare(committed)
}

/// The largest elements of all blocks, on their way to the host. What was committed stays where it is until they are compared.
#[derive(Debug)]
pub(crate) struct Selecting {
    device: Arc<dyn Device>,
    params: Params,
    blocks: Vec<Block>,
    found: Reading<Found>,
    elements: Reading<proofs::Element>,
}

impl Selecting {
    /// Asks for them. Does not wait.
    pub(crate) fn begin(
        device: &Arc<dyn Device>,
        committed: &[Committed<'_>],
        params: Params,
    ) -> Result<Self, DeviceError> {
        let blocks: Vec<Block> = committed.iter().flat_map(|committed| committed.blocks(params)).collect();
        let capacity = params.topk + TIES;
        let descriptors = Buffer::from(device, &blocks)?;
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
        let (found, elements) = (found.fetch(blocks.len())?, elements.fetch(blocks.len() * capacity)?);
        Ok(Self { device: Arc::clone(device), params, blocks, found, elements })
    }

    /// Waits for them and compares the same `committed` with their proofs.
    pub(crate) fn compare(
        self,
        committed: &[Committed<'_>],
    ) -> Result<Vec<Result<Vec<BlockReport>, VerifyError>>, DeviceError> {
        let (device, params) = (Arc::clone(&self.device), self.params);
        let mut selections = self.finish()?.into_iter();

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
        let answers = evaluate(&device, &asked, params.topk)?;
        let mut rest = answers.as_slice();
        let mut report = |question: &toploc::Question<'_>| {
            let (own, others) = rest.split_at(question.asked().len());
            rest = others;
            question.report(own)
        };
        Ok(questions
            .into_iter()
            .map(|questions| Ok(questions?.iter().map(|(question, _)| report(question)).collect()))
            .collect())
    }

    fn finish(self) -> Result<Vec<Selection>, DeviceError> {
        let Self { device, params, blocks, found, elements } = self;
        let capacity = params.topk + TIES;
        let (found, elements) = (found.wait()?, elements.wait()?);
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

/// Draws under way on the device.
#[derive(Debug)]
pub struct Draws {
    device: Arc<dyn Device>,
    draws: Buffer,
    drawn: Buffer,
    vocabulary: usize,
}

impl Draws {
    /// Tells the device what `claims` are about.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn new(device: &Arc<dyn Device>, vocabulary: usize, claims: &[Claimed<'_>]) -> Result<Self, DeviceError> {
        let draws: Vec<Draw> = claims.iter().map(Claimed::draw).collect();
        Ok(Self {
            device: Arc::clone(device),
            draws: Buffer::from(device, &draws)?,
            drawn: Buffer::of::<Drawn>(device, claims.len())?,
            vocabulary,
        })
    }

    /// Draws for `count` claims from the one numbered `first` on, given a row of logits on the device for each. Does not
    /// wait.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn judge(&self, logits: u64, first: usize, count: usize) -> Result<(), DeviceError> {
        let arguments = DrawTokens {
            logits,
            draws: self.draws.address() + (first * size_of::<Draw>()) as u64,
            drawn: self.drawn.address() + (first * size_of::<Drawn>()) as u64,
            vocabulary: self.vocabulary as u32,
            rows: count as u32,
        };
        launch(self.device.as_ref(), Shape::line(count as u32, 256), &arguments)
    }

    /// The tokens that the rule gives, once all `count` claims are judged.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn tokens(&self, count: usize) -> Result<Vec<u32>, DeviceError> {
        Ok(self.drawn.read::<Drawn>(0, count)?.into_iter().map(|drawn| drawn.best).collect())
    }

    /// The margins of the tokens claimed, as of [`Sampler::margin`], once all `claims` are judged; infinite where none is claimed.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn margins(self, claims: &[Claimed<'_>]) -> Result<Vec<f32>, DeviceError> {
        self.fetch(claims.len())?.wait(claims)
    }

    /// Begins to read what was drawn for `count` claims.
    pub(crate) fn fetch(self, count: usize) -> Result<Margins, DeviceError> {
        Ok(Margins { drawn: self.drawn.fetch(count)?, vocabulary: self.vocabulary })
    }
}

/// What was drawn, on its way to the host.
#[derive(Debug)]
pub(crate) struct Margins {
    drawn: Reading<Drawn>,
    vocabulary: usize,
}

impl Margins {
    /// The margins of the tokens claimed, as of [`Sampler::margin`]; infinite where none is claimed.
    pub(crate) fn wait(self, claims: &[Claimed<'_>]) -> Result<Vec<f32>, DeviceError> {
        let margin = |(drawn, claim): (Drawn, &Claimed<'_>)| match claim.token {
            Some(token) if token as usize >= self.vocabulary => f32::INFINITY,
            Some(token) if token == drawn.best => 0.0,
            // A NaN on either side is no agreement.
            Some(_) if drawn.best_score >= drawn.claimed_score => drawn.best_score - drawn.claimed_score,
            _ => f32::INFINITY,
        };
        Ok(self.drawn.wait()?.into_iter().zip(claims).map(margin).collect())
    }
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
