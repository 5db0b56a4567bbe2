//! TOPLOC proofs.
