//! What is told of a change, and the port through which it goes out.

use crate::{
    domain::{
        EventName, EventType, NotificationTarget, Position, SecretName, SecretType, Timestamp,
        VersionId, iso8601, uuid_text,
    },
    events::event_type,
    records::{AuditRecord, Event},
};

/// Sends notifications to where people or programs read them (csms.md 1.7).
///
/// Set by [`Builder::notifier`](crate::Builder::notifier) and called by
/// [`SecretStore::deliver_notifications`](crate::SecretStore::deliver_notifications), one notification
/// at a time, in the order of the changes. It may call the store, but not `deliver_notifications`, which
/// would wait for itself for ever. After a crash a notification may come a second time, with the same
/// [position](Notification::position).
///
/// ```
/// use strongroom::{Notification, Notifier, NotifyError};
///
/// struct Topics;
///
/// impl Notifier for Topics {
///     fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
///         if !notification.target().id().starts_with("urn:smn:") {
///             // No topic: nothing can be sent there, now or later.
///             return Err(NotifyError::Invalid);
///         }
///         println!("to {}: {}", notification.target().id(), notification.content());
///         Ok(())
///     }
/// }
/// ```
pub trait Notifier: Send + Sync {
    /// Sends a notification.
    ///
    /// # Errors
    ///
    /// [`NotifyError`] says whether it is worth trying again.
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError>;
}

/// Why a notification was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// Nothing can be sent to this target.
    #[error("nothing can be sent to this target")]
    Invalid,
    /// It did not work this time.
    #[error("the notification could not be sent this time")]
    Retry,
}

/// A change that an event tells of (csms.md 1.7). No value is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    position: Position,
    event_name: EventName,
    event_type: EventType,
    target: NotificationTarget,
    time: Timestamp,
    secret_name: SecretName,
    secret_id: [u8; 16],
    secret_type: SecretType,
    created: Timestamp,
    updated: Timestamp,
    version: Option<VersionId>,
    expires: Option<Timestamp>,
}

impl Notification {
    /// What `event` tells of a change, if the change is one that it fires for.
    pub(crate) fn of(record: &AuditRecord, event: &Event) -> Option<Self> {
        let event_type = event_type(record.operation())?;
        let subject = record.subject.as_ref()?;
        let fires = event.state() == crate::domain::EventState::Enabled
            && event.event_types().contains(&event_type);
        if !fires {
            return None;
        }
        Some(Self {
            position: record.position(),
            event_name: event.name().clone(),
            event_type,
            target: event.target().clone(),
            time: record.time(),
            secret_name: record.secret_name()?.clone(),
            secret_id: *record.secret_sid()?,
            secret_type: SecretType::from_stored(&subject.secret_type).ok()?,
            created: Timestamp::from_millis(subject.created_ms),
            updated: Timestamp::from_millis(subject.updated_ms),
            version: record.version(),
            expires: subject.expires_ms.map(Timestamp::from_millis),
        })
    }

    /// Where the change stands in the store's history. If a notification comes twice, this is the same.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The event that fires.
    #[must_use]
    pub fn event_name(&self) -> &EventName {
        &self.event_name
    }

    /// What happened.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        self.event_type
    }

    /// Whom to tell.
    #[must_use]
    pub fn target(&self) -> &NotificationTarget {
        &self.target
    }

    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The secret that it happened to. It may be gone by now.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// The secret's id.
    #[must_use]
    pub fn secret_id(&self) -> String {
        uuid_text(&self.secret_id)
    }

    /// The secret's type.
    #[must_use]
    pub fn secret_type(&self) -> &SecretType {
        &self.secret_type
    }

    /// The version that it happened to, if it is about one.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        self.version
    }

    /// The text of the notification: JSON as in csms.md 1.8.
    #[must_use]
    pub fn content(&self) -> String {
        // Nothing in it has a character that JSON would escape.
        let version = self.version.map(|id| format!(r#","versionId":"{id}""#)).unwrap_or_default();
        let expires =
            self.expires.map(|time| format!(r#","versionExpireTime":"{}""#, iso8601(time)));
        format!(
            r#"{{"eventName":"{}","eventType":"{}","eventTime":"{}","data":{{"secretId":"{}","secretName":"{}","createTime":"{}","updateTime":"{}"{version}{}}}}}"#,
            self.event_name,
            self.event_type,
            iso8601(self.time),
            uuid_text(&self.secret_id),
            self.secret_name,
            iso8601(self.created.whole_seconds()),
            iso8601(self.updated.whole_seconds()),
            expires.unwrap_or_default(),
        )
    }
}
