//! What is told of a secret and of a version: made once from the heads, then shared by the cache and
//! all who asked.

use std::sync::Arc;

use crate::{
    domain::{
        Description, RotationPolicy, SecretName, SecretState, SecretType, Stage, Timestamp,
        VersionId, VersionRef, VersionState,
    },
    records::{SecretBody, Seen, Stages, VersionEntry},
};

/// Everything about a secret but its versions. Times are whole seconds.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct SecretFacts {
    pub(crate) name: SecretName,
    pub(crate) id: [u8; 16],
    pub(crate) secret_type: SecretType,
    pub(crate) description: Description,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) rotated: Option<Timestamp>,
    pub(crate) current: Option<VersionId>,
    pub(crate) revision: u64,
    pub(crate) event_subscriptions: Vec<String>,
    /// None if it is the default one.
    pub(crate) rotation: Option<Box<RotationPolicy>>,
    pub(crate) state: SecretState,
    pub(crate) deletion: Option<Timestamp>,
    pub(crate) purge_protected: bool,
    pub(crate) keep_versions: Option<u32>,
    pub(crate) keep_ms: Option<i64>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) enterprise_project_id: Option<String>,
    /// Ascending by key.
    pub(crate) tags: Vec<(String, String)>,
}

impl SecretFacts {
    pub(crate) fn of(seen: &Seen) -> Self {
        Self::of_parts(&seen.secret.body, &seen.stages.body, seen.revision())
    }

    pub(crate) fn of_parts(secret: &SecretBody, stages: &Stages, revision: u64) -> Self {
        Self {
            name: secret.name.clone(),
            id: secret.sid,
            secret_type: secret.secret_type.clone(),
            description: secret.description.clone(),
            created: secret.created.whole_seconds(),
            updated: secret.updated.max(stages.updated).whole_seconds(),
            rotated: stages.rotated.map(Timestamp::whole_seconds),
            current: stages.labels.version_of(&Stage::Current),
            revision,
            event_subscriptions: secret.event_subscriptions.clone(),
            rotation: (secret.rotation != RotationPolicy::default())
                .then(|| Box::new(secret.rotation.clone())),
            state: stages.state(),
            deletion: stages.deletion,
            purge_protected: secret.purge_protected,
            keep_versions: secret.keep_versions,
            keep_ms: secret.keep_ms,
            kms_key_id: secret.kms_key_id.clone(),
            enterprise_project_id: secret.enterprise_project_id.clone(),
            tags: secret.tags.clone(),
        }
    }
}

/// Everything about a version but its value. Times are whole seconds.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct VersionFacts {
    pub(crate) secret_name: SecretName,
    pub(crate) id: VersionId,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) state: VersionState,
    pub(crate) kms_key_id: Option<Arc<str>>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) destruction: Option<Timestamp>,
}

impl VersionFacts {
    /// Whether a reference means this version, whatever others there are.
    pub(crate) fn is_meant_by(&self, reference: &VersionRef) -> bool {
        match reference {
            VersionRef::Id(id) => self.id == *id,
            VersionRef::Stage(stage) => self.stages.contains(stage),
            VersionRef::Latest => self.stages.contains(&Stage::Current),
        }
    }

    pub(crate) fn of(name: &SecretName, stages: &Stages, entry: &VersionEntry) -> Self {
        Self {
            secret_name: name.clone(),
            id: entry.id,
            created: entry.created.whole_seconds(),
            expires: entry.expires,
            stages: stages.labels.labels_of(entry.id),
            state: entry.state,
            kms_key_id: entry.kms_key_id.clone(),
            not_before: entry.not_before,
            destruction: entry.destruction,
        }
    }
}

/// What of a secret decides whether its values may be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    pub(crate) state: SecretState,
    pub(crate) deletion: Option<Timestamp>,
}

impl Gate {
    pub(crate) fn of(stages: &Stages) -> Self {
        Self { state: stages.state(), deletion: stages.deletion }
    }
}
