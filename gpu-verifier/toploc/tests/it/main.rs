//! Tests of the published behaviour: byte compatibility, strictness, forgeries, fuzz.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a helper is a failed test")]
mod common;
mod defects;
mod forgery;
mod fuzz;
mod strict;
mod vectors;
