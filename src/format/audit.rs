//! The audit record: one for each operation that changed something.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec};

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
    /// An attempt of a rotation that was begun failed; there will be another one.
    RetryRotation,
}

impl AuditV1 {
    pub(crate) fn encoded_len(&self) -> Result<usize, Malformed> {
        codec::encoded_len_with_schema(self)
    }

    pub(crate) fn encode_into(&self, out: &mut [u8]) -> Result<(), Malformed> {
        codec::encode_with_schema(SCHEMA, self, out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode_with_schema(SCHEMA, bytes)
    }
}
