//! What a slot says of the data key that opens it, if that is wrapped by a key manager.
//!
//! ```text
//! provider ‖ key id ‖ key version (empty) ‖ wrapped data key, each behind its u16 length
//! ```

use crate::format::{Malformed, root::Reader};

/// The parameters of a slot of a key manager. Nothing of it is secret.
#[derive(Debug)]
pub(crate) struct KmsParams<'a> {
    pub(crate) provider: &'a str,
    pub(crate) key_id: &'a str,
    pub(crate) wrapped: &'a [u8],
}

impl<'a> KmsParams<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let [provider, key_id, _version, wrapped] =
            [field(&mut reader)?, field(&mut reader)?, field(&mut reader)?, field(&mut reader)?];
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| Malformed);
        match reader.0.is_empty() {
            true => Ok(Self { provider: text(provider)?, key_id: text(key_id)?, wrapped }),
            false => Err(Malformed),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = Vec::new();
        let fields = [self.provider.as_bytes(), self.key_id.as_bytes(), &[], self.wrapped];
        for field in fields {
            let len = u16::try_from(field.len()).map_err(|_| Malformed)?;
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        Ok(bytes)
    }
}

fn field<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let len = u16::from_be_bytes(reader.take()?);
    reader.slice(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_back_and_every_cut_is_refused() {
        let params = KmsParams { provider: "local", key_id: "csms/default", wrapped: &[7; 60] };
        let bytes = params.encode().unwrap();
        assert_eq!(bytes[..7], *b"\0\x05local");
        let KmsParams { provider, key_id, wrapped } = KmsParams::parse(&bytes).unwrap();
        assert_eq!((provider, key_id, wrapped), ("local", "csms/default", &[7; 60][..]));
        for cut in 0..bytes.len() {
            assert!(KmsParams::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(KmsParams::parse(&[&bytes[..], &[0]].concat()).is_err());
        let no_text = [b"\0\x01\xff".as_slice(), &bytes[7..]].concat();
        assert!(KmsParams::parse(&no_text).is_err());
    }
}
