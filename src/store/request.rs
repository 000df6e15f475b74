//! What callers ask for.

use super::RequestToken;
use crate::domain::{
    Description, EnterpriseProjectId, EventName, KeyId, Retention, RotationConfig, RotationRules,
    SecretName, SecretType, SecretValue, Stage, Tag, TagFilter, Timestamp, VersionId,
};

/// A secret to be created: its name and first value, and what differs from the defaults
/// (csms.md 3.1).
///
/// Defaults: type [`SecretType::Common`], empty description, no tags, no request token, no enterprise
/// project, not protected, as many versions as the store allows.
#[derive(Debug)]
#[must_use = "a request does nothing by itself"]
pub struct NewSecret {
    pub(super) name: SecretName,
    pub(super) value: SecretValue,
    pub(super) secret_type: SecretType,
    pub(super) description: Description,
    pub(super) rotation: RotationRules,
    pub(super) rotation_config: Option<RotationConfig>,
    pub(super) token: Option<RequestToken>,
    pub(super) event_subscriptions: Vec<EventName>,
    pub(super) kms_key_id: KeyId,
    pub(super) purge_protected: bool,
    pub(super) retention: Retention,
    pub(super) enterprise_project_id: Option<EnterpriseProjectId>,
    pub(super) tags: Vec<Tag>,
}

impl NewSecret {
    /// A secret called `name` whose version `v1` is `value`.
    pub fn new(name: SecretName, value: SecretValue) -> Self {
        Self {
            name,
            value,
            secret_type: SecretType::default(),
            description: Description::default(),
            rotation: RotationRules::new(),
            rotation_config: None,
            token: None,
            event_subscriptions: Vec::new(),
            kms_key_id: KeyId::default_key(),
            purge_protected: false,
            retention: Retention::default(),
            enterprise_project_id: None,
            tags: Vec::new(),
        }
    }

    /// Subscribes the secret to events; to one at most (csms.md 1.12). They must be there.
    pub fn event_subscriptions(self, events: impl IntoIterator<Item = EventName>) -> Self {
        Self { event_subscriptions: events.into_iter().collect(), ..self }
    }

    /// Sets the type, which never changes later (csms.md 2.1).
    pub fn secret_type(self, secret_type: SecretType) -> Self {
        Self { secret_type, ..self }
    }

    /// Sets the description.
    pub fn description(self, description: Description) -> Self {
        Self { description, ..self }
    }

    /// Protects the secret from being deleted at once: its deletion can only be scheduled, and each
    /// window runs its whole length. That cannot be taken back. CSMS has no such thing.
    pub fn purge_protected(self) -> Self {
        Self { purge_protected: true, ..self }
    }

    /// Sets which old versions are kept.
    pub fn retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Sets the enterprise project that the secret belongs to (csms.md 1.2).
    pub fn enterprise_project_id(self, id: EnterpriseProjectId) -> Self {
        Self { enterprise_project_id: Some(id), ..self }
    }

    /// Puts tags on it from the first moment on: at most 20, each key once (csms.md 1.6). CSMS takes a
    /// second call for that. A session needs `csms:secret:createTag` too.
    pub fn tags(self, tags: impl IntoIterator<Item = Tag>) -> Self {
        Self { tags: tags.into_iter().collect(), ..self }
    }

    /// Seals its versions under this key of the key manager (csms.md 1.11), which must be there and
    /// enabled. [`KeyId::default_key`] by default. A session needs `kms:cmk:createDataKey` to name one.
    pub fn kms_key_id(self, kms_key_id: KeyId) -> Self {
        Self { kms_key_id, ..self }
    }

    /// Makes the request safe to repeat: a repetition with the same token, type and value gives the
    /// secret that the first one made. Whatever else is asked is not compared.
    pub fn token(self, token: RequestToken) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// What to change of a secret's metadata (csms.md 3.1). What is not named stays.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct SecretUpdate {
    pub(super) description: Option<Description>,
    pub(super) event_subscriptions: Option<Vec<EventName>>,
    pub(super) rotation: RotationRules,
    pub(super) retention: Option<Retention>,
    pub(super) kms_key_id: Option<KeyId>,
    pub(super) preconditions: Preconditions,
}

impl SecretUpdate {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the description; an empty one clears it.
    pub fn description(self, description: Description) -> Self {
        Self { description: Some(description), ..self }
    }

    /// Replaces the events that it subscribes to, of which there may be one (csms.md 1.12); an empty
    /// list ends all subscriptions.
    pub fn event_subscriptions(self, events: impl IntoIterator<Item = EventName>) -> Self {
        Self { event_subscriptions: Some(events.into_iter().collect()), ..self }
    }

    /// Sets which old versions are kept; [`Retention::default`] for all that the store allows. Those that
    /// are beyond it by now go for good in the same step, whose audit record says how many, but never
    /// one with a label; the others with the next version or [sweep](crate::SecretStore::sweep) after
    /// their time. A session needs `strongroom:secret:destroyVersion` for it.
    pub fn retention(self, retention: Retention) -> Self {
        Self { retention: Some(retention), ..self }
    }

    /// Seals versions that are stored from now on under another key of the key manager, which must be
    /// there and enabled (csms.md 8.2 rows 38 and 39); [`KeyId::default_key`] for the default one. Older
    /// versions stay under theirs. A session needs `kms:cmk:createDataKey` to name one.
    pub fn kms_key_id(self, kms_key_id: KeyId) -> Self {
        Self { kms_key_id: Some(kms_key_id), ..self }
    }

    /// Changes only a secret that is as required.
    pub fn preconditions(self, preconditions: Preconditions) -> Self {
        Self { preconditions, ..self }
    }
}

/// A version to be stored: a value, and what differs from the defaults (csms.md 3.2).
///
/// Defaults: the version becomes SYSCURRENT (and the old one SYSPREVIOUS), it does not expire.
#[derive(Debug)]
#[must_use = "a request does nothing by itself"]
pub struct NewVersion {
    pub(super) value: SecretValue,
    pub(super) stages: Vec<Stage>,
    pub(super) expires: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) preconditions: Preconditions,
    pub(super) token: Option<RequestToken>,
}

impl NewVersion {
    /// A version that holds `value`.
    pub fn new(value: SecretValue) -> Self {
        Self {
            value,
            stages: Vec::new(),
            expires: None,
            not_before: None,
            preconditions: Preconditions::default(),
            token: None,
        }
    }

    /// Puts exactly these labels on the version, each taken from where it was: SYSCURRENT does not
    /// move unless it is named, and draws SYSPREVIOUS behind it if it is. An empty list is as if this
    /// was not called (csms.md 2.3, 8.1 rows 3, 5 and 6).
    pub fn stages(self, stages: impl IntoIterator<Item = Stage>) -> Self {
        Self { stages: stages.into_iter().collect(), ..self }
    }

    /// When the version expires, cut to whole seconds. It must lie in the future. Expired versions
    /// can still be read, unless the store [enforces](crate::Builder::enforce_validity) it (csms.md
    /// 8.1 row 18).
    pub fn expires(self, expires: Timestamp) -> Self {
        Self { expires: Some(expires), ..self }
    }

    /// From when on the version may be used, rounded up to whole seconds; a time in the past or 0 for
    /// always. Information, unless the store [enforces](crate::Builder::enforce_validity) it. CSMS has
    /// no such thing.
    pub fn not_before(self, not_before: Timestamp) -> Self {
        Self { not_before: Some(not_before), ..self }
    }

    /// Stores only if the secret is as required.
    pub fn preconditions(self, preconditions: Preconditions) -> Self {
        Self { preconditions, ..self }
    }

    /// Makes the request safe to repeat: a repetition with the same token, value, labels in the same order,
    /// expiry and [`not_before`](Self::not_before) makes no second version.
    pub fn token(self, token: RequestToken) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// How to rotate, where it differs from [`SecretStore::rotate`](crate::SecretStore::rotate). Not in
/// CSMS.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct RotateOptions {
    pub(super) preconditions: Preconditions,
    pub(super) token: Option<RequestToken>,
}

impl RotateOptions {
    /// No preconditions, no token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rotates only if the secret is as required.
    pub fn preconditions(self, preconditions: Preconditions) -> Self {
        Self { preconditions, ..self }
    }

    /// Makes the request safe to repeat: a repetition with the same token rotates once.
    pub fn token(self, token: RequestToken) -> Self {
        Self { token: Some(token), ..self }
    }
}

/// What must be true of a secret for a write to happen. Checked in the same step as the write.
///
/// CSMS has no such thing; without them two writers who both read first overwrite each other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "a precondition does nothing by itself"]
pub struct Preconditions {
    pub(super) revision: Option<u64>,
    pub(super) current: Option<VersionId>,
}

impl Preconditions {
    /// Nothing is required.
    pub const fn none() -> Self {
        Self { revision: None, current: None }
    }

    /// The secret must have this [revision](crate::Secret::revision): nothing at all has changed
    /// since it was read.
    pub fn if_revision(self, revision: u64) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// SYSCURRENT must be on this version.
    pub fn if_version(self, current: VersionId) -> Self {
        Self { current: Some(current), ..self }
    }
}

/// Which secrets to list (csms.md 3.1). All by default, 50 at a time.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct ListSecrets {
    pub(super) prefix: String,
    pub(super) event_name: Option<EventName>,
    pub(super) marker: Option<SecretName>,
    pub(super) limit: Option<usize>,
}

impl ListSecrets {
    /// The first 50 secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only secrets whose name begins like this.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Only secrets that subscribe to this event. The metadata of all others is looked at too.
    pub fn event_name(self, event: EventName) -> Self {
        Self { event_name: Some(event), ..self }
    }

    /// Only secrets with names greater than this one, which need not exist: the last name of the
    /// page before (csms.md 7.9, 8.2 row 42).
    pub fn marker(self, marker: SecretName) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// Which secrets to find. All by default, 10 at a time (csms.md 3.4).
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct FindSecrets {
    pub(super) tags: Vec<TagFilter>,
    pub(super) name_part: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

impl FindSecrets {
    /// The first 10 secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only secrets with such a tag; of several filters, at most 10, all must match.
    pub fn tag(mut self, filter: TagFilter) -> Self {
        self.tags.push(filter);
        self
    }

    /// Only secrets whose name has this in it, large and small letters told apart. An empty text is in
    /// no name (csms.md 3.4, 8.4 row 81).
    pub fn name_part(self, part: impl Into<String>) -> Self {
        Self { name_part: Some(part.into()), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Without the first so many.
    pub fn offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }
}

/// Which versions to list (csms.md 3.2). All by default, 50 at a time.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct ListVersions {
    pub(super) marker: Option<VersionId>,
    pub(super) limit: Option<usize>,
}

impl ListVersions {
    /// The first 50 versions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only versions with greater numbers than this one, which need not exist.
    pub fn marker(self, marker: VersionId) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}
