//! Labels: show, move, delete.

use super::{
    Preconditions, SecretStore, StageInfo,
    change::{Edit, Terms},
    versions::resolve_kept,
};
use crate::{
    domain::{Action, Placed, SecretName, Stage, StageError, Usage, VersionId},
    error::{Error, Missing},
    records::{Operation, Seen, Stages},
};

/// To put a label on a version: it is moved, or it is new.
pub(super) const STAGE_ACTIONS: [Action; 2] = [Action::UpdateStage, Action::CreateStage];

impl SecretStore {
    /// Which version bears a label (csms.md 3.3).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such secret or label; others as for
    /// [`secret`](Self::secret).
    #[doc(alias = "ShowSecretStage")]
    pub fn stage(&self, name: &SecretName, stage: &Stage) -> Result<StageInfo, Error> {
        self.permit(Action::GetStage, Some(name))?;
        let head = self.table(name)?;
        info(name, &head.body, stage)
    }

    /// Puts a label on a version: makes it, or takes it from the version that bears it (csms.md 2.3).
    ///
    /// Moving SYSCURRENT puts SYSPREVIOUS on the version that it leaves (8.1 row 4). A label that is
    /// there already stays, and nothing is written.
    ///
    /// A session needs `csms:secret:createStage` for a label that the secret does not have yet, and
    /// `csms:secret:updateStage` for one that it has.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret or version.
    /// * [`Error::LimitExceeded`] if the secret would have too many labels.
    /// * [`Error::SecretState`] if it is frozen or to be deleted, [`Error::VersionState`] if the
    ///   version is destroyed.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "UpdateSecretStage")]
    #[doc(alias = "CreateSecretStage")]
    pub fn move_stage(
        &self,
        name: &SecretName,
        stage: &Stage,
        to: VersionId,
    ) -> Result<StageInfo, Error> {
        self.move_stage_if(name, stage, to, &Preconditions::none())
    }

    /// Puts a label on a version if the secret is as required (csms.md 2.3). See
    /// [`move_stage`](Self::move_stage).
    ///
    /// # Errors
    ///
    /// As for [`move_stage`](Self::move_stage), and [`Error::Conflict`] if a precondition does not
    /// hold.
    pub fn move_stage_if(
        &self,
        name: &SecretName,
        stage: &Stage,
        to: VersionId,
        preconditions: &Preconditions,
    ) -> Result<StageInfo, Error> {
        self.permit_any(&STAGE_ACTIONS, Some(name))?;
        let labels_max = self.inner.limits.labels_max();
        let terms = Terms::of(Usage::Metadata, preconditions);
        let changed = self.change(name, terms, |draft, seen, at| {
            self.permit_placing(seen, stage)?;
            let is_new = seen.stages.body.labels.version_of(stage).is_none();
            resolve_kept(name, &seen.stages.body, to, at)?;
            draft.set_detail(stage.as_str());
            let placed = draft.stages_mut().labels.place(stage, to, at, labels_max);
            Ok(match placed.map_err(|err| Error::of_stage(name, err))? {
                Placed::Moved if is_new => Edit::Commit(Operation::CreateStage, Some(to)),
                Placed::Moved => Edit::Commit(Operation::MoveStage, Some(to)),
                Placed::Unchanged => Edit::Nothing,
            })
        })?;
        info(name, &changed.seen.stages.body, stage)
    }

    /// Refuses a caller who may not put this label on versions of a secret as it was seen.
    pub(super) fn permit_placing(&self, seen: &Seen, stage: &Stage) -> Result<(), Error> {
        let is_new = seen.stages.body.labels.version_of(stage).is_none();
        let action = if is_new { Action::CreateStage } else { Action::UpdateStage };
        self.permit(action, Some(&seen.secret.body.name))
    }

    /// Removes a label. The version that bore it may be left without any, and so be dropped one day
    /// to make room (csms.md 2.3).
    ///
    /// # Errors
    ///
    /// * [`Error::Constraint`] for SYSCURRENT and SYSPREVIOUS, which cannot be deleted.
    /// * [`Error::NotFound`] if there is no such secret or label.
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "DeleteSecretStage")]
    pub fn delete_stage(&self, name: &SecretName, stage: &Stage) -> Result<(), Error> {
        self.delete_stage_if(name, stage, &Preconditions::none())
    }

    /// Removes a label if the secret is as required (csms.md 2.3). See
    /// [`delete_stage`](Self::delete_stage).
    ///
    /// # Errors
    ///
    /// As for [`delete_stage`](Self::delete_stage), and [`Error::Conflict`] if a precondition does
    /// not hold.
    pub fn delete_stage_if(
        &self,
        name: &SecretName,
        stage: &Stage,
        preconditions: &Preconditions,
    ) -> Result<(), Error> {
        self.permit(Action::DeleteStage, Some(name))?;
        if matches!(stage, Stage::Current | Stage::Previous) {
            // Whatever the secret's state is (csms.md 8.5); what is required of it comes first, as
            // for every change.
            preconditions.check(&self.seen(name)?)?;
            return Err(Error::of_stage(name, StageError::Permanent { stage: stage.clone() }));
        }
        self.change(name, Terms::of(Usage::Metadata, preconditions), |draft, _, _| {
            draft.set_detail(stage.as_str());
            let removed = draft.stages_mut().labels.remove(stage);
            let version = removed.map_err(|err| Error::of_stage(name, err))?;
            Ok(Edit::Commit(Operation::DeleteStage, Some(version)))
        })?;
        Ok(())
    }
}

pub(super) fn info(name: &SecretName, stages: &Stages, stage: &Stage) -> Result<StageInfo, Error> {
    let missing = || Error::NotFound(Missing::Stage(name.clone(), stage.clone()));
    let placement = stages.labels.placement(stage).ok_or_else(missing)?;
    Ok(StageInfo {
        secret_name: name.clone(),
        stage: stage.clone(),
        version_id: placement.version,
        updated: placement.moved_at.whole_seconds(),
    })
}
