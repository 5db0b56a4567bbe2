//! What stands between the backend and a card, on a driver that is none.

use std::sync::Arc;

use half::bf16;
use tandem_cuda::compile::CacheFolder;
use tandem_cuda::device::driver::{Choice, CudaDevice, Options, lost};
use tandem_cuda::device::emulator::{self, Emulator};
use tandem_cuda::device::{Buffer, Device, DeviceError, Element, Product, Shape, launch};
use tandem_cuda::kernels::SOURCES;
use tandem_cuda::kernels::rows::Embed;
use tandem_model::backend::Backend as _;

use crate::common::{Random, cpu, exact, goldens, prompt};
use crate::fake::Fake;

#[test]
fn a_model_gives_the_cpus_bits_through_the_driver() {
    let device = Fake::load().open();
    let all = goldens();
    for golden in all.values().take(3) {
        let (_dir, files) = golden.write();
        let (there, here) = (exact(&device, &files), cpu(&files));
        let lists = [prompt(1, 50), prompt(2, 7), golden.tokens.clone()];
        let lists: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
        let vocab = here.config().vocab_size as u32;
        let lists: Vec<Vec<u32>> = lists.iter().map(|list| list.iter().map(|token| token % vocab).collect()).collect();
        let lists: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
        assert_eq!(there.prefill_batch(&lists).unwrap(), here.prefill_batch(&lists).unwrap());
    }
}

#[test]
fn what_is_sent_arrives_though_the_sender_changes_it_at_once() {
    let (fake, mut noise) = (Fake::load(), Random(1));
    let device = fake.open();
    let pieces: Vec<usize> = (0..400).map(|_| 1 + noise.below(4_000)).chain([20 << 20, 3, 90 << 20, 8 << 20]).collect();
    let mut bytes = vec![0_u8; 90 << 20];
    let buffers: Vec<Buffer> = pieces
        .iter()
        .enumerate()
        .map(|(index, &length)| {
            bytes[..length].fill(index as u8);
            bytes[length - 1] = !(index as u8);
            Buffer::from(&device, &bytes[..length]).unwrap()
        })
        .collect();
    for (index, (buffer, &length)) in buffers.iter().zip(&pieces).enumerate() {
        let back = buffer.read::<u8>(0, length).unwrap();
        assert!(back[..length - 1].iter().all(|&byte| byte == index as u8) && back[length - 1] == !(index as u8));
    }
}

#[test]
fn the_host_does_not_wait_for_the_device_but_when_it_reads() {
    let fake = Fake::load();
    let device = fake.open();
    let before = fake.get("waits");
    let out = Buffer::of::<u32>(&device, 2_000).unwrap();
    for index in 0..2_000_u32 {
        device.upload(out.address() + u64::from(index) * 4, bytemuck::bytes_of(&index)).unwrap();
        let freed = Buffer::of::<u8>(&device, 9).unwrap();
        device.copy(out.address(), freed.address(), 9).unwrap();
    }
    assert_eq!(fake.get("waits"), before);
    assert!(fake.get("most_queued") >= 6_000);
    assert_eq!(out.read::<u32>(0, 2_000).unwrap(), (0..2_000).collect::<Vec<u32>>());
    assert_eq!(fake.get("waits"), before + 1);
}

#[test]
fn products_are_those_of_row_major_matrices() {
    let fake = Fake::load();
    let mut noise = Random(3);
    let emulated = Emulator::open(emulator::Options::default()).unwrap();
    let card = fake.open();
    let (rows, columns, depth) = (5_u32, 7_u32, 12_u32);
    let numbers =
        |noise: &mut Random, n: u32| (0..n).map(|_| bf16::from_f32(noise.normal()).to_bits()).collect::<Vec<u16>>();
    // One more element than needed: an offset by it spoils the alignment.
    let (x, weights) = (numbers(&mut noise, rows * depth + 1), numbers(&mut noise, columns * depth));
    let old: Vec<f32> = (0..rows * columns).map(|_| noise.normal()).collect();
    let multiply = |device: &Arc<dyn Device>, element: Element, add: bool, offset: u64| {
        let (x, weights) = (Buffer::from(device, &x).unwrap(), Buffer::from(device, &weights).unwrap());
        let out = Buffer::from(device, &old).unwrap();
        let product = Product {
            x: x.address() + offset,
            weights: weights.address(),
            out: out.address(),
            rows,
            columns,
            depth,
            element,
            add,
        };
        device.multiply(&product).unwrap();
        device.multiply(&product).unwrap();
        out.read::<u8>(0, (rows * columns * 4) as usize).unwrap()
    };
    for offset in [0, 2] {
        for (element, add) in [(Element::F32, false), (Element::F32, true), (Element::Bf16, false)] {
            let chosen = fake.choices();
            let (one, other) = (multiply(&card, element, add, offset), multiply(&emulated, element, add, offset));
            assert_eq!(one, other, "{element:?} {add} {offset}");
            assert_eq!(fake.choices(), chosen + 1, "an algorithm is chosen once for each shape");
        }
    }
}

/// [VF-2] Each thing that may be missing has its own words, which say what to do.
#[test]
fn what_is_missing_is_said() {
    let fake = Fake::load();
    let normal = fake.options();
    let lacks = |name: &str, value: i64, options: &Options, words: &[&str]| {
        let before = fake.get(name);
        fake.set(name, value);
        let refusal = fake.refusal(options);
        fake.set(name, before);
        assert!(matches!(refusal, DeviceError::Unavailable(_) | DeviceError::Kernel { .. }), "{refusal:?}");
        let text = refusal.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    lacks("init", 100, &normal, &["sees no card", "nvidia-smi", "CUDA_VISIBLE_DEVICES"]);
    lacks("init", 803, &normal, &["does not start", "MISMATCH", "nvidia-smi"]);
    lacks("cards", 0, &normal, &["sees no card"]);
    lacks("arch", 75, &normal, &["Fake 0", "7.5", "8.0"]);
    lacks("version", 12_080, &normal, &["12.8", "13.0", "r580", "TANDEM_NVRTC_DIR"]);
    lacks("retain", 46, &normal, &["Fake 0", "nvidia-smi -c DEFAULT"]);
    lacks("retain", 2, &normal, &["no memory left", "--device"]);
    lacks("load", 222, &normal, &["rows", "UNSUPPORTED_PTX", "what it does not like"]);
    lacks("memory", 1 << 26, &Options { needs: 1 << 28, ..normal.clone() }, &["67108864", "268435456", "--device"]);
    let other = Options { card: Choice::Ordinal(3), ..normal.clone() };
    lacks("cards", 2, &other, &["no card 3", "0 (GPU-00a1a2a3-a4a5", "1 (GPU-01a1a2a3-"]);
    let other = Options { card: "GPU-01a1".parse().unwrap(), ..normal.clone() };
    lacks("cards", 1, &other, &["no card GPU-01a1"]);
    if cfg!(not(feature = "embedded-ptx")) {
        let empty = tempfile::tempdir().unwrap();
        let nowhere = Options { libraries: Some(empty.path().to_owned()), ..normal.clone() };
        lacks("cards", 1, &nowhere, &["no libnvrtc.so", "--nvrtc-dir"]);
    }

    fake.set("cards", 2);
    let second = CudaDevice::open(&Options { card: "GPU-01a1".parse().unwrap(), ..normal }).unwrap();
    assert!(second.describe().contains("Fake 1 (1, GPU-01a1"), "{}", second.describe());
}

/// [VF-2]
#[test]
fn after_a_fault_every_call_says_that_the_device_is_lost() {
    let device = Fake::load().open();
    let out = Buffer::of::<u32>(&device, 4).unwrap();
    assert_eq!(lost(), None);
    let nowhere = Embed { table: 0, tokens: 0, out: out.address(), hidden: 1, rows: 1 };
    launch(device.as_ref(), Shape::line(1, 32), &nowhere).unwrap();
    let first = out.read::<u32>(0, 4).unwrap_err();
    assert!(matches!(&first, DeviceError::Lost(why) if why.contains("ILLEGAL_ADDRESS")), "{first:?}");
    assert!(first.to_string().contains("restart this process"));
    assert!(lost().is_some_and(|why| why.contains("ILLEGAL_ADDRESS")));
    for again in [
        device.synchronize(),
        device.allocate(1).map(drop),
        device.memory().map(drop),
        device.upload(out.address(), &[1]),
        device.copy(out.address(), out.address(), 1),
        launch(device.as_ref(), Shape::line(1, 32), &nowhere),
        CudaDevice::open(&Fake::load().options()).map(drop),
    ] {
        assert_eq!(again.unwrap_err(), first);
    }
}

#[test]
fn memory_that_is_not_there_is_refused_and_all_of_it_is_given_back() {
    let fake = Fake::load();
    fake.set("memory", 100 << 20);
    for pools in [1, 0] {
        fake.set("pools", pools);
        let device = fake.open();
        let free = device.memory().unwrap().free;
        let held = Buffer::of::<u8>(&device, free as usize - 100).unwrap();
        let refused = Buffer::of::<u8>(&device, 101).unwrap_err();
        assert_eq!(refused, DeviceError::OutOfMemory { asked: 101, free: 100 });
        drop(held);
        // What was freed is there when the queue has come so far, for which the next allocation waits by itself.
        drop(Buffer::of::<u8>(&device, free as usize).unwrap());
        drop(device);
        assert_eq!((fake.get("used"), fake.get("pinned")), (0, 0), "{pools}");
    }
}

#[test]
fn the_most_memory_taken_is_known_with_pools_and_without() {
    let fake = Fake::load();
    for pools in [1, 0] {
        fake.set("pools", pools);
        let device = fake.open();
        let held = Buffer::of::<u8>(&device, 1_000).unwrap();
        drop(Buffer::of::<u8>(&device, 50_000).unwrap());
        device.synchronize().unwrap();
        let before = device.peak().unwrap();
        assert!(before >= 51_000);
        device.watch().unwrap();
        let kept = device.peak().unwrap();
        assert_eq!(before - kept, 50_000, "{pools}");
        drop((Buffer::of::<u8>(&device, 7_000).unwrap(), Buffer::of::<u8>(&device, 500).unwrap()));
        device.synchronize().unwrap();
        drop(Buffer::of::<u8>(&device, 600).unwrap());
        device.synchronize().unwrap();
        assert_eq!(device.peak().unwrap() - kept, 7_500, "{pools}");
        drop(held);
    }
}

#[test]
fn launches_that_a_card_would_refuse_are_refused_with_the_kernels_name() {
    let device = Fake::load().open();
    let table = Buffer::from(&device, &[0_u16; 8]).unwrap();
    let tokens = Buffer::from(&device, &[0_u32]).unwrap();
    let out = Buffer::of::<f32>(&device, 8).unwrap();
    let embed = Embed { table: table.address(), tokens: tokens.address(), out: out.address(), hidden: 8, rows: 1 };
    let shared = |shared: u32| launch(device.as_ref(), Shape { shared, ..Shape::line(1, 32) }, &embed);
    shared(0).unwrap();
    shared(100 << 10).unwrap();
    shared(227 << 10).unwrap();
    for (refused, words) in [
        (shared((227 << 10) + 1), "232448"),
        (launch(device.as_ref(), Shape::line(1, 1_024), &embed), "256 threads"),
        (device.launch("embed", Shape::line(1, 1), &[0; 8]), "32 bytes"),
        (device.launch("no_such_kernel", Shape::line(1, 1), &[]), "no source"),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(out.read::<f32>(0, 8).unwrap(), [0.0; 8]);
}

#[test]
fn kernels_are_compiled_once_and_again_when_their_entry_is_damaged() {
    let fake = Fake::load();
    let folder = tempfile::tempdir().unwrap();
    let sources = SOURCES.len() as i64;
    let opened = |cache: CacheFolder| {
        let before = fake.get("compiled");
        CudaDevice::open(&Options { cache, ..fake.options() }).unwrap();
        fake.get("compiled") - before
    };
    let cache = CacheFolder::At(folder.path().join("new").join("folder"));
    assert_eq!(opened(cache.clone()), sources);
    assert_eq!(opened(cache.clone()), 0);
    let entries: Vec<_> =
        std::fs::read_dir(cache.path().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len() as i64, sources);
    let text = std::fs::read(&entries[0]).unwrap();
    for damaged in [text[..text.len() - 1].to_vec(), Vec::new(), vec![0xff; 9], [&text[..], b" "].concat()] {
        std::fs::write(&entries[0], damaged).unwrap();
        assert_eq!(opened(cache.clone()), 1);
        assert_eq!(std::fs::read(&entries[0]).unwrap(), text);
    }
    // Another architecture is another entry.
    fake.set("arch", 80);
    assert_eq!(opened(cache), sources);
    // A folder that cannot be made costs compilations, no more.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(opened(CacheFolder::At(file.join("below"))), sources);
    assert_eq!(opened(CacheFolder::Off), sources);
}

#[cfg(feature = "embedded-ptx")]
#[test]
fn kernels_that_are_built_in_serve_where_the_compiler_is_too_new() {
    let fake = Fake::load();
    fake.set("nvrtc", 14);
    assert!(fake.open().describe().ends_with("kernels built in by NVRTC 13.0 for 90"));
    fake.set("arch", 86);
    assert!(fake.open().describe().ends_with("for 80"));
}
