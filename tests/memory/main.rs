//! What is left of values, passwords and keys in the memory of a process that used a store: nothing.
//!
//! Each test plays its scenario in a process of its own, with an allocator that looks through every
//! block before it is freed. The thread that worked stands still while another one looks through all
//! memory that can be written, its stack included. What is looked for are any eight bytes in a row of
//! a value, key or passphrase. A failure names the seed; `STRONGROOM_SEED=n` repeats it.
//!
//! Not seen: registers, and what was overwritten by chance.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod allocator;
mod canary;
mod child;
mod controls;
mod keys;
mod ring;
mod scan;
#[path = "../support/mod.rs"]
mod support;
mod values;

#[global_allocator]
static ALLOCATOR: allocator::Searching = allocator::Searching;
