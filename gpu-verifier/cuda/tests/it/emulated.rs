//! The emulator itself, and the way from the host to a kernel and back.

use std::sync::Arc;

use half::bf16;
use tandem_cuda::device::emulator::{Emulator, Options};
use tandem_cuda::device::{Buffer, Device, DeviceError, Shape, launch};
use tandem_cuda::kernels::rows::Embed;

#[test]
fn a_token_is_embedded_as_its_row_of_the_table() {
    for backwards in [false, true] {
        let device = Emulator::open(Options { backwards, ..Options::default() }).unwrap();
        let table: Vec<u16> = (0..5 * 300).map(|i| bf16::from_f32(i as f32 / 7.0).to_bits()).collect();
        let tokens = [4_u32, 0, 4, 2];
        let rows = Buffer::from(&device, &table).unwrap();
        let ids = Buffer::from(&device, &tokens).unwrap();
        let out = Buffer::of::<f32>(&device, 4 * 300).unwrap();
        let arguments =
            Embed { table: rows.address(), tokens: ids.address(), out: out.address(), hidden: 300, rows: 4 };
        launch(device.as_ref(), Shape::line(4, 256), &arguments).unwrap();
        let expected: Vec<f32> = tokens
            .iter()
            .flat_map(|&t| &table[t as usize * 300..][..300])
            .map(|&bits| bf16::from_bits(bits).to_f32())
            .collect();
        assert_eq!(out.read::<f32>(0, 1_200).unwrap(), expected);
    }
}

#[test]
fn what_a_card_would_refuse_is_refused() {
    let device: Arc<dyn Device> = Emulator::open(Options { memory: 1_000, ..Options::default() }).unwrap();
    let held = Buffer::of::<u8>(&device, 600).unwrap();
    assert_eq!(Buffer::of::<u8>(&device, 401).unwrap_err(), DeviceError::OutOfMemory { asked: 401, free: 400 });
    assert!(device.upload(held.address() + 1, &[0; 600]).is_err());
    assert!(device.launch("no_such_kernel", Shape::line(1, 1), &[]).is_err());
    assert!(device.launch("embed", Shape::line(1, 1), &[0; 8]).is_err());
    assert!(device.launch("embed", Shape::line(1, 512), &[0; 32]).is_err());
    drop(held);
    assert_eq!(device.memory().unwrap().free, 1_000);
}
