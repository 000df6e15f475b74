//! What public types are and are not: all can be printed and sent between threads; those with secrets in
//! them cannot be copied, shown, compared or serialized by accident.

use std::{
    borrow::Borrow,
    collections::BTreeSet,
    fmt::{Debug, Display, LowerHex},
    hash::Hash,
    ops::Deref,
};

use strongroom::{
    BatchValues, BlobKey, Builder, HasKey, MasterKey, NewSecret, NewVersion, SecretValue, Unlock,
    Version,
};

/// Names every public type once, which the compiler then holds to what is promised of all of them.
macro_rules! public_types {
    ($($name:ident $(<$of:ident>)?),* $(,)?) => {
        /// All public types.
        pub const TYPES: &[&str] = &[$(stringify!($name)),*];

        const _: fn() = || {
            fn promised<T: Debug + Send + Sync + Unpin + 'static>() {}
            $(promised::<strongroom::$name $(<strongroom::$of>)?>();)*
        };
    };
}

public_types! {
    Action, ActionError, Anchor, AnchorError, AuditOperation, AuditOperationError, AuditQuery,
    AuditRecord, BackupInfo, BatchValues, BlobKey, Builder<HasKey>, Cause, Compaction, Completeness,
    CsmsCode, CustomType, Damage, DataKey, Delivered, Description, DescriptionError, DueRotations,
    Effect, EnterpriseProjectId, EnterpriseProjectIdError, Error, ErrorKind, Event, EventName,
    EventNameError, EventState, EventType, EventTypeError, EventUpdate, Expect, ExpireTimeError,
    FailedRotation, FindSecrets, FunctionUrn, FunctionUrnError, HasKey, KeyId, KeyIdError, KeyInfo,
    KeyList, KeyPage, KeySlot, KeyState, KmsContext, KmsContextError, KmsError, Label, Limit, Limits,
    LimitsError, ListEvents, ListNotifications, ListSecrets, ListTasks, ListVersions, Loaded, Loss,
    MasterKey, MasterKeyError, Missing, NameSyntax, NewEvent, NewSecret, NewVersion, NoKey,
    Notification, NotificationRecord, NotificationStatus, NotificationTarget,
    NotificationTargetError, NotifyError, Page<Secret>, PasswordPolicy, PasswordPolicyError,
    PasswordPolicyName, PasswordPolicyNameError, PasswordRequest, PasswordRequestError, Policy, PolicyError, Position, PositionError,
    Preconditions, Principal, PrincipalError, PrunedAudit, RecoveryWindow, Refused, RequestToken,
    RequestTokenError, RestoreOptions, Retention, RotateOptions, Rotation, RotationConfig,
    RotationConfigError, RotationPeriod, RotationPeriodError, RotationRules, RotationTask, Rule,
    Salvage, SalvagedSecret, Scheduler, SchedulerError, SchedulerOptions, Secret, SecretBlob,
    SecretBlobError, SecretName, SecretNameError, SecretState, SecretStore, SecretString,
    SecretSubType, SecretType, SecretTypeError, SecretUpdate, SecretValue, SignClass, Stage,
    StageInfo, StageMove, StageNameError, Statement, StateRefusal, Subscription, Swept, SystemClock,
    Tag, TagError, TagFilter, TagKey, TagValue, TagValues, TaskId, TaskIdError, TaskPage,
    TaskStatus, Timestamp, Unlock, ValueKind, Verification, Verify, Version, VersionId,
    VersionIdError, VersionMetadata, VersionRef, VersionRefusal, VersionState, VersionUpdate,
}

/// The public traits.
const TRAITS: &[&str] = &["Clock", "Kms", "Notifier"];

/// Does not compile if the type has the trait: then it is not clear whose `some` is meant.
macro_rules! is_not {
    ($type:ty: $($no:tt)*) => {
        const _: fn() = || {
            trait Unclear<A> {
                fn some() {}
            }
            impl<T: ?Sized> Unclear<()> for T {}
            struct Has;
            impl<T: ?Sized + $($no)*> Unclear<Has> for T {}
            let _ = <$type as Unclear<_>>::some;
        };
    };
}

/// Types with a value or key in them.
macro_rules! secret_types_are_not {
    ($($no:tt)*) => {
        is_not!(SecretValue: $($no)*);
        is_not!(Version: $($no)*);
        is_not!(NewSecret: $($no)*);
        is_not!(NewVersion: $($no)*);
        is_not!(MasterKey: $($no)*);
        is_not!(Unlock: $($no)*);
        is_not!(HasKey: $($no)*);
        is_not!(BlobKey: $($no)*);
        is_not!(BatchValues: $($no)*);
        is_not!(Builder<HasKey>: $($no)*);
    };
}

secret_types_are_not!(Clone);
secret_types_are_not!(Copy);
secret_types_are_not!(PartialEq);
secret_types_are_not!(PartialOrd);
secret_types_are_not!(Hash);
secret_types_are_not!(LowerHex);
secret_types_are_not!(Display);
secret_types_are_not!(Default);
secret_types_are_not!(Deref);
secret_types_are_not!(AsRef<[u8]>);
secret_types_are_not!(AsRef<str>);
secret_types_are_not!(Borrow<[u8]>);
secret_types_are_not!(Into<String>);
secret_types_are_not!(Into<Vec<u8>>);
secret_types_are_not!(IntoIterator);
secret_types_are_not!(serde::Serialize);
secret_types_are_not!(serde::de::DeserializeOwned);

// It holds the key that opened the damaged store; what it displays is what it found.
is_not!(strongroom::Salvage: Clone);
is_not!(strongroom::Salvage: serde::Serialize);

/// The names that a `lib.rs` makes public behind its mark.
fn exports(text: &str) -> BTreeSet<String> {
    let (_, interface) = text.split_once("// The public interface is:").expect("the mark");
    let code = interface.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code: Vec<&str> = code.collect();
    let code = code.join(" ");
    let words = code.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
    words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect()
}

#[test]
fn every_public_type_is_looked_at() {
    let known: BTreeSet<String> =
        TYPES.iter().chain(TRAITS).map(|name| (*name).to_owned()).collect();
    assert_eq!(exports(include_str!("../../src/lib.rs")), known);
    let more =
        "// The public interface is:\npub use crate::{a::{Known, New}}; // Old\npub use x::Y;";
    assert_eq!(exports(more).into_iter().collect::<Vec<_>>(), ["Known", "New", "Y"]);
    println!("{} public types, {} traits", TYPES.len(), TRAITS.len());
}
