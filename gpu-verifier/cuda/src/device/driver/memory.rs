//! Memory of a card: from a pool in the queue's order, where the card has such.

use cudarc::driver::sys::{self, CUmemPool_attribute as Attribute, CUresult};

use super::CudaDevice;
use super::calls::{Fault, call};

/// What memory is taken from and returns to without the host's waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool(pub(super) sys::CUmemoryPool);

// SAFETY: handles may be used from any thread, and a pool's lives as long as its context.
unsafe impl Send for Pool {}
// SAFETY: as above; the driver serialises.
unsafe impl Sync for Pool {}

impl CudaDevice {
    /// Asks for memory; `None` if there is not so much.
    pub(super) fn try_allocate(&self, bytes: u64) -> Result<Option<u64>, Fault> {
        let mut address = 0;
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        // SAFETY: the driver writes an address.
        let asked = unsafe {
            match self.pool {
                Some(Pool(pool)) => call("cuMemAllocFromPoolAsync", || {
                    sys::cuMemAllocFromPoolAsync(&raw mut address, size, pool, self.stream.0)
                }),
                None => call("cuMemAlloc", || sys::cuMemAlloc_v2(&raw mut address, size)),
            }
        };
        match asked {
            Ok(()) => {
                self.tally.take(bytes);
                Ok(Some(address))
            }
            Err(Fault { code: Some(CUresult::CUDA_ERROR_OUT_OF_MEMORY), .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Bytes that the pool holds and nobody uses.
    pub(super) fn idle(&self) -> Result<u64, Fault> {
        let reserved = self.ask(Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
        Ok(reserved.saturating_sub(self.ask(Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?))
    }

    /// Gives memory back in the queue's order.
    pub(super) fn release(&self, address: u64) -> Result<(), Fault> {
        // SAFETY: it was allocated here; work that uses it was queued before.
        unsafe {
            match self.pool {
                Some(_) => call("cuMemFreeAsync", || sys::cuMemFreeAsync(address, self.stream.0)),
                None => call("cuMemFree", || sys::cuMemFree_v2(address)),
            }
        }
    }

    /// Gives the card what the pool holds and nobody uses.
    pub(super) fn trim(&self) -> Result<(), Fault> {
        let Some(Pool(pool)) = self.pool else { return Ok(()) };
        // SAFETY: the pool lives as long as the context.
        call("cuMemPoolTrimTo", || unsafe { sys::cuMemPoolTrimTo(pool, 0) })
    }

    /// Most bytes that the pool held since [`forget_peak`](Self::forget_peak); 0 if there is no pool.
    pub(super) fn pool_peak(&self) -> Result<u64, Fault> {
        self.ask(Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)
    }

    /// The most that the pool held is what it holds.
    pub(super) fn forget_peak(&self) -> Result<(), Fault> {
        let Some(Pool(pool)) = self.pool else { return Ok(()) };
        let mut none = 0_u64;
        // SAFETY: the driver reads eight bytes, of which it wants zero.
        call("cuMemPoolSetAttribute", || unsafe {
            sys::cuMemPoolSetAttribute(pool, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, (&raw mut none).cast())
        })
    }

    /// A number of bytes that the pool tells; 0 if there is none.
    fn ask(&self, attribute: Attribute) -> Result<u64, Fault> {
        let Some(Pool(pool)) = self.pool else { return Ok(0) };
        let mut value = 0_u64;
        // SAFETY: these attributes are of eight bytes.
        call("cuMemPoolGetAttribute", || unsafe {
            sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut value).cast())
        })?;
        Ok(value)
    }
}
