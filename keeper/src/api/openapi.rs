//! The description of the API for machines. Paths and types come from the handlers; here is what all of them share.

use axum::{
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tandem_protocol::api::{ApiError, SIGNATURE_HEADER, SIGNER_HEADER, TIMESTAMP_HEADER};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, Info, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder, Tag,
        path::{Operation, PathItem},
        schema::Schema,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::{CODES, read::tagged};

/// Where the description is served.
pub(super) const PATH: &str = "/v1/openapi.json";
/// Version of the API, not of the program: its first number is the `v1` of the paths.
const VERSION: &str = "1.0.0";

/// What the paths are added to.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Tandem keeper", VERSION);
    info.description = Some(
        "Audits for workers, commits and rows of validators, agreement between keepers, proofs for claimants. Every refusal \
         is an ApiError with a stable code. Calls marked `signed` carry three headers: the signer's address, a timestamp in \
         seconds within 60 s of the keeper's clock, and the signer's EIP-712 signature of SignedRequest(signer, bodyHash, \
         timestamp), where bodyHash is keccak256 of method, space, path with query, newline and body. A signature is taken \
         once: two equal requests of one second differ by a nonce in the query, whose keys are otherwise ignored."
            .to_owned(),
    );
    OpenApiBuilder::new().info(info).tags(Some(tags())).build()
}

fn tags() -> Vec<Tag> {
    [
        ("workers", "Jobs: what a validator's workers audit"),
        ("validators", "Commits and rows of weights"),
        ("keepers", "What keepers ask each other, and anybody may"),
        ("claimants", "Rewards and their proofs"),
        ("operator", "Health and metrics"),
    ]
    .map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build())
    .to_vec()
}

/// Adds what every call has in common: how it refuses, and how it is signed.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(ApiError::name().into_owned(), refusals());
    for (name, header) in [("signed", SIGNER_HEADER), ("timestamp", TIMESTAMP_HEADER), ("signature", SIGNATURE_HEADER)]
    {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header)));
        components.add_security_scheme(name, scheme);
    }
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ApiError::name()))).build();
            let refusal = ResponseBuilder::new().description("a refusal").content("application/json", content).build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(refusal));
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().flatten()
}

/// The schema of a refusal, with every code there is.
fn refusals() -> RefOr<Schema> {
    let mut schema = ApiError::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema
        && let Some(RefOr::T(Schema::Object(code))) = object.properties.get_mut("code")
    {
        code.enum_values = Some(CODES.iter().map(|(code, _)| json!(code)).collect());
        let lines: Vec<String> = CODES.iter().map(|(code, what)| format!("* `{code}`: {what}")).collect();
        code.description = Some(format!("Stable code.\n\n{}", lines.join("\n")));
    }
    schema
}

/// The description as it goes out.
#[derive(Clone)]
pub(super) struct Served {
    text: bytes::Bytes,
    tag: String,
}

impl Served {
    pub(super) fn new(document: &OpenApi) -> Self {
        let text = document.to_json().unwrap_or_default();
        let tag = format!("\"{:x}\"", alloy_primitives::keccak256(&text));
        Self { text: text.into(), tag }
    }

    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        tagged(headers, &self.tag, "public, max-age=3600", || {
            ([(axum::http::header::CONTENT_TYPE, "application/json")], self.text.clone()).into_response()
        })
    }
}
