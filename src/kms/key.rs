//! A key of a key manager as a way to unlock a store.

use std::{fmt, sync::Arc};

use super::Kms;
use crate::domain::KeyId;

/// A key of a key manager under which the root key of a store is wrapped: one of the ways to
/// [unlock](crate::Unlock) it (csms.md 1.11; crypto.md 3.4).
///
/// The key manager is asked for a data key, and to decrypt it at once, when a store or a slot is made; and
/// to decrypt it when the store is opened, salvaged or restored, or another slot is added with this key as
/// the present one. Never to read or write a secret. The context that it is given names store and slot,
/// `secretstore:<id of the store>:slot:<number>`, so a copied slot opens nothing.
///
/// A slot names the manager's [provider](Kms::provider) and the key's id as they were given: an alias of
/// the key, or a manager that calls itself otherwise, does not open it. A store refuses a key of
/// its own ring, unless it comes by a manager of another name: with it alone the store could never be opened
/// again. Whoever deletes the key deletes what it locks.
#[derive(Clone)]
pub struct KmsKey {
    manager: Arc<dyn Kms>,
    key_id: KeyId,
}

impl KmsKey {
    /// The key `key_id` of a key manager. Nothing is asked yet.
    pub fn new(manager: Arc<dyn Kms>, key_id: KeyId) -> Self {
        Self { manager, key_id }
    }

    /// Its id.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    pub(crate) fn manager(&self) -> &dyn Kms {
        &*self.manager
    }
}

impl fmt::Debug for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
