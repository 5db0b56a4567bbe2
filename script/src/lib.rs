//! The Tandem command line as a library: what `tandem deploy`, `verify`, the user commands and the demo are made of.

pub mod chain;
pub mod demo;
pub mod deploy;
pub mod keys;
pub mod manifest;
pub mod units;
pub mod user;
pub mod verify;
