//! The fuzz target of whole stores without a fuzzer: lists of calls, closings and crashes from a seed. Those
//! of single parsers are in `parsers.rs`.
//!
//! A finding of the target becomes a named case here, with the bytes that the fuzzer printed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod support;

use strongroom::testing::fuzz;
use support::{Random, cases, in_time, scratch, seed};

#[test]
fn calls_closings_and_crashes_agree_with_the_model() {
    let (seed, count) = (seed(), cases(40));
    for number in 0..count {
        let mut random = Random::new(seed.wrapping_mul(0x0100_0000_01b3) ^ number as u64);
        let steps: Vec<u8> = (0..240).map(|_| random.next() as u8).collect();
        let dir = scratch();
        in_time(&format!("STRONGROOM_SEED={seed}, case {number}: {steps:02x?}"), || {
            fuzz::fuzz_store_ops(&steps, dir.path());
        });
    }
    println!("calls, closings and crashes: {count} runs agree with the model");
}
