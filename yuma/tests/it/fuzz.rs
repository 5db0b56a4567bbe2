//! The fuzz targets on their corpus, and on some thousand mutations of it.

use std::path::Path;

use crate::targets;

/// Names and contents, in the order of the names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
    };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(entry).collect();
    files.sort();
    assert!(!files.is_empty() && files.len() < 25 && files.iter().all(|(_, data)| data.len() < 4_096));
    files
}

/// Numbers that depend on nothing but how many were drawn: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }
}

/// What numbers and documents break at.
const SPLICES: [&[u8]; 16] = [
    b"0",
    b"-1",
    b"65535",
    b"65536",
    b"1e400",
    b"18446744073709551616",
    b"null",
    b"[]",
    b"[[]]",
    b"{}",
    b"\"\"",
    b"\\ud800",
    b",",
    b"]",
    b"\xff",
    b"\0\0\0\0",
];

fn mutate(data: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=dice.roll(4) {
        let place = dice.roll(data.len() + 1);
        match dice.roll(6) {
            0 => data.truncate(place),
            1 => data.splice(place..place, SPLICES[dice.roll(SPLICES.len())].iter().copied()).for_each(drop),
            2 => {
                let from = dice.roll(other.len());
                let to = (from + dice.roll(64)).min(other.len());
                data.splice(place..place, other[from..to].iter().copied()).for_each(drop);
            }
            3 => {
                let end = (place + dice.roll(8)).min(data.len());
                data.drain(place..end).for_each(drop);
            }
            _ => {
                if let Some(byte) = data.get_mut(place) {
                    *byte = match dice.roll(3) {
                        0 => *byte ^ 1 << dice.roll(8),
                        1 => b"0123456789[]{},:\"-.e"[dice.roll(20)],
                        _ => dice.roll(256) as u8,
                    };
                }
            }
        }
    }
    data
}

/// Runs a target; if it fails, the input is told in a form that can be pasted.
fn replay(name: &str, target: fn(&[u8])) {
    let files = corpus(name);
    for (_, data) in &files {
        target(data);
    }
    let mut dice = Dice(0);
    for round in 0..if cfg!(feature = "deep") { 400_000 } else { 4_000 } {
        let data = mutate(&files[dice.roll(files.len())].1, &files[dice.roll(files.len())].1, &mut dice);
        let failed = std::panic::catch_unwind(|| target(&data)).is_err();
        assert!(!failed, "{name}, round {round}: b\"{}\"", data.escape_ascii());
    }
}

#[test]
fn the_parser_refuses_or_answers_whatever_it_is_given() {
    replay("parser", targets::parser);
}

#[test]
fn the_engine_keeps_its_promises_whatever_it_is_given() {
    replay("engine", targets::engine);
}
