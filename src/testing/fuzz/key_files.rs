//! Key files taken apart layer by layer, and put together again with another ring in them.

use std::sync::Arc;

use super::{must::Must as _, specimens::Layer};
use crate::{
    crypto::{
        Key, KeyRing, Label, Slot, SlotError, SlotSecret, Wrapped, open_ring, seal_ring, sub,
        unwrap,
    },
    format::{KeyFile, SlotRecord, SlotType},
    records::{HeadBody as _, Sealer, Stages},
};

/// Opens a key file with the raw key `key`. Gives its sequence number.
///
/// # Errors
///
/// The layer that refuses it.
pub fn check_key_file(bytes: &[u8], key: [u8; 32]) -> Result<u64, Layer> {
    let file = KeyFile::parse(bytes).map_err(|_| Layer::Shape)?;
    let keyring_key = keyring_key(&file, key)?;
    let head = file.authenticated_bytes().map_err(|_| Layer::Shape)?;
    let ring = open_ring(&keyring_key, &file.ring_nonce, &file.sealed_ring, &head);
    KeyRing::decode(&file.store_id, &ring.map_err(|_| Layer::Seal)?).map_err(|_| Layer::Body)?;
    Ok(file.ring_seq)
}

/// The key file `good` with `head` in front of its ring instead of its own, and with the ring edited
/// and sealed again, under this nonce, by the holder of the raw key `key`.
///
/// # Panics
///
/// If `good` does not open with the key.
#[must_use]
pub fn with_ring(
    good: &[u8],
    (key, nonce): ([u8; 32], [u8; 24]),
    head: &[u8],
    edit: &dyn Fn(&mut Vec<u8>),
) -> Vec<u8> {
    let file = KeyFile::parse(good).must("a good key file");
    let keyring_key = keyring_key(&file, key).must("the key opens it");
    let own_head = file.authenticated_bytes().must("it was parsed");
    let ring = open_ring(&keyring_key, &file.ring_nonce, &file.sealed_ring, &own_head);
    let mut ring = ring.must("it is sealed").to_vec();
    edit(&mut ring);
    let sealed = seal_ring(&keyring_key, &nonce, &ring, head).must("it is short");
    let len = u32::try_from(sealed.len().saturating_add(24)).must("it is short").to_be_bytes();
    [head, &len, &nonce, &sealed].concat()
}

fn keyring_key(file: &KeyFile, key: [u8; 32]) -> Result<Key, Layer> {
    let key = Key::init_with(|bytes| *bytes = key);
    let mut refused = Layer::Key;
    for record in file.slots.iter().filter(|slot| slot.slot_type == SlotType::Raw as u8) {
        match root_key(file, record, &key) {
            Ok(root_key) => return Ok(sub(&root_key, &file.store_id, Label::KeyringSeal)),
            Err(SlotError::WrongKey) => {}
            Err(_) => refused = Layer::Seal,
        }
    }
    Err(refused)
}

fn root_key(file: &KeyFile, record: &SlotRecord, key: &Key) -> Result<Key, SlotError> {
    let bytes = record.authenticated_bytes().map_err(|_| SlotError::Forged)?;
    let slot =
        Slot { store_id: &file.store_id, slot_id: record.id, salt: &record.salt, bytes: &bytes };
    let wrapped =
        Wrapped { commitment: record.commitment, nonce: record.nonce, sealed: record.wrapped };
    unwrap(&SlotSecret::Raw(key), &slot, &wrapped)
}

/// The numbers of the values in a `stages` record and the data keys that seal them, of the store with this
/// key file, whose raw key is `key`. `None` if the record is not the one of the name id.
#[must_use]
pub fn data_keys(
    (key_file, key): (&[u8], [u8; 32]),
    name_id: &[u8; 16],
    record: &[u8],
) -> Option<Vec<(u64, [u8; 32])>> {
    let file = KeyFile::parse(key_file).ok()?;
    let keyring_key = keyring_key(&file, key).ok()?;
    let head = file.authenticated_bytes().ok()?;
    let ring = open_ring(&keyring_key, &file.ring_nonce, &file.sealed_ring, &head).ok()?;
    let ring = Arc::new(KeyRing::decode(&file.store_id, &ring).ok()?);
    let sealer = Sealer { ring, store_id: file.store_id };
    let (stages, _) = Stages::open(&sealer, name_id, record).ok()?;
    let versions = stages.versions.iter();
    Some(versions.map(|entry| (entry.vrec, *entry.data_key.expose())).collect())
}
