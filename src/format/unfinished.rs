//! The object that tells of values which were written before the heads that are to name them.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec};

const SCHEMA: u16 = 1;

/// Values at which nothing points yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct UnfinishedV1 {
    /// Keys of their records.
    pub(crate) vrecs: Vec<u64>,
}

impl UnfinishedV1 {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = vec![0; codec::encoded_len_with_schema(self)?];
        codec::encode_with_schema(SCHEMA, self, &mut out)?;
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode_with_schema(SCHEMA, bytes)
    }
}
