//! A change of one secret in the making: edited in words, then sealed into a plan and committed.

use std::sync::Arc;

use crate::{
    commit::{EngineError, HeadChange, NameId, ObjectChange, Plan, tag_of, value_address},
    crypto::{Draw, Key},
    domain::{
        Description, Limits, SecretName, SecretType, SecretValue, Stage, Timestamp, VersionId,
        VersionState,
    },
    records::{
        Act, AddVersionError, Author, Object, Operation, Records, SecretBody, Seen, Stages,
        Subject, VersionEntry, cache::Head, head::HeadBody, local_key::named_value_key,
        value::seal_value,
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

/// A version to be added.
#[derive(Debug)]
pub(crate) struct NewVersionSpec<'a> {
    pub(crate) value: &'a SecretValue,
    /// Empty: SYSCURRENT.
    pub(crate) stages: &'a [Stage],
    pub(crate) expires: Option<Timestamp>,
}

/// A secret as a change leaves it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) seen: Seen,
    /// The sealed value behind SYSCURRENT, if the change put it there.
    pub(crate) current: Option<Record>,
}

/// A change of one secret.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    base: Base<'a>,
    secret: Body<SecretBody>,
    stages: Body<Stages>,
    values: Vec<Write>,
}

/// What a change is made from and with.
#[derive(Debug)]
struct Base<'a> {
    records: &'a Records,
    draw: Draw,
    author: Author<'a>,
    id: NameId,
    before: Option<Seen>,
    /// The secret's revision once this is committed.
    revision: u64,
    /// What the audit record says beside the operation.
    detail: String,
    /// Objects that must be the same by the time of the commit, such as the keys that it is made under.
    relied_on: Vec<ObjectChange>,
}

/// A head's body as it was seen, or changed.
#[derive(Debug)]
enum Body<T> {
    Seen(Arc<Head<T>>),
    Changed(T),
}

impl<T: Clone> Body<T> {
    fn get(&self) -> &T {
        match self {
            Self::Seen(head) => &head.body,
            Self::Changed(body) => body,
        }
    }

    fn to_mut(&mut self) -> &mut T {
        loop {
            match self {
                Self::Changed(body) => return body,
                Self::Seen(head) => *self = Self::Changed(head.body.clone()),
            }
        }
    }
}

impl<'a> Draft<'a> {
    /// A secret that is not there yet. It needs a version before it is committed.
    pub(crate) fn create(
        records: &'a Records,
        name: SecretName,
        (secret_type, description): (SecretType, Description),
        author: Author<'a>,
    ) -> Result<Self, EngineError> {
        let (mut draw, at) = (Draw::new(DRAW_BYTES)?, author.at);
        let (id, sid) = (records.id(&name), draw.take()?);
        Ok(Self {
            base: Base::new((records, author), (draw, id), None),
            secret: Body::Changed(SecretBody::new(name, sid, secret_type, description, at)),
            stages: Body::Changed(Stages::new(sid, at)),
            values: Vec::new(),
        })
    }

    /// A change of a secret as it was seen. If it is another by the time of the commit, that fails
    /// with [`EngineError::Conflict`].
    pub(crate) fn of(
        records: &'a Records,
        seen: Seen,
        author: Author<'a>,
    ) -> Result<Self, EngineError> {
        let draw = Draw::new(DRAW_BYTES)?;
        Ok(Self {
            secret: Body::Seen(Arc::clone(&seen.secret)),
            stages: Body::Seen(Arc::clone(&seen.stages)),
            base: Base::new((records, author), (draw, seen.id), Some(seen)),
            values: Vec::new(),
        })
    }

    /// Has the audit record say so.
    pub(crate) fn set_detail(&mut self, detail: impl Into<String>) {
        self.base.detail = detail.into();
    }

    /// Has the commit fail with [`EngineError::Conflict`] if this object is another by then.
    pub(crate) fn rely_on<T>(&mut self, object: &Object<T>) {
        self.base.relied_on.push(object.as_it_is());
    }

    /// The metadata, to be changed.
    pub(crate) fn secret_mut(&mut self) -> &mut SecretBody {
        let secret = self.secret.to_mut();
        secret.updated = self.base.author.at;
        secret
    }

    /// Labels and versions, to be changed.
    pub(crate) fn stages_mut(&mut self) -> &mut Stages {
        let stages = self.stages.to_mut();
        stages.updated = self.base.author.at;
        stages
    }

    /// Sets the key of the key manager for new versions, which must be usable; none for the default one.
    pub(crate) fn set_key(&mut self, id: Option<String>) -> Result<(), EngineError> {
        if let Some(id) = &id {
            let key = self.base.records.usable_key(id)?;
            self.rely_on(&key);
        }
        self.secret_mut().kms_key_id = id;
        Ok(())
    }

    /// Seals a value as the next version and labels it.
    pub(crate) fn add_version(
        &mut self,
        spec: &NewVersionSpec<'_>,
        limits: &Limits,
    ) -> Result<VersionId, DraftError> {
        let Base { records, draw, author, revision, .. } = &mut self.base;
        let (id, sid) = (self.stages.get().next_id(), self.secret.get().sid);
        let vrec = records.engine.draw_vrec();
        let data_key: Key = draw.take_key().map_err(EngineError::from)?;
        let len = u32::try_from(spec.value.expose().len()).map_err(|_| EngineError::TooLarge)?;
        let kms_key_id = self.secret.get().kms_key_id.as_deref();
        let named = kms_key_id.map(|id| records.usable_key(id)).transpose()?;
        let joined =
            named.as_ref().map(|named| named_value_key(&records.sealer, &named.body, &data_key));
        let key_and_value = (joined.as_ref().unwrap_or(&data_key), spec.value);
        let place = (vrec, &sid, id);
        let record = seal_value(&records.sealer, key_and_value, place, *revision, draw)
            .map_err(EngineError::from)?;
        // They sort by their time (csms.md 3.1), also if the clock does not advance.
        let youngest = self.stages.get().versions.last();
        let entry = VersionEntry {
            id,
            created: youngest.map_or(author.at, |it| author.at.or_after(it.created)),
            expires: spec.expires,
            vrec,
            len,
            kind: spec.value.kind(),
            state: VersionState::Enabled,
            kms_key_id: kms_key_id.map(Arc::from),
            not_before: None,
            destruction: None,
            expiry_told: 0,
            data_key: Arc::new(data_key),
        };
        if let Some(named) = &named {
            self.rely_on(named);
        }
        let dropped = self.stages_mut().add(entry, spec.stages, limits)?;
        self.values.push(Write::put(value_address(vrec), record));
        self.drop_values(&dropped);
        self.drop_outlived();
        Ok(id)
    }

    /// Drops the versions that are beyond what the secret keeps, and says how many.
    pub(crate) fn drop_outlived(&mut self) -> usize {
        let SecretBody { keep_versions, keep_ms, .. } = *self.secret.get();
        if keep_versions.is_none() && keep_ms.is_none() {
            return 0;
        }
        let at = self.base.author.at;
        let outlived = self.stages.get().outlived(keep_versions, keep_ms, at);
        if outlived.is_empty() {
            return 0;
        }
        let goes = |entry: &mut VersionEntry| outlived.contains(&entry.id);
        let dropped: Vec<VersionEntry> = self.stages_mut().versions.extract_if(.., goes).collect();
        self.drop_values(&dropped);
        dropped.len()
    }

    fn drop_values(&mut self, dropped: &[VersionEntry]) {
        self.values.extend(dropped.iter().map(|old| Write::remove(value_address(old.vrec))));
    }

    /// Destroys a version for good: its value's record goes, its data key becomes zeros. What is told
    /// of it stays.
    pub(crate) fn destroy(&mut self, id: VersionId) {
        let Some(row) = self.stages_mut().version_mut(id) else { return };
        row.state = VersionState::Destroyed;
        row.destruction = None;
        row.data_key = Arc::new(Key::init_with(|_| ()));
        let address = value_address(row.vrec);
        self.values.push(Write::remove(address));
    }

    /// Notes that the expiry of a version was told, which is no change of the secret to its users.
    pub(crate) fn note_told(&mut self, id: VersionId, told: u8) {
        if let Some(row) = self.stages.to_mut().version_mut(id) {
            row.expiry_told = told;
        }
    }

    /// Commits the change under an audit record, and gives the secret as it is now.
    pub(crate) fn commit(
        self,
        operation: Operation,
        version: Option<VersionId>,
    ) -> Result<Seen, EngineError> {
        let records = self.base.records;
        let (plan, after) = self.into_plan(operation, version)?;
        records.engine.commit(plan)?;
        records.keep(&after);
        Ok(after.seen)
    }

    /// The change as a plan, to be committed together with others, and what to keep once it is.
    pub(crate) fn into_plan(
        self,
        operation: Operation,
        version: Option<VersionId>,
    ) -> Result<(Plan, Written), EngineError> {
        let (plan, seen) = self.seal(operation, version)?;
        let current = new_current(&seen, &plan.writes);
        Ok((plan, Written { seen, current }))
    }

    /// The plan, and the secret as it will be.
    fn seal(
        self,
        operation: Operation,
        version: Option<VersionId>,
    ) -> Result<(Plan, Seen), EngineError> {
        let Self { mut base, mut secret, stages, values } = self;
        if secret.get().deletion != stages.get().deletion {
            secret.to_mut().deletion = stages.get().deletion;
        }
        let (secret, stages) = (base.seal(secret)?, base.seal(stages)?);
        let after = Seen { id: base.id, secret, stages };
        let mut plan = base.plan((operation, version), Some(&after))?;
        plan.writes.extend(values);
        Ok((plan, after))
    }

    /// Commits the removal of the secret with all its versions.
    pub(crate) fn commit_removal(mut self) -> Result<(), EngineError> {
        let mut plan = self.base.plan((Operation::DeleteSecret, None), None)?;
        let values = self.stages.get().versions.iter();
        plan.writes.extend(values.map(|entry| Write::remove(value_address(entry.vrec))));
        self.base.records.engine.commit(plan)?;
        let SecretBody { name, sid, .. } = self.secret.get();
        self.base.records.forget(&self.base.id, name);
        self.base.records.ids.forget(sid);
        Ok(())
    }
}

/// The sealed value that a change puts behind SYSCURRENT, if it does.
fn new_current(after: &Seen, values: &[Write]) -> Option<Record> {
    let address = value_address(after.stages.body.current()?.vrec);
    values.iter().find(|write| write.address == address)?.record.clone()
}

/// What notifications tell of a secret, if it subscribes to any.
fn subject(seen: &Seen, version: Option<VersionId>) -> Option<Subject> {
    let (secret, stages) = (&seen.secret.body, &seen.stages.body);
    if secret.event_subscriptions.is_empty() {
        return None;
    }
    let entry = version.and_then(|id| stages.version(id));
    Some(Subject {
        events: secret.event_subscriptions.clone(),
        secret_type: secret.secret_type.as_str().to_owned(),
        created_ms: secret.created.as_millis(),
        updated_ms: secret.updated.max(stages.updated).as_millis(),
        expires_ms: entry.and_then(|entry| entry.expires).map(Timestamp::as_millis),
    })
}

impl<'a> Base<'a> {
    fn new(
        (records, author): (&'a Records, Author<'a>),
        (draw, id): (Draw, NameId),
        before: Option<Seen>,
    ) -> Self {
        let revision = before.as_ref().map_or(0, Seen::revision).saturating_add(1);
        let (detail, relied_on) = (String::new(), Vec::new());
        Self { records, draw, author, id, before, revision, detail, relied_on }
    }

    /// The head as it is to be stored: sealed anew if it was changed.
    fn seal<T: HeadBody>(&mut self, body: Body<T>) -> Result<Arc<Head<T>>, EngineError> {
        let body = match body {
            Body::Seen(head) => return Ok(head),
            Body::Changed(body) => body,
        };
        let record = body.seal(&self.records.sealer, &self.id, self.revision, &mut self.draw)?;
        let tag = tag_of(&record).ok_or(EngineError::TooLarge)?;
        Ok(Arc::new(Head::new(body, self.revision, record, tag)))
    }

    /// The plan of the heads: their writes, what the set hash changes by, the audit record.
    fn plan(
        &mut self,
        (operation, version): (Operation, Option<VersionId>),
        after: Option<&Seen>,
    ) -> Result<Plan, EngineError> {
        let mut plan = Plan::at(self.author.at);
        let before = self.before.as_ref();
        let Some(named) = after.or(before) else { return Ok(plan) };
        let SecretBody { name, sid, .. } = &named.secret.body;
        let secrets = (before.map(|seen| &*seen.secret), after.map(|seen| &*seen.secret));
        let stages = (before.map(|seen| &*seen.stages), after.map(|seen| &*seen.stages));
        self.replace_head(&mut plan, secrets);
        self.replace_head(&mut plan, stages);
        plan.heads.push(HeadChange {
            id: self.id,
            name: name.clone(),
            before: before.map(Seen::heads),
            after: after.map(Seen::heads),
        });
        plan.objects.append(&mut self.relied_on);
        let subject = subject(named, version);
        let (author, secret, detail) = (self.author, Some((name, *sid)), self.detail.as_str());
        let act = Act { author, operation, secret, version, detail };
        plan.audit.push(act.seal_about(subject, &self.records.sealer, &mut self.draw)?);
        Ok(plan)
    }

    fn replace_head<T: HeadBody>(
        &self,
        plan: &mut Plan,
        (before, after): (Option<&Head<T>>, Option<&Head<T>>),
    ) {
        let address: Address = T::address(&self.id);
        let leaf = |head: &Head<T>| head.leaf(&self.records.sealer.ring, &address);
        if before.map(|head| head.tag) == after.map(|head| head.tag) {
            return;
        }
        if let Some(before) = before {
            plan.set_hash.remove(&leaf(before));
        }
        match after {
            Some(after) => {
                plan.set_hash.insert(&leaf(after));
                plan.writes.push(Write::put(address, Arc::clone(&after.record)));
            }
            None => plan.writes.push(Write::remove(address)),
        }
    }
}
