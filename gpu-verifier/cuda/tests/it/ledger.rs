//! A device that computes nothing and counts what it is asked for: how much memory work of any size takes is known without it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tandem_cuda::device::{Device, DeviceError, Memory, Product, Shape, Tally};

/// As large as an H200's.
const TOTAL: u64 = 141 << 30;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    allocated: Mutex<BTreeMap<u64, u64>>,
    tally: Tally,
    /// Allocations of this many bytes and more are never given back.
    leaks: Option<u64>,
}

impl Ledger {
    pub(crate) fn open() -> Arc<dyn Device> {
        Arc::new(Self::default())
    }

    /// One on which allocations of so many bytes and more stay.
    pub(crate) fn leaking(bytes: u64) -> Arc<dyn Device> {
        Arc::new(Self { leaks: Some(bytes), ..Self::default() })
    }

    fn used(&self) -> u64 {
        self.allocated.lock().unwrap().values().sum()
    }
}

impl Device for Ledger {
    fn describe(&self) -> String {
        "a ledger".to_owned()
    }

    fn memory(&self) -> Result<Memory, DeviceError> {
        Ok(Memory { free: TOTAL.saturating_sub(self.used()), total: TOTAL })
    }

    fn watch(&self) -> Result<(), DeviceError> {
        self.tally.reset();
        Ok(())
    }

    fn peak(&self) -> Result<u64, DeviceError> {
        Ok(self.tally.most())
    }

    fn allocate(&self, bytes: u64) -> Result<u64, DeviceError> {
        let mut allocated = self.allocated.lock().unwrap();
        let address = allocated.last_key_value().map_or(256, |(at, bytes)| (at + bytes).next_multiple_of(256) + 256);
        allocated.insert(address, bytes);
        self.tally.take(bytes);
        Ok(address)
    }

    fn free(&self, address: u64, bytes: u64) {
        if self.leaks.is_some_and(|least| bytes >= least) {
            return;
        }
        assert_eq!(self.allocated.lock().unwrap().remove(&address), Some(bytes));
        self.tally.give(bytes);
    }

    fn upload(&self, _to: u64, _bytes: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn download(&self, _from: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        bytes.fill(0);
        Ok(())
    }

    fn copy(&self, _from: u64, _to: u64, _bytes: u64) -> Result<(), DeviceError> {
        Ok(())
    }

    fn launch(&self, _kernel: &'static str, _shape: Shape, _arguments: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn multiply(&self, _product: &Product) -> Result<(), DeviceError> {
        Ok(())
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}
