//! Every cryptographic mechanism of the store: keys, sealed records, slots, hashes, randomness.
//!
//! Nothing here knows what a secret or a file is. Callers say where a record stands and what it is;
//! this layer binds that to the ciphertext. One suite exists (`0x01`): XChaCha20-Poly1305,
//! HKDF-SHA-256, HMAC-SHA-256, SHA-256, Argon2id. Integers are big-endian unless said otherwise.

pub(crate) mod cipher;
pub(crate) mod derive;
pub(crate) mod envelope;
pub(crate) mod key;
pub(crate) mod mac;
pub(crate) mod passphrase;
pub(crate) mod random;
pub(crate) mod ring;
pub(crate) mod set_hash;
pub(crate) mod slot;
pub(crate) mod source;

#[cfg(test)]
mod testkit;

/// The algorithms of this release, as they are named in records, key rings and the key file.
pub(crate) const SUITE: u8 = 1;

/// Cryptographic checks failed.
///
/// One word whatever went wrong, so that nobody who feeds us bytes learns which check caught them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bytes cannot be authenticated")]
pub(crate) struct Forged;
