//! The `secrets` record: what a secret is. Rewritten when its metadata changes.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec::with_schema};

const SCHEMA: u16 = 1;

/// Metadata of a secret that a rotation does not touch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct SecretV1 {
    pub(crate) name: String,
    pub(crate) sid: [u8; 16],
    pub(crate) secret_type: String,
    pub(crate) description: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) enterprise_project_id: Option<String>,
    pub(crate) rotation: RotationV1,
    pub(crate) event_subscriptions: Vec<String>,
    /// Ascending by key.
    pub(crate) tags: Vec<(String, String)>,
    /// Nobody may delete it sooner than a scheduled deletion would.
    pub(crate) purge_protected: bool,
    /// Most versions kept, if fewer than the store allows.
    pub(crate) keep_versions: Option<u32>,
    /// How long a version without a label is kept.
    pub(crate) keep_ms: Option<i64>,
    /// When it is to be deleted, as the `stages` record says too: read when the index is loaded.
    pub(crate) deletion_ms: Option<i64>,
}

/// The rotation policy of a secret.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RotationV1 {
    pub(crate) period: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) function_urn: Option<String>,
    /// Since when it is rotated by itself, if it is.
    pub(crate) automatic_since_ms: Option<i64>,
    /// When the last automatic rotation that came to nothing was given up.
    pub(crate) put_off_ms: Option<i64>,
    /// The rotation that was begun and has not ended.
    pub(crate) task: Option<TaskV1>,
}

/// A rotation under way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct TaskV1 {
    pub(crate) id: [u8; 16],
    pub(crate) begun_ms: i64,
    /// Attempts that failed.
    pub(crate) attempts: u32,
    /// When the next attempt may be made.
    pub(crate) next_ms: i64,
    /// Why the last attempt failed.
    pub(crate) error: String,
}

with_schema!(SecretV1, SCHEMA);
