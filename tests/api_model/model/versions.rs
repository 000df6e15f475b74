//! Versions: stored, read, kept and dropped, disabled and destroyed, with their times.

use strongroom::{AuditOperation, SecretState, Stage, VersionState};

use super::{
    Change, Entry, Heard, Held, Model, Target, Use, VERSIONS_MAX, Version, floor, labels::allowed,
    secrets::check_value,
};
use crate::{
    calls::{After, Before, DAY, LABELS, NAMES, Reference, Value},
    people::{STORE, Who},
    refusals::{
        CONSTRAINT, DESTROYED, INVALID, LABELLED, MISSING, Refused, TOO_MUCH, VERSION_NOT_ENABLED,
    },
};

/// The most names of one batch (csms.md 1.12).
const BATCH_MAX: usize = 20;

impl Model {
    /// csms.md 2.3, 3.2; 8.1 rows 1 to 7, 10, 11, 19.
    pub fn put(
        &mut self,
        target: Target,
        (value, labels): (Value, &[usize]),
        (expires, not_before): (After, After),
    ) -> Result<String, Refused> {
        // What is too long is so whatever the secret is.
        check_value(false, value)?;
        let labels: Vec<Stage> = labels.iter().map(|at| LABELS[*at].parse().unwrap()).collect();
        let (asked, from) = (expires.map(|it| self.now + it), not_before.map(|it| self.now + it));
        let mut made = 0;
        self.change(target, (Use::Value, Before::Anything), |model, entry, at| {
            check_value(entry.rotatable, value)?;
            let expires = asked.map(floor);
            if expires.is_some_and(|time| time <= at) {
                return Err(INVALID);
            }
            // Rounded up, so that it is not sooner than asked.
            let from = from.map(|from| floor(from + 999));
            if from.is_some_and(|from| expires.is_some_and(|expires| expires <= from)) {
                return Err(INVALID);
            }
            model.check_usable(entry.key.as_deref())?;
            made = entry.add(Held::Known(value.text()), &labels, at)?;
            let version = entry.versions.get_mut(&made).expect("just added");
            (version.expires, version.not_before) = (expires, from);
            Ok(Change::Commit(AuditOperation::CreateVersion, Some(made)))
        })?;
        Ok(self.secrets[NAMES[target.1]].shown_version(made))
    }

    /// The value behind SYSCURRENT, or any other.
    pub fn read(&mut self, target: Target, reference: Reference) -> Result<String, Refused> {
        let (who, name) = target;
        let text = self.value(name, reference)?;
        let id = self.entry(name)?.resolve(reference)?;
        if self.settings.audit_reads {
            let row = self.read_row(who, name, id);
            self.record(vec![row]);
        }
        Ok(text)
    }

    /// csms.md 3.2; 8.1 rows 15, 17 and 18; 8.5.
    fn value(&mut self, name: usize, reference: Reference) -> Result<String, Refused> {
        self.meet(NAMES[name]);
        let entry = self.entry(name)?;
        let id = entry.resolve(reference)?;
        entry.admits(Use::Value)?;
        if entry.is_destroyed(id, self.now) {
            self.destroy_due(name, id);
            return Err(DESTROYED);
        }
        let version = &entry.versions[&id];
        let outside = version.expires.is_some_and(|time| time <= self.now)
            || version.not_before.is_some_and(|from| from > self.now);
        let refused =
            version.state == VersionState::Disabled || (self.settings.enforce_validity && outside);
        if refused {
            return Err(VERSION_NOT_ENABLED);
        }
        self.check_usable(version.key.as_deref())?;
        let Held::Known(value) = &version.value else { return Ok("made up".to_owned()) };
        Ok(format!("{} {value}", entry.shown_version(id)))
    }

    fn read_row(&self, who: &'static str, name: usize, id: u64) -> super::Row {
        let entry = &self.secrets[NAMES[name]];
        let row = entry.row((who, NAMES[name]), AuditOperation::ReadValue, Some(id), self.now);
        super::Row { subject: None, ..row }
    }

    /// All of one moment; what cannot be read is told of one by one (8.2 row 44).
    pub fn get_many(&mut self, who: Who, names: &[usize]) -> Result<String, Refused> {
        match names.len() {
            0 => return Err(INVALID),
            1..=BATCH_MAX => {}
            _ => return Err(TOO_MUCH),
        }
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for name in names {
            // What the caller may not read is not even looked for.
            let answer = allowed(who, "csms:secret:batchGetSecretValue", *name)
                .and_then(|()| allowed(who, "kms:cmk:decryptDataKey", *name))
                .and_then(|()| self.value(*name, Reference::Latest));
            if answer.is_ok() {
                let id = self.entry(*name)?.resolve(Reference::Latest)?;
                rows.push(self.read_row(who, *name, id));
            }
            answers.push(answer.unwrap_or_else(str::to_owned));
        }
        if self.settings.audit_reads && !rows.is_empty() {
            self.record(rows);
        }
        Ok(format!("{answers:?}"))
    }

    /// What was read of a version whose value was made up. Says whether it can be that.
    pub fn learn(&mut self, name: usize, id: u64, text: &str) -> bool {
        let Some(entry) = self.secrets.get_mut(NAMES[name]) else { return true };
        let mut others = entry.versions.iter().filter(|(other, _)| **other != id);
        let is_other = |held: &Held| matches!(held, Held::Known(other) if other == text);
        let twice = others.any(|(_, version)| is_other(&version.value));
        let Some(version) = entry.versions.get_mut(&id) else { return true };
        let made = matches!(version.value, Held::Made { .. });
        version.value.is(text) && !(made && twice)
    }

    pub fn versions(&mut self, name: usize) -> Result<String, Refused> {
        self.look_at_table(name)?;
        let entry = self.entry(name)?;
        let rows: Vec<String> = entry.versions.keys().map(|id| entry.shown_version(*id)).collect();
        Ok(format!("{rows:?}"))
    }

    /// Whoever looks at labels or versions destroys what is due to be.
    pub(super) fn look_at_table(&mut self, name: usize) -> Result<(), Refused> {
        self.meet(NAMES[name]);
        let (entry, now) = (self.entry(name)?, self.now);
        let due =
            |id: &u64| entry.versions[id].destruction.is_some() && entry.is_destroyed(*id, now);
        for id in entry.numbers().into_iter().filter(due).collect::<Vec<_>>() {
            self.destroy_due(name, id);
        }
        Ok(())
    }

    /// 8.1 rows 16 to 20.
    pub fn expire(
        &mut self,
        target: Target,
        reference: Reference,
        expires: After,
    ) -> Result<String, Refused> {
        let mut changed = 0;
        self.change(target, (Use::Value, Before::Anything), |model, entry, at| {
            changed = entry.resolve(reference)?;
            entry.check_kept(changed, at)?;
            let wanted = expires.map(|after| floor(model.now + after));
            if wanted.is_some_and(|time| time <= model.now) {
                return Err(INVALID);
            }
            // As for a new version: it would expire before it could be used.
            let from = entry.versions[&changed].not_before;
            if from.is_some_and(|from| wanted.is_some_and(|time| time <= from)) {
                return Err(INVALID);
            }
            let version = entry.versions.get_mut(&changed).expect("resolved");
            if version.expires == wanted {
                return Ok(Change::Nothing);
            }
            // Of the new time it is told anew (csms.md 1.7).
            (version.expires, version.near, version.expired) = (wanted, Heard::No, Heard::No);
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::UpdateVersion, Some(changed)))
        })?;
        Ok(self.secrets[NAMES[target.1]].shown_version(changed))
    }

    pub fn set_version_state(
        &mut self,
        target: Target,
        id: u64,
        state: VersionState,
    ) -> Result<String, Refused> {
        self.change_version(target, id, |_, entry, at| {
            entry.check_kept(id, at)?;
            let version = entry.versions.get_mut(&id).expect("kept");
            if version.state == state {
                return Ok(Change::Nothing);
            }
            version.state = state;
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::SetVersionState, Some(id)))
        })
    }

    pub fn destroy(&mut self, target: Target, id: u64) -> Result<String, Refused> {
        self.change_version(target, id, |_, entry, at| {
            if entry.versions.get(&id).ok_or(MISSING)?.state == VersionState::Destroyed {
                return Ok(Change::Nothing);
            }
            if entry.is_labelled(id) {
                return Err(LABELLED);
            }
            entry.destroy(id, at);
            Ok(Change::Commit(AuditOperation::DestroyVersion, Some(id)))
        })
    }

    pub fn schedule_destruction(
        &mut self,
        target: Target,
        id: u64,
        after: i64,
    ) -> Result<String, Refused> {
        self.change_version(target, id, |model, entry, at| {
            entry.check_kept(id, model.now)?;
            if entry.is_labelled(id) {
                return Err(LABELLED);
            }
            let time = floor(model.now + after);
            if time <= model.now {
                return Err(INVALID);
            }
            let version = entry.versions.get_mut(&id).expect("kept");
            if version.destruction == Some(time) {
                return Ok(Change::Nothing);
            }
            version.destruction = Some(time);
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::ScheduleDestruction, Some(id)))
        })
    }

    pub fn cancel_destruction(&mut self, target: Target, id: u64) -> Result<String, Refused> {
        self.change_version(target, id, |_, entry, at| {
            entry.check_kept(id, at)?;
            let version = entry.versions.get_mut(&id).expect("kept");
            if version.destruction.take().is_none() {
                return Ok(Change::Nothing);
            }
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::ScheduleDestruction, Some(id)))
        })
    }

    fn change_version(
        &mut self,
        target: Target,
        id: u64,
        edit: impl FnOnce(&Self, &mut Entry, i64) -> Result<Change, Refused>,
    ) -> Result<String, Refused> {
        self.change(target, (Use::Metadata, Before::Anything), edit)?;
        Ok(self.secrets[NAMES[target.1]].shown_version(id))
    }

    /// Destroys a version whose time has come, unless the secret's state does not allow it. Says
    /// whether it did.
    pub(super) fn destroy_due(&mut self, name: usize, id: u64) -> bool {
        let terms = (Use::Metadata, Before::Anything);
        let changed = self.change((STORE, name), terms, |model, entry, at| {
            let there =
                entry.versions.get(&id).is_some_and(|it| it.state != VersionState::Destroyed);
            if !there || !entry.is_destroyed(id, model.now) {
                return Ok(Change::Nothing);
            }
            entry.destroy(id, at);
            Ok(Change::Commit(AuditOperation::DestroyVersion, Some(id)))
        });
        changed.unwrap_or(false)
    }
}

impl Entry {
    /// Adds a version with these labels, SYSCURRENT if none, and drops what is too much: the oldest
    /// without a label beyond what the store allows, and what is beyond what the secret keeps.
    pub(super) fn add(&mut self, value: Held, labels: &[Stage], at: i64) -> Result<u64, Refused> {
        let (id, created) = (self.next, self.time_of_next(at));
        self.place_new(labels, id, created)?;
        let version = Version {
            created,
            expires: None,
            not_before: None,
            destruction: None,
            state: VersionState::Enabled,
            key: self.key.clone(),
            near: Heard::No,
            expired: Heard::No,
            value,
        };
        self.versions.insert(id, version);
        self.next += 1;
        while self.versions.len() > VERSIONS_MAX {
            let oldest = self.versions.keys().copied().find(|id| !self.is_labelled(*id));
            self.versions.remove(&oldest.ok_or(CONSTRAINT)?);
        }
        self.drop_outlived(at);
        self.changed = at;
        Ok(id)
    }

    /// Drops versions without a label: the oldest while there are more than the secret keeps, and
    /// those that are too old. Says whether there were any.
    pub(super) fn drop_outlived(&mut self, at: i64) -> bool {
        let before = self.versions.len();
        let mut surplus = self.keep.versions.map_or(0, |keep| before.saturating_sub(keep));
        for id in self.numbers() {
            let is_old = self.keep.days.is_some_and(|days| {
                self.versions[&id].created + i64::try_from(days).unwrap() * DAY <= at
            });
            if !self.is_labelled(id) && (surplus > 0 || is_old) {
                self.versions.remove(&id);
                surplus = surplus.saturating_sub(1);
            }
        }
        self.versions.len() < before
    }

    fn destroy(&mut self, id: u64, at: i64) {
        let version = self.versions.get_mut(&id).expect("looked for");
        (version.state, version.destruction) = (VersionState::Destroyed, None);
        self.changed = at;
    }

    /// Whether a version is destroyed, or its time has come: one with a label is in use, whatever is
    /// scheduled.
    pub(super) fn is_destroyed(&self, id: u64, now: i64) -> bool {
        let version = &self.versions[&id];
        let due = version.destruction.is_some_and(|at| at <= now) && !self.is_labelled(id);
        due || version.state == VersionState::Destroyed
    }

    /// Refuses a version that is not there or destroyed.
    pub(super) fn check_kept(&self, id: u64, now: i64) -> Result<(), Refused> {
        self.versions.get(&id).ok_or(MISSING)?;
        if self.is_destroyed(id, now) { Err(DESTROYED) } else { Ok(()) }
    }

    pub(super) fn resolve(&self, reference: Reference) -> Result<u64, Refused> {
        let labelled = |label: &Stage| self.labels.get(label).map(|(id, _)| *id);
        let id = match reference {
            Reference::Id(id) => Some(id),
            Reference::Label(at) => labelled(&LABELS[at].parse().unwrap()),
            Reference::Latest => labelled(&Stage::Current),
        };
        id.filter(|id| self.versions.contains_key(id)).ok_or(MISSING)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.state() == SecretState::Enabled
    }
}
