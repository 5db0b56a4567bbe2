//! The shape of OpenAI's completions API: what is understood, what is refused, and how errors look.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_protocol::api::{CompletionEvidence, CompletionPayment};
use tandem_protocol::payment::PaymentTerms;

use crate::generate::Finish;
use crate::sampling::MAX_TEMPERATURE;

/// OpenAI's default.
const DEFAULT_MAX_TOKENS: u64 = 16;

/// A request that is understood; whether it can be served and is paid is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletionRequest {
    /// Model asked for.
    pub model: String,
    /// Text to go on from.
    pub prompt: String,
    /// Longest answer, tokens.
    pub max_tokens: u64,
    /// Temperature in thousandths, as it is committed.
    pub temperature_milli: u32,
    /// Sampling seed, if the client chose one.
    pub seed: Option<u64>,
    /// The payment, if there is one.
    pub payment: Option<CompletionPayment>,
}

/// A refusal in OpenAI's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    param: Option<String>,
    message: String,
    terms: Option<Box<PaymentTerms>>,
    retry_after: Option<u32>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), terms: None, retry_after: None }
    }

    pub(super) fn bad_request(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// 402, with what to pay.
    pub(super) fn payment(code: &'static str, message: impl Into<String>, terms: PaymentTerms) -> Self {
        Self {
            param: Some("tandem".to_owned()),
            terms: Some(Box::new(terms)),
            ..Self::new(StatusCode::PAYMENT_REQUIRED, code, message)
        }
    }

    /// Too much at once; worth another try in a second.
    pub(super) fn busy(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(status, code, message) }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: Detail,
            #[serde(skip_serializing_if = "Option::is_none")]
            tandem: Option<Box<PaymentTerms>>,
        }
        #[derive(Serialize)]
        struct Detail {
            message: String,
            r#type: &'static str,
            param: Option<String>,
            code: &'static str,
        }
        let kind = match self.status {
            StatusCode::PAYMENT_REQUIRED => "payment_required",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let error = Detail { message: self.message, r#type: kind, param: self.param, code: self.code };
        let mut response = (self.status, Json(Body { error, tandem: self.terms })).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl CompletionRequest {
    /// Reads a request's body. A field that would change the answer is understood or refused, never ignored.
    ///
    /// # Errors
    /// 400, naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is no JSON object: {error}"))
        })?;
        // OpenAI's clients send null for what was not set.
        fields.retain(|_, value| !value.is_null());
        let request = Self {
            model: required(&mut fields, "model")?,
            prompt: required(&mut fields, "prompt")?,
            max_tokens: optional(&mut fields, "max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS),
            temperature_milli: temperature(optional(&mut fields, "temperature")?.unwrap_or(1.0))?,
            seed: optional(&mut fields, "seed")?,
            payment: optional(&mut fields, "tandem")?,
        };
        if request.max_tokens == 0 {
            return Err(ApiError::bad_request("invalid_value", "max_tokens", "max_tokens must be at least 1"));
        }
        refuse_others(&fields)?;
        Ok(request)
    }

    /// The temperature as the model takes it.
    pub fn temperature(&self) -> f32 {
        self.temperature_milli as f32 / 1000.0
    }
}

fn optional<T: serde::de::DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, ApiError> {
    let Some(value) = fields.remove(name) else { return Ok(None) };
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| ApiError::bad_request("invalid_value", name, format!("{name}: {error}")))
}

fn required(fields: &mut Map<String, Value>, name: &str) -> Result<String, ApiError> {
    optional(fields, name)?
        .ok_or_else(|| ApiError::bad_request("missing_required_parameter", name, format!("{name} is required")))
}

/// Thousandths are what the commitment holds, so a finer temperature cannot be answered for.
fn temperature(value: f64) -> Result<u32, ApiError> {
    let milli = value * 1000.0;
    let refuse = |why: &str| Err(ApiError::bad_request("invalid_value", "temperature", format!("temperature {why}")));
    if !(0.0..=f64::from(MAX_TEMPERATURE) * 1000.0).contains(&milli) {
        return refuse(&format!("must be between 0 and {MAX_TEMPERATURE}"));
    }
    if (milli - milli.round()).abs() > 1e-6 {
        return refuse("must be in steps of 0.001");
    }
    Ok(milli.round() as u32)
}

/// Everything else may only be given with the value that changes nothing.
fn refuse_others(fields: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in fields {
        let harmless = match name.as_str() {
            "user" | "metadata" => true,
            "stream" | "echo" => value == false,
            "n" | "best_of" => value == 1,
            "top_p" => value.as_f64() == Some(1.0),
            "presence_penalty" | "frequency_penalty" => value.as_f64() == Some(0.0),
            "logit_bias" => value.as_object().is_some_and(Map::is_empty),
            _ => false,
        };
        if !harmless {
            let message = format!("{name} is not supported, or not with this value");
            return Err(ApiError::bad_request("unsupported_parameter", name, message));
        }
    }
    Ok(())
}

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
