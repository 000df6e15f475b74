//! The port of a key manager: list keys, describe one, have a data key made and decrypted.

use std::{fmt, str::FromStr};

use crate::domain::{KEY_CONTEXT_LEN_MAX_BYTES, KeyId, KeyState, SecretValue, Timestamp};

/// A key manager. [`SecretStore`](crate::SecretStore) is one, with the keys of its local ring; others
/// may be a cloud's, or a token's (csms.md 1.11).
///
/// A store that is being locked or opened waits for the answer as long as it takes: give up after a
/// while, with [`KmsError::Unavailable`].
pub trait Kms: Send + Sync {
    /// What it is called, such as `local`.
    fn provider(&self) -> &str;

    /// A page of its keys, by id.
    ///
    /// # Errors
    ///
    /// [`KmsError`].
    fn list_keys(&self, page: &KeyPage) -> Result<KeyList, KmsError>;

    /// What is known of a key.
    ///
    /// # Errors
    ///
    /// [`KmsError::NoSuchKey`] if there is none.
    fn describe_key(&self, key_id: &KeyId) -> Result<KeyInfo, KmsError>;

    /// A data key of `len` random bytes, also wrapped under a key.
    ///
    /// # Errors
    ///
    /// [`KmsError`].
    fn create_data_key(
        &self,
        key_id: &KeyId,
        len: usize,
        context: &KmsContext,
    ) -> Result<DataKey, KmsError>;

    /// The data key that was wrapped under a key, in the same context.
    ///
    /// # Errors
    ///
    /// [`KmsError::BadCiphertext`] if it was not.
    fn decrypt_data_key(
        &self,
        key_id: &KeyId,
        wrapped: &[u8],
        context: &KmsContext,
    ) -> Result<SecretValue, KmsError>;
}

/// What a data key is for: at most 128 bytes of text without control characters, which it is bound to
/// (crypto.md 3.4). Empty by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KmsContext(String);

impl KmsContext {
    /// The context as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KmsContext {
    type Err = KmsContextError;

    fn from_str(text: &str) -> Result<Self, KmsContextError> {
        let sound = text.len() <= KEY_CONTEXT_LEN_MAX_BYTES && !text.chars().any(char::is_control);
        if sound { Ok(Self(text.to_owned())) } else { Err(KmsContextError) }
    }
}

/// A text that is no context of a data key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a context has at most {KEY_CONTEXT_LEN_MAX_BYTES} bytes and no control characters")]
pub struct KmsContextError;

/// Which keys to list: all by default, 50 at a time (csms.md 1.11).
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct KeyPage {
    pub(crate) marker: Option<KeyId>,
    pub(crate) limit: Option<usize>,
}

impl KeyPage {
    /// The first 50 keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only keys with ids greater than this one.
    pub fn marker(self, marker: KeyId) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// A page of keys (csms.md 1.11).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyList {
    /// The keys, ascending by id.
    pub keys: Vec<KeyInfo>,
    /// The marker of the next page; `None` on the last one.
    pub next_marker: Option<KeyId>,
}

/// What is known of a key (csms.md 1.11). Never the key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its id.
    pub id: KeyId,
    /// Its other name, if it has one.
    pub alias: Option<String>,
    /// Whether it can be used.
    pub state: KeyState,
    /// When it was made, a whole second; not known of the default key.
    pub created: Option<Timestamp>,
}

impl KeyInfo {
    /// What is known of a key, for those who write a [`Kms`].
    #[must_use]
    pub fn new(id: KeyId, state: KeyState) -> Self {
        Self { id, alias: None, state, created: None }
    }
}

/// A data key: in the clear, to be used and forgotten, and wrapped, to be kept (csms.md 1.11).
#[derive(Debug)]
pub struct DataKey {
    /// The key itself, wiped when dropped.
    pub plaintext: SecretValue,
    /// The key as only the key manager can open it.
    pub wrapped: Vec<u8>,
}

/// Why a key manager did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// What should be decrypted was not wrapped under this key in this context, or was changed.
    #[error("the data key cannot be decrypted")]
    BadCiphertext,
    /// The caller may not.
    #[error("the key manager denied it")]
    Denied,
    /// The request is none that a key manager takes.
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// The key is disabled, or its deletion is scheduled.
    #[error("the key is disabled")]
    KeyDisabled,
    /// There is no such key.
    #[error("there is no such key")]
    NoSuchKey,
    /// It could not be asked. Try again later.
    #[error("the key manager is not available")]
    Unavailable,
}

impl fmt::Display for KmsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
