//! Encode and decode with bincode 1.3.3: the only file that names it.
//!
//! Fixed-width little-endian integers, so that a value has one encoding, and no trailing bytes.
//! Only slices are read, never streams: bincode then checks every length against the bytes there
//! are before it allocates. Callers pass authenticated plaintext of bounded size.

use bincode::Options as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::format::Malformed;

fn options() -> impl bincode::Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .reject_trailing_bytes()
}

/// How many bytes [`encode_into`] needs.
pub(crate) fn encoded_len<T: Serialize>(value: &T) -> Result<usize, Malformed> {
    let len = options().serialized_size(value).map_err(|_| Malformed)?;
    usize::try_from(len).map_err(|_| Malformed)
}

/// Fills `out` exactly. Nothing is allocated, so no copy of what is encoded stays behind.
pub(crate) fn encode_into<T: Serialize>(value: &T, out: &mut [u8]) -> Result<(), Malformed> {
    let mut rest = &mut *out;
    options().serialize_into(&mut rest, value).map_err(|_| Malformed)?;
    if rest.is_empty() { Ok(()) } else { Err(Malformed) }
}

/// Reads a value that takes up all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    options().deserialize(bytes).map_err(|_| Malformed)
}

/// In front of a body that may get other fields one day: bincode does not describe itself.
const SCHEMA_BYTES: usize = 2;

/// How many bytes [`encode_with_schema`] needs.
pub(crate) fn encoded_len_with_schema<T: Serialize>(value: &T) -> Result<usize, Malformed> {
    encoded_len(value)?.checked_add(SCHEMA_BYTES).ok_or(Malformed)
}

/// Fills `out` exactly with `u16 schema ‖ value`.
pub(crate) fn encode_with_schema<T: Serialize>(
    schema: u16,
    value: &T,
    out: &mut [u8],
) -> Result<(), Malformed> {
    let (front, body) = out.split_first_chunk_mut::<SCHEMA_BYTES>().ok_or(Malformed)?;
    *front = schema.to_be_bytes();
    encode_into(value, body)
}

/// Reads what [`encode_with_schema`] wrote under the same schema.
pub(crate) fn decode_with_schema<T: DeserializeOwned>(
    schema: u16,
    bytes: &[u8],
) -> Result<T, Malformed> {
    match bytes.split_first_chunk::<SCHEMA_BYTES>() {
        Some((front, body)) if *front == schema.to_be_bytes() => decode(body),
        _ => Err(Malformed),
    }
}

/// Gives a type the encoding behind a schema.
macro_rules! with_schema {
    ($name:ident, $schema:expr) => {
        impl $name {
            pub(crate) fn encoded_len(&self) -> Result<usize, Malformed> {
                $crate::format::codec::encoded_len_with_schema(self)
            }

            pub(crate) fn encode_into(&self, out: &mut [u8]) -> Result<(), Malformed> {
                $crate::format::codec::encode_with_schema($schema, self, out)
            }

            pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
                $crate::format::codec::decode_with_schema($schema, bytes)
            }
        }
    };
}
pub(super) use with_schema;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_encoding_and_nothing_may_follow_it() {
        let value = (7_u32, "text".to_owned(), vec![1_u64, 2]);
        let mut bytes = vec![0; encoded_len(&value).unwrap()];
        encode_into(&value, &mut bytes).unwrap();
        assert_eq!(decode::<(u32, String, Vec<u64>)>(&bytes), Ok(value.clone()));
        bytes.push(0);
        assert_eq!(decode::<(u32, String, Vec<u64>)>(&bytes), Err(Malformed));
        assert_eq!(encode_into(&value, &mut bytes), Err(Malformed), "too long a buffer");
        assert_eq!(encode_into(&value, &mut [0; 9]), Err(Malformed), "too short a buffer");
    }

    #[test]
    fn a_huge_length_is_refused_without_allocating_it() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0];
        assert_eq!(decode::<String>(&bytes), Err(Malformed));
        assert_eq!(decode::<Vec<u8>>(&bytes), Err(Malformed));
    }
}
