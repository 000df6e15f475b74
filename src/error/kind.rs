//! What kind of error it is.

use crate::error::Error;

/// What kind of error it is, for `match` (csms.md 5).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "each is documented at the variant of `Error` of the same name")]
pub enum ErrorKind {
    AlreadyExists,
    AnchorTooOld,
    Conflict,
    Constraint,
    Damaged,
    Denied,
    InvalidArgument,
    InvalidState,
    Key,
    KeyManager,
    LimitExceeded,
    Locked,
    NotAStore,
    NotFound,
    Poisoned,
    Pruned,
    Random,
    Rollback,
    SecretState,
    Storage,
    Tampered,
    UnsupportedFormat,
    VersionState,
    WrongKey,
    WrongStore,
}

impl Error {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::AnchorTooOld => ErrorKind::AnchorTooOld,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Constraint { .. } => ErrorKind::Constraint,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::InvalidArgument { .. } => ErrorKind::InvalidArgument,
            Self::InvalidState => ErrorKind::InvalidState,
            Self::Key { .. } => ErrorKind::Key,
            Self::KeyManager { .. } => ErrorKind::KeyManager,
            Self::LimitExceeded { .. } => ErrorKind::LimitExceeded,
            Self::Locked { .. } => ErrorKind::Locked,
            Self::NotAStore { .. } => ErrorKind::NotAStore,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Poisoned => ErrorKind::Poisoned,
            Self::Pruned { .. } => ErrorKind::Pruned,
            Self::Random => ErrorKind::Random,
            Self::Rollback { .. } => ErrorKind::Rollback,
            Self::SecretState { .. } => ErrorKind::SecretState,
            Self::Storage { .. } => ErrorKind::Storage,
            Self::Tampered { .. } => ErrorKind::Tampered,
            Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::VersionState { .. } => ErrorKind::VersionState,
            Self::WrongKey => ErrorKind::WrongKey,
            Self::WrongStore => ErrorKind::WrongStore,
        }
    }
}
