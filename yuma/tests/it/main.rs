//! Behaviour of the consensus engine.

mod input;
mod median;
mod payout;
mod profiles;
mod properties;
mod published;
mod vectors;
