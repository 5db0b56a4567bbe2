//! Schemas of words that several types share, for services that describe themselves by OpenAPI.

use std::borrow::Cow;

use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{ObjectBuilder, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($name:ident: $pattern:literal, $what:literal;)*) => {$(
        #[doc = concat!("Schema: ", $what)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern));
                text.description(Some($what)).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

words! {
    Address: "^0x[0-9a-fA-F]{40}$", "An address, 0x-hex.";
    Hash: "^0x[0-9a-fA-F]{64}$", "32 bytes, 0x-hex.";
    Signature: "^0x[0-9a-fA-F]{130}$", "A signature `r ‖ s ‖ v` of 65 bytes, 0x-hex.";
    Decimal: "^(0|[1-9][0-9]*)$", "An amount in base units, below 2^128, as decimal digits.";
    Calldata: "^0x([0-9a-fA-F]{2})*$", "Input of a transaction, 0x-hex.";
}

macro_rules! pairs {
    ($($name:ident: $item:expr, $what:literal;)*) => {$(
        #[doc = concat!("Schema: ", $what)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let pair = ArrayBuilder::new().items(RefOr::T(Schema::Object($item.build())));
                pair.min_items(Some(2)).max_items(Some(2)).description(Some($what)).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

pairs! {
    RowEntry: ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(u16::MAX)),
        "An uid and its weight.";
    Receipt: ObjectBuilder::new().schema_type(Type::String).pattern(Some("^0x([0-9a-fA-F]{40}|[0-9a-fA-F]{130})$")),
        "A keeper's address and its signature.";
}
