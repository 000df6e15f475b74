//! What falls due by the clock alone, and who does it.

use strongroom::{AuditOperation, SecretState, VersionState};

use super::{Change, Entry, Heard, Model, Use};
use crate::{
    calls::{Before, DAY, NAMES},
    people::STORE,
};

/// How many days before its expiry a version is near it: the store's default.
const NEAR_DAYS: i64 = 30;

/// Something that is to happen at a time; a version by its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    Deletion,
    Destruction(u64),
    Expiry(u64),
    NearExpiry(u64),
    Retention(u64),
    Rotation,
}

impl Model {
    /// When something falls due next, or fell due and was not done.
    pub fn next_due(&self) -> Option<i64> {
        self.moments().first().map(|(at, ..)| *at)
    }

    /// The next moment that is not reached yet.
    pub fn next_moment(&self) -> Option<i64> {
        self.moments().iter().map(|(at, ..)| *at).find(|at| *at > self.now)
    }

    /// All moments of all secrets, in order of time.
    fn moments(&self) -> Vec<(i64, usize, Due)> {
        let mut all = Vec::new();
        for (at, name) in NAMES.iter().enumerate() {
            let moments = self.secrets.get(name).map(Entry::moments).unwrap_or_default();
            all.extend(moments.into_iter().map(|(time, due)| (time, at, due)));
        }
        all.sort_by_key(|(time, name, _)| (*time, NAMES[*name]));
        all
    }

    /// The secrets that are to be rotated by now, the longest due first.
    pub(super) fn rotations_due(&self) -> Vec<usize> {
        let due = self.moments().into_iter();
        let due = due.filter(|(at, _, due)| *at <= self.now && *due == Due::Rotation);
        due.map(|(_, name, _)| name).collect()
    }

    pub fn shown_rotations_due(&self) -> String {
        let names: Vec<&str> = self.rotations_due().into_iter().map(|name| NAMES[name]).collect();
        format!("{names:?}")
    }

    /// Does what is due, in order of time.
    pub fn sweep(&mut self) -> String {
        let mut counts = [0; 5];
        for (at, name, due) in self.moments() {
            if at > self.now {
                break;
            }
            let (count, done) = match due {
                Due::Deletion => (0, self.delete_due(name)),
                Due::Destruction(id) => (1, self.destroy_due(name, id)),
                Due::Expiry(id) => (2, self.tell_expired(name, id)),
                Due::NearExpiry(id) => (3, self.tell_near(name, id)),
                Due::Retention(id) => (4, self.drop_old(name, id)),
                // By a call of its own.
                Due::Rotation => continue,
            };
            counts[count] += u64::from(done);
        }
        let [deletions, destructions, expired, near_expiry, outlived] = counts;
        format!("{deletions} {destructions} {expired} {near_expiry} {outlived}")
    }

    fn delete_due(&mut self, name: usize) -> bool {
        let before = self.secrets.len();
        self.meet(NAMES[name]);
        self.secrets.len() < before
    }

    /// Told once for each time that the expiry was set (csms.md 1.7, 8.4 row 76). Not of a version that
    /// is destroyed: there is nothing left that could expire.
    fn tell_expired(&mut self, name: usize, id: u64) -> bool {
        self.tell(name, id, |model, entry| {
            let told = entry.telling();
            let version = entry.versions.get_mut(&id)?;
            let expired = version.expires.is_some_and(|time| time <= model.now);
            let is_new = version.expired < told;
            let due = expired && is_new && version.state != VersionState::Destroyed;
            // That it will expire nobody has to hear any more.
            (version.near, version.expired) = (Heard::BySomebody, told);
            due.then_some(AuditOperation::ExpireVersion)
        })
    }

    /// Not of one that has expired already: that alone is told.
    fn tell_near(&mut self, name: usize, id: u64) -> bool {
        self.tell(name, id, |model, entry| {
            let told = entry.telling();
            let version = entry.versions.get_mut(&id)?;
            let near = version
                .expires
                .is_some_and(|time| model.now < time && time - NEAR_DAYS * DAY <= model.now);
            let due = near && version.near < told && version.state != VersionState::Destroyed;
            version.near = told;
            due.then_some(AuditOperation::NearExpiry)
        })
    }

    fn drop_old(&mut self, name: usize, id: u64) -> bool {
        let terms = (Use::Metadata, Before::Anything);
        let changed = self.change((STORE, name), terms, |_, entry, at| {
            if !entry.drop_outlived(at) {
                return Ok(Change::Nothing);
            }
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::DestroyVersion, Some(id)))
        });
        changed.unwrap_or(false)
    }

    fn tell(
        &mut self,
        name: usize,
        id: u64,
        edit: impl FnOnce(&Self, &mut Entry) -> Option<AuditOperation>,
    ) -> bool {
        let terms = (Use::Metadata, Before::Anything);
        let changed = self.change((STORE, name), terms, |model, entry, _| {
            let told = edit(model, entry);
            Ok(told.map_or(Change::Nothing, |told| Change::Commit(told, Some(id))))
        });
        changed.unwrap_or(false)
    }
}

impl Entry {
    /// What comes of telling it now: somebody hears it who subscribes to an event, and is told once more
    /// if nobody heard it before (csms.md 8.4 row 76).
    fn telling(&self) -> Heard {
        if self.event.is_some() { Heard::BySomebody } else { Heard::ByNobody }
    }

    /// Of a secret that is to be deleted nothing falls due but that, of a frozen one nothing at all.
    fn moments(&self) -> Vec<(i64, Due)> {
        match (self.deletion, self.state()) {
            (Some(at), _) => return vec![(at, Due::Deletion)],
            (None, SecretState::Frozen) => return Vec::new(),
            _ => {}
        }
        let mut moments = Vec::new();
        for (id, version) in &self.versions {
            let destroyed = version.state == VersionState::Destroyed;
            let is_new = version.expired < self.telling();
            if let Some(expires) = version.expires.filter(|_| !destroyed && is_new) {
                moments.push((expires, Due::Expiry(*id)));
                if version.near < self.telling() {
                    moments.push((expires - NEAR_DAYS * DAY, Due::NearExpiry(*id)));
                }
            }
            if self.is_labelled(*id) {
                continue;
            }
            moments.extend(version.destruction.map(|at| (at, Due::Destruction(*id))));
            if let Some(days) = self.keep.days {
                let age = i64::try_from(days).unwrap() * DAY;
                moments.push((version.created + age, Due::Retention(*id)));
            }
        }
        // More than it keeps: when the number was lowered, or a label taken off.
        let oldest = self.versions.iter().find(|(id, _)| !self.is_labelled(**id));
        if let (Some(keep), Some((id, version))) = (self.keep.versions, oldest)
            && self.versions.len() > keep
        {
            moments.push((version.created, Due::Retention(*id)));
        }
        // Only an enabled one is rotated by itself (csms.md 8.3 row 67).
        let next = self.rotation.next(self.rotated).filter(|_| self.is_enabled());
        moments.extend(next.map(|at| (at, Due::Rotation)));
        moments
    }
}
