//! What errors are about: what is missing, what is in the way, which rule, which limit.

use crate::domain::{SecretName, Stage, VersionId};

/// Which rule forbids a call, whatever the state of the secret (csms.md 2.2).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rule {
    /// SYSCURRENT and SYSPREVIOUS can be moved but not deleted (`CSMS.0105`).
    #[error("{0} cannot be removed")]
    BuiltInStage(Stage),
    /// Another one, in words.
    #[error("{0}")]
    Other(String),
}

/// Why a version cannot be used so. Not in CSMS.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum VersionRefusal {
    /// It was destroyed: its value is gone for good.
    #[error("is destroyed")]
    Destroyed,
    /// It is disabled.
    #[error("is disabled")]
    Disabled,
    /// It has expired, and the store was told to enforce that.
    #[error("has expired")]
    Expired,
    /// It bears a label, so it is in use: move or remove the label first.
    #[error("bears a label")]
    Labelled,
    /// Its time has not come, and the store was told to enforce that.
    #[error("may not be used yet")]
    NotYet,
}

/// What is limited, and to how much (csms.md 1.12).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Limit {
    /// The length of a secret's backup as text, in bytes: 5 MiB.
    #[error("bytes of a secret's backup")]
    BackupBytes,
    /// How many events a secret subscribes to: one.
    #[error("event subscriptions")]
    EventSubscriptions,
    /// How many events there are: 30.
    #[error("events")]
    Events,
    /// How many tags a search asks for: 10.
    #[error("filters in one search")]
    Filters,
    /// How many ways there are to unlock the store: 16.
    #[error("key slots")]
    KeySlots,
    /// How many keys the local key ring has: 100.
    #[error("keys")]
    Keys,
    /// How many labels a secret has: [`Limits::labels_max`](crate::Limits::labels_max).
    #[error("labels of a secret")]
    Labels,
    /// How many labels a new version is to bear: as many as a secret may have.
    #[error("labels in one request")]
    LabelsInRequest,
    /// How many labels are moved at once: 20.
    #[error("moves")]
    Moves,
    /// How many values are read at once: 20.
    #[error("names")]
    Names,
    /// How many policies a session has: 32.
    #[error("policies of a session")]
    Policies,
    /// How many secrets there are: [`Limits::secrets_max`](crate::Limits::secrets_max).
    #[error("secrets in the store")]
    Secrets,
    /// How many tags a secret has: 20.
    #[error("tags of a secret")]
    Tags,
    /// How many tags one call is about: 20.
    #[error("tags in one request")]
    TagsInRequest,
    /// The length of a value, in bytes: [`Limits::value_len_max_bytes`](crate::Limits::value_len_max_bytes).
    #[error("bytes of a value")]
    ValueBytes,
    /// How many versions a secret that is restored has: [`Limits::versions_max`](crate::Limits::versions_max).
    #[error("versions of a secret")]
    Versions,
}

/// What was not found (csms.md 8.2 row 28).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Missing {
    /// An event.
    #[error("event {0}")]
    Event(String),
    /// A key of the key manager.
    #[error("key {0}")]
    Key(String),
    /// A way to unlock the store.
    #[error("key slot {0}")]
    KeySlot(u32),
    /// A password policy: the store was given none of this name.
    #[error("password policy {0}")]
    PasswordPolicy(String),
    /// A secret.
    #[error("secret {0}")]
    Secret(SecretName),
    /// A label of a secret.
    #[error("label {1} on secret {0}")]
    Stage(SecretName, Stage),
    /// A tag of a secret, by its key.
    #[error("tag {1:?} on secret {0}")]
    Tag(SecretName, String),
    /// A rotation task.
    #[error("rotation task {0}")]
    Task(String),
    /// A version of a secret: it never was, or was dropped.
    #[error("version {1} of secret {0}")]
    Version(SecretName, VersionId),
}
