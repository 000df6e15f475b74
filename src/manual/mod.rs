//! Longer texts: the design of the crate, and how to run a store.

#[doc = include_str!("layers.md")]
pub mod layers {}

#[doc = include_str!("format.md")]
pub mod format {}

#[doc = include_str!("threat_model.md")]
pub mod threat_model {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("speed.md")]
pub mod speed {}

/// The README, whose example must run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}
