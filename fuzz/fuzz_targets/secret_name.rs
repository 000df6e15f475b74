//! Any bytes at all, taken for a name, label, version, type, anchor, token or description.
//!
//! Looks for: a panic, and a text that is read as one thing and written as another.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Whatever is read must be written as the same text again.
    strongroom::testing::fuzz::fuzz_secret_name(bytes);
});
