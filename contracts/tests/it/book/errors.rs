//! Every error that a contract of the suite can revert with stands in the book, with its selector, its cause and what to do.

use std::collections::BTreeMap;

use alloy::{hex, json_abi::JsonAbi};
use tandem_contracts::artifacts::ARTIFACTS;

const PAGE: &str = include_str!("../../../../docs/errors.md");
const SECTION: &str = "## Contracts";

/// A line of a table: parameters, selector, cause and remedy of an error.
#[derive(Debug)]
struct Row {
    parameters: usize,
    selector: String,
    cause: String,
    remedy: String,
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(String::from).collect()
}

/// Rows by the error's name; a line may list several errors and their selectors in order.
fn rows() -> BTreeMap<String, Row> {
    let section = PAGE.split_once(SECTION).expect("the page has the section").1;
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> =
            line.trim().trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim).collect();
        let [errors, selectors, cause, remedy] = cells[..] else { panic!("not four cells: {line}") };
        let (errors, selectors) = (quoted(errors), quoted(selectors));
        assert_eq!(errors.len(), selectors.len(), "{line}");
        for (error, selector) in errors.into_iter().zip(selectors) {
            let (name, parameters) = error.split_once('(').expect("an error has parentheses");
            let parameters = parameters.trim_end_matches(')').split(',').filter(|name| !name.trim().is_empty()).count();
            let row = Row { parameters, selector, cause: cause.into(), remedy: remedy.into() };
            rows.insert(name.to_owned(), row);
        }
    }
    rows
}

/// Errors of the suite's contracts by name: selector and number of parameters.
fn declared() -> BTreeMap<String, (String, usize)> {
    let abis = ARTIFACTS.iter().map(|artifact| serde_json::from_str::<JsonAbi>(artifact.abi).unwrap());
    let errors = abis.flat_map(|abi| abi.errors().cloned().collect::<Vec<_>>());
    errors.map(|error| (error.name.clone(), (hex::encode_prefixed(error.selector()), error.inputs.len()))).collect()
}

#[test]
fn every_own_error_is_explained_with_its_selector() {
    let rows = rows();
    // Those of the libraries that the suite is built from have no contract's name in front.
    let own = declared().into_iter().filter(|(name, _)| name.contains('_'));
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, (selector, parameters)) in own {
        count += 1;
        let row = rows.get(&name);
        let explained = row.is_some_and(|row| {
            (&row.selector, row.parameters) == (&selector, parameters)
                && !row.cause.is_empty()
                && !row.remedy.is_empty()
        });
        if !explained {
            wrong.push(format!("{name} `{selector}`, {parameters} parameters: {row:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 200, "{count} errors");
}

#[test]
fn the_book_explains_no_error_that_cannot_happen() {
    let declared = declared();
    let there = |name: &str| declared.get(name).map(|(selector, _)| selector);
    let unknown: Vec<_> = rows().into_iter().filter(|(name, row)| there(name) != Some(&row.selector)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
