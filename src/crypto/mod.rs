//! Every cryptographic mechanism of the store: keys, sealed records, slots, hashes, randomness.
//!
//! Nothing here knows what a secret or a file is. Callers say where a record stands and what it is;
//! this layer binds that to the ciphertext. One suite exists (`0x01`): XChaCha20-Poly1305,
//! HKDF-SHA-256, HMAC-SHA-256, SHA-256, Argon2id. Integers are big-endian unless said otherwise.

mod blob_key;
mod cipher;
#[cfg(any(test, not(feature = "ring")))]
mod cipher_portable;
#[cfg(feature = "ring")]
mod cipher_ring;
mod derive;
mod envelope;
mod key;
mod mac;
mod passphrase;
pub(crate) mod random;
mod ring;
mod set_hash;
mod slot;
mod source;
mod stack;

#[cfg(test)]
mod testkit;

pub use self::blob_key::BlobKey;
pub use self::source::{MasterKey, MasterKeyError};
pub(crate) use self::{
    derive::{Join, Label, join, sub},
    envelope::{Envelope, Header, Place, Sealing, nonce_of},
    key::Key,
    mac::{ct_eq, sha256},
    passphrase::{Argon2Params, OutOfBounds, Passphrase},
    random::{Draw, RandomError},
    ring::KeyRing,
    set_hash::{Leaf, SetHash},
    slot::{Slot, SlotError, SlotSecret, Wrapped, open_ring, seal_ring, unwrap, wrap},
};

/// The algorithms of this release, as they are named in records, key rings and the key file.
pub(crate) const SUITE: u8 = 1;

/// Cryptographic checks failed.
///
/// One word whatever went wrong, so that nobody who feeds us bytes learns which check caught them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bytes cannot be authenticated")]
pub(crate) struct Forged;
