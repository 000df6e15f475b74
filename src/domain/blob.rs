//! The backup of one secret, as text.

use std::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding as _};

/// In front of the text; the number is that of the format.
const PREFIX: &str = "ssb1:";

/// The longest text, in bytes (csms.md 1.12).
pub(crate) const BLOB_LEN_MAX: usize = 5 * 1024 * 1024;

/// One secret with all its versions, encrypted: what
/// [`backup_secret`](crate::SecretStore::backup_secret) makes and
/// [`restore_secret`](crate::SecretStore::restore_secret) takes (csms.md 2.6).
///
/// It is text, `ssb1:` and base64url, of at most 5 MiB. Nothing of the secret can be read from it
/// without the keys of the store that made it or its [`BlobKey`](crate::BlobKey), but about how long
/// it is, which store it comes from, and that it is a backup.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretBlob {
    text: Box<str>,
    bytes: Vec<u8>,
}

impl SecretBlob {
    /// The text, to be kept anywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text of sealed bytes, which [`text_len`] says is not too long.
    pub(crate) fn from_sealed(bytes: Vec<u8>) -> Self {
        let text = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&bytes));
        Self { text: text.into(), bytes }
    }

    /// What the text stands for.
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.bytes
    }
}

/// How long the text of so many bytes is.
pub(crate) fn text_len(bytes: usize) -> usize {
    bytes.saturating_mul(4).div_ceil(3).saturating_add(PREFIX.len())
}

/// Only says how long it is: the text fills screens.
impl fmt::Debug for SecretBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBlob({} bytes)", self.text.len())
    }
}

impl FromStr for SecretBlob {
    type Err = SecretBlobError;

    fn from_str(text: &str) -> Result<Self, SecretBlobError> {
        if text.len() > BLOB_LEN_MAX {
            return Err(SecretBlobError::TooLong { len: text.len() });
        }
        let body = text.strip_prefix(PREFIX).ok_or(SecretBlobError::Foreign)?;
        let bytes = Base64UrlUnpadded::decode_vec(body).map_err(|_| SecretBlobError::Malformed)?;
        Ok(Self { text: text.into(), bytes })
    }
}

/// Why a text is not the backup of a secret.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretBlobError {
    /// It does not begin like one of this format.
    #[error("a secret's backup begins with `{PREFIX}`")]
    Foreign,
    /// It begins like one, and goes on otherwise.
    #[error("a secret's backup is `{PREFIX}` and base64url")]
    Malformed,
    /// It is longer than any.
    #[error("a secret's backup has at most {BLOB_LEN_MAX} bytes, not {len}")]
    TooLong {
        /// How long it is, in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_reads_back_from_its_text_and_other_texts_are_refused() {
        for len in [0, 1, 2, 3, 100] {
            let blob = SecretBlob::from_sealed(vec![0xff; len]);
            assert_eq!(blob.as_str().len(), text_len(len));
            assert_eq!(blob.as_str().parse(), Ok(blob.clone()));
            assert_eq!(format!("{blob:?}"), format!("SecretBlob({} bytes)", text_len(len)));
        }
        let cases = [
            ("", SecretBlobError::Foreign),
            ("ssb2:AAAA", SecretBlobError::Foreign),
            ("ssb1:A", SecretBlobError::Malformed),
            ("ssb1:AAAA=", SecretBlobError::Malformed),
            ("ssb1:AAA AAAA", SecretBlobError::Malformed),
            ("ssb1:AB", SecretBlobError::Malformed), // bits that stand for nothing
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<SecretBlob>(), Err(want), "{text:?}");
        }
        let long = "x".repeat(BLOB_LEN_MAX + 1);
        let want = SecretBlobError::TooLong { len: BLOB_LEN_MAX + 1 };
        assert_eq!(long.parse::<SecretBlob>(), Err(want));
    }
}
