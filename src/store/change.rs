//! The one loop by which every existing secret is changed: read, check, edit, commit, and again if
//! another writer was faster.

use super::{Preconditions, RequestToken, SecretStore};
use crate::{
    commit::EngineError,
    domain::{SecretName, Stage, Timestamp, Usage, VersionId},
    error::Error,
    records::{Draft, Operation, Seen, Stages, Token},
};

/// How often a change that lost against other writers is made anew. From the second try on no other
/// change of the secret runs, so more than a few mean that it is deleted and created all the time.
pub(super) const TRIES_MAX: usize = 16;

/// What an edit came to.
pub(super) enum Edit {
    /// To be committed, as this operation on this version.
    Commit(Operation, Option<VersionId>),
    /// Everything is so already.
    Nothing,
    /// The secret is to be removed.
    Remove,
    /// The secret was changed while the edit was made.
    Again,
}

/// What must hold for a change, and whether it may be a repetition.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// What the secret's state must allow.
    pub(super) usage: Usage,
    pub(super) preconditions: Preconditions,
    pub(super) once: Option<Once>,
}

/// A secret after a change, and the version that was committed, now or by the same request before.
pub(super) struct Changed {
    pub(super) seen: Seen,
    pub(super) version: Option<VersionId>,
}

/// A request that is to be carried out once: hashes of its token and of what it asks.
#[derive(Clone, Copy)]
pub(super) struct Once {
    token: [u8; 16],
    request: [u8; 16],
}

impl SecretStore {
    /// Changes `name` by `edit`, which may run several times, each time on what is there by then.
    pub(super) fn change(
        &self,
        name: &SecretName,
        terms: Terms,
        edit: impl Fn(&mut Draft<'_>, &Seen, Timestamp) -> Result<Edit, Error>,
    ) -> Result<Changed, Error> {
        let (turns, id) = (&self.inner.turns, self.inner.records.id(name));
        let mut turn = turns.together(&id);
        for tries in 0..TRIES_MAX {
            if tries == 1 {
                // Given back first: who waits for a turn alone must hold none.
                drop(turn.take());
                turn = turns.alone(&id);
            }
            let seen = self.seen(name)?;
            if let Some(version) = terms.done_before(&seen)? {
                return Ok(Changed { seen, version: Some(version) });
            }
            let state = seen.stages.body.state();
            let refused = |refusal| Error::of_state(name, state, refusal);
            state.check(terms.usage).map_err(refused)?;
            terms.preconditions.check(&seen)?;
            let at = self.inner.clock.now();
            let mut draft = Draft::of(&self.inner.records, seen.clone(), self.author(at))?;
            let committed = match edit(&mut draft, &seen, at)? {
                Edit::Again => continue,
                Edit::Nothing => return Ok(Changed { seen, version: None }),
                Edit::Remove => draft.commit_removal().map(|()| {
                    self.announce(&seen, Operation::DeleteSecret);
                    Changed { seen, version: None }
                }),
                Edit::Commit(operation, version) => {
                    if let (Some(once), Some(version)) = (terms.once, version) {
                        once.remember(draft.stages_mut(), version);
                    }
                    draft.commit(operation, version).map(|seen| {
                        self.announce(&seen, operation);
                        Changed { seen, version }
                    })
                }
            };
            match committed {
                Err(EngineError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        drop(turn);
        Err(Error::Conflict { name: name.clone(), reason: "other writers were faster too often" })
    }

    /// Has `attempt` read, plan and commit, and again if another writer was faster.
    pub(super) fn until_committed<T>(
        mut attempt: impl FnMut() -> Result<T, EngineError>,
    ) -> Result<T, Error> {
        for _ in 1..TRIES_MAX {
            match attempt() {
                Err(EngineError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Ok(attempt()?)
    }

    /// The hashes of a token for a request whose content is `parts`.
    pub(super) fn once(
        &self,
        token: Option<&RequestToken>,
        operation: &str,
        parts: &[&[u8]],
    ) -> Option<Once> {
        let ring = &self.inner.records.sealer.ring;
        let token = ring.token_tag(&[b"token", token?.as_str().as_bytes()]);
        let mut asked: Vec<&[u8]> = vec![b"request", operation.as_bytes()];
        asked.extend_from_slice(parts);
        Some(Once { token, request: ring.token_tag(&asked) })
    }
}

impl Terms {
    /// A change that uses a secret so, under preconditions.
    pub(super) fn of(usage: Usage, preconditions: &Preconditions) -> Self {
        Self { usage, preconditions: *preconditions, once: None }
    }

    fn done_before(self, seen: &Seen) -> Result<Option<VersionId>, Error> {
        match self.once {
            Some(once) => once.done_before(&seen.secret.body.name, &seen.stages.body),
            None => Ok(None),
        }
    }
}

impl Once {
    /// The version that the request made when it was carried out before, if it was.
    pub(super) fn done_before(
        self,
        name: &SecretName,
        stages: &Stages,
    ) -> Result<Option<VersionId>, Error> {
        match stages.tokens.iter().rev().find(|done| done.token == self.token) {
            None => Ok(None),
            Some(done) if done.request == self.request => Ok(Some(done.version)),
            Some(_) => Err(Error::Conflict {
                name: name.clone(),
                reason: "the request token was used for another request",
            }),
        }
    }

    pub(super) fn remember(self, stages: &mut Stages, version: VersionId) {
        stages.remember(Token { token: self.token, request: self.request, version });
    }
}

impl Preconditions {
    pub(super) fn check(&self, seen: &Seen) -> Result<(), Error> {
        let fail = |reason| Err(Error::Conflict { name: seen.secret.body.name.clone(), reason });
        if self.revision.is_some_and(|revision| revision != seen.revision()) {
            return fail("its revision is another");
        }
        let current = seen.stages.body.labels.version_of(&Stage::Current);
        if self.current.is_some() && self.current != current {
            return fail("SYSCURRENT is on another version");
        }
        Ok(())
    }
}
