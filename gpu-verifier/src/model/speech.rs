//! From tokens to text, token by token: what a stream shows, and where a stop sequence ends it.
//!
//! The text of an answer after `n` tokens is *settled* up to an unfinished character at its end. A stop sequence is complete with
//! the first token after which the settled text contains it. That is a function of the tokens, so whoever knows the request can
//! tell whether an answer ended where it had to ([`stop_at`]).

use super::Text;

/// Tokens that are decoded together, at least: a character has up to four bytes and so up to four tokens, and some tokenizers
/// treat the first token of a text differently.
const CONTEXT: usize = 16;
/// At so many the window is cut back to [`CONTEXT`].
const WINDOW: usize = 64;
/// What stands for bytes that are no character.
const REPLACEMENT: char = '\u{fffd}';

/// Most stop sequences of a request, as with OpenAI.
pub const MAX_STOPS: usize = 4;
/// Longest stop sequence, bytes.
pub const MAX_STOP_BYTES: usize = 256;

/// Decodes tokens as they come. For tokenizers that map tokens to bytes, the pieces make up exactly [`Text::decode`] of all tokens;
/// no piece ends within a character.
#[derive(Debug)]
pub struct Speech<'a> {
    text: &'a Text,
    window: Vec<u32>,
    /// Bytes of the window's text that were given out.
    shown: usize,
}

impl<'a> Speech<'a> {
    /// Nothing said yet.
    pub fn new(text: &'a Text) -> Self {
        Self { text, window: Vec::new(), shown: 0 }
    }

    /// The text that `token` settles; often none.
    ///
    /// # Errors
    /// The tokenizer's own message.
    pub fn push(&mut self, token: u32) -> Result<String, tokenizers::Error> {
        self.window.push(token);
        let text = self.text.decode(&self.window)?;
        // An unfinished character is decoded as one replacement at the end.
        let settled = text.strip_suffix(REPLACEMENT).unwrap_or(&text);
        let piece = settled.get(self.shown..).unwrap_or_default().to_owned();
        self.shown = self.shown.max(settled.len());
        if self.window.len() >= WINDOW {
            self.window.drain(..self.window.len() - CONTEXT);
            let hidden = text.len().saturating_sub(self.shown);
            self.shown = self.text.decode(&self.window)?.len().saturating_sub(hidden);
        }
        Ok(piece)
    }

    /// What is left at the end.
    ///
    /// # Errors
    /// The tokenizer's own message.
    pub fn finish(self) -> Result<String, tokenizers::Error> {
        let text = self.text.decode(&self.window)?;
        Ok(text.get(self.shown..).unwrap_or_default().to_owned())
    }
}

/// Looks for stop sequences in a text that comes in pieces, and holds back what may become one.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    stops: Vec<String>,
    held: String,
    done: bool,
}

impl Stops {
    /// Looks for any of `stops`. Empty ones are ignored.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new(), done: false }
    }

    /// Takes a piece of text; returns what can be shown, and whether a stop sequence is complete. Nothing of it is shown, and
    /// nothing after it.
    pub fn push(&mut self, piece: &str) -> (String, bool) {
        if self.done {
            return (String::new(), true);
        }
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            self.done = true;
            return (std::mem::take(&mut self.held), true);
        }
        let longest = |stop: &String| {
            let lengths = (1..stop.len().min(self.held.len() + 1)).rev().filter(|&n| stop.is_char_boundary(n));
            lengths.into_iter().find(|&n| self.held.ends_with(&stop[..n])).unwrap_or_default()
        };
        let keep = self.stops.iter().map(longest).max().unwrap_or_default();
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back and never became a stop sequence.
    pub fn finish(self) -> String {
        self.held
    }
}

/// After how many tokens of `output` a stop sequence is complete, if one ever is. A verifier takes the lower of this and
/// `max_tokens` as the length that the answer must have, unless it ends with a token that ends it.
///
/// # Errors
/// The tokenizer's own message.
pub fn stop_at(text: &Text, output: &[u32], stops: &[String]) -> Result<Option<usize>, tokenizers::Error> {
    let (mut speech, mut stops) = (Speech::new(text), Stops::new(stops));
    for (index, &token) in output.iter().enumerate() {
        if stops.push(&speech.push(token)?).1 {
            return Ok(Some(index + 1));
        }
    }
    Ok(None)
}
