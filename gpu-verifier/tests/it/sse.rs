//! Streams, read by hand.

use reqwest::Response;
use serde_json::{Value, json};
use tandem_protocol::api::{CompletionEvidence, StreamNote};
use tandem_protocol::payment::PaymentDue;

use crate::town::TownNode;

/// What a server sent at once.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Comment,
    Data(Value),
    Done,
}

/// Server-sent events, read by hand.
pub(crate) struct Events {
    response: Response,
    read: Vec<u8>,
}

impl Events {
    pub(crate) async fn open(node: &TownNode, path: &str, body: &Value) -> Self {
        let response = node.send(path, body.to_string()).await;
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, read: Vec::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                // No event ends within a character.
                let event = String::from_utf8(event).unwrap();
                return Some(match event.trim_end() {
                    "data: [DONE]" => Frame::Done,
                    comment if comment.starts_with(':') => Frame::Comment,
                    data => Frame::Data(serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()),
                });
            }
            match self.response.chunk().await.unwrap() {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None => {
                    assert!(self.read.is_empty(), "half an event at the end");
                    return None;
                }
            }
        }
    }
}

/// A stream that was read to its end.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) dues: Vec<PaymentDue>,
    pub(crate) finish: Option<String>,
    pub(crate) evidence: Option<CompletionEvidence>,
    pub(crate) usage: Option<Value>,
    pub(crate) error: Option<Value>,
    pub(crate) done: bool,
}

impl Told {
    pub(crate) fn take(&mut self, frame: Frame) -> Option<PaymentDue> {
        let chunk = match frame {
            Frame::Comment => return None,
            Frame::Done => {
                self.done = true;
                return None;
            }
            Frame::Data(chunk) => chunk,
        };
        assert!(!self.done, "something after the end");
        if chunk.get("error").is_some() {
            self.error = Some(chunk["error"].clone());
            return None;
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            assert_eq!(chunk["choices"], json!([]));
            self.usage = Some(usage.clone());
            return None;
        }
        let choice = &chunk["choices"][0];
        self.text.push_str(choice["text"].as_str().or(choice["delta"]["content"].as_str()).unwrap_or_default());
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        match chunk.get("tandem").map(|note| serde_json::from_value(note.clone()).unwrap()) {
            Some(StreamNote::Tokens(tokens)) => self.tokens.extend(tokens),
            Some(StreamNote::Evidence(evidence)) => self.evidence = Some(*evidence),
            Some(StreamNote::Due(due)) => {
                self.dues.push(due.clone());
                return Some(due);
            }
            None => {}
        }
        None
    }

    pub(crate) async fn all(mut events: Events) -> Self {
        let mut told = Self::default();
        while let Some(frame) = events.next().await {
            told.take(frame);
        }
        told
    }

    pub(crate) fn evidence(&self) -> &CompletionEvidence {
        self.evidence.as_ref().unwrap_or_else(|| panic!("{self:?}"))
    }
}
