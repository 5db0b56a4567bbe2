//! Sequences under way, and where their keys and values lie.

use std::sync::Arc;

use tandem_model::backend::{BackendError, HiddenStates, Session};

use crate::backend::Engine;
use crate::device::{Buffer, Device, DeviceError};
use crate::pack::Place;

/// Positions by which a cache grows at least.
const GROWTH: usize = 64;

/// What the caches of a backend's sequences have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheShape {
    pub(crate) layers: usize,
    /// Elements of a position's keys, or values, in one layer.
    pub(crate) width: usize,
    /// Bytes of an element.
    pub(crate) element: u64,
    /// Longest sequence.
    pub(crate) most: usize,
}

impl CacheShape {
    /// Bytes of the keys, or of the values, of `positions` positions in one layer.
    pub(crate) fn bytes(&self, positions: usize) -> u64 {
        positions as u64 * self.width as u64 * self.element
    }
}

/// Keys and values of one sequence: in each layer those of all positions that there is room for, keys before values.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    buffer: Option<Buffer>,
    capacity: usize,
}

impl Cache {
    /// A larger one with the same content, if there is no room for `positions`. What it holds is copied in the device's order.
    pub(crate) fn grown(
        &self,
        device: &Arc<dyn Device>,
        shape: &CacheShape,
        filled: usize,
        positions: usize,
    ) -> Result<Option<Self>, DeviceError> {
        if positions <= self.capacity {
            return Ok(None);
        }
        let capacity = positions.max(self.capacity * 2).next_multiple_of(GROWTH).min(shape.most);
        let buffer = Buffer::of::<u8>(device, shape.bytes(capacity) as usize * 2 * shape.layers)?;
        if let (Some(old), 1..) = (&self.buffer, filled) {
            for part in 0..2 * shape.layers as u64 {
                let from = old.address() + part * shape.bytes(self.capacity);
                let to = buffer.address() + part * shape.bytes(capacity);
                device.copy(from, to, shape.bytes(filled))?;
            }
        }
        Ok(Some(Self { buffer: Some(buffer), capacity }))
    }

    pub(crate) fn place(&self, shape: &CacheShape) -> Place {
        let part = shape.bytes(self.capacity);
        Place { cache: self.buffer.as_ref().map_or(0, Buffer::address), layer_bytes: 2 * part, value_bytes: part }
    }
}

/// A sequence, as the backend feeds it.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    pub(crate) cache: Cache,
    pub(crate) position: usize,
}

/// A sequence, as a caller holds it.
pub(crate) struct CudaSession {
    pub(crate) engine: Arc<Engine>,
    pub(crate) sequence: Sequence,
}

impl Session for CudaSession {
    fn position(&self) -> usize {
        self.sequence.position
    }

    fn feed(&mut self, tokens: &[u32]) -> Result<HiddenStates, BackendError> {
        let states = self.engine.feed(&mut [(&mut self.sequence, tokens)])?;
        let hidden = self.engine.context.model.config.hidden_size;
        states.into_iter().next().map_or_else(|| HiddenStates::new(hidden, Vec::new()), Ok)
    }
}
