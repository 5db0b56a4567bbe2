//! Where the text of probes comes from.
//!
//! Best is a file of prompts that real users might send: the operator's own, never published. Without one the model writes
//! them: it goes on from some opening with private randomness, and pieces of what it wrote, without the opening, are sent. Such text is
//! as likely under the model as its own answers are, more so than what people write; who measures that of each
//! request can guess, with errors, which ones are audits.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::IndexedRandom as _;
use serde::Deserialize;
use thiserror::Error;

use super::openings::opening;
use crate::backend::Backend;
use crate::generate::{self, GenerateError, Request};
use crate::model::{Text, TextError};

/// Largest file of prompts, bytes.
const FILE_BYTES: u64 = 64 << 20;
/// Longest prompt, bytes.
const PROMPT_BYTES: usize = 32 << 10;
/// Tokens that the model writes at once.
const WRITTEN_TOKENS: usize = 160;
/// Pieces that are cut from one text.
const PIECES: usize = 6;
/// Shortest and longest piece, bytes.
const PIECE_BYTES: (usize, usize) = (24, 480);
/// Texts that are tried before an opening has to do.
const ATTEMPTS: usize = 4;

/// Why a file of prompts cannot be used.
#[derive(Debug, Error)]
pub enum PromptsError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is larger than 64 MiB.
    #[error("{} is larger than {FILE_BYTES} bytes", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// A line is no prompt.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counting from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is none in it.
    #[error("{} holds no prompt", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Why the model wrote nothing.
#[derive(Debug, Error)]
pub enum WriteError {
    /// It failed.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The tokenizer failed.
    #[error("tokenizer: {0}")]
    Text(TextError),
}

/// A source of prompts.
pub enum Prompts {
    /// The operator's.
    Given(Vec<String>),
    /// The model's.
    Written(Author),
}

/// A model that writes prompts.
pub struct Author {
    backend: Arc<dyn Backend>,
    pieces: Mutex<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: String,
}

impl Prompts {
    /// Reads a file with one JSON object per line: `{"prompt": "…"}`. Empty lines do not count.
    ///
    /// # Errors
    /// [`PromptsError`], naming the line.
    pub fn read(path: &Path) -> Result<Self, PromptsError> {
        let failed = |error| PromptsError::Read { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
            return Err(PromptsError::Large { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let mut prompts = Vec::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let wrong = |reason: String| PromptsError::Line { path: path.to_owned(), line, reason };
            let Line { prompt } = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if prompt.is_empty() || prompt.len() > PROMPT_BYTES {
                return Err(wrong(format!("a prompt of {} bytes, not 1 to {PROMPT_BYTES}", prompt.len())));
            }
            prompts.push(prompt);
        }
        if prompts.is_empty() {
            return Err(PromptsError::Empty { path: path.to_owned() });
        }
        Ok(Self::Given(prompts))
    }

    /// Prompts by a model.
    pub fn written(backend: Arc<dyn Backend>) -> Self {
        Self::Written(Author { backend, pieces: Mutex::default() })
    }

    /// A prompt. May run the model, and then blocks.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn draw(&self, random: &mut impl Rng, text: &Text) -> Result<String, WriteError> {
        match self {
            Self::Given(prompts) => Ok(prompts.choose(random).cloned().unwrap_or_default()),
            Self::Written(author) => author.draw(random, text),
        }
    }
}

impl Author {
    fn draw(&self, random: &mut impl Rng, text: &Text) -> Result<String, WriteError> {
        if let Some(piece) = self.take() {
            return Ok(piece);
        }
        for _ in 0..ATTEMPTS {
            let written = self.write(random, text)?;
            let mut pieces: Vec<String> = (0..PIECES).filter_map(|_| piece(random, &written)).collect();
            if let Some(first) = pieces.pop() {
                self.pieces.lock().unwrap_or_else(PoisonError::into_inner).append(&mut pieces);
                return Ok(first);
            }
        }
        // A model that writes nothing.
        Ok(opening(random))
    }

    fn take(&self) -> Option<String> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn write(&self, random: &mut impl Rng, text: &Text) -> Result<String, WriteError> {
        let prompt = text.encode(&opening(random)).map_err(WriteError::Text)?;
        let request = Request { prompt, max_tokens: WRITTEN_TOKENS, seed: random.random(), temperature: 1.0 };
        let written = generate::run(self.backend.as_ref(), &request)?;
        text.decode(&written.output).map_err(WriteError::Text)
    }
}

/// A piece of a text, from the beginning of a word on, of any length between the bounds; none of a text that is too short.
fn piece(random: &mut impl Rng, text: &str) -> Option<String> {
    let text = text.trim();
    let (shortest, longest) = PIECE_BYTES;
    let latest = text.len().checked_sub(shortest)?;
    let start = text.floor_char_boundary(random.random_range(0..=latest));
    let word = text[start..].find(char::is_whitespace).map_or(start, |at| start + at);
    let from = if text.len() - word >= shortest { word } else { start };
    let rest = text[from..].trim_start();
    // Short ones as often as long ones, as among people's.
    let ratio = (longest as f64 / shortest as f64).powf(random.random::<f64>());
    let end = rest.floor_char_boundary(((shortest as f64 * ratio) as usize).min(rest.len()));
    let piece = rest[..end].trim_end();
    (!piece.is_empty()).then(|| piece.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    proptest! {
        #[test]
        fn a_piece_is_part_of_its_text_and_within_bounds(text in "[a-zé \n]{0,200}", seed: u64) {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            if let Some(piece) = piece(&mut random, &text) {
                prop_assert!(text.contains(&piece) && !piece.is_empty() && piece.len() <= PIECE_BYTES.1);
            } else {
                prop_assert!(text.trim().len() < PIECE_BYTES.0);
            }
        }
    }

    #[test]
    fn a_file_of_prompts_is_read_strictly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompts.jsonl");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Prompts::read(&path).map_err(|error| error.to_string())
        };
        let Ok(Prompts::Given(prompts)) = read("{\"prompt\": \"One\\ntwo\"}\n\n{\"prompt\": \"Three\"}\n") else {
            panic!("good lines")
        };
        assert_eq!(prompts, ["One\ntwo", "Three"]);
        let long = format!("{{\"prompt\": \"{}\"}}", "x".repeat(PROMPT_BYTES + 1));
        for (text, expected) in [
            ("", "holds no prompt"),
            ("{\"prompt\": \"a\"}\nhello\n", "line 2"),
            ("{\"prompt\": \"a\", \"model\": \"b\"}", "unknown field `model`"),
            ("{\"prompt\": \"\"}", "a prompt of 0 bytes"),
            (&long, "a prompt of 32769 bytes"),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(Prompts::read(&dir.path().join("none")).is_err());
    }
}
