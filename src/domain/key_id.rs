//! Keys of the key manager by their ids, and why one cannot be used.

use std::{fmt, str::FromStr, sync::Arc};

use crate::domain::{
    limits::{KEY_ID_LEN_MAX, KEY_ID_LEN_MIN},
    uuid::{parse_uuid, uuid_text},
};

/// The id of a key of the key manager: 2 to 64 letters, digits, hyphens and underscores, or
/// `csms/default` for the default key (csms.md 1.11, 7.34).
///
/// Keys of the store's own ring have UUIDs. One that is written without hyphens, as in samples of the
/// cloud, is the same id.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The alias of the key that protects what no other key does.
    pub const DEFAULT_ALIAS: &'static str = "csms/default";

    /// The default key.
    #[must_use]
    pub fn default_key() -> Self {
        Self(Self::DEFAULT_ALIAS.into())
    }

    /// Whether it is the alias of the default key.
    #[must_use]
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT_ALIAS
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id in the form of a UUID.
    pub(crate) fn of_uuid(bytes: &[u8; 16]) -> Self {
        Self(uuid_text(bytes).into())
    }

    /// The bytes of a UUID.
    pub(crate) fn to_uuid(&self) -> Option<[u8; 16]> {
        parse_uuid(&self.0)
    }
}

/// 32 hexadecimal digits as 8-4-4-4-12, in small letters. Other texts get hyphens somewhere.
fn hyphenated(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len().saturating_add(4));
    for (at, sign) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(sign.to_ascii_lowercase());
    }
    text
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        if text == Self::DEFAULT_ALIAS {
            return Ok(Self::default_key());
        }
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let sound =
            (KEY_ID_LEN_MIN..=KEY_ID_LEN_MAX).contains(&text.len()) && text.bytes().all(sign);
        if !sound {
            return Err(KeyIdError);
        }
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hyphens =
            text.len() == 36 && hyphenated(&text.replace('-', "")).eq_ignore_ascii_case(text);
        if (text.len() == 32 && is_hex(text)) || (hyphens && is_hex(&text.replace('-', ""))) {
            return Ok(Self(hyphenated(&text.replace('-', "")).into()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no id of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a key's id is csms/default, or {KEY_ID_LEN_MIN} to {KEY_ID_LEN_MAX} letters, digits, _ and -"
)]
pub struct KeyIdError;

/// Whether a key of the key manager can be used (csms.md 1.11).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyState {
    /// It can.
    Enabled,
    /// Not until it is enabled again.
    Disabled,
    /// Its deletion is scheduled. Keys of the store's own ring have no such state: they are disabled,
    /// and then deleted when nothing depends on them any more.
    PendingDeletion,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeyTrouble {
    #[error("it is disabled")]
    Disabled,
    #[error("there is no such key")]
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_2_to_64_signs_and_uuids_have_one_form() {
        let uuid = "bb6a3d22-dc93-47ac-b5bd-88df7ad35f1e";
        let longest = "x".repeat(64);
        let cases = [
            (uuid, Some(uuid)),
            ("BB6A3D22-DC93-47AC-B5BD-88DF7AD35F1E", Some(uuid)),
            ("bb6a3d22dc9347acb5bd88df7ad35f1e", Some(uuid)),
            ("csms/default", Some("csms/default")),
            ("test", Some("test")),
            ("bb6a3d22-dc93-47ac-b5bd-88df7ad35f1", Some("bb6a3d22-dc93-47ac-b5bd-88df7ad35f1")),
            (&longest, Some(&*longest)),
            ("x", None),
            ("", None),
            ("a/b", None),
            ("csms/other", None),
            ("a b", None),
            ("caf\u{e9}", None),
        ];
        for (text, want) in cases {
            let id = text.parse::<KeyId>().ok();
            assert_eq!(id.as_ref().map(KeyId::as_str), want, "{text}");
        }
        assert_eq!(format!("{longest}x").parse::<KeyId>(), Err(KeyIdError));
        let id: KeyId = uuid.parse().unwrap();
        let bytes = id.to_uuid().unwrap();
        assert_eq!((bytes[0], bytes[15]), (0xbb, 0x1e));
        assert_eq!(KeyId::of_uuid(&bytes), id);
        let none = ["csms/default", "test", "bb6a3d22-dc93-47ac-b5bd-88df7ad35f1"];
        for text in none {
            assert_eq!(text.parse::<KeyId>().unwrap().to_uuid(), None, "{text}");
        }
    }
}
