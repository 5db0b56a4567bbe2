//! Bodies: read with a limit and in time, parsed strictly, and for workers signed. Reads may be signed too.

use std::time::Duration;

use alloy_primitives::Address;
use alloy_sol_types::SolStruct;
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
use tokio::time::timeout;

use super::{Api, failure::Failure, limits::Caller};
use crate::sender::now_ms;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A JSON body whose request its signer, a validator with stake, has signed; each signature is taken once.
pub(super) struct SignedBody<T> {
    pub(super) signer: Address,
    pub(super) body: T,
}

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        parse(&bytes(request, api).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Api> for SignedBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let claim = Claim::of(request.headers())?;
        let signer = claim.signer;
        // Before anything costly: a stranger gets neither a body read nor a signature checked.
        match api.keeper.is_validator(signer) {
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
        let path = path_of(&request);
        let body = bytes(request, api).await?;
        claim.check(api, method.as_str(), &path, &body)?;
        Ok(Self { signer, body: parse(&body)? })
    }
}

/// Whether a request says that it is signed.
pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(SIGNER_HEADER)
}

/// Who signed a read: a keeper of the set, or a validator.
pub(super) fn reader(api: &Api, request: &Request) -> Result<Caller, Failure> {
    let claim = Claim::of(request.headers())?;
    let signer = claim.signer;
    let caller = if is_keeper(api, signer) {
        Caller::Keeper
    } else if api.keeper.is_validator(signer) == Some(true) {
        Caller::Validator
    } else {
        let words =
            format!("{signer} is neither a keeper of the set nor a validator with stake; ask without a signature");
        return Err(Failure::new(StatusCode::FORBIDDEN, "K-AUTH-4", words));
    };
    claim.check(api, request.method().as_str(), &path_of(request), b"")?;
    Ok(caller)
}

fn is_keeper(api: &Api, signer: Address) -> bool {
    let keeper = &api.keeper;
    let Some(epoch) = keeper.chain_time().and_then(|now| keeper.network.clock.epoch_at(now)) else { return false };
    [Some(epoch), epoch.checked_sub(1)]
        .into_iter()
        .flatten()
        .filter_map(|epoch| keeper.facts(epoch))
        .any(|facts| facts.keeper_set.keepers.contains(&signer))
}

/// What the headers say.
struct Claim {
    signer: Address,
    timestamp: u64,
    signature: SignatureBytes,
}

impl Claim {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let signer: Address = header(headers, SIGNER_HEADER)?;
        let timestamp: u64 = header(headers, TIMESTAMP_HEADER)?;
        let signature: SignatureBytes = header(headers, SIGNATURE_HEADER)?;
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
        Ok(Self { signer, timestamp, signature })
    }

    fn check(self, api: &Api, method: &str, path: &str, body: &[u8]) -> Result<(), Failure> {
        let Self { signer, timestamp, signature } = self;
        let message = SignedRequest { signer, bodyHash: request_hash(method, path, body), timestamp };
        let domain = api.keeper.network.domain();
        let digest = message.eip712_signing_hash(&domain);
        Signed { message, signature }
            .verify(&domain, signer)
            .map_err(|error| Failure::new(StatusCode::UNAUTHORIZED, "K-AUTH-2", error.to_string()))?;
        api.limits.signer(signer)?;
        if !api.seen.first(digest, now_ms() / 1_000) {
            let words = "this signed request was taken before; sign another one, with a nonce in its query";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "K-AUTH-5", words));
        }
        Ok(())
    }
}

fn path_of(request: &Request) -> String {
    request.uri().path_and_query().map_or_else(String::new, ToString::to_string)
}

async fn bytes(request: Request, api: &Api) -> Result<Bytes, Failure> {
    let patience = Duration::from_secs(api.config.body_timeout_s);
    let read = timeout(patience, Bytes::from_request(request, &())).await.map_err(|_| {
        let words = format!("the body did not come within {} s", api.config.body_timeout_s);
        Failure::new(StatusCode::REQUEST_TIMEOUT, "K-BODY-3", words)
    })?;
    read.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(fault) if fault.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "K-BODY-2", "the body is larger than this call takes")
        }
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
