//! Overwriting the part of the stack that a computation with secrets used.
//!
//! The libraries of ciphers and hashes wipe their states, but not what the compiler spilled, nor the
//! blocks that they copy while they work: after decrypting, whole blocks of plaintext stand below the
//! end of the stack until something else happens to be written there.

use std::hint::black_box;

use zeroize::Zeroize as _;

/// More than any computation here uses. Overwriting it costs some 0.1 microseconds.
const DEPTH: usize = 8 * 1024;

/// Does `work`, and overwrites what it left on the stack.
///
/// What `work` borrows or returns is not touched.
pub(crate) fn burn_after<T>(work: impl FnOnce() -> T) -> T {
    let made = apart(work);
    burn();
    made
}

/// In a frame of its own, which begins where that of [`burn`] does.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn burn() {
    let mut area = [0_u8; DEPTH];
    black_box(&mut area).zeroize();
    black_box(&area);
}
