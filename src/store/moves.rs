//! Labels of several secrets moved at once: all or none.

use std::collections::BTreeMap;

use super::{
    Preconditions, SecretStore, StageInfo, batch::check_count, change::TRIES_MAX,
    stages::STAGE_ACTIONS, stages::info, versions::resolve_kept,
};
use crate::{
    commit::{EngineError, HeadChange, NameId, Plan},
    domain::{Placed, SecretName, Stage, Usage, VersionId},
    error::{Error, Limit},
    records::{Draft, Operation, Seen, Written},
};

/// A label that is to be put on a version of a secret (csms.md 2.3). See
/// [`SecretStore::move_stages`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing by itself"]
pub struct StageMove {
    name: SecretName,
    stage: Stage,
    to: VersionId,
    preconditions: Preconditions,
}

impl StageMove {
    /// The label `stage` of the secret `name` onto the version `to`.
    pub fn new(name: SecretName, stage: Stage, to: VersionId) -> Self {
        Self { name, stage, to, preconditions: Preconditions::none() }
    }

    /// Moves, this label and all others of the call, only if this secret is as required. What is
    /// required is compared with the secret as it was before the call.
    pub fn preconditions(self, preconditions: Preconditions) -> Self {
        Self { preconditions, ..self }
    }
}

/// The moves of one secret, in the order in which they were given.
type Moves<'a> = (&'a SecretName, Vec<&'a StageMove>);

impl SecretStore {
    /// Puts up to 20 labels on versions, of one secret or several: all of it in one commit, or nothing.
    /// So credentials that belong together are switched together (csms.md 2.3).
    ///
    /// Each move is as by [`move_stage`](Self::move_stage); those of one secret are made in the order
    /// given, and are one change of it, under one record in the audit log. Gives where the labels are
    /// then. If all are there already, nothing is written.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if no move is given, or the secrets have so many versions that they
    ///   do not fit into one commit; [`Error::LimitExceeded`] if more than 20 are given.
    /// * [`Error::Conflict`] if a precondition does not hold.
    /// * Those of [`move_stage`](Self::move_stage), for any of the moves.
    ///
    /// Nothing was written then, of no secret. And those of every write, as for
    /// [`create_secret`](Self::create_secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, NewVersion, Preconditions, SecretValue, Stage, StageMove};
    ///
    /// let mut moves = Vec::new();
    /// for name in ["user", "password"] {
    ///     let (one, two) = (SecretValue::from_string("one"), SecretValue::from_string("two"));
    ///     let first = store.create_secret(NewSecret::new(name.parse()?, one))?.current_version();
    ///     let next = NewVersion::new(two).stages([Stage::Pending]);
    ///     let next = store.put_version(&name.parse()?, next)?.id();
    ///     let still = Preconditions::none().if_version(first.ok_or("it has one")?);
    ///     moves.push(StageMove::new(name.parse()?, Stage::Current, next).preconditions(still));
    /// }
    /// store.move_stages(&moves)?; // no reader sees the one switched and the other not
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "UpdateSecretStage")]
    pub fn move_stages(&self, moves: &[StageMove]) -> Result<Vec<StageInfo>, Error> {
        self.permit_somewhere_any(&STAGE_ACTIONS)?;
        for change in moves {
            self.permit_any(&STAGE_ACTIONS, Some(&change.name))?;
        }
        check_count(("moves", Limit::Moves), moves.len())?;
        let mut by_id: BTreeMap<NameId, Moves<'_>> = BTreeMap::new();
        for change in moves {
            let id = self.inner.records.id(&change.name);
            by_id.entry(id).or_insert_with(|| (&change.name, Vec::new())).1.push(change);
        }
        let (turns, ids) = (&self.inner.turns, by_id.keys().copied().collect::<Vec<_>>());
        let mut held = turns.all_together(&ids);
        for tries in 0..TRIES_MAX {
            if tries == 1 {
                // Given back first: who waits for a turn alone must hold none.
                held.clear();
                held = turns.all_alone(&ids);
            }
            let (plan, written) = self.plan_moves(&by_id)?;
            let Some(plan) = plan else { return infos(moves, &written) };
            match self.inner.records.engine.commit(plan) {
                Ok(_) => {
                    written.values().for_each(|written| self.inner.records.keep(written));
                    return infos(moves, &written);
                }
                Err(EngineError::Conflict) => {}
                Err(err) => return Err(err.into()),
            }
        }
        drop(held);
        let name = moves.first().map(|change| change.name.clone()).ok_or(Error::Poisoned)?;
        Err(Error::Conflict { name, reason: "other writers were faster too often" })
    }

    /// One plan for all, and the secrets as they will be. `None` if all labels are there already.
    fn plan_moves(
        &self,
        by_id: &BTreeMap<NameId, Moves<'_>>,
    ) -> Result<(Option<Plan>, BTreeMap<NameId, Written>), Error> {
        let (mut plan, mut written, mut changes) = (None::<Plan>, BTreeMap::new(), false);
        for (id, (name, moves)) in by_id {
            let (next, after, changed) = self.plan_of_one(name, moves)?;
            changes = changes || changed;
            let left = match &mut plan {
                Some(plan) => plan.absorb(next),
                None => {
                    plan = Some(next);
                    None
                }
            };
            if left.is_some() {
                return Err(EngineError::TooLarge.into());
            }
            written.insert(*id, after);
        }
        Ok((plan.filter(|_| changes), written))
    }

    /// The plan of one secret's moves, how it is then, and whether that is another than before.
    fn plan_of_one(
        &self,
        name: &SecretName,
        moves: &[&StageMove],
    ) -> Result<(Plan, Written, bool), Error> {
        let (records, seen) = (&self.inner.records, self.seen(name)?);
        let state = seen.stages.body.state();
        state.check(Usage::Metadata).map_err(|refusal| Error::of_state(name, state, refusal))?;
        let at = self.inner.clock.now();
        let mut draft = Draft::of(records, seen.clone(), self.author(at))?;
        let labels_max = self.inner.limits.labels_max();
        let mut last_moved = None;
        for StageMove { stage, to, preconditions, .. } in moves {
            preconditions.check(&seen)?;
            self.permit_placing(&seen, stage)?;
            resolve_kept(name, &seen.stages.body, *to, at)?;
            let placed = draft.stages_mut().labels.place(stage, *to, at, labels_max);
            match placed.map_err(|err| Error::of_stage(name, err))? {
                Placed::Moved => last_moved = Some(*to),
                Placed::Unchanged => {}
            }
        }
        match last_moved {
            Some(to) => {
                let (plan, after) = draft.into_plan(Operation::MoveStage, Some(to))?;
                Ok((plan, after, true))
            }
            None => Ok((still(&seen), Written { seen, current: None }, false)),
        }
    }
}

/// A plan that changes nothing of a secret, but fails if it is another by then.
fn still(seen: &Seen) -> Plan {
    let mut plan = Plan::at(seen.stages.body.updated);
    plan.heads.push(HeadChange {
        id: seen.id,
        name: seen.secret.body.name.clone(),
        before: Some(seen.heads()),
        after: Some(seen.heads()),
    });
    plan
}

fn infos(
    moves: &[StageMove],
    written: &BTreeMap<NameId, Written>,
) -> Result<Vec<StageInfo>, Error> {
    let of = |change: &StageMove| {
        let written = written.values().find(|it| it.seen.secret.body.name == change.name);
        let written = written.ok_or_else(|| Error::no_secret(&change.name))?;
        info(&change.name, &written.seen.stages.body, &change.stage)
    };
    moves.iter().map(of).collect()
}
