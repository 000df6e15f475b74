//! The states of a secret and of a version, and what may be done in them.

use std::fmt;

/// The state of a secret (csms.md 1.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SecretState {
    /// `ENABLED`: usable. The state after creation.
    #[default]
    Enabled,
    /// `DISABLED`: values can neither be read nor stored; metadata, labels and tags can be changed.
    Disabled,
    /// `PENDING_DELETE`: a deletion is scheduled. Only metadata can be read.
    PendingDeletion,
    /// `FROZEN`: nothing but metadata can be read, and nothing be changed; it can be deleted.
    Frozen,
}

impl SecretState {
    /// The word on the wire, such as `PENDING_DELETE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::PendingDeletion => "PENDING_DELETE",
            Self::Frozen => "FROZEN",
        }
    }

    /// Whether a secret in this state may be used so: the table of csms.md 8.5.
    pub(crate) const fn check(self, usage: Usage) -> Result<(), StateRefusal> {
        use StateRefusal::{AlreadyScheduled, NotEnabled, NotScheduled, PendingDeletion};
        match (usage, self) {
            (Usage::Delete, _)
            | (Usage::CancelDeletion, Self::PendingDeletion)
            | (Usage::SetState, Self::Disabled | Self::Frozen) => Ok(()),
            (Usage::CancelDeletion, _) => Err(NotScheduled),
            (_, Self::Enabled) => Ok(()),
            (Usage::ScheduleDeletion, Self::PendingDeletion) => Err(AlreadyScheduled),
            (_, Self::PendingDeletion) => Err(PendingDeletion),
            (Usage::Metadata | Usage::ScheduleDeletion, Self::Disabled) => Ok(()),
            (_, Self::Disabled | Self::Frozen) => Err(NotEnabled),
        }
    }
}

impl fmt::Display for SecretState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call does with a secret, as far as its state matters. Showing metadata is always allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Usage {
    /// Changes metadata, labels or tags.
    Metadata,
    /// Reads, stores or rotates a value, changes a version's expiry, or exports values.
    Value,
    Delete,
    ScheduleDeletion,
    CancelDeletion,
    /// Enables, disables or freezes it.
    SetState,
}

/// Why a secret's state does not allow a call (csms.md 8.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateRefusal {
    /// A deletion is scheduled already (`CSMS.0107`).
    #[error("its deletion is scheduled already")]
    AlreadyScheduled,
    /// It is disabled or frozen (`CSMS.0109`).
    #[error("it is not enabled")]
    NotEnabled,
    /// No deletion is scheduled that could be cancelled (`CSMS.0108`).
    #[error("its deletion is not scheduled")]
    NotScheduled,
    /// Its deletion is scheduled (`CSMS.0103`).
    #[error("its deletion is scheduled")]
    PendingDeletion,
    /// It is protected: its deletion can be scheduled, but it cannot be deleted at once.
    #[error("it is protected from being deleted at once")]
    Protected,
}

/// The state of a version. CSMS has none; other secret managers do.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum VersionState {
    /// Its value can be read.
    #[default]
    Enabled,
    /// Its value cannot be read until it is enabled again.
    Disabled,
    /// Its value is gone for good; number, times and expiry are still told.
    Destroyed,
}

impl VersionState {
    /// `ENABLED`, `DISABLED` or `DESTROYED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::Destroyed => "DESTROYED",
        }
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_state_allows_is_the_table_of_csms_8_5() {
        use StateRefusal::{AlreadyScheduled, NotEnabled, NotScheduled, PendingDeletion};
        let states = [
            SecretState::Enabled,
            SecretState::Disabled,
            SecretState::PendingDeletion,
            SecretState::Frozen,
        ];
        let rows = [
            (Usage::Metadata, [Ok(()), Ok(()), Err(PendingDeletion), Err(NotEnabled)]),
            (Usage::Value, [Ok(()), Err(NotEnabled), Err(PendingDeletion), Err(NotEnabled)]),
            (Usage::Delete, [Ok(()), Ok(()), Ok(()), Ok(())]),
            (Usage::ScheduleDeletion, [Ok(()), Ok(()), Err(AlreadyScheduled), Err(NotEnabled)]),
            (
                Usage::CancelDeletion,
                [Err(NotScheduled), Err(NotScheduled), Ok(()), Err(NotScheduled)],
            ),
            (Usage::SetState, [Ok(()), Ok(()), Err(PendingDeletion), Ok(())]),
        ];
        for (usage, want) in rows {
            for (state, want) in states.into_iter().zip(want) {
                assert_eq!(state.check(usage), want, "case: {usage:?} of a secret that is {state}");
            }
        }
    }
}
