//! Slots: the store root key wrapped under a master key, a passphrase or a data key of a key manager; and
//! the key ring sealed.
//!
//! ```text
//! ikm        = the raw key, or Argon2id(passphrase), or the data key
//! okm        = HKDF-SHA-256(salt = slot salt, ikm,
//!                           info = "SSv1/slot/" ‖ type ‖ store_id ‖ u32(slot_id), 64 bytes)
//! slot_key   = okm[..32]        commitment = okm[32..]
//! slot       = AEAD(slot_key, nonce, root key, "SSv1-SLOT" ‖ store_id ‖ slot bytes up to the salt)
//! key ring   = AEAD(K_keyring, nonce, ring,    "SSv1-KEYS" ‖ file bytes up to the ring's length)
//! ```
//!
//! The cipher does not commit to its key: whoever knows several passphrases could make a slot that
//! opens under each of them, and learn from one attempt to open it which it was not. So every slot
//! states a commitment, which is compared before anything is decrypted; it opens under one key.
//! It also tells a wrong key from a damaged slot. Records need none: their keys are random, secret,
//! and named in the AAD.

use std::mem;

use zeroize::Zeroizing;

use crate::crypto::{
    Forged,
    cipher::{self, NONCE_LEN, TAG_LEN},
    derive::hkdf,
    key::{KEY_LEN, Key},
    mac::ct_eq,
    passphrase::{Argon2Params, OutOfBounds, Passphrase},
    random::{Draw, RandomError},
};

/// The length of a wrapped key, in bytes.
pub(crate) const WRAPPED_KEY_LEN: usize = KEY_LEN + TAG_LEN;

/// The length of a commitment, in bytes.
pub(crate) const COMMITMENT_LEN: usize = 32;

/// The length of a slot's salt, in bytes.
pub(crate) const SLOT_SALT_LEN: usize = 32;

/// A slot that was not made or not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// The key is the right one, and the slot was changed.
    #[error("the slot was tampered with")]
    Forged,
    /// Nothing was derived.
    #[error(transparent)]
    Limits(#[from] OutOfBounds),
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The slot belongs to another key or passphrase.
    #[error("the key does not open this slot")]
    WrongKey,
}

/// What opens a slot.
#[derive(Debug)]
pub(crate) enum SlotSecret<'a> {
    /// A data key.
    Kms(&'a Key),
    Passphrase {
        passphrase: &'a Passphrase,
        params: Argon2Params,
    },
    Raw(&'a Key),
}

impl SlotSecret<'_> {
    /// The type byte of slots that open with it.
    pub(crate) fn slot_type(&self) -> u8 {
        match self {
            Self::Raw(_) => 1,
            Self::Passphrase { .. } => 2,
            Self::Kms(_) => 3,
        }
    }

    fn check_for_new_slot(&self) -> Result<(), OutOfBounds> {
        match self {
            Self::Kms(_) | Self::Raw(_) => Ok(()),
            Self::Passphrase { passphrase, params } => {
                params.check_for_new_slot()?;
                passphrase.check_for_new_slot()
            }
        }
    }

    fn slot_keys(&self, slot: &Slot<'_>) -> Result<SlotKeys, OutOfBounds> {
        match self {
            Self::Kms(key) | Self::Raw(key) => Ok(slot.derive(key, self.slot_type())),
            Self::Passphrase { passphrase, params } => {
                Ok(slot.derive(&params.stretch(passphrase)?, self.slot_type()))
            }
        }
    }
}

/// What stands in the clear before the wrapped key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) store_id: &'a [u8; 16],
    pub(crate) slot_id: u32,
    pub(crate) salt: &'a [u8; SLOT_SALT_LEN],
    /// The slot's bytes in the file, from its length to its salt, both included.
    pub(crate) bytes: &'a [u8],
}

impl Slot<'_> {
    fn derive(&self, ikm: &Key, slot_type: u8) -> SlotKeys {
        let mut okm = Zeroizing::new([0; KEY_LEN + COMMITMENT_LEN]);
        let info: [&[u8]; 4] =
            [b"SSv1/slot/", &[slot_type], self.store_id, &self.slot_id.to_be_bytes()];
        hkdf(self.salt, ikm, &info, &mut okm);
        let (slot_key, commitment) = okm.split_at(KEY_LEN);
        let mut keys = SlotKeys {
            slot_key: Key::init_with(|out| out.copy_from_slice(slot_key)),
            commitment: [0; COMMITMENT_LEN],
        };
        keys.commitment.copy_from_slice(commitment);
        keys
    }

    fn aad(&self) -> Vec<u8> {
        let parts: [&[u8]; 3] = [b"SSv1-SLOT", self.store_id, self.bytes];
        parts.concat()
    }
}

struct SlotKeys {
    slot_key: Key,
    commitment: [u8; COMMITMENT_LEN],
}

/// What stands after a slot's salt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wrapped {
    pub(crate) commitment: [u8; COMMITMENT_LEN],
    pub(crate) nonce: [u8; NONCE_LEN],
    pub(crate) sealed: [u8; WRAPPED_KEY_LEN],
}

/// Makes a new slot for the store root key.
///
/// Refuses passphrases and parameters that are good enough for old slots only.
pub(crate) fn wrap(
    root_key: &Key,
    secret: &SlotSecret<'_>,
    slot: &Slot<'_>,
    draw: &mut Draw,
) -> Result<Wrapped, SlotError> {
    secret.check_for_new_slot()?;
    let keys = secret.slot_keys(slot)?;
    let nonce = draw.take()?;
    let sealed = seal(&keys.slot_key, &nonce, root_key.expose(), &slot.aad());
    let sealed: [u8; WRAPPED_KEY_LEN] =
        sealed.and_then(|it| it.try_into().map_err(|_| Forged)).map_err(|_| SlotError::Forged)?;
    Ok(Wrapped { commitment: keys.commitment, nonce, sealed })
}

/// Opens a slot and gives the store root key.
pub(crate) fn unwrap(
    secret: &SlotSecret<'_>,
    slot: &Slot<'_>,
    wrapped: &Wrapped,
) -> Result<Key, SlotError> {
    let keys = secret.slot_keys(slot)?;
    // Before decrypting: a slot that opens under several keys must be of no use.
    if !ct_eq(&keys.commitment, &wrapped.commitment) {
        return Err(SlotError::WrongKey);
    }
    let (body, tag) = wrapped.sealed.split_last_chunk().ok_or(SlotError::Forged)?;
    Key::try_init_with(|out| {
        out.copy_from_slice(body);
        cipher::open_in_place(&keys.slot_key, &wrapped.nonce, &slot.aad(), out, tag)
    })
    .map_err(|Forged| SlotError::Forged)
}

/// Seals the key ring's bytes; `file_head` is the key file up to the length in front of the ring.
///
/// All slots are in that head, so none can be added, edited or dropped unseen.
pub(crate) fn seal_ring(
    keyring_key: &Key,
    nonce: &[u8; NONCE_LEN],
    ring: &[u8],
    file_head: &[u8],
) -> Result<Vec<u8>, Forged> {
    seal(keyring_key, nonce, ring, &ring_aad(file_head))
}

/// Opens the key ring.
pub(crate) fn open_ring(
    keyring_key: &Key,
    nonce: &[u8; NONCE_LEN],
    sealed: &[u8],
    file_head: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Forged> {
    let (body, tag) = sealed.split_last_chunk().ok_or(Forged)?;
    let mut ring = Zeroizing::new(body.to_vec());
    cipher::open_in_place(keyring_key, nonce, &ring_aad(file_head), &mut ring, tag)?;
    Ok(ring)
}

fn ring_aad(file_head: &[u8]) -> Vec<u8> {
    [b"SSv1-KEYS", file_head].concat()
}

/// Copies the plaintext once, into a buffer that has room for the tag, and seals it there.
fn seal(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, Forged> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN)));
    buffer.extend_from_slice(plaintext);
    let tag = cipher::seal_in_place(key, nonce, aad, &mut buffer)?;
    buffer.extend_from_slice(&tag);
    Ok(mem::take(&mut *buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        passphrase::PASSPHRASE_SALT_LEN,
        testkit::{STORE_ID, key},
    };

    const SALT: [u8; 32] = [0x5A; 32];
    const SLOT: Slot<'_> =
        Slot { store_id: &STORE_ID, slot_id: 7, salt: &SALT, bytes: b"length to salt" };
    const FLOOR: Argon2Params =
        Argon2Params { m_kib: 19 * 1024, t: 2, p: 1, salt: [1; PASSPHRASE_SALT_LEN] };

    fn draw() -> Draw {
        Draw::new(NONCE_LEN).unwrap()
    }

    fn outcome(result: Result<Key, SlotError>) -> &'static str {
        match result {
            Ok(root_key) if root_key == key(0x11) => "the root key",
            Ok(_) => "another key",
            Err(SlotError::Forged) => "forged",
            Err(SlotError::Limits(_)) => "limits",
            Err(SlotError::Random(_)) => "random",
            Err(SlotError::WrongKey) => "wrong key",
        }
    }

    #[test]
    fn a_raw_slot_follows_the_documented_construction() {
        let wrapped = wrap(&key(0x11), &SlotSecret::Raw(&key(1)), &SLOT, &mut draw()).unwrap();
        let mut okm = [0; 64];
        let info = [b"SSv1/slot/\x01", &STORE_ID[..], &[0, 0, 0, 7]].concat();
        hkdf(&SALT, &key(1), &[&info], &mut okm);
        assert_eq!(wrapped.commitment, okm[32..]);
        let aad = [b"SSv1-SLOT", &STORE_ID[..], b"length to salt"].concat();
        let slot_key = Key::from_slice(&okm[..32]).unwrap();
        let mut body: [u8; 32] = wrapped.sealed[..32].try_into().unwrap();
        let tag = wrapped.sealed[32..].try_into().unwrap();
        cipher::open_in_place(&slot_key, &wrapped.nonce, &aad, &mut body, &tag).unwrap();
        assert_eq!(body, [0x11; 32]);
        assert_eq!(outcome(unwrap(&SlotSecret::Raw(&key(1)), &SLOT, &wrapped)), "the root key");
    }

    #[test]
    fn a_passphrase_slot_opens_with_its_passphrase_only() {
        let good = Passphrase::new("correct horse battery".into());
        let secret = SlotSecret::Passphrase { passphrase: &good, params: FLOOR };
        let wrapped = wrap(&key(0x11), &secret, &SLOT, &mut draw()).unwrap();
        assert_eq!(outcome(unwrap(&secret, &SLOT, &wrapped)), "the root key");
        let bad = Passphrase::new("correct horse batter".into());
        let secret = SlotSecret::Passphrase { passphrase: &bad, params: FLOOR };
        assert_eq!(outcome(unwrap(&secret, &SLOT, &wrapped)), "wrong key");
        let weaker = Argon2Params { t: 1, ..FLOOR };
        let secret = SlotSecret::Passphrase { passphrase: &good, params: weaker };
        assert_eq!(outcome(unwrap(&secret, &SLOT, &wrapped)), "wrong key", "edited parameters");
        // The stretched key itself is no raw key of this slot: the type is part of the derivation.
        let stretched = FLOOR.stretch(&good).unwrap();
        assert_eq!(outcome(unwrap(&SlotSecret::Raw(&stretched), &SLOT, &wrapped)), "wrong key");
    }

    #[test]
    fn a_master_key_opens_no_slot_of_a_key_manager_though_its_bytes_are_the_data_key() {
        let wrapped = wrap(&key(0x11), &SlotSecret::Kms(&key(1)), &SLOT, &mut draw()).unwrap();
        assert_eq!(outcome(unwrap(&SlotSecret::Kms(&key(1)), &SLOT, &wrapped)), "the root key");
        assert_eq!(outcome(unwrap(&SlotSecret::Raw(&key(1)), &SLOT, &wrapped)), "wrong key");
        assert_eq!(outcome(unwrap(&SlotSecret::Kms(&key(2)), &SLOT, &wrapped)), "wrong key");
    }

    #[test]
    fn a_wrong_key_and_a_damaged_slot_are_told_apart() {
        let good = SlotSecret::Raw(&key(1)).slot_type();
        assert_eq!(good, 1);
        let key_1 = key(1);
        let right = SlotSecret::Raw(&key_1);
        let wrapped = wrap(&key(0x11), &right, &SLOT, &mut draw()).unwrap();
        let wrong = unwrap(&SlotSecret::Raw(&key(2)), &SLOT, &wrapped);
        assert_eq!(outcome(wrong), "wrong key");
        for bit in 0..256 {
            let mut bad = wrapped;
            bad.commitment[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(outcome(unwrap(&right, &SLOT, &bad)), "wrong key", "commitment bit {bit}");
        }
        for bit in 0..8 * NONCE_LEN {
            let mut bad = wrapped;
            bad.nonce[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(outcome(unwrap(&right, &SLOT, &bad)), "forged", "nonce bit {bit}");
        }
        for bit in 0..8 * WRAPPED_KEY_LEN {
            let mut bad = wrapped;
            bad.sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(outcome(unwrap(&right, &SLOT, &bad)), "forged", "sealed bit {bit}");
        }
    }

    #[test]
    fn a_slot_is_bound_to_its_store_its_id_its_salt_and_its_bytes() {
        let key_1 = key(1);
        let secret = SlotSecret::Raw(&key_1);
        let wrapped = wrap(&key(0x11), &secret, &SLOT, &mut draw()).unwrap();
        let cases = [
            ("store", Slot { store_id: &[0; 16], ..SLOT }, "wrong key"),
            ("id", Slot { slot_id: 8, ..SLOT }, "wrong key"),
            ("salt", Slot { salt: &[0; 32], ..SLOT }, "wrong key"),
            ("bytes", Slot { bytes: b"Length to salt", ..SLOT }, "forged"),
            ("no bytes", Slot { bytes: b"", ..SLOT }, "forged"),
        ];
        for (what, slot, want) in cases {
            assert_eq!(outcome(unwrap(&secret, &slot, &wrapped)), want, "{what}");
        }
    }

    #[test]
    fn new_slots_need_good_passphrases_and_parameters() {
        let long = Passphrase::new("correct horse battery".into());
        let short = Passphrase::new("horse".into());
        let cases = [
            ("a short passphrase", &short, FLOOR),
            ("parameters below the floor", &long, Argon2Params { t: 1, ..FLOOR }),
            ("parameters above the ceiling", &long, Argon2Params { m_kib: u32::MAX, ..FLOOR }),
        ];
        for (what, passphrase, params) in cases {
            let secret = SlotSecret::Passphrase { passphrase, params };
            let made = wrap(&key(0x11), &secret, &SLOT, &mut draw());
            assert!(matches!(made, Err(SlotError::Limits(_))), "{what}");
        }
    }

    #[test]
    fn parameters_beyond_the_ceiling_are_refused_before_they_are_used() {
        let passphrase = Passphrase::new("correct horse battery".into());
        let params = Argon2Params { m_kib: u32::MAX, t: u32::MAX, ..FLOOR };
        let secret = SlotSecret::Passphrase { passphrase: &passphrase, params };
        let wrapped = Wrapped { commitment: [0; 32], nonce: [0; 24], sealed: [0; 48] };
        assert_eq!(outcome(unwrap(&secret, &SLOT, &wrapped)), "limits");
    }

    #[test]
    fn an_empty_draw_makes_no_slot() {
        let made = wrap(&key(0x11), &SlotSecret::Raw(&key(1)), &SLOT, &mut Draw::new(23).unwrap());
        assert!(matches!(made, Err(SlotError::Random(RandomError::Exhausted))));
    }

    #[test]
    fn the_ring_opens_behind_its_own_file_head_only() {
        let nonce = [3; NONCE_LEN];
        let sealed = seal_ring(&key(1), &nonce, b"the ring", b"head").unwrap();
        assert_eq!((sealed.len(), sealed.capacity()), (8 + TAG_LEN, 8 + TAG_LEN));
        assert_eq!(**open_ring(&key(1), &nonce, &sealed, b"head").unwrap(), *b"the ring");
        let mut direct = sealed.clone();
        let (body, tag) = direct.split_last_chunk_mut().unwrap();
        cipher::open_in_place(&key(1), &nonce, b"SSv1-KEYShead", body, tag).unwrap();
        assert_eq!(open_ring(&key(1), &nonce, &sealed, b"Head"), Err(Forged));
        assert_eq!(open_ring(&key(1), &[4; NONCE_LEN], &sealed, b"head"), Err(Forged));
        assert_eq!(open_ring(&key(2), &nonce, &sealed, b"head"), Err(Forged));
        for bit in 0..8 * sealed.len() {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_ring(&key(1), &nonce, &bad, b"head"), Err(Forged), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(open_ring(&key(1), &nonce, &sealed[..len], b"head"), Err(Forged), "{len}");
        }
    }
}
