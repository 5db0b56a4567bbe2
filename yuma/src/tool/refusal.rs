//! Why the tool refuses an input.

use core::fmt;
use std::string::{String, ToString};

/// What kind of fault it is. Codes are stable; scripts may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing could be read.
    Read,
    /// Larger than the tool takes.
    Size,
    /// Not JSON, or not of the shape that is expected.
    Shape,
    /// A list has another length than the list of stakes.
    Length,
    /// A uid that does not exist, or twice in a row.
    Uid,
    /// A stake that is no decimal number, or too much of it.
    Stake,
    /// Rules that make no sense.
    Rules,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "Y-READ-1",
            Self::Size => "Y-SIZE-1",
            Self::Shape => "Y-SHAPE-1",
            Self::Length => "Y-LENGTH-1",
            Self::Uid => "Y-UID-1",
            Self::Stake => "Y-STAKE-1",
            Self::Rules => "Y-RULES-1",
        })
    }
}

/// An input that the tool refuses. Shown as one line, whatever the input was: `weights[3][17]: uid 300 is beyond the 256
/// uids`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of fault it is.
    pub code: Code,
    /// Where, as a path into the document; empty for the whole of it.
    pub place: String,
    /// What is wrong there.
    pub message: String,
}

/// Parts of the input that are quoted end here.
const QUOTED: usize = 240;

impl Refusal {
    pub(crate) fn new(code: Code, place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { code, place: on_one_line(&place.to_string()), message: on_one_line(&message.to_string()) }
    }
}

/// Without control characters, which an input may contain and a terminal would obey, and not too long.
fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if line.len() >= QUOTED {
            line.push('…');
            break;
        }
        match character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

impl core::error::Error for Refusal {}
