//! What an audit record says was done, and what each operation is called.

use std::{fmt, str::FromStr};

/// Writes the enum, the names and the way back from a name from one list.
macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)*) => {
        /// What was done, as the audit log tells it.
        ///
        /// The names are those of the cloud's trace service where it has one (csms.md 3.9).
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum AuditOperation {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl AuditOperation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, such as `rotateSecret`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl FromStr for AuditOperation {
            type Err = AuditOperationError;

            fn from_str(text: &str) -> Result<Self, AuditOperationError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(AuditOperationError),
                }
            }
        }
    };
}

operations! {
    /// The store was made.
    CreateStore = "createStore",
    /// A key slot was added or removed.
    ChangeKeys = "changeKeys",
    /// A secret was created, with its first version.
    CreateSecret = "createSecret",
    /// A secret's metadata was changed.
    UpdateSecret = "updateSecret",
    /// A secret was deleted for good, by a call or because its time had come.
    DeleteSecret = "forceDeleteSecret",
    /// A version was stored.
    CreateVersion = "createSecretVersion",
    /// A version's expiry was changed.
    UpdateVersion = "putSecretVersion",
    /// A new label was put on a version.
    CreateStage = "createSecretStage",
    /// A label was moved to another version.
    MoveStage = "updateSecretStage",
    /// A label was removed.
    DeleteStage = "deleteSecretStage",
    /// A secret was rotated.
    RotateSecret = "rotateSecret",
    /// A deletion was scheduled.
    ScheduleDeletion = "scheduleDelSecret",
    /// A scheduled deletion was cancelled.
    CancelDeletion = "restoreSecretFromDeletedStatus",
    /// A secret was enabled, disabled or frozen.
    SetState = "setSecretState",
    /// A secret was protected from being deleted at once.
    ProtectFromPurge = "protectSecretFromPurge",
    /// A version was disabled or enabled again.
    SetVersionState = "setSecretVersionState",
    /// A version's destruction was scheduled, or that was cancelled.
    ScheduleDestruction = "scheduleDestroySecretVersion",
    /// A version was destroyed.
    DestroyVersion = "destroySecretVersion",
    /// A version was found to have expired.
    ExpireVersion = "expireSecretVersion",
    /// A version was found to expire soon.
    NearExpiry = "nearExpirySecretVersion",
    /// Tags were put on a secret.
    CreateTags = "createResourceTag",
    /// Tags of a secret were removed.
    DeleteTags = "deleteResourceTag",
    /// The first attempt of an automatic rotation failed; it will be tried again.
    BeginRotation = "beginSecretRotation",
    /// Another attempt failed; it will be tried again.
    RetryRotation = "retrySecretRotation",
    /// All attempts of an automatic rotation failed.
    FailRotation = "failSecretRotation",
    /// A rotation that failed is not tried again.
    CancelRotation = "cancelSecretRotation",
    /// A rotation that failed or was cancelled is to be tried at once.
    ResumeRotation = "resumeSecretRotation",
    /// A secret was exported with its values.
    BackupSecret = "backupSecret",
    /// A secret was made from its export.
    RestoreSecret = "restoreSecretFromBackupBlob",
    /// An event was created.
    CreateEvent = "createSecretEvent",
    /// An event was changed.
    UpdateEvent = "updateSecretEvent",
    /// An event was deleted.
    DeleteEvent = "deleteSecretEvent",
    /// A value was read.
    ReadValue = "getSecretVersion",
    /// Old records were cut off the audit log.
    PruneAudit = "pruneAudit",
    /// A key of the local key ring was made.
    CreateKey = "createKey",
    /// A key of the local key ring was changed.
    UpdateKey = "updateKey",
    /// The store was backed up.
    BackupStore = "backupStore",
    /// The store was made from a backup.
    RestoreStore = "restoreStore",
    /// Notifications were sent, or tried to.
    Notify = "sendNotifications",
}

impl AuditOperation {
    /// Whether something is another than before: reading values and backing up change nothing.
    #[must_use]
    pub const fn is_change(self) -> bool {
        !matches!(self, Self::ReadValue | Self::BackupSecret | Self::BackupStore)
    }
}

impl fmt::Display for AuditOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is the name of no operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is the name of no operation")]
pub struct AuditOperationError;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own_that_leads_back_to_it() {
        let names: BTreeSet<&str> = AuditOperation::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(names.len(), AuditOperation::ALL.len());
        for operation in AuditOperation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(*operation));
        }
        assert_eq!("stealSecret".parse::<AuditOperation>(), Err(AuditOperationError));
    }

    /// csms.md 3.9.
    #[test]
    fn the_names_of_the_trace_service_are_all_there() {
        let names = "createSecret updateSecret forceDeleteSecret scheduleDelSecret \
             restoreSecretFromDeletedStatus createSecretStage updateSecretStage deleteSecretStage \
             createSecretVersion backupSecret restoreSecretFromBackupBlob putSecretVersion \
             rotateSecret createSecretEvent updateSecretEvent deleteSecretEvent createResourceTag \
             deleteResourceTag";
        for name in names.split_whitespace() {
            assert!(name.parse::<AuditOperation>().is_ok(), "{name}");
        }
    }
}
