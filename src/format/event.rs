//! Events, how far their notifications have come, and the record of each notification.

use serde::{Deserialize, Serialize};

use crate::format::{Malformed, codec::with_schema};

const SCHEMA: u16 = 1;

/// A rule that says which changes are told to whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct EventV1 {
    pub(crate) id: [u8; 16],
    pub(crate) name: String,
    pub(crate) types: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) target_id: String,
    pub(crate) target_name: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// The last audit record that notifications were made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct CursorV1 {
    pub(crate) seq: u64,
    pub(crate) index: u32,
}

/// One notification, and what became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct NoticeV1 {
    pub(crate) event: String,
    pub(crate) event_type: String,
    pub(crate) created_ms: i64,
    pub(crate) secret: String,
    pub(crate) secret_type: String,
    pub(crate) target_id: String,
    pub(crate) target_name: String,
    pub(crate) content: String,
    pub(crate) status: NoticeStatusV1,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum NoticeStatusV1 {
    Success,
    Fail,
    Invalid,
}

with_schema!(EventV1, SCHEMA);
with_schema!(CursorV1, SCHEMA);
with_schema!(NoticeV1, SCHEMA);
