//! The threat model: each attack has one defence and one test that exists.

use std::collections::BTreeSet;

use super::sources;

const PAGE: &str = include_str!("../../../../docs/security.md");
const SECTION: &str = "## Attacks";

/// `file::test`, as the page writes a test.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else { return false };
    sources::all().iter().any(|test| test.file.ends_with(file) && test.name == name)
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the section's tables: attack, defence, test.
fn rows() -> Vec<[&'static str; 3]> {
    let section = PAGE.split_once(SECTION).expect("the page has the section").1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let cells = |line: &'static str| -> Option<[&'static str; 3]> {
        let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        cells.try_into().ok().filter(|[attack, ..]: &[&str; 3]| *attack != "attack" && !attack.starts_with("---"))
    };
    section.lines().filter_map(cells).collect()
}

#[test]
fn each_attack_has_a_defence_and_one_test_that_exists() {
    let rows = rows();
    assert!(rows.len() > 60, "{} attacks", rows.len());
    for [attack, defence, test] in &rows {
        assert!(!defence.is_empty(), "{attack}: no defence");
        let tests: Vec<_> = quoted(test).collect();
        assert!(matches!(tests[..], [test] if exists(test)), "{attack}: {tests:?} is not one test that exists");
    }
    let attacks: BTreeSet<_> = rows.iter().map(|[attack, ..]| attack).collect();
    assert_eq!(attacks.len(), rows.len(), "no attack stands twice");
}

#[test]
fn every_test_that_the_page_names_exists() {
    let gone: Vec<_> = quoted(PAGE).filter(|name| name.contains("::") && !exists(name)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}
