//! What `tandem-keeper` can be told to do beside running.

pub mod db;
pub mod guard;
