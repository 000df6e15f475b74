//! Secrets: made, changed, deleted at once or at a time, enabled and disabled.

use std::collections::BTreeMap;

use strongroom::{AuditOperation, SecretState, Stage, VersionState};

use super::{
    Change, Entry, Heard, Held, Ids, Model, Row, Schedule, Target, Use, VALUE_LEN_MAX, Version,
};
use crate::{
    calls::{Before, DAY, EVENTS, NAMES, New, Update, Value},
    people::{EMBEDDER, Who, may},
    refusals::{CONSTRAINT, EXISTS, INVALID, MISSING, PROTECTED, Refused, TOO_MUCH},
};

/// To list a secret.
pub(super) const LIST: &str = "csms:secret:list";

impl Model {
    /// csms.md 3.1; 8.2 rows 25 to 27. `id` is what the store called it, if it did.
    pub fn create(&mut self, new: &New, id: &str) -> Result<(), Refused> {
        let name = NAMES[new.name];
        check_value(new.rotatable, new.value)?;
        self.meet(name);
        if self.secrets.contains_key(name) {
            return Err(EXISTS);
        }
        let entry = self.made(new, id)?;
        self.add_all(vec![(name, entry)]);
        Ok(())
    }

    /// csms.md 3.1; 8.2 row 45. What is sure to be new and subscribes to nothing is made in one commit,
    /// as far as it goes; all else by itself.
    pub fn load(&mut self, news: &[New], ids: &Ids) -> String {
        let (mut created, mut refused, mut batch) = (0, Vec::new(), Vec::new());
        for (at, new) in news.iter().enumerate() {
            let name = NAMES[new.name];
            let id = ids.get(name).map_or("", String::as_str);
            let in_batch = batch.iter().any(|(other, _)| *other == name);
            let alone = self.secrets.contains_key(name) || in_batch || !new.events.is_empty();
            let made = match check_value(new.rotatable, new.value) {
                Ok(()) if alone => {
                    self.add_all(std::mem::take(&mut batch));
                    self.create(new, id)
                }
                Ok(()) => self.made(new, id).map(|entry| batch.push((name, entry))),
                Err(reason) => Err(reason),
            };
            match made {
                Ok(()) => created += 1,
                Err(reason) => refused.push((at, reason)),
            }
        }
        self.add_all(batch);
        format!("{created} {refused:?}")
    }

    /// New secrets, in one commit.
    fn add_all(&mut self, made: Vec<(&'static str, Entry)>) {
        let rows = made.iter().map(|(name, entry)| {
            let operation = AuditOperation::CreateSecret;
            entry.row((EMBEDDER, name), operation, Some(1), entry.created)
        });
        let rows: Vec<Row> = rows.collect();
        if !rows.is_empty() {
            self.record(rows);
        }
        for (name, entry) in made {
            self.note_id(&entry.id);
            self.secrets.insert(name, entry);
        }
    }

    fn made(&self, new: &New, id: &str) -> Result<Entry, Refused> {
        let (key, now) = (self.named_key(new.key), self.now);
        self.check_usable(key.as_deref())?;
        let rotation = Schedule::default().with(new.rules, new.rotatable, now)?;
        let event = self.subscribed(None, &new.events)?;
        let first = Version {
            created: now,
            expires: None,
            not_before: None,
            destruction: None,
            state: VersionState::Enabled,
            key: key.clone(),
            near: Heard::No,
            expired: Heard::No,
            value: Held::Known(new.value.text()),
        };
        Ok(Entry {
            id: id.to_owned(),
            rotatable: new.rotatable,
            description: "",
            set_state: SecretState::Enabled,
            deletion: None,
            protected: new.protected,
            keep: new.keep,
            key,
            event,
            tags: BTreeMap::new(),
            rotation,
            created: now,
            described: now,
            changed: now,
            rotated: None,
            revision: 1,
            next: 2,
            versions: BTreeMap::from([(1, first)]),
            labels: BTreeMap::from([(Stage::Current, (1, now))]),
        })
    }

    /// What a secret subscribes to: one event at most, which must be there if it is another than
    /// before (csms.md 1.12; 8.4 rows 71 and 72).
    fn subscribed(
        &self,
        before: Option<&'static str>,
        events: &[usize],
    ) -> Result<Option<&'static str>, Refused> {
        match events {
            [] => Ok(None),
            [event] => {
                let event = EVENTS[*event];
                let there = before == Some(event) || self.events.contains_key(event);
                if there { Ok(Some(event)) } else { Err(MISSING) }
            }
            _ => Err(TOO_MUCH),
        }
    }

    pub fn secret(&mut self, name: usize) -> Result<String, Refused> {
        self.meet(NAMES[name]);
        Ok(self.entry(name)?.shown(NAMES[name]))
    }

    /// Of a caller who may list some, those alone.
    pub fn secrets(
        &mut self,
        who: Who,
        event: Option<usize>,
        limit: Option<usize>,
    ) -> Result<String, Refused> {
        let limit = page_limit(limit, 50)?;
        let Some(event) = event else {
            self.meet_all();
            let listed = self.secrets.iter().filter(|(name, _)| may(who, LIST, name));
            return Ok(page(listed.map(|(name, it)| it.shown(name)), limit));
        };
        let mut found = Vec::new();
        // It is looked no further than the page goes, and one more.
        let names: Vec<&str> = self.secrets.keys().copied().collect();
        for name in names.into_iter().filter(|name| may(who, LIST, name)) {
            self.meet(name);
            let entry = self.secrets.get(name).filter(|it| it.event == Some(EVENTS[event]));
            found.extend(entry.map(|entry| entry.shown(name)));
            if found.len() > limit {
                break;
            }
        }
        Ok(page(found, limit))
    }

    /// csms.md 3.1; 8.2 rows 37 to 39.
    pub fn update(
        &mut self,
        target: Target,
        to: &Update,
        before: Before,
    ) -> Result<String, Refused> {
        self.change(target, (Use::Metadata, before), |model, entry, at| {
            let old = entry.clone();
            entry.description = to.description.unwrap_or(entry.description);
            entry.keep = to.keep.unwrap_or(entry.keep);
            if let Some(events) = &to.events {
                entry.event = model.subscribed(entry.event, events)?;
            }
            if let Some(key) = to.key {
                entry.key = model.named_key(key);
                if entry.key != old.key {
                    model.check_usable(entry.key.as_deref())?;
                }
            }
            entry.rotation = entry.rotation.with(to.rules, entry.rotatable, at)?;
            let same = (entry.description, entry.keep, entry.event)
                == (old.description, old.keep, old.event)
                && (&entry.key, &entry.rotation) == (&old.key, &old.rotation);
            // What is beyond it by now goes, also if it was the same before.
            let dropped = to.keep.is_some() && entry.drop_outlived(at);
            if same && !dropped {
                return Ok(Change::Nothing);
            }
            entry.described = at;
            if dropped {
                entry.changed = at;
            }
            Ok(Change::Commit(AuditOperation::UpdateSecret, None))
        })?;
        Ok(self.shown(target))
    }

    /// csms.md 2.5, 3.1.
    pub fn schedule_deletion(&mut self, target: Target, days: u32) -> Result<String, Refused> {
        if !(7..=30).contains(&days) {
            return Err(INVALID);
        }
        self.change(target, (Use::ScheduleDeletion, Before::Anything), |model, entry, at| {
            entry.deletion = Some(model.now + i64::from(days) * DAY);
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::ScheduleDeletion, None))
        })?;
        Ok(self.shown(target))
    }

    /// csms.md 2.5; 8.2 row 33: it is in the state again in which it was before.
    pub fn cancel_deletion(&mut self, target: Target) -> Result<String, Refused> {
        self.change(target, (Use::CancelDeletion, Before::Anything), |_, entry, at| {
            entry.deletion = None;
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::CancelDeletion, None))
        })?;
        Ok(self.shown(target))
    }

    /// csms.md 2.5; 8.2 rows 32 and 34.
    pub fn delete(&mut self, target: Target, before: Before) -> Result<String, Refused> {
        self.change(target, (Use::Delete, before), |_, entry, _| {
            if entry.protected { Err(PROTECTED) } else { Ok(Change::Remove) }
        })?;
        Ok(String::new())
    }

    /// csms.md 1.3; 8.2 row 36.
    pub fn set_state(&mut self, target: Target, state: SecretState) -> Result<String, Refused> {
        if state == SecretState::PendingDeletion {
            return Err(INVALID);
        }
        self.change(target, (Use::SetState, Before::Anything), |_, entry, at| {
            if entry.set_state == state {
                return Ok(Change::Nothing);
            }
            entry.set_state = state;
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::SetState, None))
        })?;
        Ok(self.shown(target))
    }

    /// In every state, since it can only save the secret.
    pub fn protect(&mut self, target: Target) -> Result<String, Refused> {
        self.change(target, (Use::Delete, Before::Anything), |_, entry, at| {
            if entry.protected {
                return Ok(Change::Nothing);
            }
            entry.protected = true;
            entry.described = at;
            Ok(Change::Commit(AuditOperation::ProtectFromPurge, None))
        })?;
        Ok(self.shown(target))
    }

    pub(super) fn shown(&self, (_, name): Target) -> String {
        self.secrets[NAMES[name]].shown(NAMES[name])
    }
}

/// A value that is too long, or not of the shape that its type asks for (csms.md 2.1, 8.1 row 23).
pub(super) fn check_value(rotatable: bool, value: Value) -> Result<(), Refused> {
    if value.text().len() > VALUE_LEN_MAX {
        return Err(TOO_MUCH);
    }
    if rotatable && !matches!(value, Value::Account(..)) {
        return Err(CONSTRAINT);
    }
    Ok(())
}

/// 8.2 row 43.
pub(super) fn page_limit(limit: Option<usize>, default: usize) -> Result<usize, Refused> {
    Some(limit.unwrap_or(default)).filter(|limit| (1..=1000).contains(limit)).ok_or(INVALID)
}

/// A page as it is shown.
pub(super) fn page(rows: impl IntoIterator<Item = String>, limit: usize) -> String {
    let mut rows: Vec<String> = rows.into_iter().collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    format!("{rows:?} {more}")
}
