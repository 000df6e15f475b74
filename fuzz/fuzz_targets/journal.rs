//! Any bytes at all, taken for a segment of the journal and for its parts.
//!
//! Looks for: a panic, an endless loop, an allocation that the input does not justify, and two texts
//! for one header, frame or payload. Macs are taken as right, so that what lies behind is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Whatever parses must encode to the same bytes again.
    strongroom::testing::fuzz::fuzz_journal(bytes);
});
