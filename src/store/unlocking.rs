//! Which key a store is opened with.

use secrecy::SecretString;

use super::{Builder, HasKey, NoKey};
use crate::{commit::Unlock, crypto::MasterKey, kms::KmsKey};

impl Builder<NoKey> {
    /// Unlocks the store with a 32-byte key that the embedder keeps.
    pub fn master_key(self, key: MasterKey) -> Builder<HasKey> {
        self.unlock(Unlock::MasterKey(key))
    }

    /// Unlocks the store with a passphrase, stretched with Argon2id. For a new store it needs at
    /// least 12 characters.
    pub fn passphrase(self, passphrase: SecretString) -> Builder<HasKey> {
        self.unlock(Unlock::Passphrase(passphrase))
    }

    /// Unlocks the store with a key of a key manager, which is asked when the store is made or opened,
    /// and never to read or write a secret. Whoever wants to open the store without it adds another slot
    /// ([`add_key_slot`](crate::SecretStore::add_key_slot)). If it fails, the store is not opened, and
    /// the error is [`Error::KeyManager`](crate::Error::KeyManager).
    ///
    /// # Examples
    ///
    /// A strongroom as the key manager of another one:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let vault = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("v"))?;
    /// use std::sync::Arc;
    /// use strongroom::{ErrorKind, KmsKey, SecretStore};
    ///
    /// let key_id = vault.create_key("stores/orders")?.id;
    /// let lock = || KmsKey::new(Arc::new(vault.clone()), key_id.clone());
    /// let path = dir.path().join("orders");
    /// SecretStore::builder().kms_key(lock()).create(&path)?.close()?;
    ///
    /// vault.disable_key(&key_id)?; // nobody opens it from now on
    /// let refused = SecretStore::builder().kms_key(lock()).open(&path).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::KeyManager);
    /// # Ok(())
    /// # }
    /// ```
    pub fn kms_key(self, key: KmsKey) -> Builder<HasKey> {
        self.unlock(Unlock::Kms(key))
    }

    /// Unlocks the store with any of these.
    pub fn unlock(self, unlock: Unlock) -> Builder<HasKey> {
        Builder { key: HasKey(unlock), settings: self.settings }
    }
}
