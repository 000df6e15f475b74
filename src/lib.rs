//! An embedded, encrypted, versioned secret store with atomic rotation.
//!
//! `strongroom` keeps secrets of a service in one directory, in its own process: no server, no
//! daemon. It has the semantics of a cloud secret manager (versions `v1, v2, ...`, the labels
//! SYSCURRENT, SYSPREVIOUS and SYSPENDING, rotation), the durability of a database, and encrypts
//! everything it writes: values, names, labels and descriptions.
//!
//! # Where to start
//!
//! * To open a store: [`SecretStore::builder`], with a [`MasterKey`], a passphrase, or a key of a key
//!   manager ([`KmsKey`]).
//! * To store a secret: [`SecretStore::create_secret`]; to read it: [`SecretStore::get`].
//! * To give it a new password: [`SecretStore::rotate`].
//! * To notice that all files were put back to an older state: [`SecretStore::anchor`] and
//!   [`Expect`].
//! * To read what is left of a damaged store: [`Builder::salvage`].
//! * To understand the layers, the files, the threats, the errors, the speed, and how to run it:
//!   [`manual`].
//!
//! `csms.md` and `crypto.md` are named as sources of rules: the account of the cloud's documents and the
//! design that the crate was written from. They are not part of it; `tests/store/rows.rs` has each point
//! that `csms.md` 8 leaves open, with its decision.
//!
//! # Example
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! use strongroom::{MasterKey, NewSecret, SecretStore, SecretType, SecretValue, Stage, VersionRef};
//!
//! let key_file = dir.path().join("master.key");
//! MasterKey::generate()?.write_new_file(&key_file)?; // once; keep it away from the store
//!
//! let store = SecretStore::builder()
//!     .master_key(MasterKey::from_file(&key_file)?)
//!     .open_or_create(dir.path().join("secrets"))?;
//!
//! let name = "orders-db".parse()?;
//! let value = SecretValue::from_string(r#"{"users":[{"name":"app","password":"first"}]}"#);
//! let secret = NewSecret::new("orders-db".parse()?, value).secret_type(SecretType::RdsFg);
//! store.create_secret(secret)?;
//! store.rotate(&name)?;
//!
//! let current = store.get(&name)?; // the new password
//! let previous = store.version(&name, &VersionRef::Stage(Stage::Previous))?; // the one before
//! assert_eq!((current.id().number(), previous.id().number()), (2, 1));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "some items are public for `testing` alone")
)]

mod domain;

mod crypto;
mod format;
mod kms;
mod storage;

mod commit;
mod records;

mod access;
mod events;
mod rotation;

mod error;
mod store;

pub mod manual;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

// The public interface is:

pub use secrecy::SecretString;

pub use crate::{
    access::{Effect, Policy, PolicyError, Principal, PrincipalError, Statement},
    commit::{Damage, SlotKind, Unlock},
    crypto::{BlobKey, MasterKey, MasterKeyError},
    domain::{
        Action, ActionError, Anchor, AnchorError, AuditOperation, AuditOperationError, Clock,
        CustomType, Description, DescriptionError, EnterpriseProjectId, EnterpriseProjectIdError,
        EventName, EventNameError, EventState, EventType, EventTypeError, Expect, ExpireTimeError,
        FunctionUrn, FunctionUrnError, KeyId, KeyIdError, KeyState, Label, Limits, LimitsError,
        NameSyntax, NotificationTarget, NotificationTargetError, PasswordPolicy,
        PasswordPolicyError, PasswordPolicyName, PasswordPolicyNameError, PasswordRequest,
        PasswordRequestError, Position, PositionError, RecoveryWindow, Retention, RotationConfig,
        RotationConfigError, RotationPeriod, RotationPeriodError, RotationRules, SecretBlob,
        SecretBlobError, SecretName, SecretNameError, SecretState, SecretSubType, SecretType,
        SecretTypeError, SecretValue, SignClass, Stage, StageNameError, StateRefusal, SystemClock,
        Tag, TagError, TagFilter, TagKey, TagValue, TagValues, TaskId, TaskIdError, TaskStatus,
        Timestamp, ValueKind, VersionId, VersionIdError, VersionRef, VersionState,
    },
    error::{CsmsCode, Error, ErrorKind, Limit, Missing, Rule, VersionRefusal},
    events::{Notification, Notifier, NotifyError},
    kms::{DataKey, KeyInfo, KeyList, KeyPage, Kms, KmsContext, KmsContextError, KmsError, KmsKey},
    records::{
        AuditRecord, Cause, Completeness, Event, Loss, NotificationRecord, NotificationStatus,
        SalvagedSecret,
    },
    store::{
        AuditQuery, BackupInfo, BatchValues, Builder, Compaction, Delivered, DueRotations,
        EventUpdate, FailedRotation, FindSecrets, HasKey, KeySlot, ListEvents, ListNotifications,
        ListSecrets, ListTasks, ListVersions, Loaded, NewEvent, NewSecret, NewVersion, NoKey, Page,
        Preconditions, PrunedAudit, Refused, RequestToken, RequestTokenError, RestoreOptions,
        RotateOptions, Rotation, RotationTask, Salvage, Scheduler, SchedulerError,
        SchedulerOptions, Secret, SecretStore, SecretUpdate, StageInfo, StageMove, Subscription,
        Swept, TaskPage, Verification, Verify, Version, VersionMetadata, VersionUpdate,
    },
};
