//! What the book says of the tests and of the contracts is so: requirements, threats and errors are held against the sources.

mod errors;
mod marks;
mod sources;
mod threats;
