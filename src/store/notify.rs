//! Notifications: what the log tells and events fire for, sent out, with a record of each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use super::{Page, SecretStore, bounds::page_limit};
use crate::{
    commit::{EngineError, Plan},
    crypto::Draw,
    domain::{Action, EventName, Position, Timestamp},
    error::Error,
    events::{Notification, Notifier, NotifyError, event_type},
    records::{
        Act, AuditRecord, CURSOR_KEY, Cursor, Event, Followed, NotificationRecord,
        NotificationStatus, Object, Operation, Seen, oldest_notice, said,
    },
    storage::Write,
};

/// How often a notification is tried.
const TRIES_MAX: u32 = 3;

/// How long it is waited before the second try; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How many records of the log are looked at together, and old notification records removed together.
const RECORDS_AT_A_TIME: usize = 256;

/// What [`SecretStore::deliver_notifications`] did (csms.md 1.8).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivered {
    /// Notifications that were sent.
    pub sent: u64,
    /// Notifications that could not be sent, however often it was tried.
    pub failed: u64,
    /// Notifications to targets that nothing can be sent to.
    pub invalid: u64,
}

/// Which records of notifications to list (csms.md 1.8). All by default, oldest change first, 50 at a
/// time.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct ListNotifications {
    marker: Option<Position>,
    limit: Option<usize>,
}

impl ListNotifications {
    /// The first 50 records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only records behind this position: that of the last record of the page before.
    pub fn marker(self, marker: Position) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// How far notifications have come, for who wants to cut the log.
pub(super) struct SentTo {
    /// Nothing behind it may be cut off.
    pub(super) position: Position,
    /// Behind it stands something that is still to be told.
    pub(super) pending: bool,
}

impl SecretStore {
    /// Sends the notifications of all changes since the last call, through the store's
    /// [notifier](crate::Builder::notifier) (csms.md 1.7). To be called every few seconds, by one
    /// thread: a second call at the same time waits. A [scheduler](Self::start_scheduler) does it
    /// as soon as there is one to send.
    ///
    /// A change is told if the secret subscribed to an event when it was made, and that event is
    /// enabled and fires for it now; a secret that was deleted since is told of all the same. A
    /// notifier that fails or panics is asked three times within a fifth of a second, then the notification
    /// has failed for good. Of each there is a [record](Self::notification_records), written in the same
    /// commit that notes how far this has come. So each is told *at least once*: after a crash between
    /// telling and that commit, it is told again, and recorded once.
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the store was opened without a notifier.
    /// * Those of every write, as for [`create_secret`](Self::create_secret). What was told before is
    ///   recorded, the last one maybe not.
    pub fn deliver_notifications(&self) -> Result<Delivered, Error> {
        self.permit(Action::Maintain, None)?;
        let notifier = self.inner.notifier.as_deref();
        let notifier = notifier.ok_or_else(|| Error::invalid("notifier", "there is none"))?;
        let _alone = self.inner.delivery.lock();
        let mut delivered = Delivered::default();
        let records = &self.inner.records;
        let Some(cursor) = records.cursor()? else { return Ok(delivered) };
        // What comes meanwhile is for the next call.
        let end = self.position_now();
        let (mut at, mut passed) = (self.told_up_to(&cursor), false);
        while at < end {
            let Followed { records: next, reached } = self.follow_from(at)?;
            for record in next.iter().filter(|record| record.position() <= end) {
                passed = passed || !is_delivery(record);
                for notification in self.notifications_of(record)? {
                    let status = tell(notifier, &notification);
                    delivered.count(status);
                    let told = Some((&notification, status));
                    Self::until_committed(|| self.commit_delivery(record.position(), told))?;
                    passed = false;
                }
            }
            at = reached.min(end);
        }
        let old = self.old_notices(self.inner.clock.now())?;
        if passed || !old.is_empty() {
            Self::until_committed(|| self.commit_delivery(at, None))?;
        }
        Ok(delivered)
    }

    /// A page of the records of notifications of the last three months, by the order of the changes that
    /// they tell of (csms.md 1.8, 3.5).
    ///
    /// # Errors
    ///
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000.
    /// * [`Error::Denied`] if the caller may list the records of no secret. Of one who may list those of
    ///   some, the page has these alone.
    /// * [`Error::Tampered`], [`Error::Storage`], [`Error::InvalidState`] as for
    ///   [`secret`](Self::secret).
    #[doc(alias = "ListNotificationRecords")]
    pub fn notification_records(
        &self,
        list: &ListNotifications,
    ) -> Result<Page<NotificationRecord>, Error> {
        self.permit_somewhere(Action::ListNotificationRecords)?;
        let limit = page_limit(list.limit)?;
        let (one_more, records) = (limit.saturating_add(1), &self.inner.records);
        let shown = |record: &NotificationRecord| {
            self.may(Action::ListNotificationRecords, record.secret_name())
        };
        let since = oldest_notice(self.inner.clock.now());
        let found = records.notices(list.marker, since, one_more, &shown)?;
        Ok(Page::cut(found, limit))
    }

    /// Has the scheduler deliver at once, if the change just made is one that notifications tell of.
    pub(super) fn announce(&self, secret: &Seen, operation: Operation) {
        let is_told = self.inner.notifier.is_some()
            && !secret.secret.body.event_subscriptions.is_empty()
            && event_type(said(operation)).is_some();
        if is_told {
            self.inner.records.schedule.alarm.ring();
        }
    }

    /// How far notifications have come. `None` if there are no events.
    pub(super) fn notifications_sent_to(&self) -> Result<Option<SentTo>, Error> {
        let records = &self.inner.records;
        let Some(cursor) = records.cursor()? else { return Ok(None) };
        if records.objects::<Event>()?.is_empty() {
            return Ok(None);
        }
        let (mut at, end) = (self.told_up_to(&cursor), self.position_now());
        while at < end {
            let Followed { records: next, reached } = self.follow_from(at)?;
            let tells =
                |it: &&AuditRecord| it.subject.is_some() && event_type(it.operation()).is_some();
            if let Some(first) = next.iter().find(tells) {
                // Its whole commit stays.
                let before = first.position().commit().saturating_sub(1);
                return Ok(Some(SentTo { position: Position::end_of(before), pending: true }));
            }
            at = reached;
        }
        Ok(Some(SentTo { position: at, pending: false }))
    }

    /// Behind the cursor, or where the log begins: only what tells nothing is cut off in between.
    fn told_up_to(&self, cursor: &Object<Cursor>) -> Position {
        cursor.body.0.max(self.log_begin())
    }

    fn log_begin(&self) -> Position {
        let first = self.inner.records.engine.news().audit_first();
        Position::end_of(first.saturating_sub(1))
    }

    fn position_now(&self) -> Position {
        Position::end_of(self.inner.records.engine.news().seq())
    }

    /// The next records behind `at`, or behind what was cut off since: no cut goes over what is still to
    /// be told.
    fn follow_from(&self, mut at: Position) -> Result<Followed, Error> {
        loop {
            if let Some(followed) = self.inner.records.follow(at, RECORDS_AT_A_TIME)? {
                return Ok(followed);
            }
            let begin = self.log_begin();
            if begin <= at {
                return Err(Error::Tampered { what: "how far notifications have come".to_owned() });
            }
            at = begin;
        }
    }

    /// What is to be told of a change.
    fn notifications_of(&self, record: &AuditRecord) -> Result<Vec<Notification>, Error> {
        let Some(subject) = &record.subject else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in subject.events.iter().filter_map(|name| name.parse::<EventName>().ok()) {
            let event = self.inner.records.event(&name)?;
            found.extend(event.and_then(|event| Notification::of(record, &event.body)));
        }
        Ok(found)
    }

    fn old_notices(&self, now: Timestamp) -> Result<Vec<Write>, EngineError> {
        let old = self.inner.records.old_notices(oldest_notice(now), RECORDS_AT_A_TIME)?;
        Ok(old.into_iter().map(Write::remove).collect())
    }

    /// Notes that all up to `at` was told, with the record of the last notification, and removes records
    /// that are too old.
    fn commit_delivery(
        &self,
        at: Position,
        last: Option<(&Notification, NotificationStatus)>,
    ) -> Result<(), EngineError> {
        let (records, now) = (&self.inner.records, self.inner.clock.now());
        let mut draw = Draw::new(3 * 24)?;
        let mut plan = Plan::at(now);
        // By the time of the audit record: from that it is seen which were cleared away.
        plan.writes.extend(self.old_notices(now)?);
        let mut detail = String::new();
        if let Some((notification, status)) = last {
            let notice = notice_of(notification, status, now);
            detail = format!("{} {}", notice.event_name, notice.status.as_str());
            plan.writes.push(records.notice_write(&notice, &mut draw)?);
        }
        let cursor = records.cursor()?;
        // A first event that was created meanwhile has set it to where that was.
        let reached = cursor.as_ref().map_or(at, |cursor| at.max(cursor.body.0));
        records.put_object(
            &mut plan,
            (CURSOR_KEY, cursor.as_ref()),
            &Cursor(reached),
            &mut draw,
        )?;
        let act = Act {
            author: self.author(now),
            operation: Operation::Notify,
            secret: None,
            version: None,
            detail: &detail,
        };
        plan.audit.push(act.seal(&records.sealer, &mut draw)?);
        records.engine.commit(plan)?;
        Ok(())
    }
}

impl Delivered {
    fn count(&mut self, status: NotificationStatus) {
        let count = match status {
            NotificationStatus::Success => &mut self.sent,
            NotificationStatus::Fail => &mut self.failed,
            NotificationStatus::Invalid => &mut self.invalid,
        };
        *count = count.saturating_add(1);
    }
}

/// Whether a record tells of deliveries themselves: for those alone nothing is written, or each call
/// would have something to write for the next.
fn is_delivery(record: &AuditRecord) -> bool {
    record.operation() == crate::domain::AuditOperation::Notify
}

/// A notifier that panics has not sent it: what else is due is none of its business.
fn tell(notifier: &dyn Notifier, notification: &Notification) -> NotificationStatus {
    let mut wait = FIRST_WAIT;
    for attempt in 1..=TRIES_MAX {
        let told = catch_unwind(AssertUnwindSafe(|| notifier.notify(notification)));
        match told.unwrap_or(Err(NotifyError::Retry)) {
            Ok(()) => return NotificationStatus::Success,
            Err(NotifyError::Invalid) => return NotificationStatus::Invalid,
            Err(NotifyError::Retry) if attempt < TRIES_MAX => {
                thread::sleep(wait);
                wait = wait.saturating_mul(2);
            }
            Err(NotifyError::Retry) => {}
        }
    }
    NotificationStatus::Fail
}

fn notice_of(
    notification: &Notification,
    status: NotificationStatus,
    now: Timestamp,
) -> NotificationRecord {
    NotificationRecord {
        position: notification.position(),
        event_name: notification.event_name().as_str().to_owned(),
        event_type: notification.event_type(),
        created: now,
        secret_name: notification.secret_name().clone(),
        secret_type: notification.secret_type().clone(),
        target_id: notification.target().id().to_owned(),
        target_name: notification.target().name().to_owned(),
        content: notification.content(),
        status,
    }
}

// One notification for one change, so that its place names it.
const _: () = assert!(crate::domain::SUBSCRIPTIONS_MAX == 1);
