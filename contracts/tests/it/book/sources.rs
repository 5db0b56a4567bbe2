//! Every test of the repository: where it stands, its name, and the marks of the requirements that it proves.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Folders with tests, beside the unit tests in the crates' own sources.
const FOLDERS: [&str; 7] =
    ["contracts/test", "contracts/tests", "yuma", "protocol", "keeper", "gpu-verifier", "script"];
/// What builds leave behind.
const NOT_SOURCES: [&str; 3] = ["target", "node_modules", "vectors"];

/// A test.
#[derive(Debug)]
pub(super) struct Test {
    /// From the repository's root.
    pub(super) file: PathBuf,
    pub(super) name: String,
    /// Such as `CR-2`, from its own comment or its file's.
    pub(super) marks: BTreeSet<String>,
}

/// Every test of every language.
pub(super) fn all() -> &'static [Test] {
    static ALL: OnceLock<Vec<Test>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut files = Vec::new();
        for folder in FOLDERS {
            walk(&root().join(folder), &mut files);
        }
        files.sort();
        files.iter().flat_map(|file| tests_of(file)).collect()
    })
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !NOT_SOURCES.contains(&name) {
            walk(&path, files);
        } else if name.ends_with(".rs") || name.ends_with(".t.sol") {
            files.push(path);
        }
    }
}

fn tests_of(file: &Path) -> Vec<Test> {
    let text = fs::read_to_string(file).unwrap();
    let solidity = file.extension().is_some_and(|extension| extension == "sol");
    let place = file.strip_prefix(root()).unwrap_or(file);
    let mut of_file = BTreeSet::new();
    let (mut tests, mut comment, mut announced) = (Vec::new(), String::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("//!") {
            of_file.extend(marks_in(line));
        } else if line.starts_with("///") {
            comment.push_str(line);
        } else if line.starts_with("#[") {
            announced |= line.starts_with("#[test]") || line.contains("::test") || line.starts_with("#[test_case");
        } else {
            if let Some(name) = name_of(line, solidity, announced) {
                tests.push(Test { file: place.into(), name, marks: marks_in(&comment) });
            }
            comment.clear();
            announced = false;
        }
    }
    for test in &mut tests {
        test.marks.extend(of_file.iter().cloned());
    }
    tests
}

/// The name of the test that a line declares.
fn name_of(line: &str, solidity: bool, announced: bool) -> Option<String> {
    let after = if solidity {
        let after = line.strip_prefix("function ")?;
        (after.starts_with("test") || after.starts_with("invariant_")).then_some(after)?
    } else {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("async ");
        announced.then(|| line.strip_prefix("fn "))??
    };
    let name: String = after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    Some(name)
}

/// `[CR-2]` in a text as `CR-2`.
pub(super) fn marks_in(text: &str) -> BTreeSet<String> {
    let inner = text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    inner.filter(|inner| is_mark(inner)).map(String::from).collect()
}

fn is_mark(text: &str) -> bool {
    text.split_once('-').is_some_and(|(area, number)| {
        area.len() == 2
            && area.chars().all(|letter| letter.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|digit| digit.is_ascii_digit())
    })
}

#[test]
fn tests_are_found_with_their_marks_in_both_languages() {
    let find = |file: &str, name: &str| {
        let test = all().iter().find(|test| test.file.ends_with(file) && test.name == name);
        test.unwrap_or_else(|| panic!("{name} in {file}"))
    };
    let solidity = find("suite/EndToEnd.t.sol", "test_a_mesh_epoch_pays_everybody_in_usdc");
    assert_eq!(solidity.marks, ["CR-2", "CR-3", "EP-3"].map(String::from).into());
    let rust = find("it/credits.rs", "purchased_credits_neither_move_nor_cash_out");
    assert_eq!(rust.marks, ["CR-1".to_owned()].into());
    assert!(all().len() > 850, "{} tests", all().len());
}
