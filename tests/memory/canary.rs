//! Bytes that must not be found, and the search for them.
//!
//! The process holds them masked, so that it does not find its own list. A piece is eight bytes of a
//! canary, from any place in it: every copy of eight bytes or more is found, wherever it begins.
//! Nothing here allocates: the allocator itself comes here.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use zeroize::Zeroizing;

use crate::support::Random;

/// The length of most canaries.
pub const LEN: usize = 32;

const PIECE_LEN: usize = 8;
const PIECES_MAX: usize = 4096;
const CANARIES_MAX: usize = 64;
const MASK: u8 = 0xa7;
const MASK_WORD: u64 = u64::from_le_bytes([MASK; PIECE_LEN]);

static PIECES: [AtomicU64; PIECES_MAX] = [const { AtomicU64::new(0) }; PIECES_MAX];
/// The canary that a piece is of, and where in it the piece begins.
static ORIGINS: [AtomicU32; PIECES_MAX] = [const { AtomicU32::new(0) }; PIECES_MAX];
static PIECES_LEN: AtomicUsize = AtomicUsize::new(0);
static CANARIES_LEN: AtomicUsize = AtomicUsize::new(0);
/// Which pairs of bytes a masked piece begins with: most places in memory are done with by one look.
static BEGINNINGS: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// How many blocks with a piece of each canary were freed, and the size of the last one.
static FREED: [AtomicUsize; CANARIES_MAX] = [const { AtomicUsize::new(0) }; CANARIES_MAX];
static FREED_SIZE: [AtomicUsize; CANARIES_MAX] = [const { AtomicUsize::new(0) }; CANARIES_MAX];
static HOARDING: AtomicBool = AtomicBool::new(false);

/// Secret bytes that are kept masked, and searched for if they are registered.
#[derive(Clone, Debug)]
pub struct Canary {
    masked: Vec<u8>,
}

/// A piece that was found.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Piece {
    pub canary: usize,
    /// Where in the canary the piece begins.
    pub offset: usize,
}

impl Canary {
    /// Random signs that stand for themselves in text, JSON and passphrases; searched for from now on.
    pub fn text(random: &mut Random) -> Self {
        const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let sign = |random: &mut Random| black_box(SIGNS[random.below(SIGNS.len())]) ^ MASK;
        Self::registered((0..LEN).map(|_| sign(random)).collect())
    }

    /// Random bytes, searched for from now on.
    pub fn bytes(random: &mut Random) -> Self {
        Self::registered((0..LEN).map(|_| random.next() as u8).collect())
    }

    /// What `exposed` holds, searched for from now on.
    pub fn learn(exposed: &[u8]) -> Self {
        Self::registered(exposed.iter().map(|byte| black_box(*byte) ^ MASK).collect())
    }

    /// The same bytes in hexadecimal digits, searched for from now on.
    pub fn hex(&self) -> Self {
        const DIGITS: &[u8] = b"0123456789abcdef";
        let digit = |at: u8| black_box(DIGITS[usize::from(at)]) ^ MASK;
        let bytes = self.masked.iter().map(|byte| byte ^ MASK);
        Self::registered(bytes.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }

    /// As it is given to another process, and taken from one.
    pub fn masked(&self) -> &[u8] {
        &self.masked
    }

    pub fn registered(masked: Vec<u8>) -> Self {
        let canary = CANARIES_LEN.fetch_add(1, Ordering::SeqCst);
        assert!(canary < CANARIES_MAX && masked.len() >= PIECE_LEN);
        for (offset, piece) in masked.windows(PIECE_LEN).enumerate() {
            let word = u64::from_le_bytes(piece.try_into().unwrap());
            let at = PIECES_LEN.load(Ordering::SeqCst);
            PIECES[at].store(word, Ordering::SeqCst);
            ORIGINS[at].store((canary as u32) << 16 | offset as u32, Ordering::SeqCst);
            PIECES_LEN.store(at + 1, Ordering::SeqCst);
            let start = (word & 0xffff) as usize;
            BEGINNINGS[start / 64].fetch_or(1 << (start % 64), Ordering::SeqCst);
        }
        Self { masked }
    }

    /// Adds the bytes to `out`, which has room for them.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        assert!(out.capacity() - out.len() >= self.masked.len(), "it would grow, and leave a copy");
        self.masked.iter().for_each(|byte| out.push(byte ^ MASK));
    }

    /// Whether `bytes` are the canary, without a copy of it.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.masked.len()
            && bytes.iter().zip(&self.masked).all(|(byte, masked)| byte ^ MASK == *masked)
    }

    /// A text with the canary in the place of each `@`, in a buffer that never grew.
    pub fn within(&self, pattern: &str) -> String {
        let places = pattern.matches('@').count();
        let mut out = Vec::with_capacity(pattern.len() - places + places * self.masked.len());
        for (at, part) in pattern.split('@').enumerate() {
            if at > 0 {
                self.write_to(&mut out);
            }
            out.extend_from_slice(part.as_bytes());
        }
        String::from_utf8(out).expect("a canary of text")
    }

    /// The bytes in a box, wiped when dropped.
    pub fn boxed(&self) -> Box<Zeroizing<[u8; LEN]>> {
        let mut out = Box::new(Zeroizing::new([0; LEN]));
        out.iter_mut().zip(&self.masked).for_each(|(out, masked)| *out = masked ^ MASK);
        out
    }
}

/// Calls `found` for every piece in `bytes`, with where it begins.
pub fn search(bytes: &[u8], mut found: impl FnMut(usize, Piece)) {
    let pieces = PIECES_LEN.load(Ordering::SeqCst);
    if pieces == 0 {
        return;
    }
    for (at, word) in bytes.windows(PIECE_LEN).enumerate() {
        let masked = u64::from_le_bytes(word.try_into().expect("eight bytes")) ^ MASK_WORD;
        let start = (masked & 0xffff) as usize;
        let begins = BEGINNINGS[start / 64].load(Ordering::Relaxed) >> (start % 64) & 1 == 1;
        // Most of memory is zeros, which would take long if a piece begins with two of them.
        if masked == MASK_WORD || !begins {
            continue;
        }
        for (piece, origin) in PIECES[..pieces].iter().zip(&ORIGINS) {
            if piece.load(Ordering::Relaxed) == masked {
                let origin = origin.load(Ordering::Relaxed) as usize;
                found(at, Piece { canary: origin >> 16, offset: origin & 0xffff });
            }
        }
    }
}

/// Looks through a block before it is freed. It is kept for ever while blocks are [`hoard`]ed.
pub fn may_be_freed(block: &[u8]) -> bool {
    let mut last = usize::MAX;
    search(block, |_, piece| {
        if piece.canary != last {
            last = piece.canary;
            FREED[last].fetch_add(1, Ordering::SeqCst);
            FREED_SIZE[last].store(block.len(), Ordering::SeqCst);
        }
    });
    !HOARDING.load(Ordering::SeqCst)
}

/// Keeps what is freed from now on as it is: for secrets that are not known yet when they are freed.
pub fn hoard(on: bool) {
    HOARDING.store(on, Ordering::SeqCst);
}

/// How many blocks were freed with a piece of `canary` in them, and the size of the last one. Counts
/// from anew.
pub fn freed(canary: usize) -> (usize, usize) {
    (FREED[canary].swap(0, Ordering::SeqCst), FREED_SIZE[canary].load(Ordering::SeqCst))
}

/// How many canaries are searched for.
pub fn count() -> usize {
    CANARIES_LEN.load(Ordering::SeqCst)
}
