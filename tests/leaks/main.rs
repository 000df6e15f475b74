//! No plaintext of a value, password, name, label, description, token or passphrase in any byte that is
//! written or logged, and no value, password, token or key in what is printed.
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

mod errors;
mod interface;
mod needles;
mod printed;
#[path = "../support/mod.rs"]
mod support;
mod written;
