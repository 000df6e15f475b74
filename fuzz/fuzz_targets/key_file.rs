//! Any bytes at all, taken for a key file.
//!
//! Looks for: a panic, an allocation that the input does not justify, and two texts for one key file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Whatever parses must encode to the same bytes again.
    strongroom::testing::fuzz::fuzz_key_file(bytes);
});
