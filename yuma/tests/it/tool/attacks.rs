//! The attack lab.

use serde_json::Value;
use yuma::Hyperparameters;
use yuma::tool::attacks::{Ledger, Payee, SCENARIOS, play_all, rule_sets};

use super::yuma;

fn output(arguments: &[&str]) -> String {
    let output = yuma(arguments, b"");
    assert!(output.status.success() && output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

/// Every form names every attack with the same numbers.
#[test]
fn text_markdown_and_json_tell_the_same() {
    let lines = play_all();
    let answer: Value = serde_json::from_str(&output(&["attacks", "--json"])).unwrap();
    let (text, markdown) = (output(&["attacks"]), output(&["attacks", "--markdown"]));
    let (text, markdown): (Vec<_>, Vec<_>) = (text.lines().skip(1).collect(), markdown.lines().skip(2).collect());
    assert_eq!((answer.as_array().unwrap().len(), text.len(), markdown.len()), (lines.len(), lines.len(), lines.len()));
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(answer[index]["attack"], line.scenario.name);
        // Words begin in one column, numbers end in one.
        assert!(text[index].starts_with(line.scenario.name) && markdown[index].contains(line.scenario.name));
        for (result, ledger) in answer[index]["results"].as_array().unwrap().iter().zip(&line.ledgers) {
            assert_eq!(result["paid"], ledger.paid_share());
            assert_eq!(result["pays"], ledger.pays(line.scenario.payee));
            let percent = format!("{}.{:02} %", ledger.paid_share() / 100, ledger.paid_share() % 100);
            assert!(text[index].contains(&percent) && markdown[index].contains(&percent));
        }
    }
}

#[test]
fn an_attack_pays_if_it_moves_more_than_a_fiftieth_of_what_is_due() {
    let pays = |paid: u64, payee| Ledger { paid, due: 5_000, pot: 10_000 }.pays(payee);
    assert_eq!([4_899, 4_900, 5_100].map(|paid| pays(paid, Payee::Victim)), [true, false, false]);
    assert_eq!([4_900, 5_100, 5_101].map(|paid| pays(paid, Payee::Own)), [false, false, true]);
}

/// What the engine promises, whatever the table says.
#[test]
fn no_minority_lifts_what_is_worthless_and_no_uid_inherits() {
    for line in play_all().iter().filter(|line| !line.scenario.name.starts_with("no ")) {
        let stake: u32 = line.scenario.stakes.iter().map(|&share| u32::from(share)).sum();
        for ledger in &line.ledgers {
            assert!(ledger.pot > 0, "{} was not played", line.scenario.name);
            match line.scenario.payee {
                Payee::Own if stake < 50 => assert_eq!(ledger.paid, 0, "{}", line.scenario.name),
                Payee::Own => assert_eq!(ledger.paid_share(), 10_000, "a majority decides"),
                Payee::Heir => assert_eq!(ledger.paid, 0, "{}", line.scenario.name),
                _ => {}
            }
        }
    }
}

/// Yuma2 does not read it, so that two columns of the table are one.
#[test]
fn liquid_alpha_is_nothing_to_yuma2() {
    for line in play_all() {
        assert_eq!(line.ledgers[0], line.ledgers[1]);
    }
}

/// The lab is able to tell an attack that pays: copying works as soon as weights can be seen, taking uids over as
/// soon as rows have no dates, moving stake between bonds as soon as these outgrow the consensus.
#[test]
fn the_defences_that_are_left_out_would_be_missed() {
    let sets = rule_sets();
    let play = |name: &str, params: &Hyperparameters| {
        SCENARIOS.iter().find(|scenario| scenario.name.starts_with(name)).unwrap().play(params).paid_share()
    };
    for set in &sets {
        let copies = ["no commit and reveal: copies", "copies the consensus"].map(|name| play(name, &set.params));
        assert!(copies[0] > copies[1], "{}", set.name);
        let heirs = ["no dates on weights", "takes the best miner's uid"].map(|name| play(name, &set.params));
        assert!(heirs[0] > 500 && heirs[1] == 0, "{}", set.name);
        let hops = ["no bonds penalty: moves its stake", "moves its stake"].map(|name| play(name, &set.params));
        assert!(hops[0] > hops[1] + 500, "{}", set.name);
    }
}
