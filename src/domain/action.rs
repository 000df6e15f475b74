//! What a caller may be allowed or denied: one action for each kind of call.

use std::{fmt, str::FromStr};

/// Writes the enum, the names and the way back from a name from one list.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)*) => {
        /// A kind of call that permissions are about.
        ///
        /// The names are those of CSMS where it has one (csms.md 3.9); calls that CSMS lacks have names
        /// that begin with `strongroom:`, and what a rotation asks of key manager and database is named as
        /// those services name it.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in policies, such as `csms:secret:rotate`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl FromStr for Action {
            type Err = ActionError;

            fn from_str(text: &str) -> Result<Self, ActionError> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(ActionError),
                }
            }
        }
    };
}

actions! {
    /// Create a secret, restore one from its backup.
    CreateSecret = "csms:secret:create",
    /// Delete a secret, schedule that, cancel it.
    DeleteSecret = "csms:secret:delete",
    /// Change a secret's metadata.
    UpdateSecret = "csms:secret:update",
    /// Show a secret's metadata; export it with its values.
    GetSecret = "csms:secret:get",
    /// List secrets.
    ListSecrets = "csms:secret:list",
    /// Store a version.
    CreateVersion = "csms:secret:createVersion",
    /// Read a value.
    GetVersion = "csms:secret:getVersion",
    /// List a secret's versions.
    ListVersions = "csms:secret:listVersion",
    /// Change a version's expiry.
    UpdateVersion = "csms:secret:updateVersion",
    /// Read many values at once.
    BatchGetValue = "csms:secret:batchGetSecretValue",
    /// Put a new label on a version.
    CreateStage = "csms:secret:createStage",
    /// Move a label.
    UpdateStage = "csms:secret:updateStage",
    /// Show where a label is.
    GetStage = "csms:secret:getStage",
    /// Remove a label.
    DeleteStage = "csms:secret:deleteStage",
    /// Rotate a secret.
    RotateSecret = "csms:secret:rotate",
    /// Put tags on a secret.
    CreateTag = "csms:secret:createTag",
    /// Remove tags of a secret.
    DeleteTag = "csms:secret:deleteTag",
    /// List tags, of a secret or of all.
    ListTags = "csms:secret:listTags",
    /// Create an event.
    CreateEvent = "csms::createEvent",
    /// Show an event.
    GetEvent = "csms::getEvent",
    /// List events.
    ListEvents = "csms::listEvents",
    /// Change an event.
    UpdateEvent = "csms::updateEvent",
    /// Delete an event.
    DeleteEvent = "csms::deleteEvent",
    /// List the records of notifications.
    ListNotificationRecords = "csms::listNotificationRecords",
    /// List rotation tasks.
    ListTasks = "csms::listTasks",
    /// Make up a password.
    GeneratePassword = "csms::generatePassword",
    /// Show a key of the key manager.
    GetKey = "kms:cmk:get",
    /// List the keys of the key manager.
    ListKeys = "kms:cmk:list",
    /// Have a data key made under a key.
    CreateDataKey = "kms:cmk:createDataKey",
    /// Have a data key decrypted.
    DecryptDataKey = "kms:cmk:decryptDataKey",
    /// Set a database account's password.
    SetDatabasePassword = "rds:password:update",
    /// Enable, disable or freeze a secret; set its purge protection.
    SetState = "strongroom:secret:setState",
    /// Disable a version or enable it again.
    SetVersionState = "strongroom:secret:setVersionState",
    /// Destroy a version.
    DestroyVersion = "strongroom:secret:destroyVersion",
    /// Cancel or resume a rotation.
    ControlRotation = "strongroom:secret:controlRotation",
    /// Follow the changes of the store.
    Subscribe = "strongroom:store:subscribe",
    /// Read the audit log.
    ReadAudit = "strongroom:audit:read",
    /// Cut old records off the audit log.
    PruneAudit = "strongroom:audit:prune",
    /// Make and change keys of the local key ring.
    ManageKeys = "strongroom:store:manageKeys",
    /// Back up the whole store.
    BackupStore = "strongroom:store:backup",
    /// Make a session. The embedder's alone: no policy can allow it.
    OpenSession = "strongroom:store:openSession",
    /// Look after the store: key slots, checks, checkpoints, compaction, sweeps, schedules, closing.
    Maintain = "strongroom:store:maintain",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is the name of no action.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is the name of no action")]
pub struct ActionError;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_that_leads_back_to_it() {
        let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        assert_eq!("csms:secret:steal".parse::<Action>(), Err(ActionError));
    }
}
