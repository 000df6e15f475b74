//! What falls due when, of all secrets: kept in memory, derived from their heads.
//!
//! Scheduled deletions are known from the loading of the index on, since the record that is opened
//! for the name repeats them. Everything else is known after one look at all heads, which the first
//! question for it takes: some ten microseconds a secret. From then on every commit keeps it up. It
//! holds as many entries as there are secrets for which something is scheduled.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    commit::{EngineError, Index, NameId},
    domain::{SecretName, Timestamp},
    records::{Alarm, Due, Records, Seen, due::moments},
};

/// What is due, of which secret.
pub(crate) type DueOf = (SecretName, Due);

/// The moments of all secrets.
pub(crate) struct Schedule {
    table: Mutex<Table>,
    /// The earliest deletion, for those who only ask whether there is one.
    next_deletion_ms: AtomicI64,
    near_expiry_ms: AtomicI64,
    /// Rings when something else falls due next, or at another time.
    pub(crate) alarm: Arc<Alarm>,
}

#[derive(Default)]
struct Table {
    reach: Reach,
    by_name: HashMap<SecretName, Vec<(Timestamp, Due)>>,
    /// Each secret at its earliest moment.
    by_time: BTreeSet<(Timestamp, SecretName)>,
    deletions: BTreeSet<(Timestamp, SecretName)>,
    /// Those with a rotation under way.
    rotating: BTreeSet<SecretName>,
    /// The earliest moment when the alarm rang last.
    rung_for: Option<Timestamp>,
}

/// Which moments the table holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Reach {
    #[default]
    Deletions,
    /// All of secrets that were changed since, and being filled up with the others.
    Filling,
    All,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::default(),
            next_deletion_ms: AtomicI64::new(i64::MAX),
            near_expiry_ms: AtomicI64::new(0),
            alarm: Arc::default(),
        }
    }

    /// Sets how long before its expiry a version is near it; 0 for never. Before anything is noted.
    pub(crate) fn set_near_expiry_ms(&self, millis: i64) {
        self.near_expiry_ms.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn near_expiry_ms(&self) -> Option<i64> {
        Some(self.near_expiry_ms.load(Ordering::Relaxed)).filter(|millis| *millis > 0)
    }

    /// Notes a deletion that was found while the index is loaded.
    pub(crate) fn note_deletion(&self, name: &SecretName, at: Timestamp) {
        let mut table = self.table.lock();
        table.set(name, vec![(at, Due::Deletion)]);
        self.publish(&mut table);
    }

    /// Notes what is to happen to a secret that was just written or read.
    ///
    /// Two who committed changes of one secret may come in either order: what the index does not
    /// name any more is out of date, and the other one notes what is true.
    pub(crate) fn note(&self, index: &Index, seen: &Seen) {
        let (name, rotation) = (&seen.secret.body.name, &seen.secret.body.rotation);
        let mut due = moments(&seen.secret.body, &seen.stages.body, self.near_expiry_ms());
        let mut table = self.table.lock();
        if index.heads(&seen.id) != Some(seen.heads()) {
            return;
        }
        if table.reach == Reach::Deletions {
            due.retain(|(_, due)| *due == Due::Deletion);
        }
        table.set(name, due);
        match rotation.task {
            Some(_) => _ = table.rotating.insert(name.clone()),
            None => _ = table.rotating.remove(name),
        }
        self.publish(&mut table);
    }

    /// Forgets a secret that was removed, unless there is another one of its name.
    pub(crate) fn forget(&self, index: &Index, id: &NameId, name: &SecretName) {
        let mut table = self.table.lock();
        if index.heads(id).is_none() {
            table.set(name, Vec::new());
            table.rotating.remove(name);
            self.publish(&mut table);
        }
    }

    /// The secrets whose deletion is due, the longest due first.
    pub(crate) fn due_deletions(&self, now: Timestamp) -> Vec<SecretName> {
        if now.as_millis() < self.next_deletion_ms.load(Ordering::Acquire) {
            return Vec::new();
        }
        let table = self.table.lock();
        until(&table.deletions, now).map(|(_, name)| name.clone()).collect()
    }

    fn publish(&self, table: &mut Table) {
        let next = table.deletions.first().map_or(i64::MAX, |(at, _)| at.as_millis());
        self.next_deletion_ms.store(next, Ordering::Release);
        let first = table.by_time.first().map(|(at, _)| *at);
        if first != table.rung_for {
            table.rung_for = first;
            self.alarm.ring();
        }
    }
}

impl Table {
    /// Replaces what is to happen to a secret.
    fn set(&mut self, name: &SecretName, due: Vec<(Timestamp, Due)>) {
        if let Some(old) = self.by_name.remove(name) {
            take_out(&mut self.by_time, earliest(&old), name);
            take_out(&mut self.deletions, deletion(&old), name);
        }
        let Some(first) = earliest(&due) else { return };
        self.by_time.insert((first, name.clone()));
        self.deletions.extend(deletion(&due).map(|at| (at, name.clone())));
        self.by_name.insert(name.clone(), due);
    }
}

fn take_out(set: &mut BTreeSet<(Timestamp, SecretName)>, at: Option<Timestamp>, name: &SecretName) {
    if let Some(at) = at {
        set.remove(&(at, name.clone()));
    }
}

fn earliest(due: &[(Timestamp, Due)]) -> Option<Timestamp> {
    due.iter().map(|(at, _)| *at).min()
}

fn deletion(due: &[(Timestamp, Due)]) -> Option<Timestamp> {
    due.iter().find(|(_, due)| *due == Due::Deletion).map(|(at, _)| *at)
}

/// The entries up to a time, that moment included.
fn until(
    set: &BTreeSet<(Timestamp, SecretName)>,
    now: Timestamp,
) -> impl Iterator<Item = &(Timestamp, SecretName)> {
    set.iter().take_while(move |(at, _)| *at <= now)
}

impl Records {
    /// What is due by `now`, of all secrets, in order of time.
    ///
    /// The first call looks at all heads, see the heading of this module.
    pub(crate) fn due(&self, now: Timestamp) -> Result<Vec<DueOf>, EngineError> {
        let table = self.whole_schedule()?;
        let mut due: Vec<(Timestamp, DueOf)> = Vec::new();
        for (_, name) in until(&table.by_time, now) {
            let moments = table.by_name.get(name).into_iter().flatten();
            let reached = moments.filter(|(at, _)| *at <= now);
            due.extend(reached.map(|(at, due)| (*at, (name.clone(), *due))));
        }
        drop(table);
        due.sort_by(|(at, (name, _)), (other, (next, _))| (at, name).cmp(&(other, next)));
        Ok(due.into_iter().map(|(_, due)| due).collect())
    }

    /// When something falls due next, or fell due.
    pub(crate) fn next_due(&self) -> Result<Option<Timestamp>, EngineError> {
        Ok(self.whole_schedule()?.by_time.first().map(|(at, _)| *at))
    }

    /// The secrets with a rotation under way, by name.
    pub(crate) fn rotating(&self) -> Result<Vec<SecretName>, EngineError> {
        Ok(self.whole_schedule()?.rotating.iter().cloned().collect())
    }

    fn whole_schedule(&self) -> Result<MutexGuard<'_, Table>, EngineError> {
        self.engine.wait_ready()?;
        let mut table = self.schedule.table.lock();
        if table.reach == Reach::All {
            return Ok(table);
        }
        table.reach = Reach::Filling;
        drop(table);
        // Two who begin at once do the same work, and each is right.
        self.each_secret(|name| {
            if let Some(seen) = self.seen(name)? {
                self.schedule.note(&self.engine.index, &seen);
            }
            Ok(())
        })?;
        let mut table = self.schedule.table.lock();
        table.reach = Reach::All;
        Ok(table)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        commit::HeadChange,
        domain::{Description, SecretType},
        records::{SecretBody, Stages, cache::Head},
    };

    const AT: Timestamp = Timestamp::from_millis(1000);

    /// A secret as its `revision`-th change left it.
    fn seen(name: &str, revision: u8, edit: impl Fn(&mut SecretBody, &mut Stages)) -> Seen {
        let name: SecretName = name.parse().unwrap();
        let id = [name.as_str().as_bytes()[0]; 16];
        let kind = (SecretType::Common, Description::default());
        let mut secret = SecretBody::new(name, [1; 16], kind.0, kind.1, AT);
        let mut stages = Stages::new([1; 16], AT);
        edit(&mut secret, &mut stages);
        let tag = [revision; 16];
        let record = || Arc::from(vec![revision]);
        Seen {
            id,
            secret: Arc::new(Head::new(secret, u64::from(revision), record(), tag)),
            stages: Arc::new(Head::new(stages, u64::from(revision), record(), tag)),
        }
    }

    fn deleted_at(at: i64) -> impl Fn(&mut SecretBody, &mut Stages) {
        move |_, stages| stages.deletion = Some(Timestamp::from_millis(at))
    }

    fn publish(index: &Index, before: Option<&Seen>, after: Option<&Seen>) {
        let named = after.or(before).unwrap();
        index.publish(&HeadChange {
            id: named.id,
            name: named.secret.body.name.clone(),
            before: before.map(Seen::heads),
            after: after.map(Seen::heads),
        });
    }

    fn due(schedule: &Schedule, now: i64) -> String {
        let due = schedule.due_deletions(Timestamp::from_millis(now));
        due.iter().map(SecretName::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn deletions_are_due_from_their_moment_on_in_order_of_time() {
        let (index, schedule) = (Index::loading(0), Schedule::new());
        for (name, at) in [("a", 30), ("b", 10), ("c", 20)] {
            let seen = seen(name, 1, deleted_at(at));
            publish(&index, None, Some(&seen));
            schedule.note(&index, &seen);
        }
        let rows = [(9, ""), (10, "b"), (19, "b"), (20, "b c"), (31, "b c a"), (i64::MAX, "b c a")];
        for (now, want) in rows {
            assert_eq!(due(&schedule, now), want, "case: {now}");
        }
    }

    #[test]
    fn of_two_changes_of_a_secret_the_later_one_counts_in_whatever_order_they_come() {
        let first = seen("a", 1, deleted_at(10));
        let later = seen("a", 2, |_, _| {});
        for order in [[&first, &later], [&later, &first]] {
            let (index, schedule) = (Index::loading(0), Schedule::new());
            publish(&index, None, Some(&first));
            publish(&index, Some(&first), Some(&later));
            order.iter().for_each(|seen| schedule.note(&index, seen));
            assert_eq!(due(&schedule, 10), "");
        }
        for order in [[&first, &later], [&later, &first]] {
            let (index, schedule) = (Index::loading(0), Schedule::new());
            publish(&index, None, Some(&later));
            publish(&index, Some(&later), Some(&first));
            order.iter().for_each(|seen| schedule.note(&index, seen));
            assert_eq!(due(&schedule, 10), "a");
        }
    }

    #[test]
    fn a_removal_that_is_heard_of_late_does_not_touch_the_next_secret_of_the_name() {
        let (index, schedule) = (Index::loading(0), Schedule::new());
        let (old, new) = (seen("a", 1, deleted_at(10)), seen("a", 2, deleted_at(20)));
        publish(&index, None, Some(&old));
        schedule.note(&index, &old);
        publish(&index, Some(&old), None);
        publish(&index, None, Some(&new));
        schedule.note(&index, &new);
        schedule.forget(&index, &old.id, &old.secret.body.name);
        assert_eq!((due(&schedule, 10), due(&schedule, 20)), (String::new(), "a".to_owned()));
        publish(&index, Some(&new), None);
        schedule.forget(&index, &new.id, &new.secret.body.name);
        assert_eq!(due(&schedule, 20), "");
    }
}
