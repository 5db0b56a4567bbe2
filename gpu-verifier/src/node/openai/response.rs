//! Answers, whole and in chunks.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_protocol::api::{CompletionEvidence, StreamNote};

use super::Endpoint;
use crate::generate::Finish;

/// `POST /v1/completions`, answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompletionResponse {
    /// Random.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that was asked for.
    pub model: String,
    /// One choice.
    pub choices: Vec<Choice>,
    /// Tokens to pay for.
    pub usage: Usage,
    /// What the answer can be checked with.
    pub tandem: CompletionEvidence,
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// Text, special tokens left out.
    pub text: String,
    /// 0.
    pub index: u32,
    /// Not given.
    pub logprobs: Option<Value>,
    /// Why it ended.
    pub finish_reason: Finish,
}

/// `POST /v1/chat/completions`, answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChatResponse {
    /// Random.
    pub id: String,
    /// `chat.completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that was asked for.
    pub model: String,
    /// One choice.
    pub choices: Vec<ChatChoice>,
    /// Tokens to pay for.
    pub usage: Usage,
    /// What the answer can be checked with.
    pub tandem: CompletionEvidence,
}

/// The assistant's turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChatChoice {
    /// 0.
    pub index: u32,
    /// What it says.
    pub message: ChatMessage,
    /// Not given.
    pub logprobs: Option<Value>,
    /// Why it ended.
    pub finish_reason: Finish,
}

/// A turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `assistant`.
    pub role: String,
    /// Text, special tokens left out.
    pub content: String,
    /// Not given.
    pub refusal: Option<String>,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the completion.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

/// An answer that has ended, in no shape yet.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// All of its text.
    pub(crate) text: String,
    /// The part of it that no piece brought.
    pub(crate) rest: String,
    /// Why it ended.
    pub(crate) finish: Finish,
    /// What it can be checked with.
    pub(crate) evidence: CompletionEvidence,
}

impl Answer {
    fn usage(&self) -> Usage {
        let prompt_tokens = self.evidence.prompt_tokens.len() as u64;
        let completion_tokens = self.evidence.output_tokens.len() as u64;
        Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// Writes one answer, under one id.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    endpoint: Endpoint,
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
}

impl Writer {
    pub(crate) fn new(endpoint: Endpoint, model: String, include_usage: bool) -> Self {
        let prefix = match endpoint {
            Endpoint::Completions => "cmpl",
            Endpoint::Chat => "chatcmpl",
        };
        Self {
            endpoint,
            id: format!("{prefix}-{:032x}", rand::random::<u128>()),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            model,
            include_usage,
        }
    }

    /// The whole answer.
    pub(crate) fn whole(self, answer: Answer) -> serde_json::Result<Value> {
        let usage = answer.usage();
        let Answer { text, finish, evidence: tandem, .. } = answer;
        let Self { endpoint, id, created, model, .. } = self;
        match endpoint {
            Endpoint::Completions => {
                let choices = vec![Choice { text, index: 0, logprobs: None, finish_reason: finish }];
                let object = "text_completion".to_owned();
                serde_json::to_value(CompletionResponse { id, object, created, model, choices, usage, tandem })
            }
            Endpoint::Chat => {
                let message = ChatMessage { role: "assistant".to_owned(), content: text, refusal: None };
                let choices = vec![ChatChoice { index: 0, message, logprobs: None, finish_reason: finish }];
                let object = "chat.completion".to_owned();
                serde_json::to_value(ChatResponse { id, object, created, model, choices, usage, tandem })
            }
        }
    }

    /// The chunk that opens a stream, if the shape has one.
    pub(crate) fn opening(&self) -> Option<Value> {
        match self.endpoint {
            Endpoint::Completions => None,
            Endpoint::Chat => Some(self.chunk(json!({ "role": "assistant", "content": "" }), None, None)),
        }
    }

    /// A chunk with some text, possibly none.
    pub(crate) fn piece(&self, text: &str, note: &StreamNote) -> Value {
        self.chunk(self.delta(text), None, Some(note))
    }

    /// The chunks that end a stream: the rest of the text with reason and evidence, then the count of tokens if it was asked for.
    pub(crate) fn ending(&self, answer: Answer) -> Vec<Value> {
        let usage = answer.usage();
        let last = self.chunk(
            self.delta(&answer.rest),
            Some(answer.finish),
            Some(&StreamNote::Evidence(Box::new(answer.evidence))),
        );
        let mut chunks = vec![last];
        if self.include_usage {
            chunks.push(self.frame(json!([]), json!(usage)));
        }
        chunks
    }

    fn delta(&self, text: &str) -> Value {
        match self.endpoint {
            Endpoint::Completions => json!(text),
            Endpoint::Chat if text.is_empty() => json!({}),
            Endpoint::Chat => json!({ "content": text }),
        }
    }

    fn chunk(&self, delta: Value, finish: Option<Finish>, note: Option<&StreamNote>) -> Value {
        let part = match self.endpoint {
            Endpoint::Completions => "text",
            Endpoint::Chat => "delta",
        };
        let choice = json!({ "index": 0, part: delta, "logprobs": null, "finish_reason": finish });
        let mut chunk = self.frame(json!([choice]), Value::Null);
        if let Some(note) = note {
            chunk["tandem"] = json!(note);
        }
        chunk
    }

    fn frame(&self, choices: Value, usage: Value) -> Value {
        let object = match self.endpoint {
            Endpoint::Completions => "text_completion",
            Endpoint::Chat => "chat.completion.chunk",
        };
        let mut frame = json!({ "id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices });
        if self.include_usage {
            frame["usage"] = usage;
        }
        frame
    }
}
