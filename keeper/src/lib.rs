//! The Tandem keeper.
