//! Rotation: at once or when it is due, and what becomes of attempts that fail (csms.md 4, 8.3).

use strongroom::{AuditOperation, Stage, TaskStatus};

use super::{
    Change, Ended, Entry, Held, Ids, Model, PASSWORD_LEN, Row, Schedule, Target, Use,
    VALUE_LEN_MAX, floor, labels::allowed, secrets::page_limit,
};
use crate::{
    calls::{Before, DAY, MINUTE, NAMES, PERIODS, Rules},
    people::STORE,
    refusals::{CONSTRAINT, INVALID, MISSING, Refused, TOO_MUCH},
};

/// How long rotations that ended are told of (row 65).
const TASKS_KEPT_MS: i64 = 92 * DAY;

/// A rotation that was begun and has not ended: at least one attempt failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Open {
    id: String,
    begun: i64,
    attempts: u32,
    next: i64,
}

impl Schedule {
    /// With these rules from `at` on (rows 54 to 59).
    pub(super) fn with(&self, rules: Rules, rotatable: bool, at: i64) -> Result<Self, Refused> {
        let period = rules.period.or(self.period);
        let automatic = rules.automatic.unwrap_or(self.since.is_some());
        let since = match (automatic, period) {
            (false, _) => None,
            (true, _) if !rotatable => return Err(CONSTRAINT),
            (true, None) => return Err(INVALID),
            (true, Some(_)) => Some(self.since.unwrap_or(at)),
        };
        Ok(Self { since, period, ..self.clone() })
    }

    /// The next attempt of the one under way; or a period after the last rotation, the switching on, or
    /// one that was given up. Whole seconds.
    pub(super) fn next(&self, rotated: Option<i64>) -> Option<i64> {
        if let Some(task) = &self.task {
            return Some(task.next);
        }
        let from = [self.since, rotated, self.put_off].into_iter().flatten().max();
        let (_, period) = PERIODS[self.since.and(self.period)?];
        from.map(|from| floor(from) + period)
    }

    /// Nothing that would happen by itself.
    pub(super) fn at_rest(&self) -> Self {
        Self { period: self.period, ..Self::default() }
    }

    fn is_put_off(&self, rotated: Option<i64>) -> bool {
        let at = self.since.and(self.put_off);
        at.is_some_and(|at| rotated.is_none_or(|rotated| rotated < at))
    }

    pub(super) fn shown(&self, rotated: Option<i64>) -> String {
        let period = self.period.map(|at| PERIODS[at].0);
        format!("{} {period:?} {:?}", self.since.is_some(), self.next(rotated).map(floor))
    }
}

impl Model {
    /// csms.md 3.1, 2.3; rows 53, 60, 61, 67. `task` is the id that the store gave it, or nothing.
    pub fn rotate(
        &mut self,
        target: Target,
        before: Before,
        task: &str,
    ) -> Result<String, Refused> {
        let mut made = 0;
        self.change(target, (Use::Value, before), |model, entry, at| {
            if entry.rotation.task.is_some() {
                return Err(CONSTRAINT);
            }
            made = model.attempt(target, entry, at)?;
            Ok(rotated(made, task, None, at))
        })?;
        self.note_id(task);
        Ok(format!("{} v{made} {task}", NAMES[target.1]))
    }

    /// One attempt: a copy of the current value with another password becomes the current version.
    fn attempt(&self, (who, name): Target, entry: &mut Entry, at: i64) -> Result<u64, Refused> {
        if !entry.rotatable {
            return Err(CONSTRAINT);
        }
        for action in [
            "rds:password:update",
            "kms:cmk:get",
            "kms:cmk:list",
            "kms:cmk:createDataKey",
            "kms:cmk:decryptDataKey",
        ] {
            allowed(who, action, name)?;
        }
        let current = &entry.versions[&entry.labels[&Stage::Current].0];
        self.check_usable(current.key.as_deref())?;
        let (front, back) = current.value.around();
        if front.len() + PASSWORD_LEN + back.len() > VALUE_LEN_MAX {
            return Err(TOO_MUCH);
        }
        self.check_usable(entry.key.as_deref())?;
        let made = entry.add(Held::Made { front, back }, &[], at)?;
        entry.rotated = Some(at);
        Ok(made)
    }

    /// Rows 60 to 63.
    pub fn rotate_due(&mut self, ids: &Ids) -> String {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for name in self.rotations_due() {
            let target = (STORE, name);
            let open = self.secrets[NAMES[name]].rotation.task.clone();
            let given = ids.get(NAMES[name]).cloned().unwrap_or_default();
            let id = match &open {
                Some(open) => open.id.clone(),
                None => {
                    self.note_id(&given);
                    given
                }
            };
            let mut made = 0;
            let terms = (Use::Value, Before::Anything);
            let rotation = self.change(target, terms, |model, entry, at| {
                made = model.attempt(target, entry, at)?;
                if entry.rotation.task.take().is_some() {
                    entry.described = at;
                }
                Ok(rotated(made, &id, open.as_ref(), at))
            });
            match rotation {
                Ok(_) => done.push(format!("{} v{made} {id}", NAMES[name])),
                Err(refused) => {
                    let next = self.note_failure(name, &id);
                    failed.push(format!("{} {refused} {id} {next:?}", NAMES[name]));
                }
            }
        }
        format!("{done:?} {failed:?}")
    }

    /// Three attempts in all: a minute after the first, four after the second; then the schedule goes
    /// on a period later. Gives when the next one is made.
    fn note_failure(&mut self, name: usize, id: &str) -> Option<i64> {
        let mut next = None;
        let terms = (Use::Value, Before::Anything);
        let noted = self.change((STORE, name), terms, |_, entry, at| {
            let open = entry.rotation.task.take();
            entry.described = at;
            let begun = open.as_ref().map_or(at, |open| open.begun);
            let attempts = open.as_ref().map_or(0, |open| open.attempts) + 1;
            let (operation, wait) = match attempts {
                1 => (AuditOperation::BeginRotation, MINUTE),
                2 => (AuditOperation::RetryRotation, 4 * MINUTE),
                _ => {
                    entry.rotation.put_off = Some(at);
                    let (status, error) = (TaskStatus::Failed, Some("why"));
                    let ended = Ended { id: id.to_owned(), begun, attempts, status, error };
                    return Ok(Change::End(AuditOperation::FailRotation, None, ended));
                }
            };
            next = Some(at + wait);
            let open = Open { id: id.to_owned(), begun, attempts, next: at + wait };
            entry.rotation.task = Some(open);
            Ok(Change::Commit(operation, None))
        });
        noted.expect("it was due just now");
        next
    }

    pub fn cancel_rotation(&mut self, target: Target) -> Result<String, Refused> {
        self.change(target, (Use::Metadata, Before::Anything), |_, entry, at| {
            let Open { id, begun, attempts, .. } = entry.rotation.task.take().ok_or(MISSING)?;
            (entry.rotation.put_off, entry.described) = (Some(at), at);
            let (status, error) = (TaskStatus::Failed, Some("cancelled"));
            let ended = Ended { id, begun, attempts, status, error };
            Ok(Change::End(AuditOperation::CancelRotation, None, ended))
        })?;
        Ok(self.shown(target))
    }

    pub fn resume_rotation(&mut self, target: Target) -> Result<String, Refused> {
        self.change(target, (Use::Metadata, Before::Anything), |model, entry, at| {
            let put_off = entry.rotation.is_put_off(entry.rotated);
            match &mut entry.rotation.task {
                Some(task) if task.next <= model.now => return Ok(Change::Nothing),
                Some(task) => task.next = model.now,
                None if put_off => entry.rotation.put_off = None,
                None => return Err(CONSTRAINT),
            }
            entry.described = at;
            Ok(Change::Commit(AuditOperation::ResumeRotation, None))
        })?;
        Ok(self.shown(target))
    }

    /// Those under way, and those that ended in the last three months as far as the log tells of them
    /// (csms.md 3.6, rows 64 and 65).
    pub fn tasks(
        &mut self,
        name: Option<usize>,
        status: Option<TaskStatus>,
        limit: Option<usize>,
    ) -> Result<String, Refused> {
        let limit = page_limit(limit, 50)?;
        self.meet_all();
        let mut tasks: Vec<(i64, String, String)> = Vec::new();
        let asked = |secret: &str, is: TaskStatus| {
            name.is_none_or(|name| NAMES[name] == secret) && status.is_none_or(|asked| asked == is)
        };
        for row in self.log.iter().skip(self.cut) {
            let (Some(ended), Some(secret)) = (&row.task, row.secret) else { continue };
            if row.time >= self.now - TASKS_KEPT_MS && asked(secret, ended.status) {
                tasks.push((floor(ended.begun), ended.id.clone(), ended.shown(row)));
            }
        }
        for (secret, entry) in &self.secrets {
            let Some(open) = &entry.rotation.task else { continue };
            if asked(secret, TaskStatus::Running) {
                tasks.push((floor(open.begun), open.id.clone(), open.shown(secret)));
            }
        }
        // The newest first.
        tasks.sort_by(|a, b| b.cmp(a));
        let (total, more) = (tasks.len(), tasks.len() > limit);
        let tasks: Vec<String> = tasks.into_iter().take(limit).map(|(.., text)| text).collect();
        Ok(format!("{tasks:?} {total} {more}"))
    }

    /// When the oldest rotation that is told of is told of no more.
    pub(super) fn end_of_task(&self) -> Option<i64> {
        let ended = self.log.iter().skip(self.cut).filter(|row| row.task.is_some());
        ended.map(|row| row.time + TASKS_KEPT_MS).filter(|at| *at >= self.now).min()
    }
}

/// The end of a rotation that succeeded.
fn rotated(made: u64, id: &str, open: Option<&Open>, at: i64) -> Change {
    let ended = Ended {
        id: id.to_owned(),
        begun: open.map_or(at, |open| open.begun),
        attempts: open.map_or(1, |open| open.attempts + 1),
        status: TaskStatus::Success,
        error: None,
    };
    Change::End(AuditOperation::RotateSecret, Some(made), ended)
}

impl Ended {
    fn shown(&self, row: &Row) -> String {
        let Self { id, begun, attempts, status, error } = self;
        let (secret, ended) = (row.secret.unwrap_or_default(), Some(floor(row.time)));
        let (begun, version) = (floor(*begun), row.version);
        format!("{id} {secret} {status} {begun} {ended:?} None {attempts} {error:?} {version:?}")
    }
}

impl Open {
    fn shown(&self, secret: &str) -> String {
        let Self { id, begun, attempts, next } = self;
        let (begun, next, error) = (floor(*begun), Some(floor(*next)), Some("why"));
        format!("{id} {secret} RUNNING {begun} None {next:?} {attempts} {error:?} None")
    }
}
