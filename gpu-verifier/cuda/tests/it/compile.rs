//! Which kernels are loaded, decided without a card; and what no card at all looks like.

use tandem_cuda::compile::{Embedded, Version, argument_bytes, cache};
use tandem_cuda::device::DeviceError;
use tandem_cuda::device::driver::{Choice, Lack, Origin, origin};
use tandem_cuda::kernels::SOURCES;

const fn version(major: u32, minor: u32) -> Version {
    Version { major, minor }
}

const fn built_in(arch: u32, made_by: Version) -> Embedded {
    Embedded { source: "rows", arch, made_by, ptx: "" }
}

/// [VF-2] Compiled where that can be loaded, else built in, else refused for the reason that can be helped.
#[test]
fn kernels_come_from_where_the_driver_and_the_card_can_take_them() {
    const ARCHS: &[u32] = &[75, 80, 86, 90, 100];
    let nvrtc = |major, minor| Some((version(major, minor), ARCHS));
    let embedded = [built_in(80, version(12, 4)), built_in(90, version(12, 4))];
    for (driver, arch, nvrtc, embedded, expected) in [
        (version(13, 0), 90, nvrtc(13, 0), &embedded[..], Ok(Origin::Nvrtc(90))),
        (version(13, 2), 89, nvrtc(13, 0), &[], Ok(Origin::Nvrtc(86))),
        (version(13, 0), 120, nvrtc(13, 0), &[], Ok(Origin::Nvrtc(100))),
        (version(12, 8), 90, nvrtc(13, 0), &embedded, Ok(Origin::Embedded(90))),
        (version(12, 8), 89, None, &embedded, Ok(Origin::Embedded(80))),
        (version(12, 8), 90, nvrtc(13, 0), &[], Err(Lack::OldDriver { driver: version(12, 8), ptx: version(13, 0) })),
        (
            version(12, 2),
            90,
            nvrtc(13, 0),
            &embedded,
            Err(Lack::OldDriver { driver: version(12, 2), ptx: version(12, 4) }),
        ),
        (version(13, 0), 90, None, &[], Err(Lack::Compiler)),
        (version(13, 0), 80, None, &embedded[1..], Err(Lack::Compiler)),
        (version(13, 0), 80, Some((version(13, 0), &[90][..])), &[], Err(Lack::Compiler)),
    ] {
        assert_eq!(origin(driver, arch, nvrtc, embedded), expected, "{driver} {arch}");
    }
    assert_eq!(Version::of_driver(12_080), version(12, 8));
    assert_eq!(Version::of_driver(13_000).to_string(), "13.0");
}

/// [VF-2] Whatever is missing, the book has a row for the message.
#[test]
fn the_book_says_what_to_do_about_each_message() {
    let book = include_str!("../../../../docs/gpu.md");
    let (_, errors) = book.split_once("\n## Errors\n").unwrap();
    let rows = errors.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let beginnings: Vec<&str> =
        rows.flat_map(|cell| cell.split("`, `")).map(|text| text.trim_matches(['`', ' '])).collect();
    // What changes from case to case is left out: `…`.
    let fits = |row: &str, text: &str| match row.strip_prefix('…') {
        Some(rest) => text.contains(rest.trim_end_matches('…')),
        None => text.starts_with(row.trim_end_matches('…')),
    };
    let card = || "Fake 0".to_owned();
    for lack in [
        Lack::Driver,
        Lack::Start("why".to_owned()),
        Lack::Card,
        Lack::Chosen { asked: "3".to_owned(), there: "0".to_owned() },
        Lack::Arch { card: card(), arch: 75 },
        Lack::Compiler,
        Lack::OldDriver { driver: version(12, 4), ptx: version(13, 0) },
        Lack::Products,
        Lack::Memory { card: card(), free: 1, needed: 2 },
    ] {
        let text = lack.to_string();
        assert_eq!(beginnings.iter().filter(|row| fits(row, &text)).count(), 1, "{text}");
    }
    assert!(DeviceError::Lost(String::new()).to_string().starts_with("the device is lost"));
    assert!(beginnings.contains(&"the device is lost"));
}

#[test]
fn a_card_is_named_by_number_or_uuid() {
    assert_eq!("2".parse(), Ok(Choice::Ordinal(2)));
    assert_eq!("GPU-1F3a-".parse(), Ok(Choice::Uuid("GPU-1f3a-".to_owned())));
    for wrong in ["", "GPU-", "GPU-xyz", "-1", "first"] {
        assert!(wrong.parse::<Choice>().is_err_and(|error| error.contains("devices")), "{wrong}");
    }
}

#[test]
fn the_size_of_arguments_is_read_from_ptx() {
    let ptx = ".visible .entry other(\n\t.param .align 8 .b8 other_param_0[8]\n)\n{\n}\n.visible .entry one(\n\t.param .align 8 .b8 \
               one_param_0[32]\n)\n.maxntid 256, 1, 1\n{ ld.param.u64 %rd1, [one_param_0+16]; }";
    assert_eq!(argument_bytes(ptx, "one"), Some(32));
    assert_eq!(argument_bytes(ptx, "other"), Some(8));
    assert_eq!(argument_bytes(ptx, "on"), None);
    assert_eq!(argument_bytes(".entry one(\n.param .u64 a,\n.param .b8 b[8]\n)", "one"), None);
    assert_eq!(argument_bytes(".entry one(.param .u64 a)", "one"), None);
}

#[test]
fn what_changes_a_kernel_changes_its_key() {
    let mut keys = Vec::new();
    for source in SOURCES {
        for (arch, nvrtc) in [(80, version(13, 0)), (90, version(13, 0)), (80, version(13, 1))] {
            keys.push(cache::key(&source, arch, nvrtc));
        }
    }
    let all = keys.len();
    assert!(keys.iter().all(|key| key.len() == 64));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all);
}

/// [VF-2] Where there is no driver, which is so wherever these tests run without one.
#[cfg(not(feature = "gpu"))]
#[test]
fn without_a_driver_that_is_said_and_nothing_panics() {
    use tandem_cuda::device::driver::{CudaDevice, Options, Survey};

    let survey = Survey::take(None);
    if let Ok(version) = survey.driver {
        // A machine with a driver has its own tests: `cargo xtask test --gpu`.
        assert!(version.major >= 10);
        return;
    }
    let error = CudaDevice::open(&Options::default()).unwrap_err().to_string();
    assert!(error.contains("driver") || error.contains("no card"), "{error}");
    assert!(survey.cards.is_empty());
}
