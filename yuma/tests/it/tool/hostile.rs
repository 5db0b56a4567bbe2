//! What the command refuses, and with which words: one line with the place.

use serde_json::{Value, json};
use yuma::tool::{Case, MAX_BYTES, MAX_CELLS, MAX_UIDS};
use yuma::{Hyperparameters, LiquidAlpha, Profile, Rules};

use super::yuma;

fn example() -> Value {
    serde_json::from_str(yuma::tool::EXAMPLE).unwrap()
}

/// The example with another value at a pointer like `/rules/kappa`.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut input = example();
    match input.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => drop(input.as_object_mut().unwrap().insert(pointer[1..].into(), value)),
    }
    input.to_string().into_bytes()
}

/// The example as text with something replaced.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    assert!(yuma::tool::EXAMPLE.contains(from));
    yuma::tool::EXAMPLE.replacen(from, to, 1).into_bytes()
}

/// Refused by every command that reads, with status 2 and a line that begins so.
fn refused(input: &[u8], beginning: &str) {
    refused_by(&["explain", "--uid", "0"], input, beginning);
    refused_by(&["epoch"], input, beginning);
}

fn refused_by(arguments: &[&str], input: &[u8], beginning: &str) {
    let output = yuma(arguments, input);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{beginning}: {told}");
    assert!(output.stdout.is_empty(), "{beginning}");
    assert!(told.starts_with(beginning), "expected {beginning:?}, was told {told:?}");
    assert!(told.ends_with('\n') && told.lines().count() == 1 && told.len() < 700, "{told:?}");
}

#[test]
fn what_is_no_json_document_is_refused() {
    refused(b"", "error[Y-READ-1]: the input is empty");
    refused(b" \n\t ", "error[Y-READ-1]: the input is empty");
    refused(b"{\"profile\":\"\xff\"}", "error[Y-SHAPE-1]: not UTF-8 after byte 12");
    refused(b"nonsense", "error[Y-SHAPE-1]: expected ident at line 1 column 2");
    refused(b"\xef\xbb\xbf{}", "error[Y-SHAPE-1]: expected value at line 1 column 1");
    refused(b"[1]", "error[Y-SHAPE-1]: invalid type: sequence, expected an object");
    refused(b"null", "error[Y-SHAPE-1]: invalid type: null, expected an object");
    refused(b"{}", "error[Y-SHAPE-1]: missing field `profile`");
    let told = "error[Y-SHAPE-1]: stakes: invalid type: integer `7`, expected a list with an entry per uid at";
    refused(&with("/stakes", json!(7)), told);
    let told = "error[Y-SHAPE-1]: weights: invalid type: integer `7`, expected a list with a row per uid at";
    refused(&with("/weights", json!(7)), told);
    let json = yuma::tool::EXAMPLE.trim_end();
    for length in 1..json.len() {
        let refusal = Case::parse(&json.as_bytes()[..length]).unwrap_err();
        assert_eq!(refusal.code.to_string(), "Y-SHAPE-1", "cut after {length} bytes");
    }
    refused(&json.as_bytes()[..json.len() - 1], "error[Y-SHAPE-1]: EOF while parsing an object");
    refused(format!("{json}{json}").as_bytes(), "error[Y-SHAPE-1]: after the document: trailing characters");
    refused(format!("{json}\0").as_bytes(), "error[Y-SHAPE-1]: after the document: trailing characters");
}

#[test]
fn keys_that_are_unknown_missing_or_given_twice_are_refused() {
    refused(&with("/bond", json!([])), "error[Y-SHAPE-1]: bond: unknown field `bond`");
    refused(&replaced("kappa", "Kappa"), "error[Y-SHAPE-1]: rules.Kappa: unknown field `Kappa`");
    refused(&replaced(r#""kappa":32767,"#, ""), "error[Y-SHAPE-1]: rules: missing field `kappa`");
    refused(&replaced(r#""emission":1000,"#, ""), "error[Y-SHAPE-1]: missing field `emission`");
    refused(
        &replaced(r#""emission":1"#, r#""emission":1,"emission":1"#),
        "error[Y-SHAPE-1]: duplicate field `emission`",
    );
    refused(
        &replaced(r#""kappa":1"#.replace('1', "3").as_str(), r#""kappa":1,"kappa":3"#),
        "error[Y-SHAPE-1]: rules: duplicate field `kappa`",
    );
}

/// Left to itself, the library that reads takes an object for a list of its values, and an enum for an object.
#[test]
fn lists_are_no_objects_and_objects_no_names() {
    refused(
        &with("/rules", json!(["yuma3", false, 1, 1, 1, 1, 1, 1])),
        "error[Y-SHAPE-1]: rules: invalid type: sequence",
    );
    refused(&with("/profile", json!({"tandem": null})), "error[Y-SHAPE-1]: profile: invalid type: map");
    refused(&with("/profile", json!("bittensor")), "error[Y-SHAPE-1]: profile: unknown variant `bittensor`, expected");
    refused(&with("/profile", json!("Tandem")), "error[Y-SHAPE-1]: profile: unknown variant `Tandem`");
    refused(
        &with("/rules/version", json!("yuma1")),
        "error[Y-SHAPE-1]: rules.version: unknown variant `yuma1`, expected",
    );
    refused(&with("/rules/version", json!(3)), "error[Y-SHAPE-1]: rules.version: invalid type: integer `3`");
    refused(&with("/rules/liquid_alpha", json!(1)), "error[Y-SHAPE-1]: rules.liquid_alpha: invalid type: integer `1`");
    refused(&with("/permits", json!([1, 0, 0, 0])), "error[Y-SHAPE-1]: permits[0]: invalid type: integer `1`");
    for list in ["permits", "active", "bonds"] {
        let place = format!("error[Y-SHAPE-1]: {list}: invalid type: null");
        refused(&with(&format!("/{list}"), Value::Null), &place);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let shape = "error[Y-SHAPE-1]: ";
    for (key, above) in [
        ("kappa", json!(65_536)),
        ("bonds_penalty", json!(65_536)),
        ("alpha_low", json!(65_536)),
        ("alpha_high", json!(65_536)),
        ("alpha_steepness", json!(32_768)),
        ("bonds_moving_average", json!(1u64 << 32)),
    ] {
        let place = format!("{shape}rules.{key}: invalid ");
        refused(&with(&format!("/rules/{key}"), above), &place);
        for value in [json!(1.5), json!(-40_000), json!("1"), Value::Null, json!(true), json!([1])] {
            refused(&with(&format!("/rules/{key}"), value), &place);
        }
    }
    for number in ["18446744073709551616", "1e3", "1000.0", "-1", "-0", "01", "NaN", "+1", ".5"] {
        refused(&replaced(r#""emission":1000"#, &format!(r#""emission":{number}"#)), &format!("{shape}emission: "));
    }
    for number in ["0x10", "1_000"] {
        refused(
            &replaced(r#""emission":1000"#, &format!(r#""emission":{number}"#)),
            &format!("{shape}expected `,` or `}}`"),
        );
    }
    for value in [json!(65_536), json!(-1), json!(0.5), json!("1"), Value::Null] {
        refused(&with("/weights/1/1/1", value.clone()), "error[Y-SHAPE-1]: weights[1][1][1]: invalid ");
        refused(&with("/weights/1/1/0", value), "error[Y-SHAPE-1]: weights[1][1][0]: invalid ");
    }
    let most = "error[Y-RULES-1]: rules.bonds_moving_average: 1000001 is more than 1000000 parts per million";
    refused(&with("/rules/bonds_moving_average", json!(1_000_001)), most);
    assert!(Case::parse(&with("/rules/bonds_moving_average", json!(1_000_000))).is_ok());
    let turned = "error[Y-RULES-1]: rules.alpha_low: 45875 is above alpha_high, which is 45874";
    let input = String::from_utf8(with("/rules/alpha_high", json!(45_874))).unwrap();
    refused(input.replace(r#""liquid_alpha":false"#, r#""liquid_alpha":true"#).as_bytes(), turned);
    assert!(Case::parse(input.as_bytes()).is_ok(), "not read without liquid alpha");
    let equal = String::from_utf8(with("/rules/alpha_high", json!(45_875))).unwrap();
    let equal = equal.replace(r#""liquid_alpha":false"#, r#""liquid_alpha":true"#);
    assert!(Case::parse(equal.as_bytes()).is_ok(), "a range of one alpha");
}

#[test]
fn every_rule_that_is_given_is_the_rule_that_counts() {
    let given = [
        ("version", json!("yuma2")),
        ("liquid_alpha", json!(true)),
        ("kappa", json!(11)),
        ("bonds_moving_average", json!(12)),
        ("bonds_penalty", json!(13)),
        ("alpha_low", json!(14)),
        ("alpha_high", json!(15)),
        ("alpha_steepness", json!(-16)),
    ];
    let mut input: Value = serde_json::from_slice(&with("/profile", json!("tandem"))).unwrap();
    for (key, value) in given {
        input["rules"][key] = value;
    }
    let expected = Hyperparameters {
        profile: Profile::Tandem,
        kappa: 11,
        bonds_moving_average: 12,
        bonds_penalty: 13,
        liquid_alpha: Some(LiquidAlpha { low: 14, high: 15, steepness: -16 }),
        ..Hyperparameters::subtensor(Rules::Yuma2)
    };
    assert_eq!(Case::parse(input.to_string().as_bytes()).unwrap().params, expected);
}

#[test]
fn stakes_are_decimal_and_bounded() {
    for text in ["", " 1", "1 ", "-1", "+1", "1.0", "1e3", "0x1", "1_000", "١", "one"] {
        let told = format!("error[Y-STAKE-1]: stakes[1]: \"{text}\" is no decimal number of base units");
        refused(&with("/stakes/1", json!(text)), &told);
    }
    refused(
        &with("/stakes/1", json!(400)),
        "error[Y-SHAPE-1]: stakes[1]: invalid type: integer `400`, expected a string",
    );
    let beyond = "340282366920938463463374607431768211456";
    refused(&with("/stakes/3", json!(beyond)), "error[Y-STAKE-1]: stakes[3]: beyond 2^128");
    refused(&with("/stakes/3", json!("9".repeat(100_000))), "error[Y-STAKE-1]: stakes[3]: beyond 2^128");
    let most = (1u128 << 96) - 1 - 600 - 400;
    assert!(Case::parse(&with("/stakes/3", json!(most.to_string()))).is_ok());
    let told = "error[Y-STAKE-1]: stakes[3]: brings the total stake to 2^96 or more";
    refused(&with("/stakes/3", json!((most + 1).to_string())), told);
    refused(&with("/stakes/3", json!(u128::MAX.to_string())), told);
}

#[test]
fn lists_have_an_entry_per_uid() {
    for list in ["permits", "active"] {
        let told = format!("error[Y-LENGTH-1]: {list}: 3 entries, but there are 4 stakes");
        refused(&with(&format!("/{list}"), json!([true, true, true])), &told);
    }
    for table in ["weights", "bonds"] {
        let told = format!("error[Y-LENGTH-1]: {table}: 5 entries, but there are 4 stakes");
        refused(&with(&format!("/{table}"), json!([[], [], [], [], []])), &told);
    }
    refused(&with("/stakes", json!([])), "error[Y-LENGTH-1]: permits: 4 entries, but there are 0 stakes");
}

#[test]
fn rows_name_existing_uids_once() {
    let place = "/weights/1";
    refused(&with(place, json!([[2, 1], [4, 1]])), "error[Y-UID-1]: weights[1][1]: uid 4 is beyond the 4 uids");
    refused(&with(place, json!([[65_535, 1]])), "error[Y-UID-1]: weights[1][0]: uid 65535 is beyond the 4 uids");
    let told = "error[Y-UID-1]: weights[1][2]: uid 3 a second time in this row";
    refused(&with(place, json!([[3, 1], [2, 1], [3, 1]])), told);
    let told = "error[Y-UID-1]: bonds[3][1]: uid 0 a second time in this row";
    refused(&with("/bonds", json!([[], [[0, 1]], [], [[0, 1], [0, 1]]])), told);
    refused(&with(place, json!([[1]])), "error[Y-SHAPE-1]: weights[1][0]: invalid length 1, expected a pair");
    refused(&with(place, json!([[]])), "error[Y-SHAPE-1]: weights[1][0]: invalid length 0, expected a pair");
    refused(&with(place, json!([[1, 2, 3]])), "error[Y-SHAPE-1]: weights[1][0]: invalid length 3, expected a pair");
    refused(&with(place, json!([7])), "error[Y-SHAPE-1]: weights[1][0]: invalid type: integer `7`, expected a pair");
    refused(&with(place, json!({"2": 1})), "error[Y-SHAPE-1]: weights[1]: invalid type: map, expected a row of");
    let order = |row: Value| Case::parse(&with(place, row)).unwrap();
    assert_eq!(order(json!([[3, 3], [2, 1]])), order(json!([[2, 1], [3, 3]])), "the order of a row is free");
}

/// Names of keys and texts of stakes are shown in the message: they must not break out of its line, or flood it.
#[test]
fn what_is_quoted_neither_breaks_the_line_nor_commands_the_terminal() {
    let evil = "a\nerror: all is well\u{1b}[2J\r\u{202e}";
    for input in [with("/stakes/0", json!(evil)), with(&format!("/{evil}"), json!(1)), with("/profile", json!(evil))] {
        let told = Case::parse(&input).unwrap_err().to_string();
        assert!(told.contains(r"a\nerror: all is well\u{1b}[2J\r\u{202e}"), "{told:?}");
    }
    let long = "k".repeat(1 << 20);
    refused(&with(&format!("/{long}"), json!(1)), "error[Y-SHAPE-1]: kkkkkkkkkkkkkkkkkkk");
    refused(&with("/stakes/0", json!(long)), "error[Y-STAKE-1]: stakes[0]: \"kkkkkkkkkkk");
    let told = |length| Case::parse(&with(&format!("/{}", &long[..length]), json!(1))).unwrap_err().place;
    assert_eq!(told(240), long[..240]);
    assert_eq!(told(241), format!("{}…", &long[..240]));
}

#[test]
fn depth_is_no_danger() {
    let deep = "[".repeat(1 << 20);
    let place = replaced(r#"[[[2,3],"#, &format!("[[[2,3],{deep}"));
    refused(&place, "error[Y-SHAPE-1]: weights[0][1][0]: invalid type: sequence, expected u16");
    let third = replaced("[2,3]", &format!("[2,3,{deep}"));
    refused(&third, "error[Y-SHAPE-1]: weights[0][0][2]");
    refused(deep.as_bytes(), "error[Y-SHAPE-1]: invalid type: sequence, expected an object");
}

#[test]
fn what_is_too_large_is_refused_before_it_takes_memory() {
    let list = |entry: &str, count: usize| format!("[{}]", vec![entry; count].join(","));
    let uids = MAX_UIDS + 1;
    refused(
        &replaced(r#"["600","400","0","0"]"#, &list(r#""0""#, uids)),
        "error[Y-SHAPE-1]: stakes: more than 65536 uids",
    );
    let rows = replaced("[[[2,3],[3,1]],[[2,1],[3,3]],[],[]]", &list("[]", uids));
    refused_by(&["epoch"], &rows, "error[Y-SHAPE-1]: weights: more than 65536 uids");
    let half = list("[0,0]", MAX_CELLS / 2 + 1);
    let cells = replaced("[[[2,3],[3,1]],[[2,1],[3,3]],[],[]]", &format!("[{half},{half}]"));
    refused_by(&["epoch"], &cells, "error[Y-SHAPE-1]: weights[1]: more than 4194304 entries in all rows");
    let mut long = yuma::tool::EXAMPLE.as_bytes().to_vec();
    long.resize(MAX_BYTES, b' ');
    assert!(Case::parse(&long).is_ok());
    long.push(b' ');
    refused_by(&["epoch"], &long, "error[Y-SIZE-1]: the input is longer than 67108864 bytes\n");
}
