//! Events: rules that say which changes of a secret are told to whom (csms.md 1.7).

use std::{fmt, str::FromStr};

use crate::domain::{
    limits::{EVENT_NAME_LEN_MAX, TARGET_ID_LEN_MAX, TARGET_NAME_LEN_MAX},
    name::is_word_sign,
};

/// The name of an event: 1 to 64 of `a-z A-Z 0-9 _ -` (csms.md 1.7).
///
/// ```
/// let name: strongroom::EventName = "rotations".parse()?;
/// assert_eq!(name.as_str(), "rotations");
/// assert!("rotations.all".parse::<strongroom::EventName>().is_err());
/// # Ok::<(), strongroom::EventNameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventName(Box<str>);

impl EventName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventName {
    type Err = EventNameError;

    fn from_str(text: &str) -> Result<Self, EventNameError> {
        let sound =
            (1..=EVENT_NAME_LEN_MAX).contains(&text.len()) && text.chars().all(is_word_sign);
        if sound { Ok(Self(text.into())) } else { Err(EventNameError) }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is the name of no event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event's name is 1 to {EVENT_NAME_LEN_MAX} of a-z A-Z 0-9 _ -")]
pub struct EventNameError;

/// What happened to a secret, as far as events know (csms.md 1.7).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum EventType {
    /// `SECRET_VERSION_CREATED`: somebody stored a version, the first one included. Not for a version
    /// that a rotation made (csms.md 8.3 row 69).
    VersionCreated,
    /// `SECRET_VERSION_EXPIRED`: a version was found to have expired; once for each time that its
    /// expiry was set, and once more if the secret subscribed to no event then, as soon as it does
    /// (csms.md 8.4 row 76).
    VersionExpired,
    /// `SECRET_VERSION_NEAR_EXPIRY`: a version was found to expire soon; as often as that it has
    /// expired. CSMS only hints at it (csms.md 7.30).
    VersionNearExpiry,
    /// `SECRET_ROTATED`: a rotation succeeded.
    Rotated,
    /// `SECRET_ROTATED_FAILED`: a rotation failed.
    RotationFailed,
    /// `SECRET_DELETED`: a secret was deleted for good, not when that was scheduled (csms.md 8.4 row
    /// 70).
    Deleted,
}

impl EventType {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::VersionCreated,
        Self::VersionExpired,
        Self::VersionNearExpiry,
        Self::Rotated,
        Self::RotationFailed,
        Self::Deleted,
    ];

    /// The word on the wire, such as `SECRET_ROTATED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VersionCreated => "SECRET_VERSION_CREATED",
            Self::VersionExpired => "SECRET_VERSION_EXPIRED",
            Self::VersionNearExpiry => "SECRET_VERSION_NEAR_EXPIRY",
            Self::Rotated => "SECRET_ROTATED",
            Self::RotationFailed => "SECRET_ROTATED_FAILED",
            Self::Deleted => "SECRET_DELETED",
        }
    }
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, EventTypeError> {
        Self::ALL.iter().find(|it| it.as_str() == text).copied().ok_or(EventTypeError)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no event type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no such event type")]
pub struct EventTypeError;

/// Whether an event fires (csms.md 1.7).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EventState {
    /// `ENABLED`: it does.
    #[default]
    Enabled,
    /// `DISABLED`: it does not. What counts is its state when
    /// [notifications are delivered](crate::SecretStore::deliver_notifications): what was looked at while
    /// it was disabled is not told later either.
    Disabled,
}

impl EventState {
    /// `ENABLED` or `DISABLED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
        }
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom an event tells: a topic of a message service (csms.md 1.7).
///
/// Nobody checks that there is such a topic; a bad one makes the notification fail later.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct NotificationTarget {
    id: Box<str>,
    name: Box<str>,
}

impl NotificationTarget {
    /// The only type of target that CSMS has.
    pub const TYPE: &'static str = "SMN";

    /// A target by its id, 1 to 256 of `a-z A-Z 0-9 - . _ :`, and name, 1 to 64 of
    /// `a-z A-Z 0-9 _ -`.
    ///
    /// # Errors
    ///
    /// [`NotificationTargetError`] says which of the two is not as it should be.
    pub fn new(id: &str, name: &str) -> Result<Self, NotificationTargetError> {
        let is_id_sign = |sign: char| is_word_sign(sign) || matches!(sign, '.' | ':');
        if !(1..=TARGET_ID_LEN_MAX).contains(&id.len()) || !id.chars().all(is_id_sign) {
            return Err(NotificationTargetError::Id);
        }
        if !(1..=TARGET_NAME_LEN_MAX).contains(&name.len()) || !name.chars().all(is_word_sign) {
            return Err(NotificationTargetError::Name);
        }
        Ok(Self { id: id.into(), name: name.into() })
    }

    /// `SMN`.
    #[must_use]
    pub fn target_type(&self) -> &'static str {
        Self::TYPE
    }

    /// The id, such as the topic's URN.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What is wrong with a notification target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotificationTargetError {
    /// The id.
    #[error("a target's id is 1 to {TARGET_ID_LEN_MAX} of a-z A-Z 0-9 - . _ :")]
    Id,
    /// The name.
    #[error("a target's name is 1 to {TARGET_NAME_LEN_MAX} of a-z A-Z 0-9 _ -")]
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events_are_64_word_signs_at_most() {
        let long = "x".repeat(64);
        for good in ["a", "A-b_9", &long] {
            assert_eq!(good.parse::<EventName>().unwrap().as_str(), good);
        }
        for bad in ["", "a.b", "a b", "ä", &format!("{long}x")] {
            assert_eq!(bad.parse::<EventName>(), Err(EventNameError), "{bad}");
        }
    }

    #[test]
    fn types_read_back_from_their_words() {
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!("SECRET_ROTATE".parse::<EventType>(), Err(EventTypeError));
    }

    #[test]
    fn targets_have_an_id_and_a_name() {
        use NotificationTargetError::{Id, Name};
        let (id, name) = ("i".repeat(256), "n".repeat(64));
        let cases = [
            ("a URN", "urn:smn:region:1f-2.x", "topic_1-a", None),
            ("the longest", &id, &name, None),
            ("no id", "", "n", Some(Id)),
            ("too long an id", &format!("{id}i"), "n", Some(Id)),
            ("a slash", "a/b", "n", Some(Id)),
            ("no name", "i", "", Some(Name)),
            ("too long a name", "i", &format!("{name}n"), Some(Name)),
            ("a colon", "i", "a:b", Some(Name)),
        ];
        for (what, id, name, want) in cases {
            let got = NotificationTarget::new(id, name);
            assert_eq!(got.err(), want, "case: {what}");
        }
    }
}
