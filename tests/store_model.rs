//! A store behaves like maps: 2,000 sequences of random calls, closings and crashes against a model.
//!
//! The model is written for this alone (`src/testing/fuzz/model.rs`) and knows the rules of labels and
//! versions by itself. After every call the answers are compared, after every opening the whole
//! content; about one opening in ten is on a disk that fails somewhere. Some 50 calls a sequence.
//!
//! A failure prints its seed: `STRONGROOM_SEED=<seed> cargo test --all-features --test store_model
//! repeat`. More of it: `STRONGROOM_SEQUENCES=200000 cargo test --release --all-features --test store_model`.
#![allow(clippy::arithmetic_side_effects, reason = "test code")]

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
};

use strongroom::testing::fuzz;

/// Sequences of all tests here together.
const SEQUENCES: u64 = 2_000;

/// Tests, so that they run side by side.
const PARTS: u64 = 4;

/// Enough for some 50 calls: one takes four or five bytes.
const SEQUENCE_BYTES: usize = 250;

#[test]
fn sequences_agree_with_the_model_1() {
    part(0);
}

#[test]
fn sequences_agree_with_the_model_2() {
    part(1);
}

#[test]
fn sequences_agree_with_the_model_3() {
    part(2);
}

#[test]
fn sequences_agree_with_the_model_4() {
    part(3);
}

/// The sequence of the seed in the environment, or a first one.
#[test]
fn repeat() {
    sequence(number("STRONGROOM_SEED", 0));
}

fn part(part: u64) {
    let sequences = number("STRONGROOM_SEQUENCES", SEQUENCES);
    for seed in (part..sequences).step_by(PARTS.try_into().unwrap()) {
        catch_unwind(AssertUnwindSafe(|| sequence(seed))).unwrap_or_else(|panic| {
            eprintln!("repeat with STRONGROOM_SEED={seed}");
            resume_unwind(panic)
        });
    }
}

fn sequence(seed: u64) {
    let dir = tempfile::tempdir_in(quick_dir()).unwrap();
    fuzz::fuzz_store_ops(&bytes(seed), dir.path());
}

/// The same bytes for the same seed on every machine (SplitMix64).
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed;
    (0..SEQUENCE_BYTES)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)).to_le_bytes()[0]
        })
        .collect()
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().map_or(default, |text| text.parse().unwrap())
}

/// A directory in memory if there is one: what is tested is the answers, not the disk.
fn quick_dir() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { env::temp_dir() }
}
