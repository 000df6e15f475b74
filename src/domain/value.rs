//! The plaintext of a version: the only type that holds one.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The plaintext of one version of a secret: text or bytes.
///
/// Wiped when dropped, and silent: `Debug` prints neither the value nor its length, and there
/// is no `Display`, no `Clone`, no `serde`, no `==`. Reading it takes the word `expose`, which is
/// what a reviewer greps for. Any length is a value here, also none (csms.md 8.1 row 22); the
/// store checks it against its limits.
///
/// The buffer that is handed in is taken over, not copied. Copies that were made before, by a
/// `String` that grew or a `&str` that was converted, are the caller's to avoid.
///
/// # Examples
///
/// ```
/// use strongroom::{SecretValue, ValueKind};
///
/// let value = SecretValue::from_string("correct horse");
/// assert_eq!(value.expose_str(), Some("correct horse"));
/// assert_eq!(value.kind(), ValueKind::Text);
/// assert_eq!(format!("{value:?}"), "SecretValue(..)");
/// ```
///
/// It is not copied, printed or compared by accident:
///
/// ```compile_fail,E0277
/// println!("{}", strongroom::SecretValue::from_string("x"));
/// ```
///
/// ```compile_fail,E0599
/// let _ = strongroom::SecretValue::from_string("x").clone();
/// ```
///
/// ```compile_fail,E0369
/// use strongroom::SecretValue;
/// let _ = SecretValue::from_string("x") == SecretValue::from_string("x");
/// ```
pub struct SecretValue(Plain);

/// What a [`SecretValue`] was stored as (csms.md 1.4).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ValueKind {
    /// Bytes: `secret_binary` of CSMS.
    Binary,
    /// UTF-8 text: `secret_string` of CSMS.
    Text,
}

impl SecretValue {
    /// A text. The buffer is taken over and wiped when the value is dropped.
    #[must_use]
    pub fn from_string(text: impl Into<String>) -> Self {
        Self(Plain::Text(Zeroizing::new(text.into())))
    }

    /// Bytes. The buffer is taken over and wiped when the value is dropped.
    ///
    /// They stay bytes even if they happen to be UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Plain::Binary(Zeroizing::new(bytes.into())))
    }

    /// What was opened, without a copy.
    ///
    /// # Errors
    ///
    /// [`NotText`] if it should be text and is not UTF-8. The bytes are wiped.
    pub(crate) fn from_parts(
        mut bytes: Zeroizing<Vec<u8>>,
        kind: ValueKind,
    ) -> Result<Self, NotText> {
        match kind {
            ValueKind::Binary => Ok(Self(Plain::Binary(bytes))),
            ValueKind::Text => match String::from_utf8(std::mem::take(&mut *bytes)) {
                Ok(text) => Ok(Self(Plain::Text(Zeroizing::new(text)))),
                Err(err) => {
                    // The error holds the bytes: take them back, to be wiped.
                    drop(Zeroizing::new(err.into_bytes()));
                    Err(NotText)
                }
            },
        }
    }

    /// The plaintext, in UTF-8 if it is text.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match &self.0 {
            Plain::Binary(bytes) => bytes,
            Plain::Text(text) => text.as_bytes(),
        }
    }

    /// The plaintext if it is text; `None` if it is binary, even if that is UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        match &self.0 {
            Plain::Binary(_) => None,
            Plain::Text(text) => Some(text),
        }
    }

    /// Whether it is text or binary.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        match &self.0 {
            Plain::Binary(_) => ValueKind::Binary,
            Plain::Text(_) => ValueKind::Text,
        }
    }

    /// The length that counts against the store's limit, in bytes.
    ///
    /// For text its UTF-8, for binary its base64 text with padding (csms.md 8.1 row 23).
    #[must_use]
    pub fn measured_len(&self) -> usize {
        let len = self.expose().len();
        match self.kind() {
            ValueKind::Text => len,
            // A buffer holds at most `isize::MAX` bytes, so this does not reach the end.
            ValueKind::Binary => len.div_ceil(BASE64_GROUP_BYTES).saturating_mul(BASE64_GROUP_LEN),
        }
    }

    /// Whether both are of one kind and hold the same bytes.
    ///
    /// The time it takes depends on the kinds and lengths only, not on the bytes.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.expose().ct_eq(other.expose()).into()
    }
}

/// Lets the value go unwiped if that fault is planted.
#[cfg(feature = "planted-faults")]
impl Drop for SecretValue {
    fn drop(&mut self) {
        use crate::domain::planted::{Planted, planted};
        if planted(Planted::Wipe) {
            match &mut self.0 {
                Plain::Text(text) => drop(std::mem::take(&mut **text)),
                Plain::Binary(bytes) => drop(std::mem::take(&mut **bytes)),
            }
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// Bytes that should be text are not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the value is not text")]
pub(crate) struct NotText;

/// Two types rather than bytes and a flag: text is checked once and read often.
///
/// Never shrunk and never grown: either would leave a copy in the freed buffer.
enum Plain {
    Binary(Zeroizing<Vec<u8>>),
    Text(Zeroizing<String>),
}

const BASE64_GROUP_BYTES: usize = 3;
const BASE64_GROUP_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};

    use super::*;

    #[test]
    fn text_and_bytes_are_kept_apart() {
        let text = SecretValue::from_string("abc");
        let bytes = SecretValue::from_bytes(b"abc".to_vec());
        assert_eq!((text.kind(), bytes.kind()), (ValueKind::Text, ValueKind::Binary));
        assert_eq!((text.expose(), bytes.expose()), (&b"abc"[..], &b"abc"[..]));
        assert_eq!((text.expose_str(), bytes.expose_str()), (Some("abc"), None));
        assert!(!text.ct_eq(&bytes));
    }

    #[test]
    fn an_empty_text_is_a_value() {
        let value = SecretValue::from_string("");
        assert_eq!(value.expose_str(), Some(""));
        assert_eq!(value.measured_len(), 0);
    }

    #[test]
    fn text_is_measured_in_bytes_and_binary_in_base64() {
        assert_eq!(SecretValue::from_string("caf\u{e9}").measured_len(), 5);
        for len in [0_usize, 1, 2, 3, 4, 24_573, 24_574, 24_576, 24_577] {
            let bytes = vec![7_u8; len];
            let want = Base64::encode_string(&bytes).len();
            assert_eq!(SecretValue::from_bytes(bytes).measured_len(), want, "case: {len} bytes");
        }
        // The limit of CSMS is 32,768: 24,576 bytes in base64.
        assert_eq!(SecretValue::from_bytes(vec![0; 24_576]).measured_len(), 32_768);
    }

    #[test]
    fn equality_covers_kind_length_and_bytes() {
        let value = SecretValue::from_string("abc");
        let cases = [
            ("the same", SecretValue::from_string("abc"), true),
            ("another sign", SecretValue::from_string("abd"), false),
            ("shorter", SecretValue::from_string("ab"), false),
            ("longer", SecretValue::from_string("abcd"), false),
            ("binary", SecretValue::from_bytes(b"abc".to_vec()), false),
        ];
        for (what, other, want) in cases {
            assert_eq!(value.ct_eq(&other), want, "case: {what}");
        }
    }

    #[test]
    fn debug_says_nothing_about_the_value() {
        for value in [SecretValue::from_string("hunter2"), SecretValue::from_bytes(vec![])] {
            assert_eq!(format!("{value:?} {value:#?}"), "SecretValue(..) SecretValue(..)");
        }
    }

    #[test]
    fn buffers_are_taken_over_and_not_copied() {
        let text = String::from("a text with its own buffer");
        let at = text.as_ptr();
        assert_eq!(SecretValue::from_string(text).expose().as_ptr(), at);

        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"spare capacity");
        let at = bytes.as_ptr();
        assert_eq!(SecretValue::from_bytes(bytes).expose().as_ptr(), at);

        for kind in [ValueKind::Text, ValueKind::Binary] {
            let bytes = Zeroizing::new(b"opened".to_vec());
            let at = bytes.as_ptr();
            let value = SecretValue::from_parts(bytes, kind).unwrap();
            assert_eq!((value.expose().as_ptr(), value.kind()), (at, kind));
        }
    }

    #[test]
    fn only_utf_8_is_text() {
        let bytes = || Zeroizing::new(vec![b'a', 0xff]);
        assert_eq!(SecretValue::from_parts(bytes(), ValueKind::Text).unwrap_err(), NotText);
        let value = SecretValue::from_parts(bytes(), ValueKind::Binary).unwrap();
        assert_eq!(value.expose(), [b'a', 0xff]);
    }
}
