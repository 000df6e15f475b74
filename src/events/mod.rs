//! Which changes are told, and in which words (csms.md 1.7, 1.8): rules, no bytes.

mod notification;
mod rules;

pub use notification::{Notification, Notifier, NotifyError};
pub(crate) use rules::event_type;
