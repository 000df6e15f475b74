//! Slots of the key file: made and opened with a master key, a passphrase, or a key manager's key.

use secrecy::SecretString;

use crate::{
    commit::{KeyError, kms_slot},
    crypto::{
        Argon2Params, Draw, Key, MasterKey, Passphrase, Slot, SlotError, SlotSecret, Wrapped,
        unwrap, wrap,
    },
    domain::Timestamp,
    format::{KeyFile, KmsParams, SlotRecord, SlotType},
    kms::{KmsError, KmsKey},
};

/// Argon2 version 1.3, the first byte of a passphrase slot's parameters.
const ARGON2_VERSION: u8 = 0x13;

/// What unlocks a store: a slot of the key file opens with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// A 32-byte key that the embedder keeps.
    MasterKey(MasterKey),
    /// A passphrase, stretched with Argon2id.
    Passphrase(SecretString),
    /// A key of a key manager, which is asked whenever the store is opened.
    Kms(KmsKey),
}

/// What a slot of the key file opens with. Not in CSMS.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SlotKind {
    /// A master key.
    MasterKey,
    /// A passphrase.
    Passphrase,
    /// A key of a key manager. Both stand in the key file in the clear.
    Kms {
        /// What the key manager is called: see [`Kms::provider`](crate::Kms::provider).
        provider: String,
        /// The key's id.
        key_id: String,
    },
    /// Something that this release does not know, or cannot read.
    Unknown,
}

impl From<MasterKey> for Unlock {
    fn from(key: MasterKey) -> Self {
        Self::MasterKey(key)
    }
}

impl From<SecretString> for Unlock {
    fn from(passphrase: SecretString) -> Self {
        Self::Passphrase(passphrase)
    }
}

impl From<KmsKey> for Unlock {
    fn from(key: KmsKey) -> Self {
        Self::Kms(key)
    }
}

/// What is known of a slot without opening it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SlotInfo {
    pub(crate) id: u32,
    pub(crate) kind: SlotKind,
    pub(crate) label: String,
    pub(crate) created: Timestamp,
}

/// A slot that opens with `unlock`.
pub(super) fn new_slot(
    store_id: &[u8; 16],
    id: u32,
    unlock: &Unlock,
    root_key: &Key,
    (label, at): (String, Timestamp),
) -> Result<SlotRecord, KeyError> {
    let mut draw = Draw::new(32 + 16 + 24)?;
    let salt: [u8; 32] = draw.take()?;
    let mut record = SlotRecord {
        id,
        slot_type: SlotType::Raw as u8,
        label,
        created_s: u64::try_from(at.as_millis().div_euclid(1000)).unwrap_or(0),
        parameters: Vec::new(),
        salt,
        commitment: [0; 32],
        nonce: [0; 24],
        wrapped: [0; 48],
    };
    let (passphrase, data_key);
    let secret = match unlock {
        Unlock::MasterKey(key) => SlotSecret::Raw(key.key()),
        Unlock::Passphrase(text) => {
            let params = Argon2Params::recommended(draw.take()?);
            record.slot_type = SlotType::Passphrase as u8;
            record.parameters = encode_params(&params);
            passphrase = Passphrase::new(text.clone());
            SlotSecret::Passphrase { passphrase: &passphrase, params }
        }
        Unlock::Kms(key) => {
            record.slot_type = SlotType::Kms as u8;
            (data_key, record.parameters) = kms_slot::create_data_key(key, store_id, id)?;
            SlotSecret::Kms(data_key.key())
        }
    };
    let bytes = record.authenticated_bytes()?;
    let slot = Slot { store_id, slot_id: id, salt: &salt, bytes: &bytes };
    let wrapped = wrap(root_key, &secret, &slot, &mut draw)?;
    (record.commitment, record.nonce, record.wrapped) =
        (wrapped.commitment, wrapped.nonce, wrapped.sealed);
    Ok(record)
}

/// Opens the first slot that `unlock` fits.
///
/// If it fits none, the error is the one that says most: that a slot was changed, then that it is
/// damaged, then what a key manager said of one of its own, and only then [`KeyError::WrongKey`].
pub(super) fn storage_root_key(file: &KeyFile, unlock: &Unlock) -> Result<Key, KeyError> {
    let mut verdict = KeyError::WrongKey;
    for record in &file.slots {
        match open_slot(file, record, unlock) {
            Ok(Some(root_key)) => return Ok(root_key),
            Ok(None) => {}
            Err(err) if weight(&err) > weight(&verdict) => verdict = err,
            Err(_) => {}
        }
    }
    Err(verdict)
}

/// How much an error of a slot says.
fn weight(err: &KeyError) -> u8 {
    match err {
        KeyError::WrongKey => 0,
        KeyError::Kms { source: KmsError::Unavailable, .. } => 2,
        KeyError::Kms { .. } => 1,
        KeyError::Damaged => 3,
        _ => 4,
    }
}

/// The storage root key behind a slot. `None` if the slot is for another key.
fn open_slot(
    file: &KeyFile,
    record: &SlotRecord,
    unlock: &Unlock,
) -> Result<Option<Key>, KeyError> {
    let bytes = record.authenticated_bytes()?;
    let slot =
        Slot { store_id: &file.store_id, slot_id: record.id, salt: &record.salt, bytes: &bytes };
    let wrapped =
        Wrapped { commitment: record.commitment, nonce: record.nonce, sealed: record.wrapped };
    let opened = match unlock {
        Unlock::MasterKey(key) if record.slot_type == SlotType::Raw as u8 => {
            unwrap(&SlotSecret::Raw(key.key()), &slot, &wrapped)
        }
        Unlock::Passphrase(text) if record.slot_type == SlotType::Passphrase as u8 => {
            let passphrase = Passphrase::new(text.clone());
            let params = parse_params(&record.parameters)?;
            let secret = SlotSecret::Passphrase { passphrase: &passphrase, params };
            unwrap(&secret, &slot, &wrapped)
        }
        Unlock::Kms(key) if record.slot_type == SlotType::Kms as u8 => {
            let place = (&file.store_id, record.id);
            let data_key = kms_slot::decrypt_data_key(key, place, &record.parameters)?;
            let Some(data_key) = data_key else { return Ok(None) };
            match unwrap(&SlotSecret::Kms(data_key.key()), &slot, &wrapped) {
                // The slot is of this key, so it is the answer that is wrong.
                Err(SlotError::WrongKey) => return Err(kms_slot::wrong_answer(key)),
                opened => opened,
            }
        }
        _ => return Ok(None),
    };
    match opened {
        Ok(root_key) => Ok(Some(root_key)),
        Err(SlotError::WrongKey) => Ok(None),
        // Parameters that no slot was made with.
        Err(SlotError::Limits(_)) => Err(KeyError::Damaged),
        Err(err) => Err(err.into()),
    }
}

pub(super) fn slot_info(slot: &SlotRecord) -> SlotInfo {
    let created_ms = i64::try_from(slot.created_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    SlotInfo {
        id: slot.id,
        kind: slot_kind(slot),
        label: slot.label.clone(),
        created: Timestamp::from_millis(created_ms),
    }
}

fn slot_kind(slot: &SlotRecord) -> SlotKind {
    const RAW: u8 = SlotType::Raw as u8;
    const PASSPHRASE: u8 = SlotType::Passphrase as u8;
    const KMS: u8 = SlotType::Kms as u8;
    match slot.slot_type {
        RAW => SlotKind::MasterKey,
        PASSPHRASE => SlotKind::Passphrase,
        KMS => match KmsParams::parse(&slot.parameters) {
            Ok(KmsParams { provider, key_id, .. }) => {
                SlotKind::Kms { provider: provider.to_owned(), key_id: key_id.to_owned() }
            }
            Err(_) => SlotKind::Unknown,
        },
        _ => SlotKind::Unknown,
    }
}

fn encode_params(params: &Argon2Params) -> Vec<u8> {
    let mut bytes = vec![ARGON2_VERSION];
    for number in [params.m_kib, params.t, params.p] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&params.salt);
    bytes
}

fn parse_params(bytes: &[u8]) -> Result<Argon2Params, KeyError> {
    let [ARGON2_VERSION, rest @ ..] = bytes else { return Err(KeyError::Damaged) };
    let (numbers, salt) = rest.split_first_chunk::<12>().ok_or(KeyError::Damaged)?;
    let [m0, m1, m2, m3, t0, t1, t2, t3, p0, p1, p2, p3] = *numbers;
    Ok(Argon2Params {
        m_kib: u32::from_be_bytes([m0, m1, m2, m3]),
        t: u32::from_be_bytes([t0, t1, t2, t3]),
        p: u32::from_be_bytes([p0, p1, p2, p3]),
        salt: salt.try_into().map_err(|_| KeyError::Damaged)?,
    })
}
