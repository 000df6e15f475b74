//! Events, and what is told of changes to whom (csms.md 1.7, 1.8, 3.5, 8.4).

use strongroom::{AuditOperation, EventType};

use super::{EventRow, Model, Notice, floor, secrets::page, secrets::page_limit};
use crate::{
    calls::{DAY, EVENTS, Mood, TARGETS},
    notifier::Told,
    people::EMBEDDER,
    refusals::{EXISTS, INVALID, MISSING, Refused},
};

/// How long records of notifications are kept: three months (csms.md 1.12).
pub const KEPT_MS: i64 = 92 * DAY;

/// What came of telling.
#[derive(Debug, Default)]
struct Delivery {
    /// Every attempt, in order.
    told: Vec<Told>,
    sent: u64,
    failed: u64,
    invalid: u64,
}

impl Model {
    pub fn create_event(
        &mut self,
        event: usize,
        types: &[EventType],
        on: bool,
    ) -> Result<String, Refused> {
        check_types(types)?;
        if self.events.contains_key(EVENTS[event]) {
            return Err(EXISTS);
        }
        if self.events.is_empty() {
            // Nothing from before the first event is told.
            self.told = self.log.len();
        }
        let (created, updated) = (self.now, self.now);
        let row = EventRow { types: types.to_vec(), on, target: 0, created, updated };
        self.events.insert(EVENTS[event], row);
        self.record_act(EMBEDDER, AuditOperation::CreateEvent);
        self.event(event)
    }

    pub fn event(&self, event: usize) -> Result<String, Refused> {
        let row = self.events.get(EVENTS[event]).ok_or(MISSING)?;
        Ok(row.shown(EVENTS[event]))
    }

    pub fn events(&self, limit: Option<usize>) -> Result<String, Refused> {
        let limit = page_limit(limit, 50)?;
        Ok(page(self.events.iter().map(|(name, row)| row.shown(name)), limit))
    }

    pub fn update_event(
        &mut self,
        event: usize,
        (types, on, target): (Option<&[EventType]>, Option<bool>, Option<usize>),
    ) -> Result<String, Refused> {
        types.map_or(Ok(()), check_types)?;
        let row = self.events.get_mut(EVENTS[event]).ok_or(MISSING)?;
        let before = row.clone();
        row.types = types.map_or_else(|| before.types.clone(), <[_]>::to_vec);
        row.on = on.unwrap_or(before.on);
        row.target = target.unwrap_or(before.target);
        if *row != before {
            row.updated = self.now;
            self.record_act(EMBEDDER, AuditOperation::UpdateEvent);
        }
        self.event(event)
    }

    /// An event to which a secret subscribes may not be deleted (8.4 row 73).
    pub fn delete_event(&mut self, event: usize) -> Result<String, Refused> {
        self.event(event)?;
        for name in self.secrets.keys().copied().collect::<Vec<_>>() {
            self.meet(name);
            if self.secrets.get(name).is_some_and(|it| it.event == Some(EVENTS[event])) {
                return Err(INVALID);
            }
        }
        self.events.remove(EVENTS[event]);
        self.record_act(EMBEDDER, AuditOperation::DeleteEvent);
        Ok(String::new())
    }

    /// Tells of each change since the last call that an event fires for now, if the secret subscribed
    /// to it then. `mood` is how the notifier takes the first of them, `commits` how many the store
    /// made of it.
    pub fn deliver(&mut self, mut mood: Mood, commits: u64) -> String {
        let mut delivery = Delivery::default();
        let (end, before) = (self.log.len(), self.commits);
        let (mut passed, mut removed) = (false, false);
        for at in self.told.max(self.cut)..end {
            passed = passed || self.log[at].operation != AuditOperation::Notify;
            let Some(told) = self.fires(at) else { continue };
            let status = delivery.tell(&told, mood);
            mood = Mood::Fine;
            removed = self.remove_old_notices() || removed;
            self.notices.push(Notice { told, created: self.now, status });
            self.record_act(EMBEDDER, AuditOperation::Notify);
            passed = false;
        }
        let old = self.remove_old_notices();
        // Old records that were removed just now may be found once more.
        let again = removed && commits > self.commits - before;
        if passed || old || again {
            self.record_act(EMBEDDER, AuditOperation::Notify);
        }
        if self.commits > before {
            self.told = end;
        }
        let Delivery { told, sent, failed, invalid } = delivery;
        format!("{sent} {failed} {invalid} {told:?}")
    }

    /// What is told of a change.
    fn fires(&self, at: usize) -> Option<Told> {
        let row = &self.log[at];
        let (event, rotatable) = row.subject?;
        let kind = event_type(row.operation)?;
        let to = self.events.get(event).filter(|to| to.on && to.types.contains(&kind))?;
        Some(Told {
            event: event.to_owned(),
            kind,
            secret: row.secret?.to_owned(),
            rotatable,
            version: row.version,
            time: row.time,
            commit: row.commit,
            target: TARGETS[to.target].to_owned(),
        })
    }

    fn remove_old_notices(&mut self) -> bool {
        let oldest = self.now - KEPT_MS;
        let young = self.notices.iter().position(|notice| notice.created >= oldest);
        let old = young.unwrap_or(self.notices.len());
        self.notices.drain(..old);
        old > 0
    }

    /// The records of the last three months, by the order of the changes.
    pub fn notices(&self, limit: Option<usize>) -> Result<String, Refused> {
        let limit = page_limit(limit, 50)?;
        let kept = self.notices.iter().filter(|notice| notice.created >= self.now - KEPT_MS);
        Ok(page(kept.map(Notice::shown), limit))
    }

    /// When the oldest record of a notification or rotation is kept no longer.
    pub fn end_of_record(&self) -> Option<i64> {
        let notices = self.notices.iter().map(|notice| notice.created + KEPT_MS);
        let notices = notices.filter(|at| *at >= self.now);
        notices.chain(self.end_of_task()).min()
    }

    /// Cuts whole commits off the front of the log that are older than `before`, but none of which
    /// something is still to be told.
    pub fn prune(&mut self, before: i64) -> String {
        let pending = (self.told.max(self.cut)..self.log.len()).find(|at| {
            let row = &self.log[*at];
            row.subject.is_some() && event_type(row.operation).is_some()
        });
        let pending = pending.filter(|_| !self.events.is_empty());
        let held = pending.map_or(u64::MAX, |at| self.log[at].commit);
        let (first, last) = (self.cut, self.commits);
        let mut commits = 0;
        for commit in self.log[first].commit..=last {
            let rows = self.log.iter().skip(self.cut).take_while(|row| row.commit == commit);
            let rows: Vec<&super::Row> = rows.collect();
            if commit >= held || rows.iter().any(|row| row.time >= before) {
                break;
            }
            self.cut += rows.len();
            commits += 1;
        }
        let records = self.cut - first;
        if commits > 0 {
            self.record_act(EMBEDDER, AuditOperation::PruneAudit);
        }
        let held_back = pending.is_some() && self.log[self.cut].time < before;
        format!("{commits} {records} {held_back}")
    }
}

impl Delivery {
    /// A notifier that fails is asked three times, one that says invalid once.
    fn tell(&mut self, told: &Told, mood: Mood) -> &'static str {
        let (times, count, status) = match mood {
            Mood::Fine => (1, &mut self.sent, "SUCCESS"),
            Mood::FailsOnce => (2, &mut self.sent, "SUCCESS"),
            Mood::Fails => (3, &mut self.failed, "FAIL"),
            Mood::Invalid => (1, &mut self.invalid, "INVALID"),
        };
        *count += 1;
        self.told.extend(std::iter::repeat_n(told.clone(), times));
        status
    }
}

impl Notice {
    fn shown(&self) -> String {
        let Told { event, kind, secret, rotatable, version, commit, target, .. } = &self.told;
        let (created, status) = (floor(self.created), self.status);
        let of = format!("{secret} {rotatable} {version:?}");
        format!("{commit} {event} {kind} {of} {target} {created} {status}")
    }
}

impl EventRow {
    fn shown(&self, name: &str) -> String {
        let Self { types, on, target, created, updated } = self;
        let (created, updated) = (floor(*created), floor(*updated));
        format!("{name} {types:?} {on} {} {created} {updated}", TARGETS[*target])
    }
}

/// csms.md 1.7; 8.3 row 69: a rotation is not the creation of a version; 8.4 row 70: only what is
/// really deleted is.
fn event_type(operation: AuditOperation) -> Option<EventType> {
    match operation {
        AuditOperation::CreateSecret | AuditOperation::CreateVersion => {
            Some(EventType::VersionCreated)
        }
        AuditOperation::ExpireVersion => Some(EventType::VersionExpired),
        AuditOperation::NearExpiry => Some(EventType::VersionNearExpiry),
        AuditOperation::RotateSecret => Some(EventType::Rotated),
        AuditOperation::FailRotation => Some(EventType::RotationFailed),
        AuditOperation::DeleteSecret => Some(EventType::Deleted),
        _ => None,
    }
}

/// csms.md 7.32: one at least, none twice.
fn check_types(types: &[EventType]) -> Result<(), Refused> {
    let distinct: std::collections::BTreeSet<_> = types.iter().collect();
    if types.is_empty() || distinct.len() < types.len() { Err(INVALID) } else { Ok(()) }
}
