//! The trees of the state and the kinds of records in them.

/// A tree. Its number is the first byte of a record's place in what the envelope authenticates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Tree {
    /// The root record, objects of the store as a whole, jobs and pins.
    System = 0x01,
    /// What a secret is.
    Secrets = 0x10,
    /// Where its labels point, and its version table.
    Stages = 0x11,
    /// One value.
    Versions = 0x20,
    /// One record an operation.
    Audit = 0x30,
    /// One record a notification that was sent, or failed.
    Notices = 0x50,
}

/// Stands for a tree in what the envelopes of a secret's backup authenticate: they stand in none.
pub(crate) const BLOB_PLACE: u8 = 0x60;

/// What a record is. Stands in the envelope's header. `0x40` (pins) is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    Root = 0x01,
    /// An object: values that were written before the heads that are to name them.
    Unfinished = 0x03,
    Secret = 0x10,
    Stages = 0x11,
    Value = 0x20,
    Audit = 0x30,
    Notice = 0x50,
    /// An object of the store as a whole: what events fire, and whom they tell.
    Event = 0x51,
    /// An object: a key of the local key ring.
    LocalKey = 0x52,
    /// No record: a data key that was handed out, wrapped.
    DataKey = 0x54,
    /// An object: how far the notifications have come.
    Cursor = 0x53,
    /// The wrapped key of a secret's backup. Stands in no tree.
    BlobKey = 0x60,
    /// A secret's backup. Stands in no tree.
    Blob = 0x61,
}

impl Tree {
    pub(crate) const ALL: [Self; 6] =
        [Self::System, Self::Secrets, Self::Stages, Self::Versions, Self::Audit, Self::Notices];

    pub(crate) const fn id(self) -> u8 {
        self as u8
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Secrets => "secrets",
            Self::Stages => "stages",
            Self::Versions => "versions",
            Self::Audit => "audit",
            Self::Notices => "notices",
        }
    }

    /// Length of the keys: a kind and eight bytes; a name's id; a number; a commit and an index, twice.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::System => 9,
            Self::Secrets | Self::Stages => 16,
            Self::Versions => 8,
            Self::Audit | Self::Notices => 12,
        }
    }
}

impl Kind {
    pub(crate) const fn id(self) -> u8 {
        self as u8
    }
}
