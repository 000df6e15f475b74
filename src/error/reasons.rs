//! What errors are about: what is missing, what is in the way, which rule.

use crate::domain::{SecretName, Stage, VersionId};

/// Which rule forbids a call, whatever the state of the secret.
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

/// Why a version cannot be used so.
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

/// What was not found.
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
    /// A password policy that the store was given a name for.
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
