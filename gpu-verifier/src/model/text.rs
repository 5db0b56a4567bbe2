//! `tokenizer.json`, and the chat template that goes with it.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::chat::{ChatError, ChatTemplate, Message};
use super::{ModelError, read};

/// Larger than any tokenizer that is in use; a stranger's file may be larger still.
const LIMIT: u64 = 256 << 20;

/// Turns text into tokens and back.
#[derive(Debug)]
pub struct Text {
    tokenizer: Tokenizer,
    chat: Result<ChatTemplate, String>,
}

impl Text {
    /// Reads the files of a model's folder.
    pub(super) fn read(dir: &Path, vocab_size: usize) -> Result<Self, ModelError> {
        let path = dir.join("tokenizer.json");
        let wrong = |reason: String| ModelError::Tokenizer { path: path.clone(), reason };
        let bytes = read(&path, LIMIT)?.ok_or_else(|| wrong(format!("larger than {LIMIT} bytes")))?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        // What is asked is what is fed: nothing cut off, nothing filled up, whatever the file wants.
        tokenizer.with_padding(None).with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        match tokenizer.get_vocab(true).into_iter().find(|&(_, id)| id as usize >= vocab_size) {
            Some((token, id)) => Err(wrong(format!("token {token:?} is {id}, the model knows {vocab_size}"))),
            None => Ok(Self { tokenizer, chat: ChatTemplate::read(dir)? }),
        }
    }

    /// Tokens of a prompt, with what the tokenizer puts in front of it (usually one token that begins a text).
    ///
    /// # Errors
    /// The tokenizer's own message; tokenizers that cover all bytes have none.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        Ok(self.tokenizer.encode(text, true)?.get_ids().to_vec())
    }

    /// Text of an answer, special tokens left out. Bytes that are not UTF-8 become replacement characters: what is
    /// committed and checked are tokens, not text.
    ///
    /// # Errors
    /// The tokenizer's own message.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, tokenizers::Error> {
        self.tokenizer.decode(tokens, true)
    }

    /// The chat template, or why there is none to use.
    ///
    /// # Errors
    /// The reason, in words. A model without one still completes texts.
    pub fn chat(&self) -> Result<&ChatTemplate, &str> {
        self.chat.as_ref().map_err(String::as_str)
    }

    /// Tokens of a conversation that the assistant is to go on with: the rendered template, with nothing put in front of it. Names
    /// of special tokens count as these wherever they stand, as they do in the template itself. `options` and `limit` are those of
    /// [`ChatTemplate::render`].
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn encode_chat(
        &self,
        messages: &[Message],
        options: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<u32>, ChatError> {
        let template = self.chat().map_err(|reason| ChatError::NoTemplate(reason.to_owned()))?;
        let text = template.render(messages, options, limit)?;
        let encoded = self.tokenizer.encode(text, false).map_err(|error| ChatError::Failed(error.to_string()))?;
        Ok(encoded.get_ids().to_vec())
    }
}
