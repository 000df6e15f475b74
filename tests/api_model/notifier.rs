//! A notifier that writes down what it is told, and answers as it is in the mood to.

use std::sync::{Arc, Mutex};

use strongroom::{EventType, Notification, Notifier, NotifyError, SecretType};

use crate::calls::Mood;

/// A notification, as far as the model knows what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    pub event: String,
    pub kind: EventType,
    pub secret: String,
    pub rotatable: bool,
    pub version: Option<u64>,
    pub time: i64,
    /// The commit of the change, counted from the beginning of the sequence.
    pub commit: u64,
    pub target: String,
}

#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    told: Vec<Told>,
    /// What it answers next, first the last of them; then it succeeds.
    answers: Vec<NotifyError>,
    /// The store's last commit before the sequence.
    base: u64,
}

impl Notifier for Recorder {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut heard = self.0.lock().unwrap();
        let told = Told {
            event: notification.event_name().to_string(),
            kind: notification.event_type(),
            secret: notification.secret_name().to_string(),
            rotatable: *notification.secret_type() == SecretType::RdsFg,
            version: notification.version().map(|id| id.number()),
            time: notification.time().as_millis(),
            commit: notification.position().commit() - heard.base,
            target: notification.target().id().to_owned(),
        };
        heard.told.push(told);
        heard.answers.pop().map_or(Ok(()), Err)
    }
}

impl Recorder {
    pub fn begin(&self, base: u64) {
        *self.0.lock().unwrap() = Heard { base, ..Heard::default() };
    }

    pub fn set(&self, mood: Mood) {
        self.0.lock().unwrap().answers = match mood {
            Mood::Fine => Vec::new(),
            Mood::FailsOnce => vec![NotifyError::Retry],
            Mood::Fails => vec![NotifyError::Retry; 3],
            Mood::Invalid => vec![NotifyError::Invalid],
        };
    }

    /// What it was told since this was asked last.
    pub fn take(&self) -> Vec<Told> {
        let mut heard = self.0.lock().unwrap();
        heard.answers.clear();
        std::mem::take(&mut heard.told)
    }
}
