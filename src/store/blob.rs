//! One secret as a backup, and back.

use super::{Secret, SecretStore};
use crate::{
    commit::EngineError,
    crypto::{BlobKey, random},
    domain::{
        Action, BLOB_LEN_MAX, KeyId, SecretBlob, SecretName, Timestamp, Usage, VersionState,
        blob_text_len,
    },
    error::{Error, Limit},
    records::{BlobError, Operation, Unpacked, Written},
};

/// How often a secret that changes all the time is packed anew, and one whose key does is restored.
const TRIES_MAX: usize = 16;

/// How to restore a secret, where it differs from
/// [`SecretStore::restore_secret`](crate::SecretStore::restore_secret) (csms.md 2.6).
#[derive(Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct RestoreOptions {
    key: Option<BlobKey>,
    name: Option<SecretName>,
    kms_key_id: Option<KeyId>,
}

impl RestoreOptions {
    /// The backup opened with the store's own key; the secret under the name that it had, and the
    /// default key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the backup with this key: that of another store.
    pub fn key(self, key: BlobKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Gives the secret this name.
    pub fn name(self, name: SecretName) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Seals all its versions under this key of the key manager, as by
    /// [`NewSecret::kms_key_id`](crate::NewSecret::kms_key_id).
    pub fn kms_key_id(self, kms_key_id: KeyId) -> Self {
        Self { kms_key_id: Some(kms_key_id), ..self }
    }
}

impl SecretStore {
    /// Makes a backup of one secret: its metadata and all its versions, with their values, numbers,
    /// labels, times and expiry, as encrypted text (csms.md 2.6, 3.1, 8.2 rows 47 to 49).
    ///
    /// Restored, its versions are under the store's default key, whichever they were under here, unless
    /// [another is named](RestoreOptions::kms_key_id). Not in it are tags, subscriptions of events, a
    /// scheduled deletion of the secret or a version, request tokens, and whether it is rotated
    /// automatically: nothing is to happen by itself where it is restored. It is encrypted under a key of
    /// its own, which this store can find again, and [`blob_key`](Self::blob_key) gives for other stores.
    /// The audit log tells that it was made.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if it is disabled, frozen, or scheduled to be deleted: a backup exports
    ///   values.
    /// * [`Error::Key`] if a key of the key manager that one of its versions is sealed under is disabled or
    ///   not there.
    /// * [`Error::LimitExceeded`] if the text would be longer than 5 MiB. Only in a store whose
    ///   [`Limits`](crate::Limits) are greater than CSMS's.
    /// * [`Error::Conflict`] if the secret changed faster than it could be read.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret): no backup is given out that the audit log does not tell.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, SecretBlob, SecretValue};
    ///
    /// let name = "api-token".parse()?;
    /// store.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let text = store.backup_secret(&name)?.as_str().to_owned(); // to be kept anywhere
    ///
    /// store.delete_secret(&name)?;
    /// let blob: SecretBlob = text.parse()?;
    /// store.restore_secret(&blob)?;
    /// assert_eq!(store.get(&name)?.value().expose_str(), Some("tr-7f2c"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "DownloadSecretBlob")]
    #[doc(alias = "backupSecret")]
    pub fn backup_secret(&self, name: &SecretName) -> Result<SecretBlob, Error> {
        self.permit(Action::GetSecret, Some(name))?;
        let records = &self.inner.records;
        for _ in 0..TRIES_MAX {
            // Versions that are due to be destroyed are, before.
            self.table(name)?;
            let (seen, at) = (self.seen(name)?, self.inner.clock.now());
            let state = seen.stages.body.state();
            state.check(Usage::Value).map_err(|refusal| Error::of_state(name, state, refusal))?;
            let asked = blob_text_len(records.blob_len(&seen, at)?);
            if asked > BLOB_LEN_MAX {
                let what = Limit::BackupBytes;
                return Err(Error::LimitExceeded { what, asked, max: BLOB_LEN_MAX });
            }
            let Some(sealed) = records.pack(&seen, at)? else { continue };
            let secret = (name, seen.secret.body.sid);
            records.commit_act(self.author(at), Operation::BackupSecret, Some(secret), "")?;
            return Ok(SecretBlob::from_sealed(sealed));
        }
        Err(Error::Conflict {
            name: name.clone(),
            reason: "it changed faster than it could be read",
        })
    }

    /// Restores a secret from its backup, which this store or one with the same keys has made. It has
    /// its old name and a new id, and is enabled; its versions are as they were, and the next one gets
    /// the number that it would have got (csms.md 3.1, 8.2 rows 46 to 48).
    ///
    /// The backup is checked as a whole before anything is written, and written as a whole: readers see
    /// the secret with all its versions or not at all, also after a crash.
    ///
    /// # Errors
    ///
    /// * [`Error::AlreadyExists`] if there is a secret of this name. It is not changed.
    /// * [`Error::InvalidArgument`] if another store made the backup: see
    ///   [`restore_secret_with`](Self::restore_secret_with). Or if the name is legal only under another
    ///   [name syntax](crate::NameSyntax).
    /// * [`Error::Tampered`] if a byte of it is not as it was made.
    /// * [`Error::LimitExceeded`] if a value is longer, or versions or labels are more, than this store
    ///   allows, or its quota of secrets is full.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "UploadSecretBlob")]
    #[doc(alias = "restoreSecretFromBackupBlob")]
    pub fn restore_secret(&self, blob: &SecretBlob) -> Result<Secret, Error> {
        self.restore_secret_with(blob, &RestoreOptions::new())
    }

    /// Restores a secret that another store has backed up, whose [`blob_key`](Self::blob_key) is
    /// given, under another name, or under another key of the key manager (csms.md 2.6; 8.2 row 47). See
    /// [`restore_secret`](Self::restore_secret).
    ///
    /// Under another name its values may be read by others than before. So who has it restored so, and
    /// does not give its key, needs the permission to read them under the old name.
    ///
    /// # Errors
    ///
    /// As for [`restore_secret`](Self::restore_secret); [`Error::Tampered`] also if
    /// [the key](RestoreOptions::key) is not that of this backup, [`Error::Key`] if the key that it is to
    /// be under is not there or disabled, and [`Error::Conflict`] if that one changed all the time.
    /// Nothing was written then.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let create = |name: &str| -> Result<strongroom::SecretStore, Box<dyn std::error::Error>> {
    /// #     let key = strongroom::MasterKey::generate()?;
    /// #     Ok(strongroom::SecretStore::builder().master_key(key).create(dir.path().join(name))?)
    /// # };
    /// use strongroom::{NewSecret, RestoreOptions, SecretValue};
    ///
    /// let (here, there) = (create("here")?, create("there")?);
    /// let name = "api-token".parse()?;
    /// here.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let blob = here.backup_secret(&name)?;
    /// let key = here.blob_key(&blob)?;
    ///
    /// there.restore_secret_with(&blob, &RestoreOptions::new().key(key).name("moved".parse()?))?;
    /// assert_eq!(there.get(&"moved".parse()?)?.value().expose_str(), Some("tr-7f2c"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "UploadSecretBlob")]
    pub fn restore_secret_with(
        &self,
        blob: &SecretBlob,
        options: &RestoreOptions,
    ) -> Result<Secret, Error> {
        self.permit(Action::CreateSecret, options.name.as_ref())?;
        let of_store;
        let key = match &options.key {
            Some(key) => key,
            None => {
                of_store = self.inner.records.blob_key(blob.sealed()).map_err(of_blob)?;
                &of_store
            }
        };
        let mut unpacked = Unpacked::open(blob.sealed(), key).map_err(of_blob)?;
        match &options.name {
            None => self.permit_unnamed(Action::CreateSecret, unpacked.name())?,
            Some(name) => {
                if options.key.is_none() && name != unpacked.name() {
                    // What may be read under the new name was maybe not to be read under the old one.
                    self.permit_unnamed(Action::GetVersion, unpacked.name())?;
                }
                unpacked.mended.secret.name = name.clone();
            }
        }
        let name = unpacked.name().clone();
        self.permit_key(options.kms_key_id.as_ref(), &name)?;
        let named = options.kms_key_id.as_ref().and_then(|key_id| self.named_key(key_id));
        unpacked.mended.secret.kms_key_id = named;
        self.check_unpacked(&unpacked)?;
        self.write_unpacked(&name, unpacked)
    }

    /// The key of a backup that this store made: with it, any store can
    /// [restore](Self::restore_secret_with) it. Nothing is written. Not in CSMS.
    ///
    /// Whoever has key and backup has every value in it, so the caller needs the permission to read
    /// them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if another store made it, [`Error::Tampered`] if a byte of it is not as
    /// it was made.
    pub fn blob_key(&self, blob: &SecretBlob) -> Result<BlobKey, Error> {
        self.permit(Action::GetVersion, None)?;
        let key = self.inner.records.blob_key(blob.sealed()).map_err(of_blob)?;
        let unpacked = Unpacked::open(blob.sealed(), &key).map_err(of_blob)?;
        self.permit_unnamed(Action::GetVersion, unpacked.name())?;
        Ok(key)
    }

    /// Refuses what this store could not hold if it was stored here.
    fn check_unpacked(&self, unpacked: &Unpacked) -> Result<(), Error> {
        let (limits, stages) = (&self.inner.limits, &unpacked.mended.stages);
        self.check_name(unpacked.name())?;
        let counts = [
            (Limit::Versions, stages.versions.len(), limits.versions_max()),
            (Limit::Labels, stages.labels.len(), limits.labels_max()),
        ];
        if let Some((what, asked, max)) = counts.into_iter().find(|(_, asked, max)| asked > max) {
            return Err(Error::LimitExceeded { what, asked, max });
        }
        for row in stages.versions.iter().filter(|row| row.state != VersionState::Destroyed) {
            let value = unpacked.value(row).map_err(|err| of_blob(err.into()))?;
            self.check_value(&value)?;
        }
        Ok(())
    }

    fn write_unpacked(&self, name: &SecretName, mut unpacked: Unpacked) -> Result<Secret, Error> {
        let _alone = self.alone_under_quota(name)?;
        let records = &self.inner.records;
        let exists = || Error::AlreadyExists { what: format!("secret {name}") };
        if self.find(name)?.is_some() {
            return Err(exists());
        }
        let mut sid = [0; 16];
        random::fill(&mut sid).map_err(EngineError::from)?;
        let mended = &mut unpacked.mended;
        (mended.secret.sid, mended.stages.sid) = (sid, sid);
        // A change of the secret that it was, as far as preconditions are concerned.
        mended.revision = mended.revision.saturating_add(1);
        let at: Timestamp = self.inner.clock.now();
        for _ in 0..TRIES_MAX {
            let mended = unpacked.mended.clone();
            match records.restore(mended, self.author(at), &|row| unpacked.value(row)) {
                // Its key was changed meanwhile, unless another writer made it.
                Err(EngineError::Conflict) if self.find(name)?.is_none() => {}
                Err(EngineError::Conflict) => return Err(exists()),
                other => {
                    other?;
                    let seen = self.seen(name)?;
                    records.keep(&Written { seen: seen.clone(), current: None });
                    return Ok(Secret::of(&seen));
                }
            }
        }
        Err(Error::Conflict { name: name.clone(), reason: "its key changes all the time" })
    }
}

fn of_blob(err: BlobError) -> Error {
    match err {
        BlobError::OtherStore => Error::invalid("blob", format!("{err}, and needs its key")),
        BlobError::Forged => Error::Tampered { what: "a secret's backup".to_owned() },
    }
}
