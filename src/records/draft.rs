//! A change of one secret in the making: edited in words, then sealed into a plan and committed.

use std::sync::Arc;

use crate::{
    commit::{EngineError, HeadChange, NameId, Plan, tag_of, value_address},
    crypto::{Draw, Key},
    domain::{
        Description, Limits, SecretName, SecretType, SecretValue, Stage, Timestamp, VersionId,
    },
    records::{
        Act, AddVersionError, Operation, Records, SecretBody, Seen, Stages, VersionEntry,
        VersionFacts, cache::Head, reader::HeadBody, seal::SealError, value::seal_value,
    },
    storage::{Address, Record, Write},
};

/// Randomness of one change: an id, a data key, and nonces for value, two heads and audit record.
const DRAW_BYTES: usize = 16 + 32 + 4 * 24;

/// Why a change was not committed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    #[error(transparent)]
    Add(#[from] AddVersionError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<SealError> for EngineError {
    fn from(err: SealError) -> Self {
        match err {
            SealError::Random(err) => err.into(),
            SealError::TooLarge => Self::TooLarge,
        }
    }
}

/// A version to be added.
#[derive(Debug)]
pub(crate) struct NewVersionSpec<'a> {
    pub(crate) value: &'a SecretValue,
    /// Empty: SYSCURRENT.
    pub(crate) stages: &'a [Stage],
    pub(crate) expires: Option<Timestamp>,
}

/// A change of one secret.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    records: &'a Records,
    draw: Draw,
    at: Timestamp,
    id: NameId,
    before: Option<Seen>,
    revision: u64,
    secret: SecretBody,
    stages: Stages,
    secret_changed: bool,
    stages_changed: bool,
    values: Vec<Write>,
}

impl<'a> Draft<'a> {
    /// A secret that is not there yet. It needs a version before it is committed.
    pub(crate) fn create(
        records: &'a Records,
        name: SecretName,
        (secret_type, description): (SecretType, Description),
        at: Timestamp,
    ) -> Result<Self, EngineError> {
        let mut draw = Draw::new(DRAW_BYTES)?;
        let (id, sid) = (records.id(&name), draw.take()?);
        Ok(Self {
            records,
            draw,
            at,
            id,
            before: None,
            revision: 1,
            secret: SecretBody::new(name, sid, secret_type, description, at),
            stages: Stages::new(sid, at),
            secret_changed: true,
            stages_changed: true,
            values: Vec::new(),
        })
    }

    /// A change of a secret as it was seen. If it is another by the time of the commit, that fails
    /// with [`EngineError::Conflict`].
    pub(crate) fn of(records: &'a Records, seen: Seen, at: Timestamp) -> Result<Self, EngineError> {
        Ok(Self {
            records,
            draw: Draw::new(DRAW_BYTES)?,
            at,
            id: seen.id,
            revision: seen.revision().saturating_add(1),
            secret: seen.secret.body.clone(),
            stages: seen.stages.body.clone(),
            before: Some(seen),
            secret_changed: false,
            stages_changed: false,
            values: Vec::new(),
        })
    }

    /// The metadata, to be changed.
    pub(crate) fn secret_mut(&mut self) -> &mut SecretBody {
        self.secret_changed = true;
        self.secret.updated = self.at;
        &mut self.secret
    }

    /// Labels and versions, to be changed.
    pub(crate) fn stages_mut(&mut self) -> &mut Stages {
        self.stages_changed = true;
        self.stages.updated = self.at;
        &mut self.stages
    }

    /// Seals a value as the next version and labels it.
    pub(crate) fn add_version(
        &mut self,
        spec: &NewVersionSpec<'_>,
        limits: &Limits,
    ) -> Result<VersionId, DraftError> {
        let id = self.stages.next_id();
        let vrec = self.records.engine.draw_vrec();
        let data_key: Key = self.draw.take_key().map_err(EngineError::from)?;
        let len = u32::try_from(spec.value.expose().len()).map_err(|_| EngineError::TooLarge)?;
        let record = seal_value(
            &self.records.sealer,
            (&data_key, spec.value),
            (vrec, &self.secret.sid, id),
            self.revision,
            &mut self.draw,
        )
        .map_err(EngineError::from)?;
        let entry = VersionEntry {
            id,
            created: self.at,
            expires: spec.expires,
            vrec,
            len,
            kind: spec.value.kind(),
            data_key: Arc::new(data_key),
        };
        let dropped = self.stages_mut().add(entry, spec.stages, limits)?;
        self.values.push(Write::put(value_address(vrec), record));
        self.values.extend(dropped.iter().map(|old| Write::remove(value_address(old.vrec))));
        Ok(id)
    }

    /// Commits the change under an audit record, and gives the secret as it is now.
    pub(crate) fn commit(
        mut self,
        operation: Operation,
        version: Option<VersionId>,
    ) -> Result<Seen, EngineError> {
        let (sealer, id, revision) = (&self.records.sealer, &self.id, self.revision);
        let secret = match (&self.before, self.secret_changed) {
            (Some(seen), false) => Arc::clone(&seen.secret),
            _ => {
                let record = self.secret.seal(sealer, id, revision, &mut self.draw)?;
                Arc::new(head(self.secret.clone(), revision, record)?)
            }
        };
        let stages = match (&self.before, self.stages_changed) {
            (Some(seen), false) => Arc::clone(&seen.stages),
            _ => {
                let record = self.stages.seal(sealer, id, revision, &mut self.draw)?;
                Arc::new(head(self.stages.clone(), revision, record)?)
            }
        };
        let after = Seen { id: self.id, secret, stages };
        let mut plan = self.plan(operation, version, Some(&after))?;
        let current = self.new_current(&after);
        plan.writes.append(&mut self.values);
        self.records.engine.commit(plan)?;
        self.records.secrets.insert(self.id, Arc::clone(&after.secret));
        self.records.stages.insert(self.id, Arc::clone(&after.stages));
        if let Some((record, facts)) = current {
            let name = &after.secret.body.name;
            self.records.keep_current(name, &self.id, &after.stages, record, &facts);
        }
        Ok(after)
    }

    /// The sealed value that this change puts behind SYSCURRENT, if it does.
    fn new_current(&self, after: &Seen) -> Option<(Record, Arc<VersionFacts>)> {
        let stages = &after.stages.body;
        let entry = stages.current()?;
        let address = value_address(entry.vrec);
        let put = self.values.iter().find(|write| write.address == address)?;
        let facts = VersionFacts::of(&after.secret.body.name, stages, entry);
        Some((Arc::clone(put.record.as_ref()?), Arc::new(facts)))
    }

    /// Commits the removal of the secret with all its versions.
    pub(crate) fn commit_removal(mut self) -> Result<(), EngineError> {
        let mut plan = self.plan(Operation::DeleteSecret, None, None)?;
        let values = self.stages.versions.iter();
        plan.writes.extend(values.map(|entry| Write::remove(value_address(entry.vrec))));
        self.records.engine.commit(plan)?;
        self.records.secrets.remove(&self.id);
        self.records.stages.remove(&self.id);
        self.records.currents.remove(&self.secret.name);
        self.records.facts.remove(&self.secret.name);
        Ok(())
    }

    /// The plan of the heads: their writes, what the set hash changes by, the audit record.
    fn plan(
        &mut self,
        operation: Operation,
        version: Option<VersionId>,
        after: Option<&Seen>,
    ) -> Result<Plan, EngineError> {
        let mut plan = Plan::at(self.at);
        let before = self.before.as_ref();
        self.replace_head(
            &mut plan,
            before.map(|seen| &*seen.secret),
            after.map(|seen| &*seen.secret),
        );
        self.replace_head(
            &mut plan,
            before.map(|seen| &*seen.stages),
            after.map(|seen| &*seen.stages),
        );
        plan.heads.push(HeadChange {
            id: self.id,
            name: self.secret.name.clone(),
            before: before.map(Seen::heads),
            after: after.map(Seen::heads),
        });
        let act = Act {
            at: self.at,
            operation,
            secret: Some((&self.secret.name, self.secret.sid)),
            version,
            detail: "",
        };
        plan.audit.push(act.seal(&self.records.sealer, &mut self.draw)?);
        Ok(plan)
    }

    fn replace_head<T: HeadBody>(
        &self,
        plan: &mut Plan,
        before: Option<&Head<T>>,
        after: Option<&Head<T>>,
    ) {
        let address: Address = T::address(&self.id);
        let leaf =
            |record: &Record| self.records.sealer.ring.leaf(address.tree(), address.key(), record);
        if before.map(|head| head.tag) == after.map(|head| head.tag) {
            return;
        }
        if let Some(before) = before {
            plan.set_hash.remove(&leaf(&before.record));
        }
        match after {
            Some(after) => {
                plan.set_hash.insert(&leaf(&after.record));
                plan.writes.push(Write::put(address, Arc::clone(&after.record)));
            }
            None => plan.writes.push(Write::remove(address)),
        }
    }
}

fn head<T>(body: T, revision: u64, record: Record) -> Result<Head<T>, EngineError> {
    let tag = tag_of(&record).ok_or(EngineError::TooLarge)?;
    Ok(Head { body, revision, record, tag })
}
