//! The `stages` record: where a secret's labels point, and its version table. The hot record.
//!
//! `u16 schema ‖ u16 versions ‖ u32 body length ‖ body ‖ 32 bytes of data key for each version`.
//! The data keys are raw bytes behind the body on purpose: read through serde they would leave
//! copies on the stack, read in place they leave none.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec, root::Reader};

const SCHEMA: u16 = 1;

/// Schema, number of versions, length of the body.
const PREFIX_BYTES: usize = 8;

/// Length of a data key.
const DATA_KEY_BYTES: usize = 32;

/// The hot half of a secret's head.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct StagesV1 {
    pub(crate) sid: [u8; 16],
    /// 0 enabled, 1 disabled, 2 frozen; also what it was before its deletion was scheduled.
    pub(crate) state: u8,
    pub(crate) next_version: u64,
    pub(crate) updated_ms: i64,
    pub(crate) rotated_ms: Option<i64>,
    /// When it is to be deleted, if that is scheduled.
    pub(crate) deletion_ms: Option<i64>,
    pub(crate) labels: Vec<LabelV1>,
    /// Ascending by number.
    pub(crate) versions: Vec<VersionV1>,
    /// Oldest first.
    pub(crate) tokens: Vec<TokenV1>,
}

/// A label, the number of the version it is on, and since when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LabelV1 {
    pub(crate) name: LabelNameV1,
    pub(crate) version: u64,
    pub(crate) moved_ms: i64,
}

/// The built-in labels take four bytes, since every record has two of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum LabelNameV1 {
    Current,
    Previous,
    Pending,
    Custom(String),
}

/// A row of the version table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct VersionV1 {
    pub(crate) number: u64,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: Option<i64>,
    /// Key of the value's record.
    pub(crate) vrec: u64,
    /// Length of the value in bytes.
    pub(crate) len: u32,
    /// 0 text, 1 binary.
    pub(crate) value_kind: u8,
    /// 0 enabled, 1 disabled, 2 destroyed: the value's record is gone, the data key zeros.
    pub(crate) state: u8,
    /// The key of the key manager that wraps the data key; none for the default one.
    pub(crate) kms_key_id: Option<String>,
    pub(crate) not_before_ms: Option<i64>,
    /// When it is to be destroyed, if that is scheduled.
    pub(crate) destroy_ms: Option<i64>,
    /// Which events its expiry has fired since it was set: bit 0 near expiry, bit 1 expired.
    pub(crate) expiry_told: u8,
}

/// A request that was carried out: a repetition with the same token is answered from here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct TokenV1 {
    pub(crate) token: [u8; 16],
    /// Keyed hash of what was asked, so that a token used for something else is noticed.
    pub(crate) request: [u8; 16],
    pub(crate) version: u64,
}

impl StagesV1 {
    pub(crate) fn encoded_len(&self) -> Result<usize, Malformed> {
        let keys = self.versions.len().checked_mul(DATA_KEY_BYTES).ok_or(Malformed)?;
        let len = codec::encoded_len(self)?.checked_add(PREFIX_BYTES).ok_or(Malformed)?;
        len.checked_add(keys).ok_or(Malformed)
    }

    /// Fills `out`, with the data keys in the order of the versions.
    pub(crate) fn encode_into<'k>(
        &self,
        data_keys: impl Iterator<Item = &'k [u8; 32]>,
        out: &mut [u8],
    ) -> Result<(), Malformed> {
        let keys_len = self.versions.len().checked_mul(DATA_KEY_BYTES).ok_or(Malformed)?;
        let body_end = out.len().checked_sub(keys_len).ok_or(Malformed)?;
        let (front, keys) = out.split_at_mut_checked(body_end).ok_or(Malformed)?;
        let (prefix, body) = front.split_first_chunk_mut::<PREFIX_BYTES>().ok_or(Malformed)?;
        let versions = u16::try_from(self.versions.len()).map_err(|_| Malformed)?;
        let body_len = u32::try_from(body.len()).map_err(|_| Malformed)?;
        let [a, b] = SCHEMA.to_be_bytes();
        let [c, d] = versions.to_be_bytes();
        let [e, f, g, h] = body_len.to_be_bytes();
        *prefix = [a, b, c, d, e, f, g, h];
        codec::encode_into(self, body)?;
        let mut slots = keys.chunks_exact_mut(DATA_KEY_BYTES);
        for key in data_keys {
            slots.next().ok_or(Malformed)?.copy_from_slice(key);
        }
        if slots.next().is_some() { Err(Malformed) } else { Ok(()) }
    }

    /// The table, and the data keys as they stand in `bytes`, in the order of the versions.
    pub(crate) fn decode(
        bytes: &[u8],
    ) -> Result<(Self, std::slice::ChunksExact<'_, u8>), Malformed> {
        let mut reader = Reader(bytes);
        if reader.take()? != SCHEMA.to_be_bytes() {
            return Err(Malformed);
        }
        let versions = usize::from(u16::from_be_bytes(reader.take()?));
        let body_len =
            usize::try_from(u32::from_be_bytes(reader.take()?)).map_err(|_| Malformed)?;
        let stages: Self = codec::decode(reader.slice(body_len)?)?;
        let keys_len = versions.checked_mul(DATA_KEY_BYTES).ok_or(Malformed)?;
        if stages.versions.len() != versions || reader.0.len() != keys_len {
            return Err(Malformed);
        }
        Ok((stages, reader.0.chunks_exact(DATA_KEY_BYTES)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(versions: u64) -> StagesV1 {
        StagesV1 {
            sid: [1; 16],
            state: 0,
            next_version: versions.saturating_add(1),
            updated_ms: 5,
            rotated_ms: None,
            deletion_ms: None,
            labels: vec![LabelV1 { name: LabelNameV1::Current, version: 1, moved_ms: 5 }],
            versions: (1..=versions)
                .map(|number| VersionV1 {
                    number,
                    created_ms: 5,
                    expires_ms: None,
                    vrec: number,
                    len: 4,
                    value_kind: 0,
                    state: 0,
                    kms_key_id: None,
                    not_before_ms: None,
                    destroy_ms: None,
                    expiry_told: 0,
                })
                .collect(),
            tokens: Vec::new(),
        }
    }

    #[test]
    fn data_keys_come_back_in_the_order_of_the_versions() {
        for versions in [0, 1, 20] {
            let table = stages(versions);
            let keys: Vec<[u8; 32]> =
                table.versions.iter().map(|v| [v.number.to_le_bytes()[0]; 32]).collect();
            let mut bytes = vec![0; table.encoded_len().unwrap()];
            table.encode_into(keys.iter(), &mut bytes).unwrap();
            let (read, read_keys) = StagesV1::decode(&bytes).unwrap();
            assert_eq!(read, table);
            assert!(read_keys.eq(keys.iter().map(|key| &key[..])));
            for cut in 0..bytes.len() {
                assert!(StagesV1::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn another_number_of_data_keys_is_malformed() {
        let table = stages(3);
        let mut bytes = vec![0; table.encoded_len().unwrap()];
        for count in [2, 4] {
            let keys = vec![[0; 32]; count];
            assert_eq!(table.encode_into(keys.iter(), &mut bytes), Err(Malformed), "{count}");
        }
    }
}
