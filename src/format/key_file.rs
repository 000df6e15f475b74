//! The key file: who may unlock the store, and the sealed key ring.
//!
//! ```text
//! magic[8] ‖ format u8 ‖ suite u8 ‖ store id[16] ‖ ring seq u64 ‖ slots u8 ‖ slot* ‖ u32 len ‖ nonce[24] ‖ sealed ring
//! slot   u16 len of the rest ‖ id u32 ‖ type u8 ‖ u8 len ‖ label ‖ created s u64 ‖ u16 len ‖ parameters ‖ salt[32]
//!        ‖ commitment[32] ‖ nonce[24] ‖ wrapped storage root key[48]
//! ```
//!
//! Everything before the second `u32 len` is authenticated by the seal of the ring, so no slot can
//! be added, changed or dropped unseen. All limits are checked before any work is done.

use crate::format::root::Reader;

const MAGIC: [u8; 8] = *b"SECSTOR1";
const FORMAT: u8 = 1;
const SUITE: u8 = 1;

/// Longest key file that is read.
pub(crate) const KEY_FILE_LEN_MAX: usize = 256 * 1024;

/// Most slots of a store.
pub(crate) const SLOTS_MAX: usize = 16;

/// Longest label of a slot, in bytes.
pub(crate) const SLOT_LABEL_LEN_MAX: usize = 255;

/// Why bytes are no key file of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// They do not begin like one.
    #[error("not a key file")]
    Foreign,
    /// They are one of another version.
    #[error("a key file of format {0}")]
    Format(u8),
    /// They begin like one and go on wrongly.
    #[error("the key file is damaged")]
    Malformed,
}

/// The kind of secret that opens a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum SlotType {
    Raw = 1,
    Passphrase = 2,
    Kms = 3,
}

/// One way to unlock the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SlotRecord {
    pub(crate) id: u32,
    pub(crate) slot_type: u8,
    pub(crate) label: String,
    pub(crate) created_s: u64,
    pub(crate) parameters: Vec<u8>,
    pub(crate) salt: [u8; 32],
    pub(crate) commitment: [u8; 32],
    pub(crate) nonce: [u8; 24],
    pub(crate) wrapped: [u8; 48],
}

/// A key file whose shape is right; nothing in it is authenticated yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyFile {
    pub(crate) store_id: [u8; 16],
    pub(crate) ring_seq: u64,
    pub(crate) slots: Vec<SlotRecord>,
    pub(crate) ring_nonce: [u8; 24],
    pub(crate) sealed_ring: Vec<u8>,
}

impl SlotRecord {
    /// The slot's bytes from its length to its salt: what its own seal authenticates.
    pub(crate) fn authenticated_bytes(&self) -> Result<Vec<u8>, KeyFileError> {
        let label_len = u8::try_from(self.label.len()).map_err(|_| KeyFileError::Malformed)?;
        let parameters_len =
            u16::try_from(self.parameters.len()).map_err(|_| KeyFileError::Malformed)?;
        let mut rest = Vec::new();
        rest.extend_from_slice(&self.id.to_be_bytes());
        rest.push(self.slot_type);
        rest.push(label_len);
        rest.extend_from_slice(self.label.as_bytes());
        rest.extend_from_slice(&self.created_s.to_be_bytes());
        rest.extend_from_slice(&parameters_len.to_be_bytes());
        rest.extend_from_slice(&self.parameters);
        rest.extend_from_slice(&self.salt);
        let len = rest.len().checked_add(32 + 24 + 48).and_then(|len| u16::try_from(len).ok());
        let mut bytes = len.ok_or(KeyFileError::Malformed)?.to_be_bytes().to_vec();
        bytes.extend_from_slice(&rest);
        Ok(bytes)
    }

    fn encode(&self) -> Result<Vec<u8>, KeyFileError> {
        let mut bytes = self.authenticated_bytes()?;
        bytes.extend_from_slice(&self.commitment);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.wrapped);
        Ok(bytes)
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, KeyFileError> {
        let len = usize::from(u16::from_be_bytes(reader.take()?));
        let mut slot = Reader(reader.slice(len)?);
        let id = u32::from_be_bytes(slot.take()?);
        let [slot_type, label_len] = slot.take()?;
        let label = std::str::from_utf8(slot.slice(usize::from(label_len))?)
            .map_err(|_| KeyFileError::Malformed)?
            .to_owned();
        let created_s = u64::from_be_bytes(slot.take()?);
        let parameters_len = usize::from(u16::from_be_bytes(slot.take()?));
        let record = Self {
            id,
            slot_type,
            label,
            created_s,
            parameters: slot.slice(parameters_len)?.to_vec(),
            salt: slot.take()?,
            commitment: slot.take()?,
            nonce: slot.take()?,
            wrapped: slot.take()?,
        };
        if slot.0.is_empty() { Ok(record) } else { Err(KeyFileError::Malformed) }
    }
}

impl KeyFile {
    /// The bytes that the seal of the ring authenticates.
    pub(crate) fn authenticated_bytes(&self) -> Result<Vec<u8>, KeyFileError> {
        if self.slots.len() > SLOTS_MAX {
            return Err(KeyFileError::Malformed);
        }
        let slots = u8::try_from(self.slots.len()).map_err(|_| KeyFileError::Malformed)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[FORMAT, SUITE]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.ring_seq.to_be_bytes());
        bytes.push(slots);
        for slot in &self.slots {
            bytes.extend_from_slice(&slot.encode()?);
        }
        Ok(bytes)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, KeyFileError> {
        let mut bytes = self.authenticated_bytes()?;
        let len = self.sealed_ring.len().checked_add(self.ring_nonce.len());
        let len = len.and_then(|len| u32::try_from(len).ok()).ok_or(KeyFileError::Malformed)?;
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&self.ring_nonce);
        bytes.extend_from_slice(&self.sealed_ring);
        Ok(bytes)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > KEY_FILE_LEN_MAX {
            return Err(KeyFileError::Malformed);
        }
        let mut reader = Reader(bytes);
        if reader.take().ok() != Some(MAGIC) {
            return Err(KeyFileError::Foreign);
        }
        let [format, suite] = reader.take()?;
        if (format, suite) != (FORMAT, SUITE) {
            return Err(KeyFileError::Format(if format == FORMAT { suite } else { format }));
        }
        let store_id = reader.take()?;
        let ring_seq = u64::from_be_bytes(reader.take()?);
        let [count] = reader.take()?;
        if count == 0 || usize::from(count) > SLOTS_MAX {
            return Err(KeyFileError::Malformed);
        }
        let slots =
            (0..count).map(|_| SlotRecord::parse(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let len = usize::try_from(u32::from_be_bytes(reader.take()?));
        if len.ok() != Some(reader.0.len()) {
            return Err(KeyFileError::Malformed);
        }
        let ring_nonce = reader.take()?;
        Ok(Self { store_id, ring_seq, slots, ring_nonce, sealed_ring: reader.0.to_vec() })
    }
}

impl From<crate::format::Malformed> for KeyFileError {
    fn from(_: crate::format::Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(slots: u8) -> KeyFile {
        let slot = |id: u8| SlotRecord {
            id: id.into(),
            slot_type: 1,
            label: "a label".to_owned(),
            created_s: 3,
            parameters: vec![4; id.into()],
            salt: [5; 32],
            commitment: [6; 32],
            nonce: [7; 24],
            wrapped: [8; 48],
        };
        KeyFile {
            store_id: [9; 16],
            ring_seq: 10,
            slots: (1..=slots).map(slot).collect(),
            ring_nonce: [11; 24],
            sealed_ring: vec![12; 150],
        }
    }

    #[test]
    fn a_key_file_reads_back_and_every_cut_is_refused() {
        for slots in [1, 2, 16] {
            let bytes = file(slots).encode().unwrap();
            assert_eq!(KeyFile::parse(&bytes), Ok(file(slots)));
            for cut in 0..bytes.len() {
                assert!(KeyFile::parse(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            assert!(KeyFile::parse(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn the_kind_of_refusal_says_what_the_bytes_are() {
        let bytes = file(1).encode().unwrap();
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            KeyFile::parse(&bytes)
        };
        assert_eq!(with(0, b'X'), Err(KeyFileError::Foreign));
        assert_eq!(with(8, 2), Err(KeyFileError::Format(2)));
        assert_eq!(with(9, 7), Err(KeyFileError::Format(7)));
        assert_eq!(with(34, 0), Err(KeyFileError::Malformed), "no slot");
        assert_eq!(with(34, 17), Err(KeyFileError::Malformed), "too many slots");
        assert_eq!(KeyFile::parse(b""), Err(KeyFileError::Foreign));
        assert_eq!(file(17).encode(), Err(KeyFileError::Malformed));
    }
}
