//! What is told of a secret and of a version: made once from the heads, then shared by the cache and
//! all who asked.

use crate::{
    domain::{Description, RotationPolicy, SecretName, SecretType, Stage, Timestamp, VersionId},
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
    /// None if it is the default one.
    pub(crate) rotation: Option<Box<RotationPolicy>>,
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
            rotation: (secret.rotation != RotationPolicy::default())
                .then(|| Box::new(secret.rotation.clone())),
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
}

impl VersionFacts {
    pub(crate) fn of(name: &SecretName, stages: &Stages, entry: &VersionEntry) -> Self {
        Self {
            secret_name: name.clone(),
            id: entry.id,
            created: entry.created.whole_seconds(),
            expires: entry.expires,
            stages: stages.labels.labels_of(entry.id),
        }
    }
}
