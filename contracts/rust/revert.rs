//! Revert data in words: every custom error of the suite and of the libraries it is built from.

use std::{collections::HashMap, sync::LazyLock};

use alloy::{
    dyn_abi::{DynSolValue, ErrorExt},
    hex,
    json_abi::Error,
    primitives::Selector,
    sol_types::{Panic, Revert, SolError},
};

static ERRORS: LazyLock<HashMap<Selector, Error>> = LazyLock::new(|| {
    let parse = |declaration| Error::parse(declaration).expect("the build script takes declarations from an ABI");
    DECLARATIONS.iter().map(|declaration| parse(declaration)).map(|error| (error.selector(), error)).collect()
});

/// `error Name(uint256 argument)`, one for each signature.
static DECLARATIONS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/errors.rs"));

/// The name of the error in `data`: a custom error of the suite, `Error`, `Panic`, or `None` for what is neither.
pub fn revert_name(data: &[u8]) -> Option<&'static str> {
    let selector = Selector::try_from(data.get(..4)?).ok()?;
    match selector.0 {
        Revert::SELECTOR => Some("Error"),
        Panic::SELECTOR => Some("Panic"),
        _ => ERRORS.get(&selector).map(|error| error.name.as_str()),
    }
}

/// Says what a contract meant by the data it reverted with: `CreditDesk_TooExpensive(cost: 20, limit: 10)`, the text of a
/// plain `revert("…")`, or the bytes in hexadecimal when no contract of the suite knows them. Never fails.
pub fn decode_revert(data: &[u8]) -> String {
    if data.is_empty() {
        return "reverted without a reason".into();
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return revert.reason;
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return panic.to_string();
    }
    decode_custom(data).unwrap_or_else(|| format!("unknown error {}", hex::encode_prefixed(data)))
}

fn decode_custom(data: &[u8]) -> Option<String> {
    let error = ERRORS.get(&Selector::try_from(data.get(..4)?).ok()?)?;
    let decoded = error.decode_error(data).ok()?;
    let arguments = error.inputs.iter().zip(&decoded.body).map(|(input, value)| {
        if input.name.is_empty() { show(value) } else { format!("{}: {}", input.name, show(value)) }
    });
    Some(format!("{}({})", error.name, arguments.collect::<Vec<_>>().join(", ")))
}

fn show(value: &DynSolValue) -> String {
    let list = |values: &[DynSolValue]| values.iter().map(show).collect::<Vec<_>>().join(", ");
    match value {
        DynSolValue::Bool(flag) => flag.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..*size]),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::Function(function) => hex::encode_prefixed(function),
        // A contract may bubble up what another one said.
        DynSolValue::Bytes(bytes) => decode_custom(bytes).unwrap_or_else(|| hex::encode_prefixed(bytes)),
        DynSolValue::String(text) => format!("{text:?}"),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => format!("[{}]", list(values)),
        DynSolValue::Tuple(values) => format!("({})", list(values)),
        #[allow(unreachable_patterns, reason = "the enum grows a variant with a feature of alloy")]
        _ => format!("{value:?}"),
    }
}
