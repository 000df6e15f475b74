//! Every byte on disk but the envelope: what is inside a record, the key file, the journal.
//!
//! Types named `..V1` are what stands on disk. They never change; a new need gets a new schema
//! number. Nothing here decrypts or decides.

mod audit;
mod backup;
mod blob;
mod codec;
mod event;
mod frame;
mod journal;
mod key_file;
mod kms_params;
mod local_key;
mod root;
mod secret;
mod stages;
mod tree;
mod unfinished;

pub(crate) use audit::{AuditV1, OperationV1, SubjectV1};
pub(crate) use backup::{
    BACKUP_FRONT_BYTES, BLOCK_BYTES, BLOCK_FRONT_BYTES, BackupFront, BackupFrontError, Entry,
    block_front, parse_block_front,
};
pub(crate) use blob::BlobV1;
pub(crate) use event::{CursorV1, EventV1, NoticeStatusV1, NoticeV1};
pub(crate) use frame::{Padding, unframe, write_frame};
pub(crate) use journal::{
    END_MARK_SEQ, Frame, FrameBuilder, SEGMENT_HEADER_BYTES, SegmentHeader, is_zero, parse_payload,
    torn_reach,
};
pub(crate) use key_file::{
    KEY_FILE_LEN_MAX, KeyFile, KeyFileError, SLOT_LABEL_LEN_MAX, SLOTS_MAX, SlotRecord, SlotType,
};
pub(crate) use kms_params::KmsParams;
pub(crate) use local_key::LocalKeyV1;
pub(crate) use root::{ROOT_LEN, RootV1};
pub(crate) use secret::{RotationV1, SecretV1, TaskV1};
pub(crate) use stages::{LabelNameV1, LabelV1, StagesV1, TokenV1, VersionV1};
pub(crate) use tree::{BLOB_PLACE, Kind, Tree};
pub(crate) use unfinished::UnfinishedV1;

/// Bytes that do not have the shape they must have. One word: what they are is nobody's business.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bytes do not have the required shape")]
pub(crate) struct Malformed;
