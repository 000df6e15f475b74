//! Who is there at all, and whose values may be read: states, and what the clock has done to them.
//!
//! A secret whose scheduled deletion is due is gone from that moment on. Whoever comes first removes
//! it for good, so that a clock that is set back does not bring it back.

use std::sync::Arc;

use super::SecretStore;
use crate::{
    commit::EngineError,
    domain::{SecretName, SecretState, Timestamp, Usage, VersionState},
    error::{Error, VersionRefusal},
    records::{Author, Draft, Gate, Head, Operation, SecretFacts, Seen, Stages, VersionEntry},
    store::handle::STORE_ACTOR,
};

/// How often a removal that lost against other writers is tried again.
const TRIES_MAX: usize = 16;

impl SecretStore {
    /// Both heads of a secret that must be there.
    pub(super) fn seen(&self, name: &SecretName) -> Result<Seen, Error> {
        self.find(name)?.ok_or_else(|| Error::no_secret(name))
    }

    /// Both heads of a secret, unless there is none. One that is due to be deleted is removed.
    pub(super) fn find(&self, name: &SecretName) -> Result<Option<Seen>, Error> {
        for _ in 0..TRIES_MAX {
            let Some(seen) = self.inner.records.seen(name)? else { return Ok(None) };
            let stages = &seen.stages.body;
            if stages.deletion.is_none() || !stages.is_gone(self.inner.clock.now()) {
                return Ok(Some(seen));
            }
            match self.remove(&seen) {
                Err(EngineError::Conflict) => {}
                // If it could not be removed, nothing can be written any more; gone it is all the same.
                Ok(()) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What is told of a secret that must be there.
    pub(super) fn facts(&self, name: &SecretName) -> Result<Option<Arc<SecretFacts>>, Error> {
        let facts = self.inner.records.facts(name)?;
        match facts {
            Some(facts) if facts.deletion.is_some_and(|at| at <= self.inner.clock.now()) => {
                Ok(self.find(name)?.map(|seen| Arc::new(SecretFacts::of(&seen))))
            }
            facts => Ok(facts),
        }
    }

    /// Labels and versions of a secret that must be there. Versions that are due to be destroyed are.
    pub(super) fn table(&self, name: &SecretName) -> Result<Arc<Head<Stages>>, Error> {
        let head = self.inner.records.stages(name)?.ok_or_else(|| Error::no_secret(name))?;
        let timed = |entry: &&VersionEntry| entry.destruction.is_some();
        let settled = |head: &Head<Stages>| {
            head.body.deletion.is_none() && !head.body.versions.iter().any(|entry| timed(&entry))
        };
        if settled(&head) {
            return Ok(head);
        }
        let (seen, now) = (self.seen(name)?, self.inner.clock.now());
        let rows = seen.stages.body.versions.iter().filter(timed);
        let due: Vec<_> = rows.filter(|row| is_destroyed(&seen.stages.body, row, now)).collect();
        if due.is_empty() {
            return Ok(seen.stages);
        }
        for row in due {
            // Whether it could be done or not, its value is not given out any more.
            let _ = self.destroy_due(name, row.id);
        }
        Ok(self.seen(name)?.stages)
    }

    /// Removes the secrets that are due to be deleted. The schedule of deletions is complete once the
    /// store was checked after opening.
    ///
    /// Gives those that could not be removed, as when the disk has failed, but are gone all the same.
    pub(super) fn remove_due(&self) -> Vec<SecretName> {
        let (schedule, clock) = (&self.inner.records.schedule, &self.inner.clock);
        let due = schedule.due_deletions(clock.now());
        if due.is_empty() {
            return due;
        }
        // What is wrong with one secret is told to those who ask for it.
        due.iter().for_each(|name| drop(self.find(name)));
        schedule.due_deletions(clock.now())
    }

    /// Removes a secret if it is due to be deleted. Says whether it did.
    pub(super) fn remove_if_due(&self, name: &SecretName) -> Result<bool, Error> {
        let seen = self.inner.records.seen(name)?;
        let due = seen.filter(|seen| seen.stages.body.is_gone(self.inner.clock.now()));
        match due.map(|seen| self.remove(&seen)) {
            None | Some(Err(EngineError::Conflict)) => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(err)) => Err(err.into()),
        }
    }

    fn remove(&self, seen: &Seen) -> Result<(), EngineError> {
        let author = Author { actor: STORE_ACTOR, at: self.inner.clock.now() };
        Draft::of(&self.inner.records, seen.clone(), author)?.commit_removal()?;
        self.announce(seen, Operation::DeleteSecret);
        Ok(())
    }

    /// Whether the value of a version may be read that may have no label.
    pub(super) fn admit_version(
        &self,
        name: &SecretName,
        stages: &Stages,
        entry: &VersionEntry,
    ) -> Result<(), Error> {
        if entry.destruction.is_some() && is_destroyed(stages, entry, self.inner.clock.now()) {
            self.admit_secret(name, Gate::of(stages))?;
            let _ = self.destroy_due(name, entry.id);
            return Err(Error::of_version(name, entry.id, VersionRefusal::Destroyed));
        }
        self.admit(name, Gate::of(stages), entry)
    }

    /// Whether values of a secret may be read at all.
    pub(super) fn admit_secret(&self, name: &SecretName, gate: Gate) -> Result<(), Error> {
        if gate.deletion.is_some_and(|at| at <= self.inner.clock.now()) {
            // Gone it is, whether another one of its name is made meanwhile or not.
            self.find(name)?;
            return Err(Error::no_secret(name));
        }
        let refused = |refusal| Error::of_state(name, gate.state, refusal);
        gate.state.check(Usage::Value).map_err(refused)
    }

    /// Whether the value of the version behind SYSCURRENT may be read.
    pub(super) fn admit(
        &self,
        name: &SecretName,
        gate: Gate,
        entry: &VersionEntry,
    ) -> Result<(), Error> {
        let usable = gate.state == SecretState::Enabled && entry.state == VersionState::Enabled;
        if usable && !self.inner.enforce_validity {
            return Ok(());
        }
        self.admit_slowly(name, gate, entry)
    }

    #[cold]
    fn admit_slowly(
        &self,
        name: &SecretName,
        gate: Gate,
        entry: &VersionEntry,
    ) -> Result<(), Error> {
        self.admit_secret(name, gate)?;
        match refusal(entry, self.inner.clock.now(), self.inner.enforce_validity) {
            Some(refusal) => Err(Error::of_version(name, entry.id, refusal)),
            None => Ok(()),
        }
    }
}

/// Why the value of a version may not be read, if it may not.
fn refusal(entry: &VersionEntry, now: Timestamp, enforce: bool) -> Option<VersionRefusal> {
    match entry.state {
        VersionState::Destroyed => return Some(VersionRefusal::Destroyed),
        VersionState::Disabled => return Some(VersionRefusal::Disabled),
        VersionState::Enabled => {}
    }
    if enforce && entry.expires.is_some_and(|expires| expires <= now) {
        return Some(VersionRefusal::Expired);
    }
    if enforce && entry.not_before.is_some_and(|from| from > now) {
        return Some(VersionRefusal::NotYet);
    }
    None
}

/// Whether a version is destroyed, or due to be. A labelled one is in use, whatever is scheduled.
pub(super) fn is_destroyed(stages: &Stages, entry: &VersionEntry, now: Timestamp) -> bool {
    let due = entry.destruction.is_some_and(|at| at <= now) && !stages.labels.is_labelled(entry.id);
    due || entry.state == VersionState::Destroyed
}
