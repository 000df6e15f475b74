//! Rotation inside the store: a new password, a new version, SYSCURRENT on it, in one commit.

use super::{
    RotateOptions, Rotation, SecretStore,
    change::{Edit, Terms},
};
use crate::{
    crypto::random,
    domain::{
        Action, SecretName, SecretValue, Stage, TaskId, TaskNote, Timestamp, Usage, VersionId,
        VersionRef,
    },
    error::Error,
    records::{Draft, NewVersionSpec, Operation, Seen},
    rotation::{GenerateError, ReplaceError, generate, with_new_password},
    store::versions::resolve,
};

impl SecretStore {
    /// Gives a secret a new random password (csms.md 3.1, 2.3).
    ///
    /// The value behind SYSCURRENT is `{"users":[{"name":"...","password":"..."}]}`. A copy of it with
    /// a new password in place of the old one, and everything else as it was, becomes the next
    /// version; SYSCURRENT moves to it and SYSPREVIOUS to the version that was current. All of this is
    /// one commit: after a crash either nothing of it happened or all.
    ///
    /// A session needs `csms:secret:rotate`, and since every type that can be rotated is a database's, five
    /// permissions more, as in the cloud: `rds:password:update`, `kms:cmk:get`, `kms:cmk:list`,
    /// `kms:cmk:createDataKey` and `kms:cmk:decryptDataKey`. [`Error::Denied`] names the first that is
    /// missing.
    ///
    /// The password is made inside, by the store's [policy](crate::Builder::password_policy). Only
    /// the store is changed, not a database.
    ///
    /// # Errors
    ///
    /// * [`Error::Constraint`] if the secret is of type COMMON, which cannot be rotated, or an automatic
    ///   rotation of it is under way that failed and will be tried again (8.3 row 61): wait for it,
    ///   [resume](Self::resume_rotation) or [cancel](Self::cancel_rotation) it; if the value does not have
    ///   the shape of its type, or every version bears a label and none can be dropped.
    /// * [`Error::SecretState`] if it is not enabled (8.3 row 67).
    /// * [`Error::Key`] if the secret's key of the key manager is disabled or not there.
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::LimitExceeded`] if the new value is too long, or the secret would have too many
    ///   labels.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "RotateSecret")]
    pub fn rotate(&self, name: &SecretName) -> Result<Rotation, Error> {
        self.rotate_with(name, &RotateOptions::new())
    }

    /// Rotates under preconditions, or so that it can be repeated (csms.md 3.1). See
    /// [`rotate`](Self::rotate).
    ///
    /// # Errors
    ///
    /// As for [`rotate`](Self::rotate), and [`Error::Conflict`] if a precondition does not hold or the
    /// token was used for another request.
    pub fn rotate_with(
        &self,
        name: &SecretName,
        options: &RotateOptions,
    ) -> Result<Rotation, Error> {
        self.permit(Action::RotateSecret, Some(name))?;
        let once = self.once(options.token.as_ref(), "rotate", &[]);
        let terms = Terms { usage: Usage::Value, preconditions: options.preconditions, once };
        let changed = self.change(name, terms, |draft, seen, at| {
            if let Some(task) = &seen.secret.body.rotation.task {
                let rule = format!("a rotation of it is under way, task {}", task.id);
                return Err(Error::constraint(name, rule));
            }
            self.attempt(name, draft, seen, at)
        })?;
        let stages = &changed.seen.stages.body;
        let current = stages.labels.version_of(&Stage::Current);
        let version_id = changed.version.or(current).ok_or_else(|| Error::no_secret(name))?;
        let task_id = self.task_of(&stages.sid, version_id);
        Ok(Rotation { secret_name: name.clone(), version_id, task_id })
    }

    /// One attempt of a rotation, that of the task under way if there is one: what has to be changed,
    /// in a draft. What a rotation does is known here and nowhere else.
    pub(super) fn attempt(
        &self,
        name: &SecretName,
        draft: &mut Draft<'_>,
        seen: &Seen,
        at: Timestamp,
    ) -> Result<Edit, Error> {
        let secret = &seen.secret.body;
        if !secret.secret_type.is_rotatable() {
            let rule = "a secret of type COMMON cannot be rotated";
            return Err(Error::constraint(name, rule));
        }
        self.permit_database_rotation(name)?;
        let Some(value) = self.with_new_password(name, seen)? else { return Ok(Edit::Again) };
        self.check_value(&value)?;
        let spec = NewVersionSpec { value: &value, stages: &[], expires: None };
        let version = draft
            .add_version(&spec, &self.inner.limits)
            .map_err(|err| Error::of_draft(name, err))?;
        draft.stages_mut().rotated = Some(at);
        let note = match &secret.rotation.task {
            Some(task) => {
                draft.secret_mut().rotation.task = None;
                TaskNote::success(task)
            }
            None => TaskNote::at_once(self.task_of(&secret.sid, version)),
        };
        draft.set_detail(note.to_string());
        Ok(Edit::Commit(Operation::RotateSecret, Some(version)))
    }

    /// The task of a rotation that succeeded at once: one for each version, so that a repeated request
    /// tells of the same.
    pub(super) fn task_of(&self, sid: &[u8; 16], version: VersionId) -> TaskId {
        let ring = &self.inner.records.sealer.ring;
        TaskId::from_bytes(ring.token_tag(&[b"task", sid, &version.number().to_be_bytes()]))
    }

    /// The value behind SYSCURRENT with a new password in it. `None` if that version was dropped since
    /// it was seen.
    fn with_new_password(
        &self,
        name: &SecretName,
        seen: &Seen,
    ) -> Result<Option<SecretValue>, Error> {
        let entry = resolve(name, &seen.stages.body, &VersionRef::Latest)?;
        let Some(value) = self.inner.records.current_of(seen, entry)? else {
            return Ok(None);
        };
        let made = with_new_password(&value, |account| {
            generate(&self.inner.password_policy, &[account], &mut |bytes| random::fill(bytes))
        });
        made.map(Some).map_err(|err| match err {
            ReplaceError::Make(GenerateError::Random(_)) => Error::Random,
            ReplaceError::Make(GenerateError::Exhausted) => {
                Error::constraint(name, "the policy finds no password without the account's name")
            }
            ReplaceError::NotText => Error::constraint(name, err.to_string()),
            ReplaceError::Shape(err) => Error::of_shape(name, err),
        })
    }
}
