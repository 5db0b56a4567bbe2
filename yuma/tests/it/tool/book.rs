//! The page for auditors says what the command prints.

use std::path::Path;

use serde_json::Value;

use super::{answer, yuma};

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

/// Contents of the blocks of code that are marked so.
fn blocks(page: &str, mark: &str) -> Vec<String> {
    let open = format!("```{mark}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_worked_example_works_as_it_is_printed() {
    let page = page("yuma.md");
    let json = blocks(&page, "json");
    let [input, expected]: [Value; 2] = [0, 1].map(|block: usize| serde_json::from_str(&json[block]).unwrap());
    assert_eq!(answer(&["epoch"], &input), expected);
    assert_eq!(input, serde_json::from_str::<Value>(yuma::tool::EXAMPLE).unwrap());
    let told = blocks(&page, "text");
    for (told, uid) in told.iter().zip(["3", "1"]) {
        assert_eq!(*told, String::from_utf8(yuma(&["explain", "--uid", uid], json[0].as_bytes()).stdout).unwrap());
    }
    assert_eq!((json.len(), told.len()), (2, 2));
}

#[test]
fn the_book_shows_the_table_that_the_command_makes() {
    let page = page("yuma.md");
    let lines =
        page.lines().skip_while(|line| !line.starts_with("| attack |")).take_while(|line| line.starts_with('|'));
    let table: String = lines.map(|line| format!("{line}\n")).collect();
    let made = String::from_utf8(yuma(&["attacks", "--markdown"], b"").stdout).unwrap();
    assert_eq!(table, made, "paste the output of `yuma attacks --markdown` into docs/yuma.md");
}

#[test]
fn every_code_has_a_line_in_the_list_of_errors() {
    use yuma::tool::Code::{Length, Read, Rules, Shape, Size, Stake, Uid};
    let page = page("errors.md");
    for code in [Length, Read, Rules, Shape, Size, Stake, Uid].map(|code| code.to_string()) {
        assert!(page.contains(&format!("| `{code}` |")), "{code}");
    }
    assert!(page.contains("| `Y-WRITE-1` |"));
}
