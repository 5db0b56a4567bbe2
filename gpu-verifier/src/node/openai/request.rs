//! What is understood of a request, and what is refused.

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tandem_protocol::api::CompletionPayment;

use super::ApiError;
use crate::model::{MAX_STOP_BYTES, MAX_STOPS, Message, Role};
use crate::sampling::MAX_TEMPERATURE;

/// OpenAI's default of `/v1/completions`. A chat has none: it may become as long as is paid for.
const DEFAULT_MAX_TOKENS: u64 = 16;
/// Turns of a conversation.
const MAX_MESSAGES: usize = 1_024;
/// Variables of a chat template that a request may set.
const MAX_TEMPLATE_OPTIONS: usize = 16;

/// Which of the two shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/chat/completions`.
    Chat,
}

/// What an answer goes on from.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Text.
    Text(String),
    /// Its tokens.
    Tokens(Vec<u32>),
    /// A conversation, and what the request tells the chat template besides.
    Chat(Vec<Message>, Map<String, Value>),
}

/// A request that is understood; whether it can be served and is paid is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRequest {
    /// The shape of the answer.
    pub endpoint: Endpoint,
    /// Model asked for.
    pub model: String,
    /// What to go on from.
    pub prompt: Prompt,
    /// Longest answer, tokens; none in a chat that may become as long as is paid for.
    pub max_tokens: Option<u64>,
    /// Temperature in thousandths, as it is committed.
    pub temperature_milli: u32,
    /// Sampling seed, if the client chose one.
    pub seed: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the stream ends with a chunk that counts tokens.
    pub include_usage: bool,
    /// The payment, if there is one.
    pub payment: Option<CompletionPayment>,
}

impl ModelRequest {
    /// Reads a request's body. A field that would change the answer is understood or refused, never ignored.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Self, ApiError> {
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is no JSON object: {error}"))
        })?;
        // OpenAI's clients send null for what was not set.
        fields.retain(|_, value| !value.is_null());
        let stream = optional(&mut fields, "stream")?.unwrap_or(false);
        let request = Self {
            endpoint,
            model: required(&mut fields, "model")?,
            prompt: match endpoint {
                Endpoint::Completions => prompt(&mut fields)?,
                Endpoint::Chat => Prompt::Chat(messages(&mut fields)?, template_options(&mut fields)?),
            },
            max_tokens: max_tokens(endpoint, &mut fields)?,
            temperature_milli: temperature(optional(&mut fields, "temperature")?.unwrap_or(1.0))?,
            seed: optional(&mut fields, "seed")?,
            stop: stop(&mut fields)?,
            stream,
            include_usage: include_usage(stream, &mut fields)?,
            payment: optional(&mut fields, "tandem")?,
        };
        refuse_others(&fields)?;
        Ok(request)
    }

    /// The temperature as the model takes it.
    pub fn temperature(&self) -> f32 {
        self.temperature_milli as f32 / 1000.0
    }
}

fn invalid(name: &str, message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("invalid_value", name, format!("{name}: {message}"))
}

fn unsupported(name: &str) -> ApiError {
    let message = format!("{name} is not supported, or not with this value");
    ApiError::bad_request("unsupported_parameter", name, message)
}

fn optional<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<Option<T>, ApiError> {
    let Some(value) = fields.remove(name) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| invalid(name, error))
}

fn required<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<T, ApiError> {
    optional(fields, name)?
        .ok_or_else(|| ApiError::bad_request("missing_required_parameter", name, format!("{name} is required")))
}

fn prompt(fields: &mut Map<String, Value>) -> Result<Prompt, ApiError> {
    match required(fields, "prompt")? {
        Value::String(text) => Ok(Prompt::Text(text)),
        list @ Value::Array(_) => serde_json::from_value(list).map(Prompt::Tokens).map_err(|_| {
            invalid("prompt", "a list must be one prompt's token ids; several prompts are several requests")
        }),
        _ => Err(invalid("prompt", "neither text nor a list of token ids")),
    }
}

fn max_tokens(endpoint: Endpoint, fields: &mut Map<String, Value>) -> Result<Option<u64>, ApiError> {
    let tokens: Option<u64> = optional(fields, "max_tokens")?;
    let newer = match endpoint {
        Endpoint::Chat => optional(fields, "max_completion_tokens")?,
        Endpoint::Completions => None,
    };
    match (tokens, newer) {
        (Some(0), _) => Err(invalid("max_tokens", "must be at least 1")),
        (_, Some(0)) => Err(invalid("max_completion_tokens", "must be at least 1")),
        (Some(a), Some(b)) if a != b => Err(invalid("max_completion_tokens", "contradicts max_tokens")),
        (None, None) if endpoint == Endpoint::Completions => Ok(Some(DEFAULT_MAX_TOKENS)),
        (tokens, newer) => Ok(newer.or(tokens)),
    }
}

/// Thousandths are what the commitment holds, so a finer temperature cannot be answered for.
fn temperature(value: f64) -> Result<u32, ApiError> {
    let milli = value * 1000.0;
    if !(0.0..=f64::from(MAX_TEMPERATURE) * 1000.0).contains(&milli) {
        return Err(invalid("temperature", format!("must be between 0 and {MAX_TEMPERATURE}")));
    }
    if (milli - milli.round()).abs() > 1e-6 {
        return Err(invalid("temperature", "must be in steps of 0.001"));
    }
    Ok(milli.round() as u32)
}

fn stop(fields: &mut Map<String, Value>) -> Result<Vec<String>, ApiError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let stops = match optional(fields, "stop")? {
        None => vec![],
        Some(OneOrMany::One(text)) => vec![text],
        Some(OneOrMany::Many(texts)) => texts,
    };
    if stops.len() > MAX_STOPS {
        return Err(invalid("stop", format!("at most {MAX_STOPS}")));
    }
    // A replacement character may come and go while a character is unfinished.
    let fits = |text: &String| (1..=MAX_STOP_BYTES).contains(&text.len()) && !text.contains('\u{fffd}');
    if !stops.iter().all(fits) {
        return Err(invalid("stop", format!("each from 1 to {MAX_STOP_BYTES} bytes, without U+FFFD")));
    }
    Ok(stops)
}

fn include_usage(stream: bool, fields: &mut Map<String, Value>) -> Result<bool, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        include_usage: Option<bool>,
        include_obfuscation: Option<bool>,
    }
    match optional::<Options>(fields, "stream_options")? {
        None => Ok(false),
        Some(_) if !stream => Err(invalid("stream_options", "only with stream")),
        Some(Options { include_obfuscation: Some(true), .. }) => Err(unsupported("stream_options")),
        Some(options) => Ok(options.include_usage.unwrap_or(false)),
    }
}

fn messages(fields: &mut Map<String, Value>) -> Result<Vec<Message>, ApiError> {
    let list: Vec<Map<String, Value>> = required(fields, "messages")?;
    if !(1..=MAX_MESSAGES).contains(&list.len()) {
        return Err(invalid("messages", format!("from 1 to {MAX_MESSAGES}")));
    }
    list.into_iter().enumerate().map(|(at, fields)| message(&format!("messages[{at}]"), fields)).collect()
}

fn message(place: &str, mut fields: Map<String, Value>) -> Result<Message, ApiError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Parts(Vec<Part>),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        r#type: String,
        text: Option<String>,
    }
    fields.retain(|_, value| !value.is_null());
    let role: String = optional(&mut fields, "role").ok().flatten().unwrap_or_default();
    let role = match role.as_str() {
        // The newer name of the same thing; templates know the older one.
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(invalid(&format!("{place}.role"), "must be system, developer, user or assistant")),
    };
    let place_of_content = format!("{place}.content");
    let refuse = || invalid(&place_of_content, "must be text, or a list of parts of type text");
    let content = match fields.remove("content").map(Content::deserialize) {
        Some(Ok(Content::Text(text))) => text,
        Some(Ok(Content::Parts(parts))) => {
            let texts = parts.into_iter().map(|part| part.text.filter(|_| part.r#type == "text"));
            texts.collect::<Option<Vec<_>>>().ok_or_else(refuse)?.join("\n")
        }
        _ => return Err(refuse()),
    };
    // Clients send back whole answers, with what is empty in them.
    match fields.iter().find(|(_, value)| !value.as_array().is_some_and(Vec::is_empty)) {
        Some((name, _)) => Err(unsupported(&format!("{place}.{name}"))),
        None => Ok(Message { role, content }),
    }
}

fn template_options(fields: &mut Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let name = "chat_template_kwargs";
    let options: Map<String, Value> = optional(fields, name)?.unwrap_or_default();
    let plain = |value: &Value| value.is_boolean() || value.is_i64() || value.as_str().is_some_and(|s| s.len() <= 256);
    if options.len() > MAX_TEMPLATE_OPTIONS || !options.values().all(plain) {
        let message = format!("at most {MAX_TEMPLATE_OPTIONS} truth values, whole numbers and short texts");
        return Err(invalid(name, message));
    }
    Ok(options)
}

/// Everything else may only be given with the value that changes nothing.
fn refuse_others(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let harmless = |(name, value): &(&String, &Value)| match name.as_str() {
        "user" | "metadata" | "safety_identifier" | "prompt_cache_key" | "parallel_tool_calls" => true,
        "echo" | "logprobs" | "store" => **value == false,
        "n" | "best_of" => **value == 1,
        "top_p" => value.as_f64() == Some(1.0),
        "presence_penalty" | "frequency_penalty" => value.as_f64() == Some(0.0),
        "logit_bias" => value.as_object().is_some_and(Map::is_empty),
        "tools" | "functions" => value.as_array().is_some_and(Vec::is_empty),
        "tool_choice" | "function_call" => **value == "none",
        "response_format" => *value == &serde_json::json!({ "type": "text" }),
        "modalities" => *value == &serde_json::json!(["text"]),
        "service_tier" => **value == "auto" || **value == "default",
        _ => false,
    };
    match fields.iter().find(|field| !harmless(field)) {
        Some((name, _)) => Err(unsupported(name)),
        None => Ok(()),
    }
}
