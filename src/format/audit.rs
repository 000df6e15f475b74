//! The audit record: one for each operation that changed something.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec::with_schema};

const SCHEMA: u16 = 1;

/// Who did what, to which secret, when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct AuditV1 {
    pub(crate) time_ms: i64,
    pub(crate) operation: OperationV1,
    /// Empty for an operation on the store itself.
    pub(crate) name: String,
    pub(crate) sid: [u8; 16],
    /// 0 where no version is concerned.
    pub(crate) version: u64,
    pub(crate) actor: String,
    pub(crate) detail: String,
    /// What notifications tell of the secret as it was then. Only of one that subscribes to events:
    /// by the time they are sent it may be gone.
    pub(crate) subject: Option<SubjectV1>,
}

/// A secret that subscribes to events, as a change left it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct SubjectV1 {
    pub(crate) events: Vec<String>,
    pub(crate) secret_type: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// Of the version that the record names.
    pub(crate) expires_ms: Option<i64>,
}

/// The operation; new ones are added at the end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum OperationV1 {
    CreateStore,
    ChangeKeys,
    CreateSecret,
    UpdateSecret,
    DeleteSecret,
    CreateVersion,
    UpdateVersion,
    MoveStage,
    DeleteStage,
    RotateSecret,
    ScheduleDeletion,
    CancelDeletion,
    SetState,
    SetVersionState,
    ScheduleDestruction,
    DestroyVersion,
    ExpireVersion,
    NearExpiry,
    CreateTags,
    DeleteTags,
    BeginRotation,
    FailRotation,
    CancelRotation,
    ResumeRotation,
    BackupSecret,
    RestoreSecret,
    CreateEvent,
    UpdateEvent,
    DeleteEvent,
    ReadValue,
    PruneAudit,
    CreateKey,
    UpdateKey,
    BackupStore,
    RestoreStore,
    Notify,
    CreateStage,
    /// An attempt of a rotation that was begun failed; there will be another one.
    RetryRotation,
    ProtectFromPurge,
}

with_schema!(AuditV1, SCHEMA);
