//! What is inside the backup of one secret.
//!
//! `u16 schema ‖ u32 body length ‖ body ‖ values`, the values as raw bytes in the order of the versions,
//! each as long as its version says; a destroyed version has none.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, SecretV1, StagesV1, codec, root::Reader};

const SCHEMA: u16 = 1;

/// Schema and length of the body.
const PREFIX_BYTES: usize = 6;

/// A secret without its values.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct BlobV1 {
    pub(crate) secret: SecretV1,
    /// Its versions have no data keys and no records.
    pub(crate) stages: StagesV1,
    pub(crate) revision: u64,
    pub(crate) made_ms: i64,
}

impl BlobV1 {
    /// Length with so many bytes of values.
    pub(crate) fn encoded_len(&self, values_len: usize) -> Result<usize, Malformed> {
        let len = codec::encoded_len(self)?.checked_add(PREFIX_BYTES).ok_or(Malformed)?;
        len.checked_add(values_len).ok_or(Malformed)
    }

    /// Fills the front of `out`, and gives the rest, for the values.
    pub(crate) fn encode_into<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], Malformed> {
        let body_len = codec::encoded_len(self)?;
        let (prefix, rest) = out.split_first_chunk_mut::<PREFIX_BYTES>().ok_or(Malformed)?;
        let [a, b] = SCHEMA.to_be_bytes();
        let [c, d, e, f] = u32::try_from(body_len).map_err(|_| Malformed)?.to_be_bytes();
        *prefix = [a, b, c, d, e, f];
        let (body, values) = rest.split_at_mut_checked(body_len).ok_or(Malformed)?;
        codec::encode_into(self, body)?;
        Ok(values)
    }

    /// The secret, and its values one after another.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let mut reader = Reader(bytes);
        if reader.take()? != SCHEMA.to_be_bytes() {
            return Err(Malformed);
        }
        let body_len =
            usize::try_from(u32::from_be_bytes(reader.take()?)).map_err(|_| Malformed)?;
        let body = codec::decode(reader.slice(body_len)?)?;
        Ok((body, reader.0))
    }
}
