//! What only a card can show: `cargo xtask test --gpu`. Tests that run on any device run on it too, by `common::devices`.

use std::process::{Command, Stdio};

use half::bf16;
use tandem_cuda::device::driver::lost;
use tandem_cuda::device::emulator::{self, Emulator};
use tandem_cuda::device::{Buffer, DeviceError, Element, Product, Shape, launch};
use tandem_cuda::kernels::rows::Embed;
use tandem_model::backend::Backend as _;

use crate::common::{Random, card, cpu, exact, goldens};

#[test]
fn a_model_gives_the_cpus_bits_on_the_card() {
    for golden in goldens().values() {
        let (_dir, files) = golden.write();
        let states = exact(&card(), &files).prefill(&golden.tokens).unwrap();
        assert_eq!(states, cpu(&files).prefill(&golden.tokens).unwrap());
    }
}

#[test]
fn products_are_those_of_row_major_matrices_up_to_rounding() {
    let emulated = Emulator::open(emulator::Options::default()).unwrap();
    let mut noise = Random(5);
    for (rows, columns, depth) in [(1_u32, 64_u32, 64_u32), (33, 96, 128), (100, 40, 1_000)] {
        let mut numbers = |n: u32| (0..n).map(|_| bf16::from_f32(noise.normal()).to_bits()).collect::<Vec<u16>>();
        let (x, weights) = (numbers(rows * depth), numbers(columns * depth));
        for add in [false, true] {
            let [one, other] = [card(), emulated.clone()].map(|device| {
                let (x, weights) = (Buffer::from(&device, &x).unwrap(), Buffer::from(&device, &weights).unwrap());
                let out = Buffer::from(&device, &vec![0.5_f32; (rows * columns) as usize]).unwrap();
                let (x, weights, address) = (x.address(), weights.address(), out.address());
                let product = Product { x, weights, out: address, rows, columns, depth, element: Element::F32, add };
                device.multiply(&product).unwrap();
                out.read::<f32>(0, (rows * columns) as usize).unwrap()
            });
            let worst = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3 * (depth as f32).sqrt(), "{worst}");
        }
    }
}

#[test]
fn more_memory_than_there_is_is_refused_and_the_device_goes_on() {
    let device = card();
    let total = device.memory().unwrap().total;
    assert!(matches!(Buffer::of::<u8>(&device, total as usize + 1), Err(DeviceError::OutOfMemory { .. })));
    let kept = Buffer::from(&device, &[7_u32; 9]).unwrap();
    assert_eq!(kept.read::<u32>(0, 9).unwrap(), [7; 9]);
}

#[test]
fn a_kernel_that_faults_loses_the_device_and_not_the_process() {
    let device = card();
    let out = Buffer::of::<u32>(&device, 4).unwrap();
    let nowhere = Embed { table: 256, tokens: 256, out: 256, hidden: 32, rows: 1 };
    launch(device.as_ref(), Shape::line(1, 32), &nowhere).unwrap();
    let first = out.read::<u32>(0, 4).unwrap_err();
    assert!(matches!(first, DeviceError::Lost(_)), "{first:?}");
    assert_eq!(device.synchronize().unwrap_err(), first);
    assert!(lost().is_some());
}

/// Two processes that use the card at the same time.
#[test]
fn two_workers_share_a_card() {
    let worker = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gpu::a_model_gives_the_cpus_bits_on_the_card"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for worker in [worker(), worker()] {
        let output = worker.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}
