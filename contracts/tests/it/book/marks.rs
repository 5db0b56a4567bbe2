//! Every numbered requirement of the design has a test that names it, or stands among what does not exist yet.

use std::collections::{BTreeMap, BTreeSet};

use super::sources;

const DECISIONS: &str = include_str!("../../../../docs/decisions.md");
/// What follows here to the end lists what is missing.
const MISSING: &str = "## What does not exist yet";

/// A requirement: its mark, what it asks for, and for what is missing of it the words under which the book says so.
type Requirement = (&'static str, &'static str, Option<&'static str>);

const REQUIREMENTS: [Requirement; 36] = [
    ("AC-1", "after deployment the timelock alone administers", None),
    ("AC-2", "nobody mints TNDM or alpha after birth", None),
    ("AM-1", "quotes equal execution", None),
    ("AM-2", "k never falls, no closed circle of calls profits", None),
    ("AM-3", "a move that is not held changes nothing that is paid", None),
    ("CR-1", "credits move between accounts by settlement of work alone", None),
    ("CR-2", "the reserve covers every credit after every call", None),
    ("CR-3", "margin is recognised once, and never for earned credits", None),
    ("CR-4", "pay does not depend on the price of TNDM", None),
    ("CR-5", "a voucher settles once, in time, within its channel, for its contributor", None),
    ("EC-1", "scenario: a meme subnet without work", None),
    ("EC-2", "scenario: the treadmill", None),
    ("EC-3", "scenario: a fall of the price by 70 %", None),
    ("EC-4", "scenario: wash usage", None),
    ("EC-5", "scenario: recycling of flows", None),
    ("EC-6", "scenario: Sybil subnets", None),
    ("EM-1", "emission is earned by burning", None),
    ("EM-2", "who settles when and how changes no grant", None),
    ("EM-3", "alpha issued never exceeds the supply", None),
    ("EP-1", "one post for all subnets, at a cost that does not depend on their number", None),
    ("EP-2", "posting twice changes nothing", None),
    ("EP-3", "claims stay within budgets and an epoch's limit, whatever a root says", None),
    ("EP-4", "without a report nothing is lost", None),
    (
        "EP-5",
        "a report commits a trace, leaves are bound to their places; anybody disproves a wrong cell",
        Some("one-step proofs, data demands"),
    ),
    ("GV-1", "the council loses its role when the token opens", None),
    ("GV-2", "what pays people has no pause and no role", None),
    ("KP-1", "a restart at any instruction is safe", None),
    ("KP-2", "one signed report for an epoch and attempt, ever", None),
    ("SN-1", "pruning loses no claim and beats no market", None),
    ("SN-2", "an epoch reads what stood at its start", None),
    ("VF-1", "proofs of the Python library, without its crashes", None),
    ("VF-2", "without a GPU it says so and stops cleanly", None),
    ("VF-3", "exact arithmetic gives the same bits everywhere", None),
    ("YU-1", "published numbers of the consensus are met", None),
    ("YU-2", "quirks are options with a safe default, payouts are sum-exact", None),
    ("YU-3", "what is paid is the unit, or nothing", None),
];

fn named() -> BTreeMap<String, usize> {
    let mut named = BTreeMap::new();
    for mark in sources::all().iter().flat_map(|test| &test.marks) {
        *named.entry(mark.clone()).or_default() += 1;
    }
    named
}

#[test]
fn every_requirement_is_named_by_a_test_or_said_to_be_missing() {
    let named = named();
    let missing = DECISIONS.split_once(MISSING).expect("the page says what is missing").1;
    for (mark, what, gap) in REQUIREMENTS {
        match gap {
            None => assert!(named.contains_key(mark), "[{mark}] {what}: no test names it"),
            Some(words) => {
                assert!(missing.contains(words), "[{mark}] {what}: the book does not say that it is missing")
            }
        }
    }
}

#[test]
fn tests_name_only_requirements_that_there_are() {
    let known: BTreeSet<String> = REQUIREMENTS.iter().map(|(mark, ..)| (*mark).to_owned()).collect();
    let unknown: Vec<_> = sources::all().iter().filter(|test| !test.marks.is_subset(&known)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
