//! Integration tests of the command line: against a real chain, and with the whole network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod amounts;
mod command_line;
mod demo;
mod deployment;
mod support;
