//! What callers get back.

use std::sync::Arc;

use crate::{
    domain::{
        Description, EnterpriseProjectId, Retention, SecretName, SecretState, SecretType,
        SecretValue, Stage, TaskId, Timestamp, VersionId, VersionState, uuid_text,
    },
    records::{SecretFacts, Seen, Stages, VersionEntry, VersionFacts},
};

/// The metadata of a secret. Never its value (csms.md 1.2).
///
/// Times are whole seconds. Cloning it is cheap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Secret(pub(super) Arc<SecretFacts>);

impl Secret {
    pub(super) fn of(seen: &Seen) -> Self {
        Self(Arc::new(SecretFacts::of(seen)))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SecretName {
        &self.0.name
    }

    /// Its resource id, random and in the form of a UUID. A secret that is deleted and made again
    /// under the same name has another one.
    #[must_use]
    pub fn id(&self) -> String {
        uuid_text(&self.0.id)
    }

    /// Its type.
    #[must_use]
    pub fn secret_type(&self) -> &SecretType {
        &self.0.secret_type
    }

    /// Its description.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The key of the key manager under which new versions are sealed (csms.md 1.11); `None` for the
    /// default one, [`csms/default`](crate::KeyId::DEFAULT_ALIAS).
    #[must_use]
    pub fn kms_key_id(&self) -> Option<&str> {
        self.0.kms_key_id.as_deref()
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.0.created
    }

    /// When anything of it changed last: metadata, labels or versions (csms.md 8.2 row 40).
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.0.updated
    }

    /// When it was rotated last.
    #[must_use]
    pub fn rotated(&self) -> Option<Timestamp> {
        self.0.rotated
    }

    /// The version behind SYSCURRENT.
    #[must_use]
    pub fn current_version(&self) -> Option<VersionId> {
        self.0.current
    }

    /// The names of the events that it subscribes to (csms.md 1.7).
    #[must_use]
    pub fn event_subscriptions(&self) -> &[String] {
        &self.0.event_subscriptions
    }

    /// Its state (csms.md 1.3).
    #[must_use]
    pub fn state(&self) -> SecretState {
        self.0.state
    }

    /// When it will be deleted, if that is scheduled.
    #[must_use]
    pub fn scheduled_deletion(&self) -> Option<Timestamp> {
        self.0.deletion.map(Timestamp::whole_seconds)
    }

    /// Whether it is protected from being deleted at once.
    #[must_use]
    pub fn is_purge_protected(&self) -> bool {
        self.0.purge_protected
    }

    /// Which old versions it keeps.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention::from_parts((self.0.keep_versions, self.0.keep_ms))
    }

    /// The enterprise project that it belongs to, if one was named.
    #[must_use]
    pub fn enterprise_project_id(&self) -> Option<EnterpriseProjectId> {
        self.0.enterprise_project_id.as_deref()?.parse().ok()
    }

    /// Grows with every change of the secret. For
    /// [`Preconditions::if_revision`](crate::Preconditions::if_revision).
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.revision
    }
}

/// The metadata of a version (csms.md 1.4). Times are whole seconds. Cloning it is cheap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionMetadata(pub(super) Arc<VersionFacts>);

impl VersionMetadata {
    pub(super) fn of(name: &SecretName, stages: &Stages, entry: &VersionEntry) -> Self {
        Self(Arc::new(VersionFacts::of(name, stages, entry)))
    }

    /// The secret it belongs to.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.0.secret_name
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> VersionId {
        self.0.id
    }

    /// The key of the key manager under which its value is sealed (csms.md 1.4); `None` for the default
    /// one. It stays what it was when the version was stored.
    #[must_use]
    pub fn kms_key_id(&self) -> Option<&str> {
        self.0.kms_key_id.as_deref()
    }

    /// When it was stored.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.0.created
    }

    /// When it expires, if that was said.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.expires
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> VersionState {
        self.0.state
    }

    /// From when on it may be used, if that was said.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.0.not_before
    }

    /// When it will be destroyed, if that is scheduled.
    #[must_use]
    pub fn scheduled_destruction(&self) -> Option<Timestamp> {
        self.0.destruction
    }

    /// Its labels, built-in ones first. A version without any may be dropped to make room.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.0.stages
    }
}

/// A version with its value (csms.md 1.4).
#[derive(Debug)]
pub struct Version {
    pub(super) metadata: VersionMetadata,
    pub(super) value: SecretValue,
}

impl Version {
    /// Everything but the value.
    #[must_use]
    pub fn metadata(&self) -> &VersionMetadata {
        &self.metadata
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> VersionId {
        self.metadata.id()
    }

    /// The plaintext.
    #[must_use]
    pub fn value(&self) -> &SecretValue {
        &self.value
    }

    /// The plaintext, taken out.
    #[must_use]
    pub fn into_value(self) -> SecretValue {
        self.value
    }
}

/// Where a label is (csms.md 1.5). The time is a whole second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StageInfo {
    pub(super) secret_name: SecretName,
    pub(super) stage: Stage,
    pub(super) version_id: VersionId,
    pub(super) updated: Timestamp,
}

impl StageInfo {
    /// The secret it belongs to.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// The label.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The version that bears it.
    #[must_use]
    pub fn version_id(&self) -> VersionId {
        self.version_id
    }

    /// When it came there.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.updated
    }
}

/// What a rotation did (csms.md 3.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotation {
    pub(super) secret_name: SecretName,
    pub(super) version_id: VersionId,
    pub(super) task_id: TaskId,
}

impl Rotation {
    /// The secret.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// The new version, which is SYSCURRENT now.
    #[must_use]
    pub fn version_id(&self) -> VersionId {
        self.version_id
    }

    /// The task that the rotation is listed as by [`tasks`](crate::SecretStore::tasks) (csms.md 1.9).
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.task_id
    }

    /// The answer of the REST operation: `{"version_id":"v2","secret_name":"Test"}` (csms.md 3.1).
    #[must_use]
    pub fn to_json(&self) -> String {
        // Neither can hold a character that JSON would escape.
        format!(r#"{{"version_id":"{}","secret_name":"{}"}}"#, self.version_id, self.secret_name)
    }
}

/// One page of a listing (csms.md 1.10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<T> {
    items: Vec<T>,
    has_more: bool,
}

impl<T> Page<T> {
    /// A page of at most `limit` of `items`, of which there may be one more to tell that it goes on.
    pub(super) fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more }
    }

    pub(super) fn try_map<U, E>(
        self,
        map: impl FnMut(T) -> Result<Option<U>, E>,
    ) -> Result<Page<U>, E> {
        let has_more = self.has_more;
        let items = self.items.into_iter().map(map).filter_map(Result::transpose);
        Ok(Page { items: items.collect::<Result<_, _>>()?, has_more })
    }

    /// What is on the page, in order.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// What is on the page, taken out.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// Whether there is more behind this page. Ask for it with the last item as the marker.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}
