//! Amounts as people write them: decimals in, base units out, and back.

use alloy::primitives::U256;
use alloy::primitives::utils::{format_units, parse_units};
use eyre::{Result, bail, eyre};

/// Decimals of TNDM, alpha and credits.
pub const TOKEN_DECIMALS: u8 = 18;
/// Decimals of USDC.
pub const USDC_DECIMALS: u8 = 6;

/// Reads a positive decimal number into base units; more decimals than the token has are refused, not rounded.
pub fn parse(text: &str, decimals: u8) -> Result<U256> {
    let part = text.split_once('.').map_or("", |(_, part)| part);
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !plain || part.len() > usize::from(decimals) {
        bail!("{text:?} is not an amount with at most {decimals} decimals");
    }
    let amount: U256 = parse_units(text, decimals).map_err(|error| eyre!("{text:?} is not an amount: {error}"))?.into();
    if amount.is_zero() {
        bail!("the amount must be above zero");
    }
    Ok(amount)
}

/// Writes base units as a decimal number.
pub fn show(amount: U256, decimals: u8) -> String {
    let text = format_units(amount, decimals).unwrap_or_else(|_| amount.to_string());
    match text.trim_end_matches('0').trim_end_matches('.') {
        "" => "0".to_owned(),
        trimmed if text.contains('.') => trimmed.to_owned(),
        _ => text,
    }
}
