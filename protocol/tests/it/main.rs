//! Integration tests of the protocol.
