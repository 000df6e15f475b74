//! Automatic rotations: which are due, making them, and what becomes of those that fail.
//!
//! A rotation that succeeds at once leaves its audit record and nothing else. One that fails opens a
//! task, in the secret's own record, that is tried again: three attempts in all, a minute after the
//! first and four minutes after the second (csms.md 8.3 row 63). Then it has failed, and the schedule
//! goes on a period later.

use std::cell::Cell;

use super::{
    Preconditions, Rotation, Secret, SecretStore,
    change::{Edit, Terms},
    tasks::kept_of,
};
use crate::{
    crypto::random,
    domain::{
        Action, AfterFailure, OpenTask, SecretName, Stage, TaskId, TaskNote, Timestamp, Usage,
    },
    error::{Error, ErrorKind, Missing},
    records::{Due, Operation, Seen, next_rotation},
};

/// What came of the rotations that were due (csms.md 4.3).
#[derive(Debug, Default)]
pub struct DueRotations {
    rotated: Vec<Rotation>,
    failed: Vec<FailedRotation>,
}

impl DueRotations {
    /// The secrets that were rotated, in order.
    #[must_use]
    pub fn rotated(&self) -> &[Rotation] {
        &self.rotated
    }

    /// The attempts that failed, in order.
    #[must_use]
    pub fn failed(&self) -> &[FailedRotation] {
        &self.failed
    }

    /// The attempts that failed, taken out.
    #[must_use]
    pub fn into_failed(self) -> Vec<FailedRotation> {
        self.failed
    }
}

/// An attempt of an automatic rotation that failed (csms.md 8.3 rows 62 and 63). The secret's
/// versions and labels are as before.
#[derive(Debug)]
pub struct FailedRotation {
    secret_name: SecretName,
    error: Error,
    task: Option<(TaskId, Option<Timestamp>)>,
}

impl FailedRotation {
    /// The secret.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Why it failed, taken out.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The task. None if the failure could not be written down: then the secret is due as before.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.task.map(|(id, _)| id)
    }

    /// When it is tried again, if it is.
    #[must_use]
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.task.and_then(|(_, next)| next)
    }
}

impl SecretStore {
    /// The secrets that are to be rotated by now, the longest due first. Secrets that are not enabled
    /// are not among them (csms.md 4.1).
    ///
    /// The first call looks at all secrets, some ten microseconds for each; later ones only at those
    /// for which something is due. A session gets those that its policies do not deny to it.
    ///
    /// # Errors
    ///
    /// [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for every read.
    pub fn rotations_due(&self) -> Result<Vec<SecretName>, Error> {
        self.permit(Action::Maintain, None)?;
        let due = self.inner.records.due(self.inner.clock.now())?;
        let rotations = due.into_iter().filter(|(_, due)| *due == Due::Rotation);
        let names = rotations.map(|(name, _)| name);
        Ok(names.filter(|name| self.may(Action::Maintain, name)).collect())
    }

    /// Rotates the secrets that are due, one after another, each as by [`rotate`](Self::rotate) and by
    /// the actor `strongroom`. One that fails does not stop the others. A session leaves out those that its
    /// policies deny to it.
    ///
    /// A rotation is tried three times, with a minute between the first two attempts and four between
    /// the others, by calls of this at those times or later. The first failure opens a
    /// [task](Self::tasks); until it ends, [`rotate`](Self::rotate) is refused. After the third the task
    /// has failed: the secret is as it was, and due again a period later, or at once after
    /// [`resume_rotation`](Self::resume_rotation). Each failure is a commit of its own with an audit
    /// record (csms.md 8.3 rows 61 to 63).
    ///
    /// A failure of the disk, or of the store as a whole, is no attempt: the secret is due as before.
    ///
    /// # Errors
    ///
    /// [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] if it cannot be found out what
    /// is due. What fails for one secret is in what is returned.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// // Every minute or so, or with `start_scheduler`:
    /// let done = store.rotate_due()?;
    /// for failed in done.failed() {
    ///     eprintln!("{}: {}", failed.secret_name(), failed.error());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate_due(&self) -> Result<DueRotations, Error> {
        self.permit(Action::Maintain, None)?;
        let (due, own) = (self.rotations_due()?, self.own());
        let mut done = DueRotations::default();
        for name in due {
            match own.rotate_if_due(&name) {
                Ok(rotation) => done.rotated.extend(rotation),
                // Removed, disabled or changed since it was looked at: not due, or the next time.
                Err(Error::NotFound(Missing::Secret(_)) | Error::SecretState { .. }) => {}
                Err(error) => {
                    let task = own.note_failure(&name, &error);
                    done.failed.push(FailedRotation { secret_name: name, error, task });
                }
            }
        }
        Ok(done)
    }

    /// Gives up the rotation of a secret that failed and would be tried again (csms.md 1.9 has the
    /// task; cancelling it is not in CSMS). The task ends as failed; the schedule goes on a period
    /// later.
    ///
    /// It does not switch automatic rotation off: that is an
    /// [update](crate::SecretUpdate::rotation), which does not end a task under way.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, or no rotation of it is under way.
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    pub fn cancel_rotation(&self, name: &SecretName) -> Result<Secret, Error> {
        self.cancel_rotation_if(name, &Preconditions::none())
    }

    /// Gives up the rotation of a secret if it is as required. See
    /// [`cancel_rotation`](Self::cancel_rotation). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`cancel_rotation`](Self::cancel_rotation), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn cancel_rotation_if(
        &self,
        name: &SecretName,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::ControlRotation, Some(name))?;
        let terms = Terms::of(Usage::Metadata, preconditions);
        let changed = self.change(name, terms, |draft, seen, at| {
            let Some(task) = &seen.secret.body.rotation.task else {
                return Err(Error::NotFound(Missing::Task(format!("of secret {name}"))));
            };
            let rotation = &mut draft.secret_mut().rotation;
            (rotation.task, rotation.put_off) = (None, Some(at));
            draft.set_detail(TaskNote::of(task, "cancelled").to_string());
            Ok(Edit::Commit(Operation::CancelRotation, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Has a rotation that failed tried at once: the next attempt of the one under way is due now, or
    /// if it was given up or cancelled, the schedule no longer waits a period for it (csms.md 1.9 has
    /// the task; resuming it is not in CSMS). The attempt is made by the next
    /// [`rotate_due`](Self::rotate_due), or the scheduler.
    ///
    /// Attempts that were made count on. If it is due already, nothing is written.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::Constraint`] if no automatic rotation of it failed or was cancelled since it was
    ///   rotated last, or automatic rotation is switched off.
    /// * [`Error::SecretState`] if it is frozen or to be deleted.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    pub fn resume_rotation(&self, name: &SecretName) -> Result<Secret, Error> {
        self.resume_rotation_if(name, &Preconditions::none())
    }

    /// Has a rotation that failed tried at once, if the secret is as required. See
    /// [`resume_rotation`](Self::resume_rotation). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`resume_rotation`](Self::resume_rotation), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn resume_rotation_if(
        &self,
        name: &SecretName,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::ControlRotation, Some(name))?;
        let terms = Terms::of(Usage::Metadata, preconditions);
        let changed = self.change(name, terms, |draft, seen, now| {
            let before = &seen.secret.body.rotation;
            match &before.task {
                Some(task) if task.next_attempt <= now => return Ok(Edit::Nothing),
                Some(task) => {
                    let next = OpenTask { next_attempt: now, ..task.clone() };
                    draft.set_detail(TaskNote::of(task, &task.error).to_string());
                    draft.secret_mut().rotation.task = Some(next);
                }
                None if before.is_put_off(seen.stages.body.rotated) => {
                    draft.secret_mut().rotation.put_off = None;
                }
                None => {
                    let rule = "no automatic rotation of it failed or was cancelled";
                    return Err(Error::constraint(name, rule));
                }
            }
            Ok(Edit::Commit(Operation::ResumeRotation, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Rotates a secret if it is still due.
    fn rotate_if_due(&self, name: &SecretName) -> Result<Option<Rotation>, Error> {
        let open = Cell::new(None);
        let terms = Terms::of(Usage::Value, &Preconditions::none());
        let changed = self.change(name, terms, |draft, seen, at| {
            if !is_rotation_due(seen, at) {
                return Ok(Edit::Nothing);
            }
            open.set(seen.secret.body.rotation.task.as_ref().map(|task| task.id));
            self.attempt(name, draft, seen, at)
        })?;
        let Some(version_id) = changed.version else { return Ok(None) };
        let stages = &changed.seen.stages.body;
        debug_assert_eq!(stages.labels.version_of(&Stage::Current), Some(version_id));
        let task_id = open.get().unwrap_or_else(|| self.task_of(&stages.sid, version_id));
        Ok(Some(Rotation { secret_name: name.clone(), version_id, task_id }))
    }

    /// Writes down that an attempt failed, and gives the task and when it is tried again. None if it is
    /// no longer due, or cannot be written.
    fn note_failure(
        &self,
        name: &SecretName,
        error: &Error,
    ) -> Option<(TaskId, Option<Timestamp>)> {
        if !is_of_the_secret(error.kind()) {
            return None;
        }
        let (text, mut new_id) = (kept_of(error), [0; 16]);
        random::fill(&mut new_id).ok()?;
        let noted = Cell::new(None);
        let terms = Terms::of(Usage::Value, &Preconditions::none());
        let changed = self.change(name, terms, |draft, seen, at| {
            noted.set(None);
            if !is_rotation_due(seen, at) {
                return Ok(Edit::Nothing);
            }
            let open = seen.secret.body.rotation.task.as_ref();
            let after = OpenTask::after_failure(open, TaskId::from_bytes(new_id), at, &text);
            let rotation = &mut draft.secret_mut().rotation;
            let (task, next, operation) = match (after, open) {
                (AfterFailure::Failed(task), _) => {
                    (rotation.task, rotation.put_off) = (None, Some(at));
                    (task, None, Operation::FailRotation)
                }
                (AfterFailure::Again(task), open) => {
                    rotation.task = Some(task.clone());
                    let next = Some(task.next_attempt);
                    let begins = open.is_none();
                    let operation =
                        if begins { Operation::BeginRotation } else { Operation::RetryRotation };
                    (task, next, operation)
                }
            };
            draft.set_detail(TaskNote::of(&task, &text).to_string());
            noted.set(Some((task.id, next)));
            Ok(Edit::Commit(operation, None))
        });
        // What kept it from being written is told by every other call too.
        changed.ok().and_then(|_| noted.get())
    }
}

fn is_rotation_due(seen: &Seen, now: Timestamp) -> bool {
    let next = next_rotation(&seen.secret.body, &seen.stages.body);
    next.is_some_and(|next| next <= now)
}

/// Whether an error lies in the secret or its surroundings, so that it counts as an attempt. After the
/// others nothing is written any more, or nothing is known of the attempt.
fn is_of_the_secret(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Conflict
            | ErrorKind::Damaged
            | ErrorKind::InvalidState
            | ErrorKind::Poisoned
            | ErrorKind::Random
            | ErrorKind::Storage
    )
}
