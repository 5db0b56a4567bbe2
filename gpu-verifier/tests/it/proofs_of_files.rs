//! `tandem-verifier toploc`.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::{path, run};

const ROWS: usize = 40;
const HIDDEN: usize = 200;

/// Finite bf16 values of both signs and many sizes.
fn values(seed: u32, count: usize) -> Vec<u8> {
    let word = |i: u32| {
        let hash = (i ^ seed).wrapping_mul(2_654_435_761);
        (0x3f00 + (hash >> 23)) as u16 | ((hash >> 3 & 1) as u16) << 15
    };
    (0..count as u32).flat_map(|i| word(i).to_le_bytes()).collect()
}

struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        let case = Self { dir: tempfile::tempdir().unwrap() };
        case.write("raw", values(0, ROWS * HIDDEN));
        case.write("proofs", case.build("raw", ROWS, HIDDEN, &[]).stdout);
        case
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.dir.path().join(name), content).unwrap();
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        path(self.dir.path(), name)
    }

    fn build(&self, file: &str, rows: usize, hidden: usize, more: &[&str]) -> Output {
        let (rows, hidden) = (rows.to_string(), hidden.to_string());
        let file = if Path::new(file).is_absolute() { file.to_owned() } else { self.path(file) };
        let fixed = ["toploc", "build", "--activations", &file, "--rows", &rows, "--hidden", &hidden];
        run(&[fixed.as_slice(), more].concat(), b"")
    }

    fn verify(&self, file: &str, proofs: &str, more: &[&str]) -> Output {
        let (rows, hidden) = (ROWS.to_string(), HIDDEN.to_string());
        let (file, proofs) = (self.path(file), self.path(proofs));
        let fixed = ["toploc", "verify", "--activations", &file, "--rows", &rows, "--hidden", &hidden];
        run(&[fixed.as_slice(), &["--proofs", &proofs], more].concat(), b"")
    }
}

fn assert_unusable(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[test]
fn one_proof_per_block_is_built_and_verified() {
    let case = Case::new();
    let proofs = std::fs::read_to_string(case.path("proofs")).unwrap();
    assert_eq!(proofs.lines().map(str::len).collect::<Vec<_>>(), [344, 344]);
    let good = case.verify("raw", "proofs", &[]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let lines: Vec<Value> =
        String::from_utf8(good.stdout.clone()).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        let mut fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let expected = ["decoy_hits", "exp_mismatches", "mant_err_mean", "mant_err_median", "pass", "sign_mismatches"];
        assert_eq!(fields, expected);
        assert_eq!((&line["pass"], &line["exp_mismatches"]), (&Value::Bool(true), &Value::from(0)));
    }

    // The same from standard input, with the line ends of another system.
    let (raw, text) = (case.path("raw"), proofs.replace('\n', "\r\n"));
    let fixed = ["toploc", "verify", "--activations", &raw, "--rows", "40", "--hidden", "200"];
    assert_eq!(run(&fixed, text.as_bytes()).stdout, good.stdout);
    // Another shape of the same values: other blocks, other proofs.
    let finer = case.build("raw", ROWS, HIDDEN, &["--block", "8", "--topk", "16"]);
    assert_eq!(String::from_utf8(finer.stdout).unwrap().lines().map(str::len).collect::<Vec<_>>(), [48; 5]);
}

/// The last line is honest, the first is not.
#[test]
fn one_block_that_fails_is_reported_in_its_place_and_by_the_exit_code() {
    let case = Case::new();
    let mut changed = values(0, ROWS * HIDDEN);
    changed[..32 * HIDDEN * 2].copy_from_slice(&values(12_345, 32 * HIDDEN));
    case.write("changed", changed);
    let output = case.verify("changed", "proofs", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let passes: Vec<bool> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["pass"].as_bool().unwrap())
        .collect();
    assert_eq!(passes, [false, true]);
}

#[test]
fn activations_of_another_size_are_refused_with_both_sizes() {
    let case = Case::new();
    assert_unusable(&case.build("raw", 41, HIDDEN, &[]), &["16000 bytes", "16400"]);
    assert_unusable(&case.build("raw", 39, HIDDEN, &[]), &["16000 bytes", "15600"]);
    case.write("odd", &values(0, ROWS * HIDDEN)[1..]);
    assert_unusable(&case.build("odd", ROWS, HIDDEN, &[]), &["15999 bytes", "16000"]);
    case.write("empty", "");
    assert_unusable(&case.build("empty", ROWS, HIDDEN, &[]), &["0 bytes", "16000"]);
    assert_unusable(&case.build("nothing", ROWS, HIDDEN, &[]), &["cannot read", "nothing"]);
    assert_unusable(&case.build(case.dir.path().to_str().unwrap(), ROWS, HIDDEN, &[]), &["cannot read"]);
    // What has no size is read to the end, and no further.
    assert_unusable(&case.build("/dev/null", ROWS, HIDDEN, &[]), &["only 0 bytes", "16000"]);
    assert_unusable(&case.build("/dev/urandom", 1, 2, &["--topk", "1"]), &["/dev/urandom"]);
}

#[test]
fn sizes_of_zero_and_sizes_beyond_reason_are_refused_before_anything_is_read() {
    let case = Case::new();
    let max = usize::MAX;
    for (rows, hidden, more, words) in [
        (0, HIDDEN, vec![], ["--rows", "at least 1"]),
        (ROWS, 0, vec![], ["--hidden", "at least 1"]),
        (ROWS, HIDDEN, vec!["--block", "0"], ["--block", "at least 1"]),
        (ROWS, HIDDEN, vec!["--topk", "0"], ["--topk", "at least 1"]),
        (ROWS, HIDDEN, vec!["--topk", "4097"], ["--topk 4097", "4096"]),
        (max, max, vec![], ["18446744073709551615", "too many"]),
        (max, 1, vec![], ["18446744073709551615", "too many"]),
        (1 << 40, 1 << 20, vec![], ["bytes", "2305843009213693952"]),
        (1 << 40, 1 << 20, vec!["--block", "18446744073709551615"], ["block", "268435456"]),
    ] {
        let more: Vec<&str> = more;
        assert_unusable(&case.build("raw", rows, hidden, &more), &words);
    }
    for bad in ["-1", "1.5", "18446744073709551616", "x"] {
        let arguments = ["toploc", "build", "--activations", &case.path("raw"), "--rows", bad, "--hidden", "200"];
        assert_unusable(&run(&arguments, b""), &["--rows", bad]);
    }
}

#[test]
fn a_block_with_fewer_values_than_are_committed_is_refused() {
    let case = Case::new();
    case.write("small", values(0, 33 * 64));
    assert_unusable(&case.build("small", 33, 64, &[]), &["--topk 128", "64 values"]);
    assert_eq!(case.build("small", 33, 64, &["--topk", "64"]).status.code(), Some(0));
    case.write("tiny", values(0, 5));
    assert_unusable(&case.build("tiny", 1, 5, &[]), &["--topk 128", "5 values"]);
}

#[test]
fn proofs_that_are_too_few_too_many_or_no_proofs_are_refused_by_line() {
    let case = Case::new();
    let good = std::fs::read_to_string(case.path("proofs")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let null = "A".repeat(344);
    for (text, words) in [
        (String::new(), ["0 lines", "2 proofs"]),
        (lines[0].to_owned(), ["1 lines", "2 proofs"]),
        (format!("{good}{good}{good}"), ["at least", "2 proofs"]),
        (format!("{good}\n"), ["3 lines", "2 proofs"]),
        ("AAAA\nAAAA\n".to_owned(), ["line 1", "258 bytes"]),
        (format!("{}\n{null}\n", lines[0]), ["line 2", "null proof"]),
        (good.replacen(lines[0].split_at(9).0, "*********", 1), ["line 1", "base64"]),
        (format!("{}\n{}\n", lines[0], lines[1].replacen(&lines[1][..4], "AAEA", 1)), ["line 2", "modulus 1"]),
        (format!("{}\n{}\n", lines[0], lines[1].replacen(&lines[1][..4], "gAEA", 1)), ["line 2", "modulus 32769"]),
    ] {
        case.write("bad", text);
        assert_unusable(&case.verify("raw", "bad", &[]), &words);
    }
    case.write("bad", [0xff, 0xfe, b'\n', 0x80]);
    assert_unusable(&case.verify("raw", "bad", &[]), &["bad", "UTF-8"]);
    assert_unusable(&case.verify("raw", "nowhere", &[]), &["cannot read", "nowhere"]);
    // Proofs of another size do not fit these parameters.
    assert_unusable(&case.verify("raw", "proofs", &["--topk", "64"]), &["proofs"]);
    assert_unusable(&case.verify("raw", "proofs", &["--block", "8"]), &["2 lines", "5 proofs"]);
}

#[test]
fn values_that_are_no_numbers_are_refused_by_block() {
    let case = Case::new();
    for poison in [0x7f80_u16, 0xffc0] {
        let mut bytes = values(0, ROWS * HIDDEN);
        let at = 35 * HIDDEN * 2;
        bytes[at..at + 2].copy_from_slice(&poison.to_le_bytes());
        case.write("poisoned", bytes);
        assert_unusable(&case.build("poisoned", ROWS, HIDDEN, &[]), &["block 1", "NaN"]);
        assert_unusable(&case.verify("poisoned", "proofs", &[]), &["line 2", "NaN"]);
    }
    case.write("zeros", vec![0; ROWS * HIDDEN * 2]);
    assert_unusable(&case.build("zeros", ROWS, HIDDEN, &[]), &["block 0", "zeros"]);
}

/// The published vectors, from the file to the line. `[VF-1]`
#[test]
fn the_python_librarys_proof_comes_out_of_the_command() {
    let case = Case::new();
    let vectors: Value = serde_json::from_str(include_str!("../../toploc/tests/vectors/toploc.json")).unwrap();
    let mut compared = 0;
    for vector in vectors["cases"].as_array().unwrap() {
        let number = |field: &str| vector[field].as_u64().unwrap() as usize;
        let chunks = vector["chunks"].as_array().unwrap();
        if chunks.iter().any(|chunk| chunk["tie_at_boundary"].as_bool().unwrap()) {
            continue;
        }
        let mut state = vector["seed"].as_u64().unwrap();
        let mut words: Vec<u16> = (0..number("rows") * number("hidden"))
            .map(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let z = z ^ (z >> 31);
                let sum: i64 = (0..4).map(|lane| ((z >> (16 * lane)) & 0xffff) as i64).sum();
                (((sum - 131_070) as f32 / 16_384.0).to_bits() >> 16) as u16
            })
            .collect();
        for change in vector["overrides"].as_array().unwrap() {
            words[change[0].as_u64().unwrap() as usize] = change[1].as_u64().unwrap() as u16;
        }
        case.write("vector", words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
        let (block, topk) = (number("decode_batching_size").to_string(), number("topk").to_string());
        let built =
            case.build("vector", number("rows"), number("hidden"), &["--block", &block, "--topk", &topk]).stdout;
        let expected: Vec<&str> = chunks.iter().map(|chunk| chunk["proof_b64"].as_str().unwrap()).collect();
        assert_eq!(String::from_utf8(built).unwrap().lines().collect::<Vec<_>>(), expected, "{}", vector["name"]);
        compared += 1;
    }
    assert!(compared > 0, "every vector had a tie");
}
