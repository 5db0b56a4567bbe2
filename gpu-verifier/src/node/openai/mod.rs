//! The shape of OpenAI's API: requests, answers, and how errors look.

mod request;
mod response;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tandem_protocol::payment::PaymentTerms;

pub use self::request::{Endpoint, ModelRequest, Prompt};
pub(super) use self::response::{Answer, Writer};
pub use self::response::{ChatChoice, ChatMessage, ChatResponse, Choice, CompletionResponse, Usage};

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

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the node failed; its log says why")
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What is sent, in an answer of its own or within a stream.
    pub(super) fn body(&self) -> Value {
        #[derive(Serialize)]
        struct Detail<'a> {
            message: &'a str,
            r#type: &'static str,
            param: Option<&'a str>,
            code: &'static str,
        }
        let kind = match self.status {
            StatusCode::PAYMENT_REQUIRED => "payment_required",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let error = Detail { message: &self.message, r#type: kind, param: self.param.as_deref(), code: self.code };
        match &self.terms {
            Some(terms) => json!({ "error": error, "tandem": terms }),
            None => json!({ "error": error }),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
