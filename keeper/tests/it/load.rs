//! The benchmark of the keeper in miniature, so that it goes on measuring what it says.

use std::time::Duration;

use crate::measured::{Clients, History, Size, pipeline, proofs, restart, waiting};

fn tiny() -> Size {
    Size { keepers: 4, subnets: 3, validators: 4, uids: 8, delegators: 2, claimants: 50, serving: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_goes_from_its_first_commit_to_claims_that_are_served() {
    let figures = pipeline(&tiny(), Clients::thread(&tiny()), true).await;
    let value = |name: &str| figures.list.iter().find(|figure| figure.name == name).unwrap().value;
    assert_eq!((value("rows"), value("weights")), (12.0, 96.0));
    // By subnet: owner, keepers, owners of validators, delegators, contributors; and who has earned before.
    assert_eq!(value("leaves"), f64::from(3 * (2 + 4 + 2 * (4 + 8 + 8)) + 50));
    assert!(value("in all") > 0.0 && value("peak memory") > 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_served_singly_and_in_batches() {
    let figures = proofs(&tiny(), Clients::thread(&tiny()), 1).await;
    let counted: Vec<_> = figures.list.iter().filter(|figure| figure.unit == "/s").map(|figure| figure.value).collect();
    assert!(counted.len() == 2 && counted.iter().all(|value| *value > 10.0), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_that_wait_have_an_answer_when_an_epoch_begins() {
    let figures = waiting(&tiny(), Clients::thread(&tiny()), 24).await;
    let value = |name: &str| figures.list.iter().find(|figure| figure.name == name).unwrap().value;
    assert_eq!((value("answered with a job"), value("answered with none")), (24.0, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_starts_over_a_history() {
    let history = History { epochs: 3, rows: 2, uids: 8, starts: 2, quiet: Duration::from_millis(500) };
    let figures = restart(history).await;
    let idle = figures.list.iter().find(|figure| figure.name == "idle memory").unwrap();
    assert!(idle.value > 1.0, "{idle:?}");
}
