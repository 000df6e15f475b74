//! What a store should hold and answer, by maps and the rules of the documents.

use std::{collections::BTreeMap, fmt};

use crate::{
    domain::{
        SecretName, SecretType, SecretValue, Stage, Timestamp, ValueKind, VersionId, VersionRef,
    },
    error::{Error, ErrorKind},
    store::{
        ListSecrets, ListVersions, NewSecret, NewVersion, RequestToken, SecretStore, SecretUpdate,
    },
};

/// Versions that a secret of the model keeps.
pub(super) const VERSIONS_MAX: usize = 4;

/// Labels that a secret of the model may have.
pub(super) const LABELS_MAX: usize = 4;

/// One call of the store.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: SecretName,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Create { rotatable: bool, value: Plain },
    Delete,
    Describe(String),
    Expire(VersionRef, Timestamp),
    Get(VersionRef),
    Move(Stage, VersionId),
    Put { value: Plain, stages: Vec<Stage>, token: Option<String> },
    Rotate,
    Unlabel(Stage),
}

/// A value as a map holds it.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: ValueKind,
}

/// What a call gives: the version concerned, and the value if it was read.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) version: Option<VersionId>,
    pub(super) value: Option<Plain>,
}

/// The secrets of a store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Model(BTreeMap<SecretName, Secret>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Secret {
    rotatable: bool,
    description: String,
    versions: BTreeMap<VersionId, Row>,
    labels: BTreeMap<Stage, VersionId>,
    /// Not to be seen from outside.
    hidden: Hidden,
}

#[derive(Clone, Debug, Default)]
struct Hidden {
    next: Option<VersionId>,
    /// When the last version was made: the next one is made later, whatever the clock says.
    youngest_ms: i64,
    tokens: BTreeMap<String, (Request, VersionId)>,
}

/// What was asked under a token.
type Request = (Plain, Vec<Stage>);

/// What cannot be seen cannot differ.
impl PartialEq for Hidden {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hidden {}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    /// `None` for a generated value that was not read yet.
    value: Option<Plain>,
    created: Timestamp,
    expires: Option<Timestamp>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, len) = (self.kind, self.bytes.len());
        let front = String::from_utf8_lossy(self.bytes.get(..len.min(64)).unwrap_or_default());
        write!(f, "{kind:?} of {len} bytes, {front:?}..")
    }
}

impl Plain {
    fn of(value: &SecretValue) -> Self {
        Self { bytes: value.expose().to_vec(), kind: value.kind() }
    }

    fn to_value(&self) -> SecretValue {
        match String::from_utf8(self.bytes.clone()) {
            Ok(text) if self.kind == ValueKind::Text => SecretValue::from_string(text),
            _ => SecretValue::from_bytes(self.bytes.clone()),
        }
    }

    /// Whether a rotatable secret may hold it: of the values used here, those that begin so.
    fn has_account(&self) -> bool {
        self.kind == ValueKind::Text && self.bytes.starts_with(b"{\"users\"")
    }
}

impl Call {
    /// Makes the call.
    pub(super) fn run(&self, store: &SecretStore) -> Result<Answer, Error> {
        let name = &self.name;
        let (mut version, mut read) = (None, None);
        match &self.action {
            Action::Create { rotatable, value } => {
                let kind = if *rotatable { SecretType::RdsFg } else { SecretType::Common };
                let new = NewSecret::new(name.clone(), value.to_value()).secret_type(kind);
                version = store.create_secret(new)?.current_version();
            }
            Action::Delete => store.delete_secret(name)?,
            Action::Describe(text) => {
                store.update_secret(name, &SecretUpdate::new().description(text.parse()?))?;
            }
            Action::Expire(reference, at) => {
                version = Some(store.update_version(name, reference, *at)?.id());
            }
            Action::Get(reference) => {
                let found = store.version(name, reference)?;
                (version, read) = (Some(found.id()), Some(Plain::of(found.value())));
            }
            Action::Move(stage, to) => {
                version = Some(store.move_stage(name, stage, *to)?.version_id());
            }
            Action::Put { value, stages, token } => {
                let mut new = NewVersion::new(value.to_value()).stages(stages.iter().cloned());
                if let Some(token) = token.as_ref().and_then(|t| t.parse::<RequestToken>().ok()) {
                    new = new.token(token);
                }
                version = Some(store.put_version(name, new)?.id());
            }
            Action::Rotate => version = Some(store.rotate(name)?.version_id()),
            Action::Unlabel(stage) => store.delete_stage(name, stage)?,
        }
        Ok(Answer { version, value: read })
    }
}

impl Model {
    /// Everything that can be seen of a store.
    pub(super) fn read(store: &SecretStore) -> Result<Self, Error> {
        let mut secrets = BTreeMap::new();
        let mut request = ListSecrets::new().limit(2);
        loop {
            let page = store.secrets(&request)?;
            for secret in page.items() {
                secrets.insert(secret.name().clone(), Secret::read(store, secret)?);
            }
            let Some(last) = page.items().last().filter(|_| page.has_more()) else { break };
            request = request.marker(last.name().clone());
        }
        Ok(Self(secrets))
    }

    pub(super) fn secrets(&self) -> usize {
        self.0.len()
    }

    pub(super) fn versions(&self) -> usize {
        self.0.values().map(|secret| secret.versions.len()).sum()
    }

    /// Takes over generated values that were not known, from what was read.
    pub(super) fn learn(&mut self, seen: &Self) {
        for (name, secret) in &mut self.0 {
            let Some(seen) = seen.0.get(name) else { continue };
            for (id, row) in &mut secret.versions {
                if row.value.is_none() {
                    row.value = seen.versions.get(id).and_then(|row| row.value.clone());
                }
            }
        }
    }

    /// What the call should do and give at this time.
    pub(super) fn apply(&mut self, call: &Call, now: Timestamp) -> Result<Answer, ErrorKind> {
        if let Action::Create { rotatable, value } = &call.action {
            if *rotatable && !value.has_account() {
                return Err(ErrorKind::Constraint);
            }
            if self.0.contains_key(&call.name) {
                return Err(ErrorKind::AlreadyExists);
            }
            self.0.insert(call.name.clone(), Secret::new(*rotatable, value, now));
            return Ok(Answer { version: Some(VersionId::FIRST), value: None });
        }
        let secret = self.0.get_mut(&call.name).ok_or(ErrorKind::NotFound)?;
        let mut value = None;
        let version = match &call.action {
            Action::Create { .. } => None,
            Action::Delete => {
                self.0.remove(&call.name);
                None
            }
            Action::Describe(text) => {
                secret.description.clone_from(text);
                None
            }
            Action::Expire(reference, at) => Some(secret.expire(reference, *at, now)?),
            Action::Get(reference) => {
                let (id, row) = secret.row(reference)?;
                value = row.value.clone();
                Some(id)
            }
            Action::Move(stage, to) => Some(secret.label(stage, *to)?),
            Action::Put { value, stages, token } => Some(secret.put(value, stages, token, now)?),
            Action::Rotate if !secret.rotatable => return Err(ErrorKind::Constraint),
            Action::Rotate => Some(secret.add(None, &[], now)?),
            Action::Unlabel(stage) if stage.is_permanent() => return Err(ErrorKind::Constraint),
            Action::Unlabel(stage) => {
                secret.labels.remove(stage).ok_or(ErrorKind::NotFound)?;
                None
            }
        };
        Ok(Answer { version, value })
    }
}

impl Secret {
    fn new(rotatable: bool, value: &Plain, now: Timestamp) -> Self {
        let row = Row { value: Some(value.clone()), created: now.whole_seconds(), expires: None };
        let hidden = Hidden {
            next: VersionId::FIRST.next(),
            youngest_ms: now.as_millis(),
            tokens: BTreeMap::new(),
        };
        Self {
            rotatable,
            description: String::new(),
            versions: BTreeMap::from([(VersionId::FIRST, row)]),
            labels: BTreeMap::from([(Stage::Current, VersionId::FIRST)]),
            hidden,
        }
    }

    fn read(store: &SecretStore, secret: &crate::store::Secret) -> Result<Self, Error> {
        let (mut versions, mut labels) = (BTreeMap::new(), BTreeMap::new());
        for metadata in store.versions(secret.name(), &ListVersions::new())?.into_items() {
            let id = metadata.id();
            let found = store.version(secret.name(), &VersionRef::Id(id))?;
            labels.extend(metadata.stages().iter().map(|stage| (stage.clone(), id)));
            let (created, expires) = (metadata.created(), metadata.expires());
            versions.insert(id, Row { value: Some(Plain::of(found.value())), created, expires });
        }
        Ok(Self {
            rotatable: secret.secret_type().is_rotatable(),
            description: secret.description().as_str().to_owned(),
            versions,
            labels,
            hidden: Hidden::default(),
        })
    }

    fn row(&self, reference: &VersionRef) -> Result<(VersionId, &Row), ErrorKind> {
        let id = match reference {
            VersionRef::Id(id) => Some(id),
            VersionRef::Stage(stage) => self.labels.get(stage),
            VersionRef::Latest => self.labels.get(&Stage::Current),
        };
        let id = *id.ok_or(ErrorKind::NotFound)?;
        Ok((id, self.versions.get(&id).ok_or(ErrorKind::NotFound)?))
    }

    fn expire(
        &mut self,
        reference: &VersionRef,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<VersionId, ErrorKind> {
        let (id, _) = self.row(reference)?;
        let second = at.whole_seconds();
        if at.as_millis() != 0 && second <= now {
            return Err(ErrorKind::InvalidArgument);
        }
        if let Some(row) = self.versions.get_mut(&id) {
            row.expires = (at.as_millis() != 0).then_some(second);
        }
        Ok(id)
    }

    fn label(&mut self, stage: &Stage, to: VersionId) -> Result<VersionId, ErrorKind> {
        if !self.versions.contains_key(&to) {
            return Err(ErrorKind::NotFound);
        }
        self.labels = self.labelled(std::slice::from_ref(stage), to)?;
        Ok(to)
    }

    /// The labels when these are put on a version: SYSCURRENT draws SYSPREVIOUS behind it.
    fn labelled(
        &self,
        stages: &[Stage],
        to: VersionId,
    ) -> Result<BTreeMap<Stage, VersionId>, ErrorKind> {
        let mut labels = self.labels.clone();
        let left = labels.get(&Stage::Current).copied().filter(|left| *left != to);
        if let Some(left) = left.filter(|_| stages.contains(&Stage::Current)) {
            labels.insert(Stage::Previous, left);
        }
        labels.extend(stages.iter().map(|stage| (stage.clone(), to)));
        let full = labels.len() > LABELS_MAX && labels.len() > self.labels.len();
        if full { Err(ErrorKind::LimitExceeded) } else { Ok(labels) }
    }

    fn put(
        &mut self,
        value: &Plain,
        stages: &[Stage],
        token: &Option<String>,
        now: Timestamp,
    ) -> Result<VersionId, ErrorKind> {
        let request = (value.clone(), stages.to_vec());
        if let Some((asked, id)) = token.as_ref().and_then(|token| self.hidden.tokens.get(token)) {
            return match self.versions.contains_key(id) {
                _ if *asked != request => Err(ErrorKind::Conflict),
                true => Ok(*id),
                // What the first request made is gone by now.
                false => Err(ErrorKind::NotFound),
            };
        }
        if self.rotatable && !value.has_account() {
            return Err(ErrorKind::Constraint);
        }
        let id = self.add(Some(value.clone()), stages, now)?;
        if let Some(token) = token {
            self.hidden.tokens.insert(token.clone(), (request, id));
        }
        Ok(id)
    }

    fn add(
        &mut self,
        value: Option<Plain>,
        stages: &[Stage],
        now: Timestamp,
    ) -> Result<VersionId, ErrorKind> {
        let id = self.hidden.next.ok_or(ErrorKind::Constraint)?;
        let stages = if stages.is_empty() { &[Stage::Current] } else { stages };
        let labels = self.labelled(stages, id)?;
        let victim = match self.versions.len() < VERSIONS_MAX {
            true => None,
            false => {
                let mut ids = self.versions.keys();
                let free = ids.find(|id| !labels.values().any(|to| to == *id));
                Some(*free.ok_or(ErrorKind::Constraint)?)
            }
        };
        let created = now.as_millis().max(self.hidden.youngest_ms.saturating_add(1));
        self.hidden.youngest_ms = created;
        let created = Timestamp::from_millis(created).whole_seconds();
        self.versions.insert(id, Row { value, created, expires: None });
        victim.map(|victim| self.versions.remove(&victim));
        (self.labels, self.hidden.next) = (labels, id.next());
        Ok(id)
    }
}
