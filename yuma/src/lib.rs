//! Yuma consensus.
