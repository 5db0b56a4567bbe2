//! `tokenizer.json`.

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;

use super::{ModelError, read};

/// Larger than any tokenizer that is in use; a stranger's file may be larger still.
const LIMIT: u64 = 256 << 20;

/// Turns text into tokens and back.
#[derive(Clone, Debug)]
pub struct Text(Arc<Tokenizer>);

impl Text {
    /// Reads a `tokenizer.json` for a model that knows `vocab_size` tokens.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing, broken, or has tokens that the model does not.
    pub fn read(path: &Path, vocab_size: usize) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Tokenizer { path: path.to_owned(), reason };
        let bytes = read(path, LIMIT)?.ok_or_else(|| wrong(format!("larger than {LIMIT} bytes")))?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        // What is asked is what is fed: nothing cut off, nothing filled up, whatever the file wants.
        tokenizer.with_padding(None).with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        match tokenizer.get_vocab(true).into_iter().find(|&(_, id)| id as usize >= vocab_size) {
            Some((token, id)) => Err(wrong(format!("token {token:?} is {id}, the model knows {vocab_size}"))),
            None => Ok(Self(Arc::new(tokenizer))),
        }
    }

    /// Tokens of a prompt, with what the tokenizer puts in front of it (usually one token that begins a text).
    ///
    /// # Errors
    /// The tokenizer's own message; tokenizers that cover all bytes have none.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        Ok(self.0.encode(text, true)?.get_ids().to_vec())
    }

    /// Text of an answer, special tokens left out. Bytes that are not UTF-8 become replacement characters: what is
    /// committed and checked are tokens, not text.
    ///
    /// # Errors
    /// The tokenizer's own message.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, tokenizers::Error> {
        self.0.decode(tokens, true)
    }
}
