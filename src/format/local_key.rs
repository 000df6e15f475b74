//! A key of the local key ring, an object of the store.
//!
//! `u16 schema ‖ body ‖ 32 bytes of key`. The key is raw bytes behind the body, as the data keys are in
//! the `stages` record, and for the same reason.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec};

const SCHEMA: u16 = 1;

const KEY_BYTES: usize = 32;

/// What is known of a key beside its bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct LocalKeyV1 {
    pub(crate) id: [u8; 16],
    /// Empty if it has none.
    pub(crate) alias: String,
    /// 0 enabled, 1 disabled.
    pub(crate) state: u8,
    pub(crate) created_ms: i64,
}

impl LocalKeyV1 {
    pub(crate) fn encoded_len(&self) -> Result<usize, Malformed> {
        codec::encoded_len_with_schema(self)?.checked_add(KEY_BYTES).ok_or(Malformed)
    }

    pub(crate) fn encode_into(&self, key: &[u8; 32], out: &mut [u8]) -> Result<(), Malformed> {
        let (body, place) = out.split_last_chunk_mut::<KEY_BYTES>().ok_or(Malformed)?;
        *place = *key;
        codec::encode_with_schema(SCHEMA, self, body)
    }

    /// The body, and the key as it stands in `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (body, key) = bytes.split_last_chunk::<KEY_BYTES>().ok_or(Malformed)?;
        Ok((codec::decode_with_schema(SCHEMA, body)?, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_no_cut_of_it_does() {
        let key = LocalKeyV1 { id: [7; 16], alias: "orders".to_owned(), state: 1, created_ms: 5 };
        let mut bytes = vec![0; key.encoded_len().unwrap()];
        key.encode_into(&[9; 32], &mut bytes).unwrap();
        assert_eq!(LocalKeyV1::decode(&bytes), Ok((key.clone(), &[9; 32][..])));
        for cut in 0..bytes.len() {
            assert!(LocalKeyV1::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(key.encode_into(&[9; 32], &mut bytes[1..]), Err(Malformed));
    }
}
