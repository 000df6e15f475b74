//! Overwriting the part of the stack that a computation with secrets used.
//!
//! The libraries of ciphers and hashes wipe their states, but not what the compiler spilled, nor the
//! blocks that they copy while they work: after decrypting, whole blocks of plaintext stand below the
//! end of the stack until something else happens to be written there.

use zeroize::optimization_barrier;

/// How far down the stack is overwritten: twice what the cipher uses, which a test measures. The default
/// cipher without AVX2 compiled in goes through functions that are not inlined, each with a frame of its
/// own.
///
/// Overwriting it costs some 0.1 microseconds.
const DEPTH: usize =
    if cfg!(any(feature = "ring", target_feature = "avx2")) { 8 * 1024 } else { 10 * 1024 };

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

/// One `memset`, which the barrier keeps from being left out as a write that nobody reads.
#[inline(never)]
fn burn() {
    let area = [0_u8; DEPTH];
    optimization_barrier(&area);
}

#[cfg(test)]
mod tests {
    use std::{fs::File, hint::black_box, os::unix::fs::FileExt as _, ptr};

    use super::*;
    #[cfg(not(feature = "ring"))]
    use crate::crypto::cipher_portable as chosen;
    #[cfg(feature = "ring")]
    use crate::crypto::cipher_ring as chosen;
    use crate::crypto::testkit::key;

    /// More than anything here uses.
    const LOOKED_AT: usize = 64 * 1024;

    const PAINT: u8 = 0xa5;

    #[inline(never)]
    fn paint() {
        let area = [PAINT; LOOKED_AT];
        optimization_barrier(&area);
    }

    /// What stands below the caller's frame after `work`, the lowest byte first.
    fn left_by(work: impl FnOnce()) -> Vec<u8> {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut left = vec![0; LOOKED_AT];
        let here = 0_u8;
        let end = ptr::from_ref(black_box(&here)).addr() as u64;
        paint();
        work();
        memory.read_exact_at(&mut left, end.saturating_sub(LOOKED_AT as u64)).unwrap();
        left
    }

    /// How far down `work` wrote.
    fn depth(work: impl FnOnce()) -> usize {
        let left = left_by(|| apart(work));
        left.iter().skip_while(|byte| **byte == PAINT).count()
    }

    #[test]
    fn the_cipher_uses_half_of_what_is_overwritten_at_most() {
        let (key, nonce, aad) = (key(1), [2; 24], [3; 60]);
        let mut deepest = 0;
        for len in [0, 1, 64, 300, 1500, 4096, 40_000] {
            let mut buffer = vec![0; len];
            let mut tag = [0; 16];
            let seal = depth(|| tag = chosen::seal(&key, &nonce, &aad, &mut buffer).unwrap());
            let open = depth(|| chosen::open(&key, &nonce, &aad, &mut buffer, &tag).unwrap());
            deepest = deepest.max(seal).max(open);
        }
        assert!(deepest > 1000, "{deepest}: not measured");
        assert!(2 * deepest <= DEPTH, "{deepest} of {DEPTH}");
    }

    /// Leaves a word on the stack, as far down as [`burn`] reaches but for its own frame and this one.
    fn leave_deep_down(word: u64) {
        let area = [word; (DEPTH - 256) / 8];
        optimization_barrier(&area);
    }

    #[test]
    fn nothing_is_left_in_what_is_overwritten() {
        let word = black_box(0x1122_3344_5566_7788_u64);
        let pieces =
            |left: &[u8]| left.windows(8).filter(|window| *window == word.to_ne_bytes()).count();
        let control = pieces(&left_by(|| apart(|| leave_deep_down(word))));
        // The look itself writes over the upper end.
        assert!(control > (DEPTH - 256) / 8 / 2, "{control}: the word is not found where it is");
        assert_eq!(pieces(&left_by(|| burn_after(|| leave_deep_down(word)))), 0);
    }
}
