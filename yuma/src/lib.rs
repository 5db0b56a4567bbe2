//! Yuma consensus as a pure function.
//!
//! Validators weigh miners; Yuma decides what the weights are worth. A weight counts only up to the **consensus**, the
//! largest weight that a share κ of the stake supports, so that a minority cannot lift a miner. What remains, weighed
//! by stake, is the miner's **rank** and, as a share, its **incentive**. Validators grow **bonds** with the miners they
//! support and earn **dividends** by them, so that whoever finds a good miner early is paid for it.
//!
//! This crate computes one epoch of one subnet from everything it depends on: integers only, no clock, no hashing maps,
//! no input or output, no dependencies, not even the standard library. The same input gives the same bits anywhere, and
//! nothing that can be passed in makes it panic.
//!
//! ```
//! use yuma::{Epoch, Hyperparameters, Neuron, Payout, Q32};
//!
//! // Two validators with permits; uids 2 and 3 are miners. Ticks are seconds here.
//! let validator = |stake, weights| Neuron { stake, permit: true, last_update: 900, weights, ..Neuron::default() };
//! let epoch = Epoch {
//!     now: 1_000,
//!     bonds_since: 500,
//!     owner: None,
//!     neurons: vec![
//!         validator(600 * 10u128.pow(18), vec![(2, 3), (3, 1)]),
//!         validator(400 * 10u128.pow(18), vec![(2, 1), (3, 3)]),
//!         Neuron::default(),
//!         Neuron::default(),
//!     ],
//! };
//! let outcome = epoch.run(&Hyperparameters::default())?;
//!
//! // 60 % of the stake outvotes 40 %: uid 2 counts with the larger weight, uid 3 with the smaller.
//! assert_eq!(outcome.consensus[2].to_u16(), 49_151);
//! assert_eq!(outcome.consensus[3].to_u16(), 16_383);
//! assert!(outcome.clipped[3] > Q32::ZERO);
//! assert_eq!(outcome.incentive.iter().copied().sum::<Q32>(), Q32::ONE);
//!
//! // A pot of 1,001 base units leaves nothing over.
//! let Payout::Paid(amounts) = outcome.pay_incentives(1_001) else { unreachable!("somebody earned") };
//! assert_eq!(amounts, [0, 0, 688, 313]);
//! # Ok::<(), yuma::Error>(())
//! ```
//!
//! # The epoch
//!
//! 1. *Activity*: a uid is inactive if `last_update + activity_cutoff < now`.
//! 2. *Stake*: what is below the threshold counts as none (the owner's excepted); the rest is normalised.
//! 3. *Permits* for the next epoch go to the K largest stakes above zero, among equals to the higher uid, and to the
//!    owner. In this epoch those of the last one hold.
//! 4. *Active stake* is the stake of active uids with a permit, normalised again.
//! 5. *Weights* of uids without permit, on oneself (but for the owner), not newer than the target's registration, or committed
//!    before it are left out ([`Obstacle`]). What remains of a row is normalised.
//! 6. *Consensus* `C` by [`weighted_median`]; clipped weights `W̄ = min(W, C)`; validator trust `Σ_j W̄`; rank
//!    `R = Σ_i S·W̄`; incentive `I = R / ΣR`.
//! 7. *Bonds* on uids that registered since the last epoch are dropped; the others move towards `W + penalty·(W̄ − W)` as
//!    [`Rules`] say, by a moving average with `α = 1 − bonds_moving_average`, or with an α for each bond ([`LiquidAlpha`]).
//!    Bonds of uids without a next permit end.
//! 8. *Dividends* are what bonds earn of the incentives, as shares.
//!
//! Sums are exact, so the order of uids matters only where a tie has to be broken: for the last permit, and for the
//! last units of an exact split.
//!
//! | what you have | what to call |
//! |---|---|
//! | ticks, registrations, last permits | [`Epoch::run`] |
//! | permits and activity, already decided | [`Snapshot::run`], which borrows its rows |
//! | epoch after epoch | [`Epoch::run_in`] or [`Snapshot::run_in`] with one [`Workspace`] |
//! | many subnets | [`run_many`]; with the feature `rayon`, on all threads |
//! | a question why | [`Epoch::explain`] or [`Snapshot::explain`], then [`Explanation::miner`] or [`Explanation::validator`] |
//!
//! # Profiles
//!
//! | | [`Profile::Subtensor`] | [`Profile::Tandem`] |
//! |---|---|---|
//! | incentive and dividends | floored, sum to slightly less than 1 | largest remainder, sum to exactly 1 |
//! | [`Outcome::emission`] | floored, dust is lost | halves split exactly |
//! | nobody earned incentives (or dividends) | the other side gets the whole amount | that half is carried |
//! | nobody earned either | validators are paid by stake | both halves are carried |
//! | under liquid alpha, a bond whose weight is omitted or clipped away | vanishes | decays by its `1 − α` |
//! | bonds of a validator that lost its permit | end at once | decay for [`Hyperparameters::permit_grace`], neither earning nor counting, and wake up with the permit |
//! | bonds that a former holder of the validator's uid left | count, if they are given | end |
//!
//! All else is the chain's arithmetic in both, the floors of bonds and of `u16` scores included. Without liquid alpha, an
//! omitted or clipped bond decays by `1 − α` in both profiles and both versions. `tests/it/profiles.rs` shows each difference.
//!
//! Where the chain's own types would saturate (sums of 32,768 full weights or bonds in one row or column), this engine goes
//! on exactly. Its exponential is another than the chain's: α differs by some 10⁻⁹, see [`LiquidAlpha::alpha`].
//!
//! # Speed
//!
//! Rows are read where they lie. Columns are turned once, a tile at a time, to find each median by selection; everything
//! else is two walks along the rows. Each row and column is divided by one reciprocal, whose floors are proved exact where it
//! is made. `cargo xtask bench yuma` times it beside a plain computation, `cargo xtask bench yuma-instructions` counts
//! instructions.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;
#[cfg(feature = "cli")]
extern crate std;

mod ballot;
mod divide;
mod epoch;
mod error;
mod explain;
mod growth;
mod input;
mod liquid;
mod many;
mod median;
mod outcome;
mod payout;
mod q32;
mod row;
mod standing;
#[cfg(feature = "cli")]
pub mod tool;
mod workspace;
mod yuma2;
mod yuma3;

pub use ballot::Obstacle;
pub use error::{Error, Table};
pub use explain::{Explanation, Ignored, MinerStory, Position, Support, ValidatorStory};
pub use input::{Epoch, Hyperparameters, Neuron, Profile, Row, Rules, Snapshot};
pub use liquid::LiquidAlpha;
pub use many::run_many;
pub use median::weighted_median;
pub use outcome::{Emission, Outcome, Payout};
pub use payout::split_exact;
pub use q32::Q32;
pub use workspace::Workspace;
