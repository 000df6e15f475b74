//! The key of one backup, which may leave the store.

use std::fmt;

use crate::crypto::{
    key::{KEY_LEN, Key},
    random::RandomError,
};

/// The key of one secret's backup: 32 bytes that open that backup and nothing else.
///
/// Needed only to restore the backup into another store. Whoever has it and the backup has every
/// value in it. Wiped from memory when dropped, and `Debug` does not print it.
pub struct BlobKey(Key);

impl BlobKey {
    /// The key that [`expose`](Self::expose) gave. The caller wipes his own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Key::init_with(|key| key.copy_from_slice(bytes)))
    }

    /// The bytes, to be kept where the backup is not.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub(crate) fn random() -> Result<Self, RandomError> {
        Key::random().map(Self)
    }

    /// The key from a slice of exactly its length.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Key::from_slice(bytes).map(Self)
    }

    pub(crate) fn key(&self) -> &Key {
        &self.0
    }

    pub(crate) const LEN: usize = KEY_LEN;
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_silent() {
        let key = BlobKey::random().unwrap();
        assert_eq!(BlobKey::from_bytes(key.expose()).expose(), key.expose());
        assert_eq!(BlobKey::from_slice(key.expose()).unwrap().key(), key.key());
        assert!(BlobKey::from_slice(&key.expose()[1..]).is_none());
        assert_eq!(format!("{key:?}"), "BlobKey(..)");
    }
}
