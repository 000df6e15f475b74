//! The local key ring: keys under which secrets may be sealed beside the store's own.

use super::{SecretStore, bounds::page_limit};
use crate::{
    commit::{EngineError, Plan},
    crypto::{Draw, Key},
    domain::{
        Action, DATA_KEY_LEN_MAX_BYTES, DATA_KEY_LEN_MIN_BYTES, KEY_ALIAS_LEN_MAX, KEYS_MAX, KeyId,
        KeyState, SecretName, SecretValue, Timestamp, VersionState,
    },
    error::{Error, Limit, Missing},
    kms::{DataKey, KeyInfo, KeyList, KeyPage, Kms, KmsContext, KmsError},
    records::{Act, LocalKey, Object, Operation},
};

/// Randomness of a change of a key: its id, the key, and nonces of its record and the audit record.
const DRAW_BYTES: usize = 16 + 32 + 2 * 24;

impl SecretStore {
    /// Makes a key of the local key ring, enabled, under which secrets can be sealed
    /// ([`NewSecret::kms_key_id`](crate::NewSecret::kms_key_id)) (csms.md 1.11).
    ///
    /// The key is 32 random bytes, kept sealed in the store: it separates secrets from each other, so that
    /// all that is under one key can be cut off at once. It is no protection against who has the master
    /// key. `alias` is empty, or 1 to 255 letters, digits and `:/_-` that no other key has. At most 100
    /// keys.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the alias is none.
    /// * [`Error::AlreadyExists`] if another key has it.
    /// * [`Error::LimitExceeded`] if there are 100 keys.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{ErrorKind, NewSecret, SecretValue};
    ///
    /// let key = store.create_key("tenants/acme")?;
    /// let secret = NewSecret::new("acme-db".parse()?, SecretValue::from_string("one"));
    /// let secret = store.create_secret(secret.kms_key_id(key.id.clone()))?;
    /// assert_eq!(secret.kms_key_id(), Some(key.id.as_str()));
    ///
    /// store.disable_key(&key.id)?; // all of this tenant's values, from now on
    /// let refused = store.get(secret.name()).unwrap_err();
    /// assert_eq!((refused.kind(), refused.code().code), (ErrorKind::Key, "CSMS.0401"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "CreateKey")]
    pub fn create_key(&self, alias: &str) -> Result<KeyInfo, Error> {
        self.permit(Action::ManageKeys, None)?;
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte);
        if alias.len() > KEY_ALIAS_LEN_MAX || !alias.bytes().all(sign) {
            let reason = format!("it has at most {KEY_ALIAS_LEN_MAX} letters, digits and :/_-");
            return Err(Error::invalid("alias", reason));
        }
        let _alone = self.inner.creation.lock();
        let (records, keys) = (&self.inner.records, self.inner.records.objects::<LocalKey>()?);
        if keys.len() >= KEYS_MAX {
            let asked = keys.len().saturating_add(1);
            return Err(Error::LimitExceeded { what: Limit::Keys, asked, max: KEYS_MAX });
        }
        let taken = keys.iter().any(|key| key.body.alias.as_deref() == Some(alias));
        if taken || alias == KeyId::DEFAULT_ALIAS {
            return Err(Error::AlreadyExists { what: format!("key {alias}") });
        }
        let (created, mut draw) = (self.inner.clock.now(), draw()?);
        let key = LocalKey {
            id: draw.take().map_err(EngineError::from)?,
            alias: Some(alias.to_owned()).filter(|alias| !alias.is_empty()),
            enabled: true,
            created,
            key: draw.take_key().map_err(EngineError::from)?,
        };
        let mut plan = Plan::at(created);
        records.put_object(&mut plan, (LocalKey::place(&key.id), None), &key, &mut draw)?;
        self.commit_key(plan, (Operation::CreateKey, &key, "created"), &mut draw)?;
        Ok(info(&key))
    }

    /// Enables a key again (csms.md 1.11).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the ring has no such key; the default key is not of the ring, and always
    /// enabled. Nothing was written then. And those of every write.
    #[doc(alias = "EnableKey")]
    pub fn enable_key(&self, key_id: &KeyId) -> Result<(), Error> {
        self.permit(Action::ManageKeys, None)?;
        self.set_enabled(key_id, true)
    }

    /// Disables a key: from now on no value under it can be read, stored or rotated; such calls give
    /// [`Error::Key`] (csms.md 1.11). What a reader has already is his. It can be enabled again.
    ///
    /// # Errors
    ///
    /// As for [`enable_key`](Self::enable_key).
    #[doc(alias = "DisableKey")]
    pub fn disable_key(&self, key_id: &KeyId) -> Result<(), Error> {
        self.permit(Action::ManageKeys, None)?;
        self.set_enabled(key_id, false)
    }

    /// Deletes a key for good, if it is disabled and nothing depends on it: neither a version nor,
    /// for new versions, a secret (csms.md 1.11). Looks at all secrets.
    ///
    /// **What was wrapped under it for others is not counted**: data keys, and
    /// [stores that it locks](crate::KmsKey), are lost with it.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if the ring has no such key.
    /// * [`Error::Key`] if it is not disabled, or a secret depends on it that the caller may not list.
    /// * [`Error::Constraint`] with the first secret that depends on it.
    ///
    /// Nothing was written then. And those of every write.
    #[doc(alias = "ScheduleKeyDeletion")]
    pub fn delete_key(&self, key_id: &KeyId) -> Result<(), Error> {
        self.permit(Action::ManageKeys, None)?;
        let _alone = self.inner.creation.lock();
        let object = self.ring_key(key_id)?;
        if object.body.enabled {
            let reason = "it must be disabled before it is deleted".to_owned();
            return Err(Error::Key { key_id: key_id.to_string(), reason });
        }
        // A secret whose deletion is due does not depend on it any more.
        self.inner.records.engine.wait_ready()?;
        self.remove_due();
        // Whoever began to seal under it before it was disabled fails at his commit, so nothing is added.
        if let Some(name) = self.who_uses(key_id)? {
            if self.may(Action::ListSecrets, &name) {
                return Err(Error::constraint(&name, format!("it depends on the key {key_id}")));
            }
            let reason = "a secret depends on it".to_owned();
            return Err(Error::Key { key_id: key_id.to_string(), reason });
        }
        let (mut plan, mut draw) = (Plan::at(self.inner.clock.now()), draw()?);
        self.inner.records.remove_object(&mut plan, &object);
        self.commit_key(plan, (Operation::UpdateKey, &object.body, "deleted"), &mut draw)
    }

    /// A page of the keys, the default one among them, ascending by id (csms.md 1.11).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the limit is not from 1 to 1,000; others as for
    /// [`secret`](Self::secret).
    #[doc(alias = "ListKeys")]
    pub fn list_keys(&self, page: &KeyPage) -> Result<KeyList, Error> {
        self.permit(Action::ListKeys, None)?;
        let limit = page_limit(page.limit)?;
        let mut keys: Vec<KeyInfo> =
            self.inner.records.objects::<LocalKey>()?.iter().map(|key| info(&key.body)).collect();
        keys.push(self.default_key());
        keys.retain(|key| page.marker.as_ref().is_none_or(|marker| key.id > *marker));
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        let has_more = keys.len() > limit;
        keys.truncate(limit);
        let next_marker = keys.last().filter(|_| has_more).map(|key| key.id.clone());
        Ok(KeyList { keys, next_marker })
    }

    /// What is known of a key (csms.md 1.11). The default key is the store's own, always enabled; its id is
    /// the store's, and [`KeyId::default_key`] means it too.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such key; others as for [`secret`](Self::secret).
    #[doc(alias = "DescribeKey")]
    pub fn describe_key(&self, key_id: &KeyId) -> Result<KeyInfo, Error> {
        self.permit(Action::GetKey, None)?;
        match self.named_key(key_id) {
            None => Ok(self.default_key()),
            Some(_) => Ok(info(&self.ring_key(key_id)?.body)),
        }
    }

    /// A data key of 16 to 512 random bytes for the caller's own use, and the same wrapped under a
    /// key, which only [`decrypt_data_key`](Self::decrypt_data_key) opens (csms.md 1.11). Nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// * [`Error::Key`] if the key is disabled or missing.
    /// * [`Error::InvalidArgument`] if the length is none.
    /// * [`Error::Random`] if there is no randomness; others as for [`secret`](Self::secret).
    #[doc(alias = "CreateDatakey")]
    pub fn create_data_key(
        &self,
        key_id: &KeyId,
        len: usize,
        context: &KmsContext,
    ) -> Result<DataKey, Error> {
        self.permit(Action::CreateDataKey, None)?;
        if !(DATA_KEY_LEN_MIN_BYTES..=DATA_KEY_LEN_MAX_BYTES).contains(&len) {
            let (min, max) = (DATA_KEY_LEN_MIN_BYTES, DATA_KEY_LEN_MAX_BYTES);
            return Err(Error::invalid("length", format!("a data key has {min} to {max} bytes")));
        }
        let (named, context) = (self.named_key(key_id), context.as_str().as_bytes());
        let made = self.inner.records.create_data_key(named.as_deref(), len, context)?;
        Ok(DataKey { plaintext: made.0, wrapped: made.1 })
    }

    /// The data key that [`create_data_key`](Self::create_data_key) of this store wrapped under this
    /// key in this context (csms.md 1.11).
    ///
    /// # Errors
    ///
    /// * [`Error::Key`] if the key is disabled or missing.
    /// * [`Error::InvalidArgument`] if this is not what was wrapped so, whatever the reason.
    #[doc(alias = "DecryptDatakey")]
    pub fn decrypt_data_key(
        &self,
        key_id: &KeyId,
        wrapped: &[u8],
        context: &KmsContext,
    ) -> Result<SecretValue, Error> {
        self.permit(Action::DecryptDataKey, None)?;
        let (named, context) = (self.named_key(key_id), context.as_str().as_bytes());
        let opened = self.inner.records.decrypt_data_key(named.as_deref(), wrapped, context)?;
        opened.ok_or_else(|| Error::invalid(WRAPPED, "it cannot be decrypted"))
    }

    /// The id that records have for a key; none for the default one.
    pub(super) fn named_key(&self, key_id: &KeyId) -> Option<String> {
        let is_default = key_id.is_default() || *key_id == self.default_key().id;
        (!is_default).then(|| key_id.to_string())
    }

    /// Refuses a caller who names a key and may not have data keys made (csms.md 1.11).
    pub(super) fn permit_key(&self, key: Option<&KeyId>, name: &SecretName) -> Result<(), Error> {
        match key {
            Some(key) if !key.is_default() => self.permit(Action::CreateDataKey, Some(name)),
            _ => Ok(()),
        }
    }

    fn default_key(&self) -> KeyInfo {
        let id = KeyId::of_uuid(&self.inner.records.engine.store_id);
        let alias = Some(KeyId::DEFAULT_ALIAS.to_owned());
        KeyInfo { alias, ..KeyInfo::new(id, KeyState::Enabled) }
    }

    fn ring_key(&self, key_id: &KeyId) -> Result<Object<LocalKey>, Error> {
        self.inner.records.local_key(key_id.as_str()).map_err(|err| match err {
            EngineError::Key(id, _) => Error::NotFound(Missing::Key(id.to_string())),
            other => other.into(),
        })
    }

    fn set_enabled(&self, key_id: &KeyId, enabled: bool) -> Result<(), Error> {
        let _alone = self.inner.creation.lock();
        let object = self.ring_key(key_id)?;
        if object.body.enabled == enabled {
            return Ok(());
        }
        let LocalKey { id, alias, created, key, .. } = &object.body;
        let key = Key::init_with(|bytes| bytes.copy_from_slice(key.expose()));
        let changed = LocalKey { id: *id, alias: alias.clone(), enabled, created: *created, key };
        let (mut plan, mut draw) = (Plan::at(self.inner.clock.now()), draw()?);
        let place = (object.key, Some(&object));
        self.inner.records.put_object(&mut plan, place, &changed, &mut draw)?;
        let word = if enabled { "enabled" } else { "disabled" };
        self.commit_key(plan, (Operation::UpdateKey, &changed, word), &mut draw)
    }

    /// The first secret that is sealed under a key, or is to be.
    fn who_uses(&self, key_id: &KeyId) -> Result<Option<SecretName>, Error> {
        let (records, id) = (&self.inner.records, Some(key_id.as_str()));
        Ok(records.find_secret(|name| {
            let Some(seen) = records.seen(name)? else { return Ok(None) };
            let mut rows = seen.stages.body.versions.iter();
            let sealed = rows.any(|row| {
                let is_kept = row.state != VersionState::Destroyed;
                is_kept && row.kms_key_id.as_deref() == id
            });
            let uses = sealed || seen.secret.body.kms_key_id.as_deref() == id;
            Ok(uses.then(|| name.clone()))
        })?)
    }

    fn commit_key(
        &self,
        mut plan: Plan,
        (operation, key, word): (Operation, &LocalKey, &str),
        draw: &mut Draw,
    ) -> Result<(), Error> {
        let (records, detail) =
            (&self.inner.records, format!("{} {word}", KeyId::of_uuid(&key.id)));
        let author = self.author(plan.at);
        let act = Act { author, operation, secret: None, version: None, detail: &detail };
        plan.audit.push(act.seal(&records.sealer, draw).map_err(EngineError::from)?);
        records.engine.commit(plan)?;
        Ok(())
    }
}

const WRAPPED: &str = "wrapped data key";

/// With the keys of the ring.
impl Kms for SecretStore {
    fn provider(&self) -> &'static str {
        "local"
    }

    fn list_keys(&self, page: &KeyPage) -> Result<KeyList, KmsError> {
        Self::list_keys(self, page).map_err(of)
    }

    fn describe_key(&self, key_id: &KeyId) -> Result<KeyInfo, KmsError> {
        Self::describe_key(self, key_id).map_err(of)
    }

    fn create_data_key(
        &self,
        key_id: &KeyId,
        len: usize,
        context: &KmsContext,
    ) -> Result<DataKey, KmsError> {
        Self::create_data_key(self, key_id, len, context).map_err(|err| self.of_key(key_id, err))
    }

    fn decrypt_data_key(
        &self,
        key_id: &KeyId,
        wrapped: &[u8],
        context: &KmsContext,
    ) -> Result<SecretValue, KmsError> {
        Self::decrypt_data_key(self, key_id, wrapped, context)
            .map_err(|err| self.of_key(key_id, err))
    }
}

impl SecretStore {
    /// An error of using a key, which may be disabled or not there.
    fn of_key(&self, key_id: &KeyId, err: Error) -> KmsError {
        match err {
            Error::Key { .. } if self.ring_key(key_id).is_ok() => KmsError::KeyDisabled,
            other => of(other),
        }
    }
}

fn of(err: Error) -> KmsError {
    match err {
        Error::Denied { .. } => KmsError::Denied,
        Error::InvalidArgument { argument: WRAPPED, .. } => KmsError::BadCiphertext,
        Error::InvalidArgument { reason, .. } => KmsError::Invalid(reason),
        Error::Key { .. } | Error::NotFound(_) => KmsError::NoSuchKey,
        _ => KmsError::Unavailable,
    }
}

/// What is told of a key of the ring.
pub(super) fn info(key: &LocalKey) -> KeyInfo {
    KeyInfo {
        alias: key.alias.clone(),
        created: Some(Timestamp::whole_seconds(key.created)),
        ..KeyInfo::new(KeyId::of_uuid(&key.id), key.state())
    }
}

fn draw() -> Result<Draw, Error> {
    Ok(Draw::new(DRAW_BYTES).map_err(EngineError::from)?)
}

#[cfg(test)]
mod tests {
    use crate::{
        MasterKey, NewSecret, SecretStore, SecretValue,
        commit::EngineError,
        records::{Draft, NewVersionSpec, Operation},
    };

    /// The race that matters: a version is sealed, its key is disabled, the version is committed.
    #[test]
    fn what_was_sealed_before_its_key_was_disabled_is_not_committed_after() {
        let dir = tempfile::tempdir().unwrap();
        let builder = SecretStore::builder().master_key(MasterKey::generate().unwrap());
        let store = builder.create(dir.path().join("s")).unwrap();
        let (key, value) = (store.create_key("").unwrap().id, SecretValue::from_string("x"));
        let new = NewSecret::new("s".parse().unwrap(), SecretValue::from_string("one"));
        let name = store.create_secret(new.kms_key_id(key.clone())).unwrap().name().clone();
        for disable in [true, false] {
            let (records, seen) = (&store.inner.records, store.seen(&name).unwrap());
            let author = store.author(store.inner.clock.now());
            let mut draft = Draft::of(records, seen, author).unwrap();
            let spec = NewVersionSpec { value: &value, stages: &[], expires: None };
            let version = draft.add_version(&spec, &store.inner.limits).unwrap();
            if disable {
                store.disable_key(&key).unwrap();
            }
            let committed = draft.commit(Operation::CreateVersion, Some(version));
            assert_eq!(matches!(committed, Err(EngineError::Conflict)), disable, "{committed:?}");
            store.enable_key(&key).unwrap();
        }
    }

    /// A secret is made to use a key that is deleted before that is committed: it would use none.
    #[test]
    fn a_key_that_was_deleted_meanwhile_becomes_nobodys_key() {
        let dir = tempfile::tempdir().unwrap();
        let builder = SecretStore::builder().master_key(MasterKey::generate().unwrap());
        let store = builder.create(dir.path().join("s")).unwrap();
        let new = NewSecret::new("s".parse().unwrap(), SecretValue::from_string("one"));
        let name = store.create_secret(new).unwrap().name().clone();
        for delete in [true, false] {
            let key = store.create_key("").unwrap().id;
            let (records, seen) = (&store.inner.records, store.seen(&name).unwrap());
            let author = store.author(store.inner.clock.now());
            let mut draft = Draft::of(records, seen, author).unwrap();
            draft.set_key(Some(key.as_str().to_owned())).unwrap();
            if delete {
                store.disable_key(&key).unwrap();
                store.delete_key(&key).unwrap();
            }
            let committed = draft.commit(Operation::UpdateSecret, None);
            assert_eq!(matches!(committed, Err(EngineError::Conflict)), delete, "{committed:?}");
        }
    }
}
