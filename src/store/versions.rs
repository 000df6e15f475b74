//! Versions: store, read, list.

use super::{
    ListVersions, NewVersion, Page, SecretStore, Version, VersionMetadata,
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
    /// * [`Error::NotFound`] if there is no such secret; of a version, if the same request made it before and
    ///   it was dropped since.
    /// * [`Error::SecretState`] if it is not enabled.
    /// * [`Error::LimitExceeded`] if the value is too long, or the secret would have too many labels.
    /// * [`Error::InvalidArgument`] if a label is named twice, the expiry is not in the future, or the
    ///   version may only be used when it has expired.
    /// * [`Error::Constraint`] if the value does not have the shape that the secret's type asks for,
    ///   or every version bears a label and none can be dropped.
    /// * [`Error::Key`] if the secret's key of the key manager is disabled or not there.
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
    /// * [`Error::Key`] if the key of the key manager that the version is sealed under is disabled or not
    ///   there.
    /// * [`Error::Tampered`] if a record is not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    /// * Those of every write, where [reads are audited](crate::Builder::audit_reads).
    #[doc(alias = "GetSecretValue")]
    #[doc(alias = "ShowSecretVersion")]
    pub fn get(&self, name: &SecretName) -> Result<Version, Error> {
        self.permit(Action::GetVersion, Some(name))?;
        let lost = || Error::NotFound(Missing::Stage(name.clone(), Stage::Current));
        let admit = |gate, entry: &VersionEntry| self.admit(name, gate, entry);
        let found = self.inner.records.current(name, admit, lost)?;
        self.told_of_read(found.ok_or_else(|| Error::no_secret(name))?)
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
        let admit = |gate, entry: &VersionEntry| self.admit(name, gate, entry);
        if let Some(read) = self.inner.records.kept_version(name, reference, admit)? {
            return self.told_of_read(read);
        }
        let found = self.inner.records.version(name, |stages| {
            if stages.is_gone(self.inner.clock.now()) {
                // Before its versions are looked at: of what is gone there are none.
                self.admit_secret(name, Gate::of(stages))?;
            }
            let entry = resolve(name, stages, reference)?;
            self.admit_version(name, stages, entry)?;
            Ok::<_, Error>(entry)
        })?;
        self.told_of_read(found.ok_or_else(|| Error::no_secret(name))?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MasterKey, NewSecret, SecretValue};

    type Change = fn(&SecretStore, &SecretName) -> Result<(), Error>;

    /// A destroyed value's key is wiped from the files; a copy in memory would outlive it.
    #[test]
    fn no_value_stays_in_memory_that_was_destroyed_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let key = MasterKey::generate().unwrap();
        let store = SecretStore::builder().master_key(key).create(dir.path().join("s")).unwrap();
        let read: Change = |store, name| store.version(name, &VersionId::FIRST.into()).map(drop);
        let cases: [(&str, Change); 3] = [
            ("what was current once", |store, name| {
                store.move_stage(name, &Stage::Current, VersionId::FIRST)?;
                store.move_stage(name, &Stage::Previous, VersionId::FIRST)?;
                store.destroy_version(name, VersionId::from_number(2).unwrap()).map(drop)
            }),
            ("what was read last", |store, name| {
                store.delete_stage(name, &"kept".parse()?)?;
                store.move_stage(name, &Stage::Previous, VersionId::from_number(2).unwrap())?;
                store.destroy_version(name, VersionId::FIRST).map(drop)
            }),
            ("all of a secret", |store, name| store.delete_secret(name)),
        ];
        for (number, (what, change)) in cases.into_iter().enumerate() {
            let name: SecretName = format!("s{number}").parse().unwrap();
            let value = || SecretValue::from_string("x");
            store.create_secret(NewSecret::new(name.clone(), value())).unwrap();
            store.put_version(&name, NewVersion::new(value())).unwrap();
            store.move_stage(&name, &"kept".parse().unwrap(), VersionId::FIRST).unwrap();
            store.get(&name).unwrap();
            read(&store, &name).unwrap();
            assert!(store.inner.records.keeps_value(&name), "case: {what}");
            change(&store, &name).unwrap();
            assert!(!store.inner.records.keeps_value(&name), "case: {what}");
        }
    }

    #[test]
    fn long_values_are_not_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let key = MasterKey::generate().unwrap();
        let store = SecretStore::builder().master_key(key).create(dir.path().join("s")).unwrap();
        for (len, kept) in [(100, true), (7000, true), (9000, false)] {
            let name: SecretName = format!("s{len}").parse().unwrap();
            let value = SecretValue::from_string("x".repeat(len));
            store.create_secret(NewSecret::new(name.clone(), value)).unwrap();
            store.get(&name).unwrap();
            assert_eq!(store.inner.records.keeps_value(&name), kept, "{len}");
        }
    }
}
