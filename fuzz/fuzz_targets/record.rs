//! Any bytes at all, taken for a stored record.
//!
//! Looks for: a panic, an allocation that the input does not justify, two texts for one record (which
//! would let an attacker change bytes unseen), and a sealed record that opens after a change.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Decodes as each kind in turn; whatever decodes must encode to the same bytes again.
    strongroom::testing::fuzz::fuzz_record(bytes);
});
