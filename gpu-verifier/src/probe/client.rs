//! What a request looks like on the wire.

use alloy_primitives::Address;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Serialize;
use tandem_protocol::api::CompletionPayment;

use super::Probe;

/// The library that a client seems to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// OpenAI's for Python.
    Python,
    /// OpenAI's for JavaScript.
    JavaScript,
    /// Any other: a user agent that many have.
    Plain,
}

/// A request; the keys go out in this order, which is that of OpenAI's libraries.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[Turn<'a>; 1]>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    tandem: &'a CompletionPayment,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
}

impl Client {
    /// The client behind a session key: one that changes its library with each request would be odd.
    pub fn of(session: Address) -> Self {
        match session[0] % 4 {
            0 | 1 => Self::Python,
            2 => Self::JavaScript,
            _ => Self::Plain,
        }
    }

    /// Headers of its requests.
    pub fn headers(self) -> HeaderMap {
        const COMMON: [(&str, &str); 2] = [("x-stainless-os", "Linux"), ("x-stainless-arch", "x64")];
        let own: &[(&str, &str)] = match self {
            Self::Python => &[
                ("x-stainless-lang", "python"),
                ("x-stainless-package-version", "1.109.1"),
                ("x-stainless-runtime", "CPython"),
                ("x-stainless-runtime-version", "3.12.3"),
                ("x-stainless-async", "false"),
                ("x-stainless-retry-count", "0"),
                ("x-stainless-read-timeout", "600"),
            ],
            Self::JavaScript => &[
                ("x-stainless-lang", "js"),
                ("x-stainless-package-version", "5.23.2"),
                ("x-stainless-runtime", "node"),
                ("x-stainless-runtime-version", "v22.14.0"),
                ("x-stainless-retry-count", "0"),
            ],
            Self::Plain => &[],
        };
        let agent = match self {
            Self::Python => "OpenAI/Python 1.109.1",
            Self::JavaScript => "OpenAI/JS 5.23.2",
            Self::Plain => "python-requests/2.32.3",
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static(if self == Self::Plain { "*/*" } else { "application/json" }));
        if self != Self::Plain {
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer none"));
            for (name, value) in COMMON.iter().chain(own) {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
        }
        headers
    }

    /// The body of a request.
    ///
    /// # Errors
    /// None that is known: everything in it can be written.
    pub fn body(self, model: &str, probe: &Probe, payment: &CompletionPayment) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Body {
            messages: probe.chat.then_some([Turn { role: "user", content: &probe.prompt }]),
            model,
            prompt: (!probe.chat).then_some(&probe.prompt),
            max_tokens: probe.max_tokens,
            seed: probe.seed,
            stream: probe.stream.then_some(true),
            temperature: probe.temperature_milli.map(|milli| f64::from(milli) / 1000.0),
            tandem: payment,
        })
    }
}
