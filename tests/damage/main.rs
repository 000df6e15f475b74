//! Files that were damaged, removed, moved or edited: all acknowledged data is there, or the error has
//! a kind of its own and says where the damage is. Never other data, never a silent loss, no panic,
//! no hang.
//!
//! Places are drawn from a seed; `STRONGROOM_SEED=n` sets another one, `STRONGROOM_SOAK=n` tries n
//! times as many. A failure names seed and damage.
//!
//! One loss cannot be told from a crash: of a store that was not closed, and whose state has not got
//! so far yet, the last frame of the journal broken is a write that was cut off before it was
//! acknowledged. Such cases are counted apart, and may take away the last commit alone; or, where all
//! frames from some on are made zeros, these. That is what anchors are for.
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

#[path = "../support/mod.rs"]
mod support;

mod anchors;
mod files;
mod healing;
mod journal;
mod original;
mod records;
mod state;
mod tally;

#[cfg(feature = "planted-faults")]
#[test]
fn planted_faults_are_noticed() {
    support::catches("Aad", "records::a_value_with_an_edited_header_is_refused");
    support::catches("Root", "journal::a_store_without_damage_has_everything");
}
