//! Amounts, prices, shares and durations as a configuration writes them: a decimal number and its unit.
//!
//! `"4000 TNDM"`, `"0.85 USDC/CREDIT"`, `"0.5"` (a share of one), `"90 d"`. The unit is part of the value, so that no
//! reader has to know how many decimals a key has, and a value in the wrong unit is refused. Digits may be grouped
//! with `_`. In memory each is the integer that the contracts take.

use std::{fmt, str::FromStr};

use alloy::primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value that is not a decimal number followed by its unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The unit is missing or another one.
    #[error("\"{text}\" should be a number followed by {expected}")]
    Unit {
        /// What was written.
        text: String,
        /// The unit that belongs here.
        expected: &'static str,
    },
    /// The number is not a plain decimal.
    #[error("\"{text}\" is not a decimal number")]
    Number {
        /// What was written.
        text: String,
    },
    /// The number has more decimals than the unit can express.
    #[error("\"{text}\" has more than {decimals} decimals")]
    TooFine {
        /// What was written.
        text: String,
        /// How many decimals the unit has.
        decimals: u8,
    },
    /// The number does not fit.
    #[error("\"{text}\" is too large")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

fn parse_decimal(text: &str, decimals: u8) -> Result<U256, QuantityError> {
    let number = || QuantityError::Number { text: text.into() };
    let large = || QuantityError::TooLarge { text: text.into() };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |piece: &str| piece.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !whole.starts_with(|first: char| first.is_ascii_digit()) || !digits(whole) || !digits(part) {
        return Err(number());
    }
    if text.ends_with('.') {
        return Err(number());
    }
    let part: String = part.chars().filter(|c| *c != '_').collect();
    if part.len() > decimals.into() {
        return Err(QuantityError::TooFine { text: text.into(), decimals });
    }
    let all: String = whole.chars().filter(|c| *c != '_').chain(part.chars()).collect();
    let scale = U256::from(10).pow(U256::from(usize::from(decimals) - part.len()));
    U256::from_str_radix(&all, 10).map_err(|_| large())?.checked_mul(scale).ok_or_else(large)
}

fn format_decimal(value: U256, decimals: u8) -> String {
    let (whole, part) = value.div_rem(U256::from(10).pow(U256::from(decimals)));
    let part = format!("{part:0>width$}", width = decimals.into());
    match part.trim_end_matches('0') {
        "" => whole.to_string(),
        part => format!("{whole}.{part}"),
    }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $symbol:literal, $decimals:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub U256);

        impl $name {
            /// What is written after the number; empty for a plain number.
            pub const SYMBOL: &str = $symbol;
            /// Decimals between the written number and the integer.
            pub const DECIMALS: u8 = $decimals;
        }

        impl FromStr for $name {
            type Err = QuantityError;

            fn from_str(text: &str) -> Result<Self, QuantityError> {
                let number = text.trim().strip_suffix(Self::SYMBOL).ok_or_else(|| QuantityError::Unit {
                    text: text.into(),
                    expected: Self::SYMBOL,
                })?;
                parse_decimal(number.trim_end(), Self::DECIMALS).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = format!("{} {}", format_decimal(self.0, Self::DECIMALS), Self::SYMBOL);
                f.write_str(text.trim_end())
            }
        }

        text_in_serde!($name);
    };
}

impl Fraction {
    /// The whole: 10^18.
    pub const ONE: Self = Self(U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]));
}

macro_rules! text_in_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

quantity!(
    /// TNDM, 18 decimals.
    Tndm, "TNDM", 18
);
quantity!(
    /// The stablecoin, 6 decimals.
    Usdc, "USDC", 6
);
quantity!(
    /// Compute credits, 18 decimals; 1 is one normalised A100-minute.
    Credit, "CREDIT", 18
);
quantity!(
    /// A subnet's token, 18 decimals.
    Alpha, "ALPHA", 18
);
quantity!(
    /// A share or a rate, 1 = 10^18.
    Fraction, "", 18
);
quantity!(
    /// USDC units (6 decimals) for one whole credit.
    UsdcPerCredit, "USDC/CREDIT", 6
);
quantity!(
    /// TNDM base units for one whole USDC.
    TndmPerUsdc, "TNDM/USDC", 18
);
quantity!(
    /// TNDM base units for one whole alpha.
    TndmPerAlpha, "TNDM/ALPHA", 18
);
quantity!(
    /// TNDM base units for one whole credit.
    TndmPerCredit, "TNDM/CREDIT", 18
);

/// A duration in seconds, written `"24 s"`, `"10 min"`, `"12 h"` or `"14 d"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

impl Seconds {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

    /// A number of days.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }
}

impl FromStr for Seconds {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let trimmed = text.trim();
        let unit_at = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(unit_at);
        let (_, scale) = Self::UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| QuantityError::Unit { text: text.into(), expected: "s, min, h or d" })?;
        let number = parse_decimal(number.trim_end(), 0)?;
        number
            .checked_mul(U256::from(scale))
            .and_then(|seconds| seconds.try_into().ok())
            .map(Self)
            .ok_or_else(|| QuantityError::TooLarge { text: text.into() })
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |scale: u64| self.0 != 0 && self.0.is_multiple_of(scale);
        let (unit, scale) = Self::UNITS.into_iter().find(|(_, scale)| fits(*scale)).unwrap_or(("s", 1));
        write!(f, "{} {unit}", self.0 / scale)
    }
}

text_in_serde!(Seconds);
