//! Versions: store, read, list, expire.

use super::{
    ListVersions, NewVersion, Page, Preconditions, SecretStore, Version, VersionMetadata,
    admit::is_destroyed,
    bounds::page_limit,
    change::{Edit, Terms},
    secrets::kind_byte,
};
use crate::{
    domain::{
        Action, SecretName, Stage, Timestamp, Usage, VersionId, VersionRef, expire_time, not_before,
    },
    error::{Error, Missing, VersionRefusal},
    records::{Gate, NewVersionSpec, Operation, Stages, VersionEntry},
    rotation,
};

impl SecretStore {
    /// Stores a value as the next version (csms.md 2.3, 3.2).
    ///
    /// Without explicit labels it becomes SYSCURRENT, and the version that was becomes SYSPREVIOUS. If
    /// the secret then has more versions than allowed, the oldest without a label is dropped for
    /// good; a labelled one never is (8.1 row 1).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if it is not enabled.
    /// * [`Error::LimitExceeded`] if the value is too long, or the secret would have too many labels.
    /// * [`Error::InvalidArgument`] if a label is named twice, the expiry is not in the future, or the
    ///   version may only be used when it has expired.
    /// * [`Error::Constraint`] if the value does not have the shape that the secret's type asks for,
    ///   or every version bears a label and none can be dropped.
    /// * [`Error::Conflict`] if a precondition does not hold, or the token was used otherwise.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "CreateSecretVersion")]
    #[doc(alias = "PutSecretValue")]
    #[expect(clippy::needless_pass_by_value, reason = "the value is taken over and wiped here")]
    pub fn put_version(
        &self,
        name: &SecretName,
        new: NewVersion,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::CreateVersion, Some(name))?;
        self.check_value(&new.value)?;
        let expires_text = new.expires.map_or(0, Timestamp::as_millis).to_be_bytes();
        let from_text = new.not_before.map_or(0, Timestamp::as_millis).to_be_bytes();
        let stages_text = new.stages.iter().map(Stage::as_str).collect::<Vec<_>>().join(" ");
        let once = self.once(
            new.token.as_ref(),
            "put",
            &[
                stages_text.as_bytes(),
                &expires_text,
                &from_text,
                kind_byte(&new.value),
                new.value.expose(),
            ],
        );
        let terms = Terms { usage: Usage::Value, preconditions: new.preconditions, once };
        let changed = self.change(name, terms, |draft, seen, at| {
            if seen.secret.body.secret_type.is_rotatable() {
                rotation::check(&new.value).map_err(|err| Error::of_shape(name, err))?;
            }
            let expires = match new.expires {
                Some(asked) => expire_time(asked, at)?,
                None => None,
            };
            let from = new.not_before.map(|from| not_before(from, expires)).transpose()?;
            let spec = NewVersionSpec { value: &new.value, stages: &new.stages, expires };
            let version = draft
                .add_version(&spec, &self.inner.limits)
                .map_err(|err| Error::of_draft(name, err))?;
            if let Some(row) = draft.stages_mut().version_mut(version) {
                row.not_before = from.flatten();
            }
            Ok(Edit::Commit(Operation::CreateVersion, Some(version)))
        })?;
        let made = changed.version.map_or(VersionRef::Latest, VersionRef::Id);
        metadata(name, &changed.seen.stages.body, &made)
    }

    /// The value behind SYSCURRENT (csms.md 3.2).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if it is not enabled.
    /// * [`Error::VersionState`] if the version is disabled; also if it has expired or may not be used
    ///   yet, where the store was told to [enforce](crate::Builder::enforce_validity) that.
    /// * [`Error::Tampered`] if a record is not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    #[doc(alias = "GetSecretValue")]
    #[doc(alias = "ShowSecretVersion")]
    pub fn get(&self, name: &SecretName) -> Result<Version, Error> {
        self.permit(Action::GetVersion, Some(name))?;
        if self.inner.audit_reads {
            return self.read_value(name, &VersionRef::Latest);
        }
        let lost = || Error::NotFound(Missing::Stage(name.clone(), Stage::Current));
        let admit = |gate, entry: &VersionEntry| self.admit(name, gate, entry);
        let found = self.inner.records.current(name, admit, lost)?;
        let (value, facts) = found.ok_or_else(|| Error::no_secret(name))?;
        Ok(Version { metadata: VersionMetadata(facts), value })
    }

    /// The value of a version, by number, by label, or the latest: the one behind SYSCURRENT
    /// (csms.md 8.1 row 15). Versions without a label can be read as long as they are there.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), with [`Error::NotFound`] also for a missing version or label, and
    /// [`Error::VersionState`] also if the version is destroyed.
    #[doc(alias = "ShowSecretVersion")]
    pub fn version(&self, name: &SecretName, reference: &VersionRef) -> Result<Version, Error> {
        self.permit(Action::GetVersion, Some(name))?;
        if matches!(reference, VersionRef::Latest | VersionRef::Stage(Stage::Current)) {
            return self.get(name);
        }
        self.read_value(name, reference)
    }

    fn read_value(&self, name: &SecretName, reference: &VersionRef) -> Result<Version, Error> {
        let found = self.inner.records.value(name, |stages| {
            if stages.is_gone(self.inner.clock.now()) {
                // Before its versions are looked at: of what is gone there are none.
                self.admit_secret(name, Gate::of(stages))?;
            }
            let entry = resolve(name, stages, reference)?;
            self.admit_version(name, stages, entry)?;
            let metadata = VersionMetadata::of(name, stages, entry);
            Ok::<_, Error>((entry.clone(), (metadata, stages.sid)))
        })?;
        let (value, (metadata, sid)) = found.ok_or_else(|| Error::no_secret(name))?;
        self.told_of_read(sid, Version { metadata, value })
    }

    /// A page of a secret's versions, ascending by number, those without a label included (csms.md
    /// 3.2, 8.1 row 17). No values.
    ///
    /// # Errors
    ///
    /// As for [`secret`](Self::secret), and [`Error::InvalidArgument`] if the limit is not from 1 to
    /// 1,000.
    #[doc(alias = "ListSecretVersions")]
    pub fn versions(
        &self,
        name: &SecretName,
        list: &ListVersions,
    ) -> Result<Page<VersionMetadata>, Error> {
        self.permit(Action::ListVersions, Some(name))?;
        let limit = page_limit(list.limit)?;
        let head = self.table(name)?;
        let behind = |entry: &&VersionEntry| list.marker.is_none_or(|marker| entry.id > marker);
        let entries = head.body.versions.iter().filter(behind).take(limit.saturating_add(1));
        let rows = entries.map(|entry| VersionMetadata::of(name, &head.body, entry)).collect();
        Ok(Page::cut(rows, limit))
    }

    /// Sets when a version expires, cut to whole seconds; zero milliseconds clears it (csms.md 8.1
    /// rows 16 to 20). Expiry is information: an expired version can be read.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, version or label.
    /// * [`Error::SecretState`] if the secret is not enabled, [`Error::VersionState`] if the version
    ///   is destroyed.
    /// * [`Error::InvalidArgument`] if the time is neither 0 nor in the future.
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
        self.update_version_if(name, reference, expires, &Preconditions::none())
    }

    /// Sets when a version expires, if the secret is as required. See
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
        self.permit(Action::UpdateVersion, Some(name))?;
        let terms = Terms::of(Usage::Value, preconditions);
        let changed = self.change(name, terms, |draft, seen, at| {
            let id = resolve(name, &seen.stages.body, reference)?.id;
            resolve_kept(name, &seen.stages.body, id, at)?;
            let expires = expire_time(expires, self.inner.clock.now())?;
            match draft.stages_mut().version_mut(id) {
                // Of the new time it is to be told anew (csms.md 1.7).
                Some(row) if row.expires != expires => {
                    (row.expires, row.expiry_told) = (expires, 0);
                }
                _ => return Ok(Edit::Nothing),
            }
            Ok(Edit::Commit(Operation::UpdateVersion, Some(id)))
        })?;
        metadata(name, &changed.seen.stages.body, reference)
    }
}

/// The row of the version that `reference` means.
pub(super) fn resolve<'a>(
    name: &SecretName,
    stages: &'a Stages,
    reference: &VersionRef,
) -> Result<&'a VersionEntry, Error> {
    let id = stages.labels.resolve(reference).ok_or_else(|| {
        let stage = match reference {
            VersionRef::Stage(stage) => stage.clone(),
            _ => Stage::Current,
        };
        Error::NotFound(Missing::Stage(name.clone(), stage))
    })?;
    stages.version(id).ok_or_else(|| Error::NotFound(Missing::Version(name.clone(), id)))
}

/// The row of a version that is not destroyed, and not due to be.
pub(super) fn resolve_kept<'a>(
    name: &SecretName,
    stages: &'a Stages,
    id: VersionId,
    now: Timestamp,
) -> Result<&'a VersionEntry, Error> {
    let entry = resolve(name, stages, &VersionRef::Id(id))?;
    if is_destroyed(stages, entry, now) {
        return Err(Error::of_version(name, id, VersionRefusal::Destroyed));
    }
    Ok(entry)
}

pub(super) fn metadata(
    name: &SecretName,
    stages: &Stages,
    reference: &VersionRef,
) -> Result<VersionMetadata, Error> {
    Ok(VersionMetadata::of(name, stages, resolve(name, stages, reference)?))
}
