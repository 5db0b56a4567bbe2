//! Answers as they come: server-sent events in OpenAI's shape.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tandem_protocol::api::StreamNote;
use tokio::sync::mpsc::UnboundedReceiver;

use super::answer::{Event, SIGN_OF_LIFE};
use super::openai::{ApiError, Writer};
use super::server::outcome;

/// What a stream ends with, as OpenAI's do.
const DONE: &str = "[DONE]";

struct Course {
    writer: Writer,
    events: UnboundedReceiver<Event>,
    lines: VecDeque<String>,
    request_id: String,
    ended: bool,
}

impl Course {
    fn take(&mut self, event: Event) {
        match event {
            Event::Piece { text, tokens } => self.put(&self.writer.piece(&text, &StreamNote::Tokens(tokens))),
            Event::Due(due) => self.put(&self.writer.piece("", &StreamNote::Due(due))),
            Event::End(result) => {
                outcome(result.as_ref().as_ref().err());
                self.ended = true;
                match *result {
                    Ok(answer) => {
                        self.writer.ending(answer).iter().for_each(|chunk| self.put(chunk));
                        self.lines.push_back(DONE.to_owned());
                    }
                    Err(error) => self.fail(&error),
                }
            }
        }
    }

    fn put(&mut self, chunk: &Value) {
        self.lines.push_back(chunk.to_string());
    }

    /// The status went out with the first byte, so an error comes as an event, with which the stream ends.
    fn fail(&mut self, error: &ApiError) {
        let mut body = error.body();
        body["error"]["request_id"] = self.request_id.as_str().into();
        self.put(&body);
    }
}

/// The response to a streamed request; dropping it closes `events`.
pub(super) fn response(writer: Writer, events: UnboundedReceiver<Event>, request_id: String) -> Response {
    let lines = writer.opening().iter().map(Value::to_string).collect();
    let course = Course { writer, events, lines, request_id, ended: false };
    let lines = stream::unfold(course, |mut course| async move {
        loop {
            if let Some(line) = course.lines.pop_front() {
                return Some((Ok::<_, Infallible>(Line::default().data(line)), course));
            }
            if course.ended {
                return None;
            }
            match course.events.recv().await {
                Some(event) => course.take(event),
                None => {
                    // The task that answers has died.
                    course.ended = true;
                    course.fail(&ApiError::internal());
                }
            }
        }
    });
    Sse::new(lines).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE).text("waiting")).into_response()
}
