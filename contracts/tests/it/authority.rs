//! Who may call what: every function of every contract that changes state stands in a table of `docs/authorities.md`, and the
//! table is proved against the deployed code.
//!
//! A row names what a stranger gets: nothing (anybody may call), or the error that turns it away. The test calls each function
//! as a stranger; for functions of a role or of another contract also as the one who may, who must not be turned away.

use std::collections::BTreeMap;

use alloy::{
    dyn_abi::{DynSolType, DynSolValue, JsonAbiExt},
    json_abi::{Function, JsonAbi, StateMutability},
    primitives::{Address, Bytes, I256, U256},
};
use tandem_contracts::{artifacts::ARTIFACTS, suite::Suite, world::Revert};

use crate::support::{Net, net};

/// The page whose table is proved.
const PAGE: &str = include_str!("../../../docs/authorities.md");
/// What follows here up to the next heading of this level is the table.
const SECTION: &str = "## Every function";
/// OpenZeppelin's error of a `restricted` function.
const RESTRICTED: &str = "AccessManagedUnauthorized";
/// Not part of the deployed suite: local money, and tokens that pools create.
const ELSEWHERE: [&str; 1] = ["TestUSDC"];

/// A row: who may call, and the error that a stranger gets.
#[derive(Clone, Debug)]
struct Row {
    who: String,
    refusal: Option<String>,
}

/// Rows by (contract, function).
fn table() -> BTreeMap<(String, String), Row> {
    let section = PAGE.split(SECTION).nth(1).expect("the page has the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut rows = BTreeMap::new();
    let mut contract = String::new();
    for line in section.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            contract = heading.trim().to_owned();
        }
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [functions, who, refusal] = cells[..] else { continue };
        if !functions.starts_with('`') {
            continue;
        }
        for function in functions.split(',') {
            let name = function.trim().trim_matches('`').to_owned();
            let refusal = Some(refusal.trim_matches('`').to_owned()).filter(|refusal| !refusal.is_empty());
            let row = Row { who: who.to_owned(), refusal };
            assert!(rows.insert((contract.clone(), name.clone()), row).is_none(), "{contract}.{name} has two rows");
        }
    }
    rows
}

/// Functions that change state, by (contract, name).
fn functions() -> BTreeMap<(String, String), Vec<Function>> {
    let mut found: BTreeMap<(String, String), Vec<Function>> = BTreeMap::new();
    for artifact in ARTIFACTS.iter().filter(|artifact| !ELSEWHERE.contains(&artifact.name)) {
        let abi: JsonAbi = serde_json::from_str(artifact.abi).unwrap();
        for function in abi.functions() {
            if !matches!(function.state_mutability, StateMutability::View | StateMutability::Pure) {
                found.entry((artifact.name.to_owned(), function.name.clone())).or_default().push(function.clone());
            }
        }
    }
    found
}

/// Arguments that are as good as any: subnet 1, uid 0, little money, nobody.
fn sample(kind: &DynSolType, name: &str) -> DynSolValue {
    match kind {
        DynSolType::Bool => DynSolValue::Bool(false),
        DynSolType::Int(bits) => DynSolValue::Int(I256::ZERO, *bits),
        DynSolType::Uint(bits) => {
            let zero = ["uid", "kind", "epoch", "fromEpoch", "value", "nonce"].contains(&name);
            DynSolValue::Uint(if zero { U256::ZERO } else { U256::from(1) }, *bits)
        }
        DynSolType::FixedBytes(size) => DynSolValue::FixedBytes(Default::default(), *size),
        DynSolType::Address => DynSolValue::Address(Address::repeat_byte(0x77)),
        DynSolType::Bytes => DynSolValue::Bytes(Vec::new()),
        DynSolType::String => DynSolValue::String("x".into()),
        DynSolType::Array(_) => DynSolValue::Array(Vec::new()),
        DynSolType::FixedArray(inner, size) => DynSolValue::FixedArray(vec![sample(inner, name); *size]),
        DynSolType::Tuple(parts) => DynSolValue::Tuple(parts.iter().map(|part| sample(part, name)).collect()),
        other => panic!("no sample of {other:?}"),
    }
}

fn calldata(function: &Function) -> Bytes {
    let values: Vec<DynSolValue> =
        function.inputs.iter().map(|input| sample(&input.selector_type().parse().unwrap(), &input.name)).collect();
    function.abi_encode_input(&values).unwrap().into()
}

/// Addresses by contract name in lower case.
fn addresses(suite: &Suite) -> BTreeMap<String, Address> {
    suite.contracts().into_iter().map(|(name, address)| (name.to_lowercase(), address)).collect()
}

fn address_of(net: &Net, contract: &str) -> Option<Address> {
    addresses(&net.suite()).get(&contract.to_lowercase()).copied()
}

fn attempt(net: &Net, from: Address, to: Address, data: &Bytes) -> Option<Revert> {
    net.world.simulate(from, to, data.clone()).err()
}

#[test]
fn the_page_lists_every_function_and_no_other() {
    let (rows, functions) = (table(), functions());
    let missing: Vec<_> = functions.keys().filter(|key| !rows.contains_key(*key)).collect();
    let gone: Vec<_> = rows.keys().filter(|key| !functions.contains_key(*key)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "without a row: {missing:#?}\nwithout a function: {gone:#?}");
}

/// [AC-1] [AC-2] [GV-2]
#[test]
fn strangers_get_what_the_page_says() {
    let net = net();
    let stranger = net.world.account("stranger");
    let mut wrong = Vec::new();
    for ((contract, name), overloads) in functions() {
        let row = &table()[&(contract.clone(), name.clone())];
        let Some(to) = address_of(&net, &contract) else { continue };
        for function in overloads {
            let refused = attempt(&net, stranger, to, &calldata(&function)).map(|revert| revert.name);
            let turned_away = refused
                .as_deref()
                .is_some_and(|error| error == RESTRICTED || error.contains("_Only") || error.contains("Unauthorized"));
            let right = match &row.refusal {
                Some(expected) => refused.as_deref() == Some(expected),
                None => !turned_away,
            };
            if !right {
                let expected = row.refusal.as_deref().unwrap_or("no refusal");
                wrong.push(format!("{contract}.{}: {expected}, got {refused:?}", function.signature()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whoever the page names is not turned away: roles by their holders, contracts by their addresses.
#[test]
fn those_whom_the_page_names_are_let_in() {
    let net = net();
    let suite = net.suite();
    let known = addresses(&suite);
    let mut wrong = Vec::new();
    for ((contract, name), overloads) in functions() {
        let row = &table()[&(contract.clone(), name.clone())];
        let (Some(to), Some(refusal)) = (address_of(&net, &contract), &row.refusal) else { continue };
        let holders: Vec<Address> = row
            .who
            .split(&[',', ';'][..])
            .filter_map(|who| match who.trim().trim_matches('`') {
                "guardian" => Some(net.world.account("guardian")),
                "timelock" | "price setter" | "rate publisher" => Some(suite.tandem_timelock),
                who => known.get(&who.to_lowercase()).copied(),
            })
            .collect();
        for holder in holders {
            for function in &overloads {
                let refused = attempt(&net, holder, to, &calldata(function)).map(|revert| revert.name);
                if refused.as_ref() == Some(refusal) {
                    wrong.push(format!("{contract}.{} turns {} away", function.signature(), row.who));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// [AC-2] No function of any contract is called mint, but the credit's, which two immutables guard.
#[test]
fn nothing_mints_but_the_credit() {
    let minting: Vec<_> = functions()
        .into_keys()
        .filter(|(_, name)| name.to_lowercase().contains("mint"))
        .map(|(contract, name)| format!("{contract}.{name}"))
        .collect();
    assert_eq!(minting, ["ComputeCredit.mintPurchased"]);
}

/// [GV-2] What belongs to people has neither a role nor a pause.
#[test]
fn nobody_can_stop_what_belongs_to_people() {
    let rows = table();
    for (contract, name) in [
        ("RewardDistributor", "claim"),
        ("RewardDistributor", "claimBatch"),
        ("RewardDistributor", "claimOwn"),
        ("CreditDesk", "cashOut"),
        ("Staking", "unstake"),
        ("Staking", "unbond"),
        ("Staking", "withdraw"),
        ("AlphaPools", "redeem"),
        ("Settlement", "settle"),
        ("Settlement", "settleBatch"),
        ("Settlement", "reclaim"),
        ("KeeperSet", "withdrawBond"),
    ] {
        let row = rows.get(&(contract.to_owned(), name.to_owned()));
        assert!(row.is_some_and(|row| row.refusal.is_none()), "{contract}.{name}: {row:?}");
    }
}
