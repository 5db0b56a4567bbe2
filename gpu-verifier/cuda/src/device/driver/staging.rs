//! Pinned memory of the host, through which bytes go to the card and back while the host and the card go on.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;

use cudarc::driver::sys::{self, CUdeviceptr, CUevent, CUstream};

use super::calls::{Fault, call};

/// Bytes of the ring for uploads. What describes a pass is some kilobytes: many passes fit in before it waits.
pub(super) const RING: usize = 64 << 20;
/// Most bytes of one copy: while one piece travels, the next is copied.
pub(super) const PIECE: usize = 8 << 20;
/// Pieces begin at multiples of this.
const ALIGNMENT: usize = 256;

/// Pinned memory.
#[derive(Debug)]
pub(super) struct Pinned {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: it is plain memory; who holds it alone uses it.
unsafe impl Send for Pinned {}

impl Pinned {
    pub(super) fn new(bytes: usize) -> Result<Self, Fault> {
        let mut start = ptr::null_mut();
        // SAFETY: the driver writes an address.
        call("cuMemHostAlloc", || unsafe { sys::cuMemHostAlloc(&raw mut start, bytes, 0) })?;
        Ok(Self { start: start.cast(), bytes })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: it was allocated so, and copies from and to it have ended or never will.
        let _ = call("cuMemFreeHost", || unsafe { sys::cuMemFreeHost(self.start.cast::<c_void>()) });
    }
}

/// A mark in the queue.
#[derive(Debug)]
struct Mark(CUevent);

// SAFETY: events may be used from any thread.
unsafe impl Send for Mark {}

impl Mark {
    fn new() -> Result<Self, Fault> {
        let mut event = ptr::null_mut();
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: the driver writes a handle.
        call("cuEventCreate", || unsafe { sys::cuEventCreate(&raw mut event, flags) })?;
        Ok(Self(event))
    }

    fn set(&self, stream: CUstream) -> Result<(), Fault> {
        // SAFETY: both handles live.
        call("cuEventRecord", || unsafe { sys::cuEventRecord(self.0, stream) })
    }

    fn wait(&self) -> Result<(), Fault> {
        // SAFETY: the handle lives.
        call("cuEventSynchronize", || unsafe { sys::cuEventSynchronize(self.0) })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: it was created and is destroyed once.
        let _ = call("cuEventDestroy", || unsafe { sys::cuEventDestroy_v2(self.0) });
    }
}

/// The way to the card.
#[derive(Debug)]
pub(super) struct Uploads {
    ring: Pinned,
    space: Space,
    /// One for each piece under way, oldest first.
    marks: VecDeque<Mark>,
    spare: Vec<Mark>,
}

impl Uploads {
    pub(super) fn new(bytes: usize) -> Result<Self, Fault> {
        Ok(Self { ring: Pinned::new(bytes)?, space: Space::new(bytes), marks: VecDeque::new(), spare: Vec::new() })
    }

    /// Queues the copy; `bytes` may be changed when it returns.
    pub(super) fn send(&mut self, to: CUdeviceptr, bytes: &[u8], stream: CUstream) -> Result<(), Fault> {
        let piece = PIECE.min(self.ring.bytes);
        for (index, part) in bytes.chunks(piece).enumerate() {
            let mark = self.spare.pop().map_or_else(Mark::new, Ok)?;
            let at = loop {
                if let Some(at) = self.space.take(part.len()) {
                    break at;
                }
                self.space.release();
                if let Some(mark) = self.marks.pop_front() {
                    mark.wait()?;
                    self.spare.push(mark);
                }
            };
            // SAFETY: the part fits into the ring at `at`, where no copy is under way.
            let copied = unsafe {
                let from = self.ring.start.add(at);
                from.copy_from_nonoverlapping(part.as_ptr(), part.len());
                let to = to + (index * piece) as u64;
                call("cuMemcpyHtoDAsync", || sys::cuMemcpyHtoDAsync_v2(to, from.cast::<c_void>(), part.len(), stream))
            };
            let marked = copied.and_then(|()| mark.set(stream));
            self.marks.push_back(mark);
            marked?;
        }
        Ok(())
    }
}

/// Which bytes of a ring are taken, oldest first.
#[derive(Debug)]
pub(super) struct Space {
    bytes: usize,
    /// Where the next piece begins, if there is room.
    head: usize,
    /// Beginning of each piece that is taken, oldest first.
    taken: VecDeque<usize>,
}

impl Space {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, head: 0, taken: VecDeque::new() }
    }

    /// Where `length` bytes may go; `None` if older pieces must be released first.
    pub(super) fn take(&mut self, length: usize) -> Option<usize> {
        let length = length.next_multiple_of(ALIGNMENT);
        let at = match self.taken.front() {
            None => Some(0).filter(|_| length <= self.bytes),
            // Taken is what lies between the oldest and the head, perhaps around the end.
            Some(&oldest) if oldest < self.head => {
                let behind = self.bytes - self.head >= length;
                if behind { Some(self.head) } else { Some(0).filter(|_| length < oldest) }
            }
            Some(&oldest) => Some(self.head).filter(|head| head + length < oldest),
        }?;
        self.head = at + length;
        self.taken.push_back(at);
        Some(at)
    }

    /// Releases the oldest piece.
    pub(super) fn release(&mut self) {
        self.taken.pop_front();
    }
}

/// The way back: two pieces by turns, so that one is read while the other is filled. What fits into one needs one only.
#[derive(Debug, Default)]
pub(super) struct Download {
    halves: [Option<(Pinned, Mark)>; 2],
}

impl Download {
    /// Queues the copy of the first pieces; [`finish`](Self::finish) waits for them and queues the others.
    pub(super) fn begin(&mut self, from: CUdeviceptr, length: usize, stream: CUstream) -> Result<(), Fault> {
        for index in 0..length.div_ceil(PIECE).min(2) {
            self.fetch(index, from, length, stream)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, from: CUdeviceptr, to: &mut [u8], stream: CUstream) -> Result<(), Fault> {
        let length = to.len();
        for (index, part) in to.chunks_mut(PIECE).enumerate() {
            let (half, mark) = self.half(index)?;
            mark.wait()?;
            // SAFETY: the copy into this half has ended, and it holds a whole piece.
            unsafe { part.as_mut_ptr().copy_from_nonoverlapping(half.start, part.len()) };
            if (index + 2) * PIECE < length {
                self.fetch(index + 2, from, length, stream)?;
            }
        }
        Ok(())
    }

    fn half(&mut self, index: usize) -> Result<&(Pinned, Mark), Fault> {
        let place = &mut self.halves[index % 2];
        let half = match place.take() {
            Some(half) => half,
            None => (Pinned::new(PIECE)?, Mark::new()?),
        };
        Ok(place.insert(half))
    }

    fn fetch(&mut self, index: usize, from: CUdeviceptr, length: usize, stream: CUstream) -> Result<(), Fault> {
        let (half, mark) = self.half(index)?;
        let offset = index * PIECE;
        let bytes = PIECE.min(length - offset).min(half.bytes);
        // SAFETY: the half has room for a piece, and nothing is read from it before the mark.
        call("cuMemcpyDtoHAsync", || unsafe {
            sys::cuMemcpyDtoHAsync_v2(half.start.cast::<c_void>(), from + offset as u64, bytes, stream)
        })?;
        mark.set(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, Space};

    /// Whatever is taken and released, pieces that are taken at a time do not overlap and lie within the ring.
    #[test]
    fn pieces_of_the_ring_never_overlap() {
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        let bytes = 16 * ALIGNMENT;
        let mut space = Space::new(bytes);
        let mut held: Vec<(usize, usize)> = Vec::new();
        let mut full = 0;
        for _ in 0..20_000 {
            let length = 1 + next(5 * ALIGNMENT);
            match space.take(length) {
                Some(at) => {
                    assert!(at + length <= bytes && at.is_multiple_of(ALIGNMENT));
                    assert!(held.iter().all(|&(start, size)| at + length <= start || start + size <= at));
                    held.push((at, length));
                }
                None => {
                    full += 1;
                    assert!(!held.is_empty());
                    held.remove(0);
                    space.release();
                }
            }
        }
        assert!(full > 1_000);
        while !held.is_empty() {
            held.remove(0);
            space.release();
        }
        assert_eq!(space.take(bytes), Some(0));
    }
}
