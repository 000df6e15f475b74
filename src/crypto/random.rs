//! Randomness from the operating system; the only file that reads it.

use std::fmt;

use getrandom::SysRng;
use rand_core::TryRng;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::key::Key;

/// No random bytes could be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RandomError {
    /// An operation asked for more bytes than it had ordered: a bug, caught before any reuse.
    #[error("the random bytes ordered for this operation are used up")]
    Exhausted,
    /// The operating system gave none.
    #[error("the operating system gave no random bytes")]
    System(#[source] getrandom::Error),
}

/// Fills `bytes` from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    SysRng.try_fill_bytes(bytes).map_err(RandomError::System)
}

/// All the random bytes of one operation, fetched by one system call.
///
/// A call costs some 400 ns whether it brings 24 bytes or 56, and an operation that has its bytes
/// before it begins cannot fail half-way for want of them. No byte is handed out twice: what was
/// taken is wiped, and an empty draw is an error, never a panic and never a short answer.
pub(crate) struct Draw {
    bytes: Zeroizing<Vec<u8>>,
    taken: usize,
}

impl Draw {
    /// Fetches `len` bytes.
    pub(crate) fn new(len: usize) -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new(vec![0; len]);
        fill(&mut bytes)?;
        Ok(Self { bytes, taken: 0 })
    }

    /// `N` bytes that are not secret: nonces, salts, ids.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], RandomError> {
        let mut out = [0; N];
        self.move_into(&mut out)?;
        Ok(out)
    }

    /// A secret key, moved from the draw into its own box.
    pub(crate) fn take_key(&mut self) -> Result<Key, RandomError> {
        Key::try_init_with(|out| self.move_into(out))
    }

    fn move_into(&mut self, out: &mut [u8]) -> Result<(), RandomError> {
        let end = self.taken.checked_add(out.len()).ok_or(RandomError::Exhausted)?;
        let source = self.bytes.get_mut(self.taken..end).ok_or(RandomError::Exhausted)?;
        out.copy_from_slice(source);
        source.zeroize();
        self.taken = end;
        Ok(())
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_gives_what_was_ordered_and_then_an_error() {
        let mut draw = Draw::new(24 + 32 + 3).unwrap();
        let nonce: [u8; 24] = draw.take().unwrap();
        assert_ne!(nonce, [0; 24]);
        assert_ne!(draw.take_key().unwrap().expose(), &[0; 32]);
        assert!(matches!(draw.take::<4>(), Err(RandomError::Exhausted)), "four of three");
        assert!(matches!(draw.take_key(), Err(RandomError::Exhausted)), "a key of three bytes");
        let _: [u8; 3] = draw.take().unwrap();
        assert!(matches!(draw.take::<1>(), Err(RandomError::Exhausted)), "one of none");
    }

    #[test]
    fn an_empty_draw_gives_nothing() {
        let mut draw = Draw::new(0).unwrap();
        let _: [u8; 0] = draw.take().unwrap();
        assert!(matches!(draw.take::<1>(), Err(RandomError::Exhausted)));
    }

    #[test]
    fn taken_bytes_are_wiped_and_the_others_left() {
        let mut draw = Draw::new(64).unwrap();
        draw.bytes.fill(7);
        let _: [u8; 16] = draw.take().unwrap();
        let key = draw.take_key().unwrap();
        assert_eq!(key.expose(), &[7; 32]);
        assert_eq!(draw.bytes[..48], [0; 48]);
        assert_eq!(draw.bytes[48..], [7; 16]);
        assert_eq!(format!("{draw:?}"), "Draw(..)");
    }

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = (Draw::new(32).unwrap(), Draw::new(32).unwrap());
        assert_ne!(first.take::<32>().unwrap(), second.take::<32>().unwrap());
    }
}
