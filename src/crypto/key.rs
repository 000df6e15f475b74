//! A secret key of 32 bytes that stays in one place and keeps quiet.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::{
    mac::ct_eq,
    random::{self, RandomError},
};

/// The length of every key, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// 32 secret bytes in a box, wiped when dropped.
///
/// Moving the `Key` moves a pointer, so no copies of the bytes are left on the stack; for the same
/// reason it is filled in place. There is no `Clone`, no `serde`, and `Debug` prints `Key(..)`.
/// Reading it takes the word `expose`, which is what a reviewer greps for.
pub(crate) struct Key(Box<Zeroizing<[u8; KEY_LEN]>>);

impl Key {
    /// A key whose bytes `fill` writes where they are to stay.
    pub(crate) fn init_with(fill: impl FnOnce(&mut [u8; KEY_LEN])) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        fill(&mut bytes);
        Self(bytes)
    }

    /// As [`init_with`](Self::init_with), for a `fill` that may fail; then nothing is kept.
    pub(crate) fn try_init_with<E>(
        fill: impl FnOnce(&mut [u8; KEY_LEN]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A new random key.
    pub(crate) fn random() -> Result<Self, RandomError> {
        Self::try_init_with(|bytes| random::fill(bytes))
    }

    /// A key from a slice of exactly 32 bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_LEN] = bytes.try_into().ok()?;
        Some(Self::init_with(|key| key.copy_from_slice(bytes)))
    }

    /// The bytes.
    pub(crate) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(self.expose(), other.expose())
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_filled_in_place_or_not_at_all() {
        assert_eq!(Key::init_with(|bytes| bytes.fill(3)).expose(), &[3; 32]);
        assert_eq!(Key::try_init_with(|_| Err::<(), _>("no")), Err("no"));
        assert_eq!(Key::from_slice(&[4; 32]).unwrap().expose(), &[4; 32]);
        assert_eq!(Key::from_slice(&[4; 31]), None);
        assert_eq!(Key::from_slice(&[4; 33]), None);
    }

    #[test]
    fn keys_are_equal_by_their_bytes() {
        let key = Key::random().unwrap();
        assert_eq!(Key::from_slice(key.expose()), Some(key));
        for bit in 0..256 {
            let other = Key::init_with(|bytes| bytes[bit / 8] = 1 << (bit % 8));
            assert_ne!(other, Key::init_with(|_| ()), "bit {bit}");
        }
        assert_ne!(Key::random().unwrap(), Key::random().unwrap());
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", Key::init_with(|bytes| bytes.fill(0xAB))), "Key(..)");
    }
}
