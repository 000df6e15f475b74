//! Doing what has fallen due by the clock.

use super::{
    Preconditions, SecretStore,
    change::{Edit, Terms},
};
use crate::{
    domain::{Action, SecretName, Timestamp, Usage, VersionId},
    error::Error,
    records::{Draft, Due, Operation, Seen, Telling},
};

/// What a [`SecretStore::sweep`] did (csms.md 8.2 row 35).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Swept {
    /// Secrets that were removed since their scheduled deletion was due.
    pub deletions: u64,
    /// Versions that were destroyed as scheduled.
    pub destructions: u64,
    /// Versions of which it was told that they have expired.
    pub expired: u64,
    /// Versions of which it was told that they will expire before long.
    pub near_expiry: u64,
    /// Secrets whose old versions were dropped, since they had been kept long enough or were too many.
    pub outlived: u64,
}

impl SecretStore {
    /// Does all that has fallen due by now: removes secrets whose scheduled deletion is due, destroys
    /// versions, drops old versions by the [retention](crate::Retention) of their secret, and tells
    /// which versions have expired or will before long. What is due is found in order of time, and each
    /// thing is a commit of its own with an audit record of the actor `strongroom`.
    ///
    /// That a version has expired, or [will before long](crate::Builder::near_expiry_days), is told
    /// once for each time its expiry was set: as an operation in the audit log, from which events come
    /// (csms.md 1.7). If both are due, only the first is told. If the secret subscribed to no event
    /// then, it is told a second time when it subscribes to one, whatever that fires for (8.4 row 76).
    /// Nothing falls due in a secret that is frozen; of one that is to be deleted, only that.
    ///
    /// Deletions and destructions happen without it too, when somebody comes across them. Call it now
    /// and then, such as every hour. The first call looks at all secrets, some ten microseconds for
    /// each; later ones only at those for which something is due.
    ///
    /// # Errors
    ///
    /// Those of every write, as for [`create_secret`](Self::create_secret). What was done before stays
    /// done, and the next call does the rest.
    pub fn sweep(&self) -> Result<Swept, Error> {
        self.permit(Action::Maintain, None)?;
        let (own, mut swept) = (self.own(), Swept::default());
        for (name, due) in self.inner.records.due(self.inner.clock.now())? {
            match own.carry_out(&name, due, &mut swept) {
                // Changed since it was looked at: then it is not due, or the next time.
                Err(Error::NotFound(_) | Error::SecretState { .. }) => {}
                other => other?,
            }
        }
        Ok(swept)
    }

    /// When something falls due next, or fell due and was not done yet (csms.md 8.2 row 35). None if
    /// nothing is scheduled at all. For whoever decides when to call [`sweep`](Self::sweep); the
    /// first call takes as long as the first sweep.
    ///
    /// # Errors
    ///
    /// [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for every read.
    pub fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.permit(Action::Maintain, None)?;
        Ok(self.inner.records.next_due()?)
    }

    fn carry_out(&self, name: &SecretName, due: Due, swept: &mut Swept) -> Result<(), Error> {
        let (count, done) = match due {
            Due::Deletion => (&mut swept.deletions, self.remove_if_due(name)?),
            Due::Destruction(version) => {
                (&mut swept.destructions, self.destroy_due(name, version)?)
            }
            Due::Expiry(version) => {
                let operation = Operation::ExpireVersion;
                (&mut swept.expired, self.tell(name, version, (operation, Telling::EXPIRED))?)
            }
            Due::NearExpiry(version) => {
                let operation = Operation::NearExpiry;
                (&mut swept.near_expiry, self.tell(name, version, (operation, Telling::NEAR))?)
            }
            Due::Retention(version) => (&mut swept.outlived, self.drop_outlived(name, version)?),
            // Rotations are made by calls of their own.
            Due::Rotation => return Ok(()),
        };
        *count = count.saturating_add(u64::from(done));
        Ok(())
    }

    /// Tells that a version has expired or will, unless that was told. Says whether it did.
    fn tell(
        &self,
        name: &SecretName,
        version: VersionId,
        (operation, telling): (Operation, Telling),
    ) -> Result<bool, Error> {
        self.change_due(name, |draft, seen| {
            let (secret, now) = (&seen.secret.body, self.inner.clock.now());
            let near = telling == Telling::NEAR;
            let near_ms = self.inner.records.schedule.near_expiry_ms();
            let applies = |expires: Timestamp| match (near, near_ms) {
                (false, _) => expires <= now,
                (true, Some(near_ms)) => {
                    let begins = expires.as_millis().saturating_sub(near_ms);
                    now < expires && begins <= now.as_millis()
                }
                (true, None) => false,
            };
            let row = seen.stages.body.version(version)?;
            if !telling.is_new(secret, row) || !row.expires.is_some_and(applies) {
                return None;
            }
            draft.note_told(version, telling.noted(secret, row));
            Some((operation, version))
        })
    }

    /// Drops the versions that their secret has kept long enough. Says whether there were any.
    fn drop_outlived(&self, name: &SecretName, version: VersionId) -> Result<bool, Error> {
        self.change_due(name, |draft, _| {
            (draft.drop_outlived() > 0).then_some((Operation::DestroyVersion, version))
        })
    }

    fn change_due(
        &self,
        name: &SecretName,
        edit: impl Fn(&mut Draft<'_>, &Seen) -> Option<(Operation, VersionId)>,
    ) -> Result<bool, Error> {
        let terms = Terms::of(Usage::Metadata, &Preconditions::none());
        let changed = self.change(name, terms, |draft, seen, _| {
            Ok(match edit(draft, seen) {
                Some((operation, version)) => Edit::Commit(operation, Some(version)),
                None => Edit::Nothing,
            })
        })?;
        Ok(changed.version.is_some())
    }
}
