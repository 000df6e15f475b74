//! The states of a version: disabled, enabled again, destroyed at once or at a time.

use super::{
    Preconditions, SecretStore, VersionMetadata,
    admit::is_destroyed,
    change::{Edit, Terms},
    versions::{metadata, resolve, resolve_kept},
};
use crate::{
    domain::{
        Action, SecretName, Timestamp, Usage, VersionId, VersionRef, VersionState, expire_time,
    },
    error::{Error, VersionRefusal},
    records::{Draft, Operation, Seen},
};

impl SecretStore {
    /// Disables a version: its value cannot be read until it is [enabled](Self::enable_version) again.
    /// Labels stay, and can be moved to it. CSMS has no such thing.
    ///
    /// One that is disabled already stays as it is, and nothing is written.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret or version.
    /// * [`Error::SecretState`] if the secret is frozen or to be deleted.
    /// * [`Error::VersionState`] if the version is destroyed.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    pub fn disable_version(
        &self,
        name: &SecretName,
        version: VersionId,
    ) -> Result<VersionMetadata, Error> {
        self.disable_version_if(name, version, &Preconditions::none())
    }

    /// Disables a version if the secret is as required. See
    /// [`disable_version`](Self::disable_version). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`disable_version`](Self::disable_version), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn disable_version_if(
        &self,
        name: &SecretName,
        version: VersionId,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::SetVersionState, Some(name))?;
        self.set_version_state(name, version, VersionState::Disabled, preconditions)
    }

    /// Enables a disabled version again. See [`disable_version`](Self::disable_version). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`disable_version`](Self::disable_version).
    pub fn enable_version(
        &self,
        name: &SecretName,
        version: VersionId,
    ) -> Result<VersionMetadata, Error> {
        self.enable_version_if(name, version, &Preconditions::none())
    }

    /// Enables a disabled version again, if the secret is as required. See
    /// [`enable_version`](Self::enable_version). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`enable_version`](Self::enable_version), and [`Error::Conflict`] if a precondition
    /// does not hold.
    pub fn enable_version_if(
        &self,
        name: &SecretName,
        version: VersionId,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::SetVersionState, Some(name))?;
        self.set_version_state(name, version, VersionState::Enabled, preconditions)
    }

    fn set_version_state(
        &self,
        name: &SecretName,
        version: VersionId,
        state: VersionState,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.change_version(name, version, preconditions, |draft, seen, at| {
            let row = resolve_kept(name, &seen.stages.body, version, at)?;
            if row.state == state {
                return Ok(Edit::Nothing);
            }
            if let Some(row) = draft.stages_mut().version_mut(version) {
                row.state = state;
            }
            Ok(Edit::Commit(Operation::SetVersionState, Some(version)))
        })
    }

    /// Destroys the value of a version, at once and for good: its record is removed and its key wiped
    /// in the same commit. Number, times and expiry are still told. CSMS has no such thing.
    ///
    /// One that is destroyed already stays as it is, and nothing is written.
    ///
    /// What was written before stays on the disk for a while, sealed, in files that are not in use any
    /// more; [`compact`](Self::compact) and [`checkpoint`](Self::checkpoint) let go of them.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret or version.
    /// * [`Error::SecretState`] if the secret is frozen or to be deleted.
    /// * [`Error::VersionState`] if the version bears a label, so is in use.
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
    /// use strongroom::{ErrorKind, NewSecret, NewVersion, SecretValue, VersionId, VersionState};
    ///
    /// let (name, value) = ("api-token".parse()?, SecretValue::from_string);
    /// store.create_secret(NewSecret::new("api-token".parse()?, value("leaked")))?;
    /// let refused = store.destroy_version(&name, VersionId::FIRST).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::VersionState); // it is SYSCURRENT
    /// store.put_version(&name, NewVersion::new(value("second")))?;
    /// store.put_version(&name, NewVersion::new(value("third")))?;
    /// let first = store.destroy_version(&name, VersionId::FIRST)?;
    /// assert_eq!(first.state(), VersionState::Destroyed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn destroy_version(
        &self,
        name: &SecretName,
        version: VersionId,
    ) -> Result<VersionMetadata, Error> {
        self.destroy_version_if(name, version, &Preconditions::none())
    }

    /// Destroys the value of a version if the secret is as required. See
    /// [`destroy_version`](Self::destroy_version). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`destroy_version`](Self::destroy_version), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn destroy_version_if(
        &self,
        name: &SecretName,
        version: VersionId,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::DestroyVersion, Some(name))?;
        self.change_version(name, version, preconditions, |draft, seen, _| {
            let stages = &seen.stages.body;
            if resolve(name, stages, &VersionRef::Id(version))?.state == VersionState::Destroyed {
                return Ok(Edit::Nothing);
            }
            refuse_labelled(name, seen, version)?;
            draft.destroy(version);
            Ok(Edit::Commit(Operation::DestroyVersion, Some(version)))
        })
    }

    /// Schedules the destruction of a version for a time in the future, cut to whole seconds. From
    /// then on it is as [destroyed](Self::destroy_version): the first call that meets it, or a
    /// [`sweep`](Self::sweep), makes that so. A version that bears a label by then is not destroyed
    /// until it bears none. A second call replaces the time. Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`destroy_version`](Self::destroy_version), [`Error::VersionState`] also for a version that
    /// is destroyed, and [`Error::InvalidArgument`] if the time is not in the future.
    pub fn schedule_destruction(
        &self,
        name: &SecretName,
        version: VersionId,
        at: Timestamp,
    ) -> Result<VersionMetadata, Error> {
        self.schedule_destruction_if(name, version, at, &Preconditions::none())
    }

    /// Schedules the destruction of a version if the secret is as required. See
    /// [`schedule_destruction`](Self::schedule_destruction). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`schedule_destruction`](Self::schedule_destruction), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn schedule_destruction_if(
        &self,
        name: &SecretName,
        version: VersionId,
        at: Timestamp,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::DestroyVersion, Some(name))?;
        self.change_version(name, version, preconditions, |draft, seen, now| {
            let row = resolve_kept(name, &seen.stages.body, version, now)?;
            refuse_labelled(name, seen, version)?;
            let asked = expire_time(at, now).ok().flatten();
            let reason = "a version can only be destroyed in the future, within 13 digits";
            let at = asked.ok_or_else(|| Error::invalid("destruction time", reason))?;
            if row.destruction == Some(at) {
                return Ok(Edit::Nothing);
            }
            if let Some(row) = draft.stages_mut().version_mut(version) {
                row.destruction = Some(at);
            }
            Ok(Edit::Commit(Operation::ScheduleDestruction, Some(version)))
        })
    }

    /// Cancels the scheduled destruction of a version. If none is scheduled, nothing is written. Not
    /// in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`disable_version`](Self::disable_version).
    pub fn cancel_destruction(
        &self,
        name: &SecretName,
        version: VersionId,
    ) -> Result<VersionMetadata, Error> {
        self.cancel_destruction_if(name, version, &Preconditions::none())
    }

    /// Cancels the scheduled destruction of a version if the secret is as required. See
    /// [`cancel_destruction`](Self::cancel_destruction). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`cancel_destruction`](Self::cancel_destruction), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn cancel_destruction_if(
        &self,
        name: &SecretName,
        version: VersionId,
        preconditions: &Preconditions,
    ) -> Result<VersionMetadata, Error> {
        self.permit(Action::DestroyVersion, Some(name))?;
        self.change_version(name, version, preconditions, |draft, seen, at| {
            let row = resolve_kept(name, &seen.stages.body, version, at)?;
            if row.destruction.is_none() {
                return Ok(Edit::Nothing);
            }
            if let Some(row) = draft.stages_mut().version_mut(version) {
                row.destruction = None;
            }
            Ok(Edit::Commit(Operation::ScheduleDestruction, Some(version)))
        })
    }

    fn change_version(
        &self,
        name: &SecretName,
        version: VersionId,
        preconditions: &Preconditions,
        edit: impl Fn(&mut Draft<'_>, &Seen, Timestamp) -> Result<Edit, Error>,
    ) -> Result<VersionMetadata, Error> {
        let terms = Terms::of(Usage::Metadata, preconditions);
        let changed = self.change(name, terms, edit)?;
        metadata(name, &changed.seen.stages.body, &VersionRef::Id(version))
    }

    /// Destroys a version whose time has come. Says whether it did.
    pub(super) fn destroy_due(&self, name: &SecretName, version: VersionId) -> Result<bool, Error> {
        let terms = Terms::of(Usage::Metadata, &Preconditions::none());
        let changed = self.own().change(name, terms, |draft, seen, now| {
            let stages = &seen.stages.body;
            let due = stages.version(version).filter(|row| is_destroyed(stages, row, now));
            if due.is_none_or(|row| row.state == VersionState::Destroyed) {
                return Ok(Edit::Nothing);
            }
            draft.destroy(version);
            Ok(Edit::Commit(Operation::DestroyVersion, Some(version)))
        })?;
        Ok(changed.version.is_some())
    }
}

fn refuse_labelled(name: &SecretName, seen: &Seen, version: VersionId) -> Result<(), Error> {
    if seen.stages.body.labels.is_labelled(version) {
        return Err(Error::of_version(name, version, VersionRefusal::Labelled));
    }
    Ok(())
}
