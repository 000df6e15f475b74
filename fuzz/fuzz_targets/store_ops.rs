//! Any calls, closings and crashes of a store, against a model of maps.
//!
//! Looks for: an answer that the rules of the documents do not give, an acknowledged change that is
//! gone after a crash, a call that is there by half, and a store that does not open again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // In memory if there is such a directory: what is looked for is not the disk.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(base).expect("a directory for the store");
    strongroom::testing::fuzz::fuzz_store_ops(bytes, dir.path());
});
