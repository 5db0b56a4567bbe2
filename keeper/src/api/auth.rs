//! Bodies: read with a limit, parsed strictly, and for workers signed.

use std::sync::Arc;

use alloy_primitives::Address;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use serde::de::DeserializeOwned;
use tandem_protocol::{
    api::{REQUEST_WINDOW, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER},
    messages::{SignatureBytes, SignedRequest, request_hash},
    signed::Signed,
};

use super::failure::Failure;
use crate::{keeper::Keeper, sender::now_ms};

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A JSON body whose request its signer, a validator with stake, has signed.
pub(super) struct SignedBody<T> {
    pub(super) signer: Address,
    pub(super) body: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<Keeper>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, keeper: &Arc<Keeper>) -> Result<Self, Failure> {
        parse(&bytes(request, keeper).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Keeper>> for SignedBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, keeper: &Arc<Keeper>) -> Result<Self, Failure> {
        let signer: Address = header(request.headers(), SIGNER_HEADER)?;
        let timestamp: u64 = header(request.headers(), TIMESTAMP_HEADER)?;
        let signature: SignatureBytes = header(request.headers(), SIGNATURE_HEADER)?;
        let now = now_ms() / 1_000;
        if now.abs_diff(timestamp) > REQUEST_WINDOW {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "K-AUTH-3",
                format!(
                    "timestamp {timestamp} is more than {REQUEST_WINDOW} s from this keeper's {now}; check the clock"
                ),
            ));
        }
        // Before anything costly: a stranger gets neither a signature checked nor a database opened.
        match keeper.is_validator(signer) {
            Some(true) => {}
            Some(false) => {
                return Err(Failure::new(
                    StatusCode::FORBIDDEN,
                    "K-AUTH-4",
                    format!("{signer} is no validator with stake in this epoch or the one before"),
                ));
            }
            None => return Err(Failure::stale_chain()),
        }
        let method = request.method().clone();
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let body = bytes(request, keeper).await?;
        let message = SignedRequest { signer, bodyHash: request_hash(method.as_str(), &path, &body), timestamp };
        Signed { message, signature }
            .verify(&keeper.network.domain(), signer)
            .map_err(|error| Failure::new(StatusCode::UNAUTHORIZED, "K-AUTH-2", error.to_string()))?;
        Ok(Self { signer, body: parse(&body)? })
    }
}

async fn bytes(request: Request, keeper: &Arc<Keeper>) -> Result<Bytes, Failure> {
    Bytes::from_request(request, keeper).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(fault) if fault.status() == StatusCode::PAYLOAD_TOO_LARGE => Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "K-BODY-2",
            format!("the body is larger than {} bytes", super::MAX_BODY),
        ),
        other => Failure::new(StatusCode::BAD_REQUEST, "K-BODY-1", other.to_string()),
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "K-BODY-1", format!("body: {error}")))
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, Failure> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "K-AUTH-1", format!("{name} is missing or malformed")))
}
