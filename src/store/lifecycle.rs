//! The states of a secret: to be deleted and had back, enabled, disabled, frozen, protected.

use super::{
    Preconditions, Secret, SecretStore,
    change::{Edit, Terms},
};
use crate::{
    domain::{Action, RecoveryWindow, SecretName, SecretState, Usage},
    error::Error,
    records::Operation,
};

impl SecretStore {
    /// Schedules the deletion of a secret (csms.md 2.5, 3.1). Until then it can be had back by
    /// [`cancel_deletion`](Self::cancel_deletion); its metadata can be seen and nothing else be done
    /// with it but [deleting](Self::delete_secret) it at once.
    ///
    /// When the window is over the secret is gone: the first call that meets it, or a
    /// [`sweep`](Self::sweep), removes it for good, and its name is free (8.2 row 35). `window` is 7 to
    /// 30 days, [`RecoveryWindow::default`] is 30.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if its deletion is scheduled already, or it is frozen.
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
    /// use strongroom::{ErrorKind, NewSecret, RecoveryWindow, SecretState, SecretValue};
    ///
    /// let name = "api-token".parse()?;
    /// store.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let secret = store.schedule_deletion(&name, RecoveryWindow::from_days(7)?)?;
    /// assert_eq!(secret.state(), SecretState::PendingDeletion);
    /// assert_eq!(store.get(&name).unwrap_err().kind(), ErrorKind::SecretState);
    /// assert_eq!(store.cancel_deletion(&name)?.state(), SecretState::Enabled);
    /// assert!(store.get(&name).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "DeleteSecretForSchedule")]
    pub fn schedule_deletion(
        &self,
        name: &SecretName,
        window: RecoveryWindow,
    ) -> Result<Secret, Error> {
        self.schedule_deletion_if(name, window, &Preconditions::none())
    }

    /// Schedules the deletion of a secret if it is as required (csms.md 3.1). See
    /// [`schedule_deletion`](Self::schedule_deletion).
    ///
    /// # Errors
    ///
    /// As for [`schedule_deletion`](Self::schedule_deletion), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn schedule_deletion_if(
        &self,
        name: &SecretName,
        window: RecoveryWindow,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::DeleteSecret, Some(name))?;
        let terms = Terms::of(Usage::ScheduleDeletion, preconditions);
        let changed = self.change(name, terms, |draft, _, at| {
            draft.stages_mut().deletion = Some(window.end(at));
            Ok(Edit::Commit(Operation::ScheduleDeletion, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Cancels a scheduled deletion. The secret is in the state again in which it was before (csms.md
    /// 2.5, 8.2 row 33).
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret, or its time is over.
    /// * [`Error::SecretState`] if its deletion is not scheduled.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    #[doc(alias = "RestoreSecret")]
    pub fn cancel_deletion(&self, name: &SecretName) -> Result<Secret, Error> {
        self.cancel_deletion_if(name, &Preconditions::none())
    }

    /// Cancels a scheduled deletion if the secret is as required (csms.md 3.1). See
    /// [`cancel_deletion`](Self::cancel_deletion).
    ///
    /// # Errors
    ///
    /// As for [`cancel_deletion`](Self::cancel_deletion), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn cancel_deletion_if(
        &self,
        name: &SecretName,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::DeleteSecret, Some(name))?;
        let terms = Terms::of(Usage::CancelDeletion, preconditions);
        let changed = self.change(name, terms, |draft, _, _| {
            draft.stages_mut().deletion = None;
            Ok(Edit::Commit(Operation::CancelDeletion, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Enables, disables or freezes a secret. CSMS has these states, but no call that sets them
    /// (csms.md 1.3, 8.2 row 36).
    ///
    /// Of a disabled secret values can neither be read nor stored. Of a frozen one nothing can be
    /// changed either, and nothing in it falls due; it can be deleted. A secret that is in this state
    /// already stays as it is, and nothing is written.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    /// * [`Error::SecretState`] if its deletion is scheduled: cancel that first.
    /// * [`Error::InvalidArgument`] for [`SecretState::PendingDeletion`], which is set by
    ///   [`schedule_deletion`](Self::schedule_deletion).
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    pub fn set_state(&self, name: &SecretName, state: SecretState) -> Result<Secret, Error> {
        self.set_state_if(name, state, &Preconditions::none())
    }

    /// Enables, disables or freezes a secret if it is as required (csms.md 8.2 row 36). See
    /// [`set_state`](Self::set_state).
    ///
    /// # Errors
    ///
    /// As for [`set_state`](Self::set_state), and [`Error::Conflict`] if a precondition does not
    /// hold.
    pub fn set_state_if(
        &self,
        name: &SecretName,
        state: SecretState,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::SetState, Some(name))?;
        if state == SecretState::PendingDeletion {
            return Err(Error::invalid("state", "a deletion is scheduled by a call of its own"));
        }
        let terms = Terms::of(Usage::SetState, preconditions);
        let changed = self.change(name, terms, |draft, seen, _| {
            if seen.stages.body.set_state == state {
                return Ok(Edit::Nothing);
            }
            draft.stages_mut().set_state = state;
            Ok(Edit::Commit(Operation::SetState, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }

    /// Protects a secret from being deleted at once, for good: see
    /// [`NewSecret::purge_protected`](crate::NewSecret::purge_protected). One that is protected
    /// already stays as it is, and nothing is written. Not in CSMS.
    ///
    /// A deletion that is scheduled already goes on.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such secret.
    ///
    /// Nothing was written then. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    pub fn protect_from_purge(&self, name: &SecretName) -> Result<Secret, Error> {
        self.protect_from_purge_if(name, &Preconditions::none())
    }

    /// Protects a secret from being deleted at once, if it is as required. See
    /// [`protect_from_purge`](Self::protect_from_purge). Not in CSMS.
    ///
    /// # Errors
    ///
    /// As for [`protect_from_purge`](Self::protect_from_purge), and [`Error::Conflict`] if a
    /// precondition does not hold.
    pub fn protect_from_purge_if(
        &self,
        name: &SecretName,
        preconditions: &Preconditions,
    ) -> Result<Secret, Error> {
        self.permit(Action::SetState, Some(name))?;
        // In every state: it can only save the secret.
        let terms = Terms::of(Usage::Delete, preconditions);
        let changed = self.change(name, terms, |draft, seen, _| {
            if seen.secret.body.purge_protected {
                return Ok(Edit::Nothing);
            }
            draft.secret_mut().purge_protected = true;
            Ok(Edit::Commit(Operation::ProtectFromPurge, None))
        })?;
        Ok(Secret::of(&changed.seen))
    }
}
