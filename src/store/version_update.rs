//! Versions: when one expires, and from when on it may be used.

use super::{
    Preconditions, SecretStore, VersionMetadata,
    change::{Edit, Terms},
    versions::{metadata, resolve, resolve_kept},
};
use crate::{
    domain::{
        Action, ExpireTimeError, SecretName, Timestamp, Usage, VersionRef, expire_time, not_before,
    },
    error::Error,
    records::{Operation, VersionEntry},
};

/// What to change of a version's times (csms.md 3.2). What is not named stays.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct VersionUpdate {
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    preconditions: Preconditions,
}

impl VersionUpdate {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the version expires, cut to whole seconds: in the future, or 0 for never.
    pub fn expires(self, expires: Timestamp) -> Self {
        Self { expires: Some(expires), ..self }
    }

    /// From when on the version may be used, rounded up to whole seconds; a time in the past or 0 for
    /// always. CSMS has no such thing.
    pub fn not_before(self, not_before: Timestamp) -> Self {
        Self { not_before: Some(not_before), ..self }
    }

    /// Changes only a secret that is as required.
    pub fn preconditions(self, preconditions: Preconditions) -> Self {
        Self { preconditions, ..self }
    }

    /// The times of a version as they are to be; `None` if they are so already.
    fn times_of(
        &self,
        row: &VersionEntry,
        now: Timestamp,
    ) -> Result<Option<Times>, ExpireTimeError> {
        let expires = match self.expires {
            Some(asked) => expire_time(asked, now)?,
            None => row.expires,
        };
        if expires == row.expires && self.not_before.is_none() {
            return Ok(None);
        }
        // Looked at anew whichever of them changes: together they must make sense.
        let from = self.not_before.or(row.not_before);
        let not_before = from.map(|from| not_before(from, expires)).transpose()?.flatten();
        let times = Times { expires, not_before };
        Ok(Some(times).filter(|_| (expires, not_before) != (row.expires, row.not_before)))
    }
}

/// When a version may be used.
struct Times {
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

impl SecretStore {
    /// Sets when a version expires, cut to whole seconds; zero milliseconds clears it (csms.md 8.1
    /// rows 16 to 20). Expiry is information: an expired version can be read,
    /// unless the store [enforces](crate::Builder::enforce_validity) it. A time that it has already writes
    /// nothing.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, version or label.
    /// * [`Error::SecretState`] if the secret is not enabled, [`Error::VersionState`] if the version
    ///   is destroyed.
    /// * [`Error::InvalidArgument`] if the time is neither 0 nor in the future, or the version may only
    ///   be used when it has expired.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "UpdateVersion")]
    pub fn update_version(
        &self,
        name: &SecretName,
        reference: &VersionRef,
        expires: Timestamp,
    ) -> Result<VersionMetadata, Error> {
        self.update_version_with(name, reference, &VersionUpdate::new().expires(expires))
    }

    /// Sets when a version expires, if the secret is as required (csms.md 3.2). See
    /// [`update_version`](Self::update_version).
    ///
    /// # Errors
    ///
    /// As for [`update_version`](Self::update_version), and [`Error::Conflict`] if a precondition
    /// does not hold.
    pub fn update_version_if(
        &self,
        name: &SecretName,
        reference: &VersionRef,
        expires: Timestamp,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.update_version_with(
            name,
            reference,
            &VersionUpdate::new().expires(expires).preconditions(*preconditions),
        )
    }

    /// Sets when a version expires and from when on it may be used: one of them or both, in one step
    /// (csms.md 3.2). An update that changes nothing writes nothing.
    ///
    /// # Errors
    ///
    /// As for [`update_version_if`](Self::update_version_if).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, SecretValue, Timestamp, VersionRef, VersionUpdate};
    ///
    /// let name = "api-token".parse()?;
    /// store.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let (from, to) = (8_000_000_000_000, 9_000_000_000_000);
    /// let update = VersionUpdate::new()
    ///     .not_before(Timestamp::from_millis(from))
    ///     .expires(Timestamp::from_millis(to));
    /// let version = store.update_version_with(&name, &VersionRef::Latest, &update)?;
    /// assert_eq!(version.not_before(), Some(Timestamp::from_millis(from)));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "UpdateVersion")]
    pub fn update_version_with(
        &self,
        name: &SecretName,
        reference: &VersionRef,
        update: &VersionUpdate,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::UpdateVersion, Some(name))?;
        let terms = Terms::of(Usage::Value, &update.preconditions);
        let changed = self.change(name, terms, |draft, seen, at| {
            let id = resolve(name, &seen.stages.body, reference)?.id;
            let row = resolve_kept(name, &seen.stages.body, id, at)?;
            let Some(times) = update.times_of(row, at)? else {
                return Ok(Edit::Nothing);
            };
            let Some(row) = draft.stages_mut().version_mut(id) else { return Ok(Edit::Nothing) };
            if row.expires != times.expires {
                // Of the new time it is to be told anew (csms.md 1.7).
                (row.expires, row.expiry_told) = (times.expires, 0);
            }
            row.not_before = times.not_before;
            Ok(Edit::Commit(Operation::UpdateVersion, Some(id)))
        })?;
        metadata(name, &changed.seen.stages.body, reference)
    }
}
