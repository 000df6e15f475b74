//! The public error, and the only place where inner errors become it.

mod code;
mod inner;
mod kind;
mod reasons;

pub use code::CsmsCode;
pub use kind::ErrorKind;
pub use reasons::{Limit, Missing, Rule, VersionRefusal};

use std::{io, path::PathBuf};

use crate::{
    access::{PolicyError, Principal, PrincipalError},
    commit::OpenError,
    domain::{
        Action, ActionError, AnchorError, AuditOperationError, DescriptionError,
        EnterpriseProjectIdError, EventNameError, EventTypeError, ExpireTimeError,
        FunctionUrnError, KeyIdError, LimitsError, NotificationTargetError, PasswordPolicyError,
        PasswordPolicyNameError, PasswordRequestError, Position, PositionError,
        RotationConfigError, RotationPeriodError, SecretBlobError, SecretName, SecretNameError,
        SecretState, SecretTypeError, StageError, StageNameError, StateRefusal, TagError,
        TaskIdError, VersionId, VersionIdError,
    },
    kms::{KmsContextError, KmsError},
    records::{AddVersionError, DraftError},
    rotation::ShapeError,
};

/// What a method of [`SecretStore`](crate::SecretStore) or [`Builder`](crate::Builder) returns
/// instead of a result (csms.md 5).
///
/// No variant carries a secret value or a key; names, paths and numbers may appear. `Display` says
/// what this layer knows and stops there; the cause is in
/// [`source`](std::error::Error::source). To tell errors apart, match [`Error::kind`].
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret, event or key of this name, or something at the path of a new store, is there already.
    /// Nothing was changed.
    #[error("{what} exists already")]
    AlreadyExists {
        /// What is there.
        what: String,
    },
    /// The anchor is older than the audit records that are kept, so it cannot be compared.
    #[error("the anchor is older than the audit log that is kept")]
    AnchorTooOld,
    /// A precondition does not hold, a request token was used for another request, or other writers
    /// won too often in a row. Nothing was written. Read again and decide anew.
    #[error("{name} is not as the call requires: {reason}")]
    Conflict {
        /// The secret.
        name: SecretName,
        /// Which requirement failed.
        reason: &'static str,
    },
    /// A rule of the secret's type forbids it: rotating a secret of type COMMON, a value without the
    /// shape its type needs, deleting a built-in label. Nothing was written.
    #[error("constraint violated by {name}: {rule}")]
    Constraint {
        /// The secret.
        name: SecretName,
        /// The rule.
        rule: Rule,
    },
    /// The files are damaged, incomplete, or of different moments. If it comes from opening, the store was
    /// not opened. Restore a backup, or bring back the missing file; do not open it again and again in place.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What is wrong, by file and commit number.
        what: String,
    },
    /// The caller may not do this, or not to this secret. Nothing was written, and no value given out.
    #[error("{principal} lacks the permission {action}{}", on(.secret.as_ref()))]
    Denied {
        /// Who called.
        principal: String,
        /// The permission that is missing.
        action: Action,
        /// The secret, if the call is about one.
        secret: Option<SecretName>,
    },
    /// An argument breaks a rule. Nothing was written.
    #[error("invalid {argument}: {reason}")]
    InvalidArgument {
        /// Which one.
        argument: &'static str,
        /// The rule.
        reason: String,
    },
    /// The store was closed, by this handle or another clone of it. Nothing was written.
    #[error("the store is closed")]
    InvalidState,
    /// A key cannot be used because it is disabled or missing, or not be deleted because it is enabled or
    /// in use. Nothing was written.
    #[error("the key {key_id}: {reason}")]
    Key {
        /// The key.
        key_id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key manager did not wrap or unwrap the store's root key. The store was not opened, or the slot
    /// not added. Nothing was written, but by [`Builder::create`](crate::Builder::create) or
    /// [`restore`](crate::Builder::restore), which may have made a whole store by then.
    /// [`KmsError::Unavailable`] may pass.
    #[error("the key manager did not use the key {key_id}")]
    KeyManager {
        /// The key.
        key_id: String,
        /// What it said.
        #[source]
        source: KmsError,
    },
    /// A limit would be exceeded. Nothing was written.
    #[error("{what}: {asked} asked, {max} allowed")]
    LimitExceeded {
        /// What is limited.
        what: Limit,
        /// How much was asked for.
        asked: usize,
        /// How much is allowed.
        max: usize,
    },
    /// The store is open already, in this process or another. One handle at a time; clone it.
    #[error("the store at {path:?} is in use")]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// There is no store at the path. Nothing was made or changed there.
    #[error("there is no store at {path:?}")]
    NotAStore {
        /// The path.
        path: PathBuf,
    },
    /// There is no such secret, version, label, tag, event, task, key, key slot or password policy. Nothing
    /// was written.
    #[error("there is no {0}")]
    NotFound(Missing),
    /// An earlier write or sync failed, so nothing more is written by this handle. What was
    /// acknowledged is there: close the store and open it again.
    #[error("an earlier failure stopped all writing; open the store again")]
    Poisoned,
    /// What was to be read of the store's history was cut off the audit log. Go on from `oldest`, and
    /// take stock of the secrets anew: changes in between are not told any more.
    #[error("the history behind {from} was cut off; it begins at {oldest}")]
    Pruned {
        /// Where it was to be read from.
        from: Position,
        /// Where it begins.
        oldest: Position,
    },
    /// The operating system gave no randomness. Nothing was written.
    #[error("the operating system gave no randomness")]
    Random,
    /// The store is older than the anchor says, or went on from an older copy.
    #[error("the store, at commit {found}, does not continue what the anchor saw at {expected}")]
    Rollback {
        /// The store's last commit.
        found: u64,
        /// The anchor's.
        expected: u64,
    },
    /// The secret's state does not allow it (csms.md 8.5). Nothing was written.
    #[error("secret {name} is {state}: {refusal}")]
    SecretState {
        /// The secret.
        name: SecretName,
        /// Its state.
        state: SecretState,
        /// Why that is in the way.
        refusal: StateRefusal,
    },
    /// The operating system failed a read, write or sync. After a failed write the handle is
    /// [poisoned](Error::Poisoned); whether the call took effect shows when the store is opened
    /// again.
    #[error("the storage failed")]
    Storage {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// What is stored is not what this store wrote there: records or files were edited, swapped, put
    /// back, or damaged in a way that looks like it. What failed its check is not given out. If it was
    /// the check of all records after opening, the store answers nothing more.
    #[error("tampering detected: {what} is not what was written")]
    Tampered {
        /// What failed its check.
        what: String,
    },
    /// The store has a format that this version of the crate does not know. Nothing was changed.
    #[error("the store has format {found}, which this version does not know")]
    UnsupportedFormat {
        /// The format's number.
        found: u8,
    },
    /// The version's value cannot be read, or its state not be changed so. Nothing was written.
    #[error("version {version} of secret {name} {refusal}")]
    VersionState {
        /// The secret.
        name: SecretName,
        /// The version.
        version: VersionId,
        /// What is in the way.
        refusal: VersionRefusal,
    },
    /// The master key or passphrase opens no slot of this store. Nothing was changed.
    #[error("the key does not open this store")]
    WrongKey,
    /// It is a store, but not the expected one.
    #[error("this is another store than expected")]
    WrongStore,
}

impl Error {
    pub(crate) fn invalid(argument: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { argument, reason: reason.into() }
    }

    pub(crate) fn constraint(name: &SecretName, rule: impl Into<String>) -> Self {
        Self::Constraint { name: name.clone(), rule: Rule::Other(rule.into()) }
    }

    pub(crate) fn no_secret(name: &SecretName) -> Self {
        Self::NotFound(Missing::Secret(name.clone()))
    }

    pub(crate) fn denied(
        principal: &Principal,
        action: Action,
        secret: Option<&SecretName>,
    ) -> Self {
        let principal = principal.as_str().to_owned();
        Self::Denied { principal, action, secret: secret.cloned() }
    }

    /// A refusal without the name of the secret that it is about; another error as it is.
    pub(crate) fn without_secret(self) -> Self {
        match self {
            Self::Denied { principal, action, secret: _ } => {
                Self::Denied { principal, action, secret: None }
            }
            other => other,
        }
    }

    pub(crate) fn of_state(name: &SecretName, state: SecretState, refusal: StateRefusal) -> Self {
        Self::SecretState { name: name.clone(), state, refusal }
    }

    pub(crate) fn of_version(
        name: &SecretName,
        version: VersionId,
        refusal: VersionRefusal,
    ) -> Self {
        Self::VersionState { name: name.clone(), version, refusal }
    }

    /// An error of opening or creating the store at `path`.
    pub(crate) fn of_open(path: &std::path::Path, err: OpenError) -> Self {
        match err {
            OpenError::AnchorTooOld => Self::AnchorTooOld,
            OpenError::Engine(err) => err.into(),
            OpenError::Damaged(what) => Self::Damaged { what },
            OpenError::Exists => Self::AlreadyExists { what: format!("{}", path.display()) },
            OpenError::Key(err) => err.into(),
            OpenError::Locked => Self::Locked { path: path.to_owned() },
            OpenError::NotAStore => Self::NotAStore { path: path.to_owned() },
            OpenError::Rollback { found, expected } => Self::Rollback { found, expected },
            OpenError::Storage(err) => err.into(),
            OpenError::Tampered(what) => Self::Tampered { what: what.to_owned() },
            OpenError::WrongStore => Self::WrongStore,
        }
    }

    /// An error of placing or removing a label of `name`.
    pub(crate) fn of_stage(name: &SecretName, err: StageError) -> Self {
        match err {
            StageError::Duplicate { .. } => Self::invalid("stages", err.to_string()),
            StageError::Full { labels, max } => {
                Self::LimitExceeded { what: Limit::Labels, asked: labels, max }
            }
            StageError::Listed { listed, max } => {
                Self::LimitExceeded { what: Limit::LabelsInRequest, asked: listed, max }
            }
            StageError::NotFound { stage } => Self::NotFound(Missing::Stage(name.clone(), stage)),
            StageError::Permanent { stage } => {
                Self::Constraint { name: name.clone(), rule: Rule::BuiltInStage(stage) }
            }
        }
    }

    /// An error of changing `name`.
    pub(crate) fn of_draft(name: &SecretName, err: DraftError) -> Self {
        match err {
            DraftError::Add(AddVersionError::Stage(err)) => Self::of_stage(name, err),
            DraftError::Add(err @ (AddVersionError::NoRoom | AddVersionError::NumbersUsedUp)) => {
                Self::constraint(name, err.to_string())
            }
            DraftError::Engine(err) => err.into(),
        }
    }

    /// An error of the shape that the type of `name` asks of its value.
    pub(crate) fn of_shape(name: &SecretName, err: ShapeError) -> Self {
        Self::constraint(name, format!("the value does not have the shape of its type: {err}"))
    }
}

/// The end of a message about a missing permission.
fn on(secret: Option<&SecretName>) -> String {
    secret.map(|name| format!(" on secret {name}")).unwrap_or_default()
}

/// Lets callers use `?` on texts that they parse.
macro_rules! invalid_argument {
    ($($error:ty => $argument:literal,)*) => {
        $(impl From<$error> for Error {
            fn from(err: $error) -> Self {
                Self::invalid($argument, err.to_string())
            }
        })*
    };
}

invalid_argument! {
    ActionError => "action",
    AnchorError => "anchor",
    AuditOperationError => "audit operation",
    DescriptionError => "description",
    EnterpriseProjectIdError => "enterprise project id",
    EventNameError => "event name",
    EventTypeError => "event type",
    ExpireTimeError => "expire time",
    KeyIdError => "key id",
    KmsContextError => "context",
    LimitsError => "limits",
    FunctionUrnError => "rotation function",
    NotificationTargetError => "notification target",
    PasswordPolicyError => "password policy",
    PasswordPolicyNameError => "password policy name",
    PasswordRequestError => "password request",
    PolicyError => "policy",
    PositionError => "position",
    PrincipalError => "principal",
    RotationConfigError => "rotation config",
    RotationPeriodError => "rotation period",
    SecretBlobError => "blob",
    SecretNameError => "secret name",
    SecretTypeError => "secret type",
    StageNameError => "stage name",
    TagError => "tag",
    TaskIdError => "task id",
    VersionIdError => "version id",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_small() {
        assert!(size_of::<Error>() <= 64, "{} bytes", size_of::<Error>());
    }

    /// An old anchor is also had from outside (`tests/store/errors.rs`); the system's randomness does not
    /// fail on command.
    #[test]
    fn an_old_anchor_and_missing_randomness_have_kinds_of_their_own() {
        let path = std::path::Path::new("store");
        let too_old = Error::of_open(path, OpenError::AnchorTooOld);
        assert_eq!(too_old.kind(), ErrorKind::AnchorTooOld);
        let random =
            Error::from(crate::commit::EngineError::from(crate::crypto::RandomError::Exhausted));
        assert_eq!(random.kind(), ErrorKind::Random);
    }
}
