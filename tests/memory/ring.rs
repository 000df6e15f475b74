//! The keys of a store, had from its key file by code of its own: format and derivations as
//! `src/manual/format.md` has them.

use std::{fs, path::Path};

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::Sha256;

/// A key of the store.
#[derive(Debug)]
pub struct StoreKey {
    pub what: &'static str,
    /// Whether an open store holds it. The others are used once and wiped.
    pub kept: bool,
    pub bytes: [u8; 32],
}

const STORE_ID_AT: usize = 10;
const SLOT_AT: usize = STORE_ID_AT + 16 + 8 + 1;
/// Without its two bytes of length, without label and parameters.
const SLOT_LEN: usize = 4 + 1 + 1 + 8 + 2 + 32 + 32 + 24 + 48;

/// All keys of a store whose one slot opens with `master_key`.
pub fn keys_of(store: &Path, master_key: &[u8; 32]) -> Vec<StoreKey> {
    let file = fs::read(store.join("keys")).unwrap();
    let (store_id, slot) = (&file[STORE_ID_AT..][..16], &file[SLOT_AT..][..2 + SLOT_LEN]);
    let (slot_head, rest) = slot.split_at(2 + 4 + 1 + 1 + 8 + 2 + 32);
    let (salt, nonce, sealed) = (&slot_head[18..], &rest[32..56], &rest[56..]);
    let info = [b"SSv1/slot/\x01", store_id, &slot[2..6]].concat();
    let mut slot_keys = [0; 64];
    Hkdf::<Sha256>::new(Some(salt), master_key).expand(&info, &mut slot_keys).unwrap();
    assert_eq!(slot_keys[32..], rest[..32], "the commitment");
    let slot_key = slot_keys[..32].try_into().unwrap();
    let root = open(&slot_key, nonce, &[b"SSv1-SLOT", store_id, slot_head].concat(), sealed);
    let root: [u8; 32] = root.try_into().unwrap();

    let sub = |ikm: &[u8; 32], label: &str| {
        let mut out = [0; 32];
        let info = format!("SSv1/{label}");
        Hkdf::<Sha256>::new(Some(store_id), ikm).expand(info.as_bytes(), &mut out).unwrap();
        out
    };
    let keyring_key = sub(&root, "keyring-seal");
    let (head, rest) = file.split_at(SLOT_AT + 2 + SLOT_LEN);
    let (nonce, sealed) = rest[4..].split_at(24);
    let ring = open(&keyring_key, nonce, &[b"SSv1-KEYS", head].concat(), sealed);
    let key = |at: usize| -> [u8; 32] { ring[at..at + 32].try_into().unwrap() };
    let (first, int_key, name_key) = (key(2 + 4 + 2 + 5), key(45), key(77));
    assert_eq!(ring.len(), 2 + 4 + 2 + 37 + 64 + 1, "one generation and no old keys");
    let kept = |what, bytes| StoreKey { what, kept: true, bytes };
    let used = |what, bytes| StoreKey { what, kept: false, bytes };
    vec![
        kept("the key-encryption key", first),
        kept("the integrity key", int_key),
        kept("the name key", name_key),
        kept("the key of heads", sub(&first, "meta-seal")),
        kept("the key of the root", sub(&int_key, "root-seal")),
        kept("the key of the audit log", sub(&int_key, "log-seal")),
        kept("the key of the ring", keyring_key),
        used("the store root key", root),
        used("the key of the slot", slot_key),
        // Only their hashed forms are kept.
        used("the key of the set hash", sub(&int_key, "set-prf")),
        used("the key of the chain", sub(&int_key, "chain")),
        used("the key of the journal", sub(&int_key, "journal")),
        used("the key of names", sub(&name_key, "name-prf")),
        used("the key of tokens", sub(&name_key, "token-prf")),
    ]
}

fn open(key: &[u8; 32], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let nonce: &[u8; 24] = nonce.try_into().unwrap();
    let (body, tag) = sealed.split_last_chunk::<16>().unwrap();
    let mut plain = body.to_vec();
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher
        .decrypt_inout_detached(nonce.into(), aad, plain.as_mut_slice().into(), tag.into())
        .unwrap();
    plain
}
