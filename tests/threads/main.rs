//! Many threads and many processes at one store: what they were answered fits together, one process
//! is in at a time, and nothing stays behind.
//!
//! A failure names the seed; `STRONGROOM_SEED=n` draws other calls, `STRONGROOM_SOAK=n` n times as
//! many. How threads run beside each other nobody draws.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod calls;
mod closing;
mod history;
mod leftovers;
mod processes;
#[path = "../support/mod.rs"]
mod support;
