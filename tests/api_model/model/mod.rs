//! The rules of csms.md and of the public documents, written down a second time over plain maps.

mod answer;
mod due;
mod events;
mod keys;
mod labels;
mod rotation;
mod secrets;
mod shown;
mod tags;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use strongroom::{AuditOperation, SecretState, Stage, TaskStatus, VersionState};

use crate::{
    calls::{Before, Keep, NAMES, Settings},
    notifier::Told,
    people::{EMBEDDER, STORE, Who},
    refusals::{CONFLICT, NO_SECRET, NOT_ENABLED, NOT_SCHEDULED, PENDING, Refused, SCHEDULED},
};

pub const VERSIONS_MAX: usize = 5;
pub const LABELS_MAX: usize = 5;
pub const VALUE_LEN_MAX: usize = 200;
/// Length of a password that the store makes.
pub const PASSWORD_LEN: usize = 24;

/// Ids that the store gave to several secrets or tasks, by secret: the model cannot know them.
pub type Ids = BTreeMap<String, String>;

/// A secret by its name, and who calls.
pub type Target = (Who, usize);

/// A store, as far as one can see it from outside.
#[derive(Clone, Debug)]
pub struct Model {
    pub now: i64,
    pub settings: Settings,
    pub secrets: BTreeMap<&'static str, Entry>,
    pub events: BTreeMap<&'static str, EventRow>,
    pub keys: Vec<KeyRow>,
    /// One row for each change, in order, since the sequence began.
    pub log: Vec<Row>,
    /// How many rows were cut off its front.
    pub cut: usize,
    commits: u64,
    /// How many rows notifications have come behind.
    told: usize,
    notices: Vec<Notice>,
    ids: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub rotatable: bool,
    description: &'static str,
    set_state: SecretState,
    pub deletion: Option<i64>,
    pub protected: bool,
    keep: Keep,
    key: Option<String>,
    event: Option<&'static str>,
    tags: BTreeMap<&'static str, &'static str>,
    rotation: Schedule,
    created: i64,
    /// When metadata, and when labels or versions changed last.
    described: i64,
    changed: i64,
    rotated: Option<i64>,
    revision: u64,
    next: u64,
    versions: BTreeMap<u64, Version>,
    /// Where a label is, and since when.
    labels: BTreeMap<Stage, (u64, i64)>,
}

/// Whether and when a secret is rotated by itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Schedule {
    /// When it was switched on, if it is.
    since: Option<i64>,
    period: Option<usize>,
    /// When the last one that came to nothing was given up.
    put_off: Option<i64>,
    task: Option<rotation::Open>,
}

/// Whether something of an expiry was told, and if so, whether the secret subscribed to an event then.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Heard {
    No,
    ByNobody,
    BySomebody,
}

#[derive(Clone, Debug)]
pub struct Version {
    created: i64,
    expires: Option<i64>,
    not_before: Option<i64>,
    destruction: Option<i64>,
    state: VersionState,
    key: Option<String>,
    near: Heard,
    expired: Heard,
    value: Held,
}

/// A value, or what stands around a password that the store made up and nobody has seen yet.
#[derive(Clone, Debug)]
pub enum Held {
    Known(String),
    Made { front: String, back: String },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventRow {
    pub types: Vec<strongroom::EventType>,
    pub on: bool,
    pub target: usize,
    pub created: i64,
    pub updated: i64,
}

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: String,
    pub alias: &'static str,
    pub enabled: bool,
    gone: bool,
}

/// A record of the audit log.
#[derive(Clone, Debug)]
pub struct Row {
    /// Counted from the beginning of the sequence.
    pub commit: u64,
    pub operation: AuditOperation,
    pub secret: Option<&'static str>,
    pub version: Option<u64>,
    pub actor: Who,
    pub time: i64,
    /// What the secret subscribed to, and whether it can be rotated.
    subject: Option<(&'static str, bool)>,
    task: Option<Ended>,
}

/// A rotation that ended.
#[derive(Clone, Debug)]
struct Ended {
    id: String,
    begun: i64,
    attempts: u32,
    status: TaskStatus,
    error: Option<&'static str>,
}

/// A record of a notification.
#[derive(Clone, Debug)]
struct Notice {
    told: Told,
    created: i64,
    status: &'static str,
}

/// What a call does with a secret, as far as its state matters: the rows of csms.md 8.5.
#[derive(Clone, Copy, Debug)]
enum Use {
    Metadata,
    Value,
    Delete,
    ScheduleDeletion,
    CancelDeletion,
    SetState,
}

/// What an edit came to.
enum Change {
    Nothing,
    Commit(AuditOperation, Option<u64>),
    /// The same, with what the log tells of a rotation.
    End(AuditOperation, Option<u64>, Ended),
    Remove,
}

impl Model {
    /// An empty store at `now`, whose log begins with the record of the cut before it.
    pub fn new(now: i64, settings: Settings) -> Self {
        let mut model = Self {
            now,
            settings,
            secrets: BTreeMap::new(),
            events: BTreeMap::new(),
            keys: Vec::new(),
            log: Vec::new(),
            cut: 0,
            commits: 0,
            told: 0,
            notices: Vec::new(),
            ids: BTreeSet::new(),
        };
        model.record_act(EMBEDDER, AuditOperation::PruneAudit);
        model
    }

    pub fn entry(&self, name: usize) -> Result<&Entry, Refused> {
        self.secrets.get(NAMES[name]).ok_or(NO_SECRET)
    }

    /// For preconditions; of no secret, any.
    pub fn revision(&self, name: usize) -> u64 {
        self.entry(name).map_or(1, |entry| entry.revision)
    }

    /// An id that the store made up, if it did: never one that was there before.
    fn note_id(&mut self, id: &str) {
        assert!(id.is_empty() || self.ids.insert(id.to_owned()), "the id {id} again");
    }

    /// Removes a secret whose scheduled deletion is due (8.2 row 35).
    fn meet(&mut self, name: &'static str) {
        let now = self.now;
        if self.secrets.get(name).is_some_and(|entry| entry.deletion.is_some_and(|at| at <= now)) {
            let entry = self.secrets.remove(name).expect("looked for");
            let row = entry.row((STORE, name), AuditOperation::DeleteSecret, None, now);
            self.record(vec![row]);
        }
    }

    /// The same for all, as listings do, the longest due first.
    fn meet_all(&mut self) {
        let due = self.secrets.iter().filter_map(|(name, entry)| Some((entry.deletion?, *name)));
        let mut due: Vec<(i64, &str)> = due.filter(|(at, _)| *at <= self.now).collect();
        due.sort_unstable();
        due.into_iter().for_each(|(_, name)| self.meet(name));
    }

    /// The one way in which a secret that is there is changed. Says whether it was.
    fn change(
        &mut self,
        (who, name): Target,
        (usage, before): (Use, Before),
        edit: impl FnOnce(&Self, &mut Entry, i64) -> Result<Change, Refused>,
    ) -> Result<bool, Refused> {
        let text = NAMES[name];
        self.meet(text);
        let mut entry = self.entry(name)?.clone();
        entry.admits(usage)?;
        entry.check(before)?;
        let at = self.now;
        let (operation, version, task) = match edit(self, &mut entry, at)? {
            Change::Nothing => return Ok(false),
            Change::Commit(operation, version) => (operation, version, None),
            Change::End(operation, version, ended) => (operation, version, Some(ended)),
            Change::Remove => {
                let row = entry.row((who, text), AuditOperation::DeleteSecret, None, at);
                self.secrets.remove(text);
                self.record(vec![row]);
                return Ok(true);
            }
        };
        entry.revision += 1;
        let row = entry.row((who, text), operation, version, at);
        self.record(vec![Row { task, ..row }]);
        self.secrets.insert(text, entry);
        Ok(true)
    }

    /// The records of one commit.
    fn record(&mut self, rows: Vec<Row>) {
        self.commits += 1;
        let commit = self.commits;
        self.log.extend(rows.into_iter().map(|row| Row { commit, ..row }));
    }

    /// A commit that changes no secret.
    fn record_act(&mut self, actor: Who, operation: AuditOperation) {
        let row = Row {
            commit: 0,
            operation,
            secret: None,
            version: None,
            actor,
            time: self.now,
            subject: None,
            task: None,
        };
        self.record(vec![row]);
    }

    /// Counts of what [`strongroom::SecretStore::verify`] looks at.
    pub fn verified(&self) -> (u64, u64, u64) {
        let kept = |version: &&Version| version.state != VersionState::Destroyed;
        let versions = self.secrets.values().map(|it| it.versions.values().filter(kept).count());
        (
            self.secrets.len() as u64,
            versions.sum::<usize>() as u64,
            (self.log.len() - self.cut) as u64,
        )
    }
}

impl Entry {
    pub fn state(&self) -> SecretState {
        if self.deletion.is_some() { SecretState::PendingDeletion } else { self.set_state }
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.versions.keys().copied().collect()
    }

    /// The table of csms.md 8.5.
    fn admits(&self, usage: Use) -> Result<(), Refused> {
        use SecretState::{Disabled, Enabled, Frozen, PendingDeletion};
        match (self.state(), usage) {
            (_, Use::Delete) => Ok(()),
            (PendingDeletion, Use::CancelDeletion) => Ok(()),
            (_, Use::CancelDeletion) => Err(NOT_SCHEDULED),
            (PendingDeletion, Use::ScheduleDeletion) => Err(SCHEDULED),
            (PendingDeletion, _) => Err(PENDING),
            (Enabled, _) => Ok(()),
            (Disabled, Use::Metadata | Use::ScheduleDeletion | Use::SetState) => Ok(()),
            (Frozen, Use::SetState) => Ok(()),
            _ => Err(NOT_ENABLED),
        }
    }

    fn check(&self, before: Before) -> Result<(), Refused> {
        let holds = match before {
            Before::Anything => true,
            Before::Revision(more) => more == 0,
            Before::Current(version) => self.labels[&Stage::Current].0 == version,
        };
        if holds { Ok(()) } else { Err(CONFLICT) }
    }

    /// Versions of a secret sort by their time (csms.md 3.1), so a clock that was set back does not
    /// take them with it.
    fn time_of_next(&self, now: i64) -> i64 {
        let youngest = self.versions.values().last().expect("never none").created;
        now.max(youngest + 1)
    }

    fn row(
        &self,
        (actor, name): (Who, &'static str),
        operation: AuditOperation,
        version: Option<u64>,
        time: i64,
    ) -> Row {
        let subject = self.event.map(|event| (event, self.rotatable));
        let secret = Some(name);
        Row { commit: 0, operation, secret, version, actor, time, subject, task: None }
    }

    fn is_labelled(&self, id: u64) -> bool {
        self.labels.values().any(|(at, _)| *at == id)
    }
}

impl Held {
    /// What stands before and behind the password.
    fn around(&self) -> (String, String) {
        match self {
            Self::Made { front, back } => (front.clone(), back.clone()),
            Self::Known(text) => {
                let (front, rest) = text.split_once(r#""password":""#).expect("an account");
                let (_, back) = rest.split_once('"').expect("an account");
                (format!(r#"{front}"password":""#), format!("\"{back}"))
            }
        }
    }

    /// Whether this is the value, which is known from then on.
    fn is(&mut self, text: &str) -> bool {
        match self {
            Self::Known(known) => known == text,
            Self::Made { front, back } => {
                let inner = text.strip_prefix(front.as_str());
                let inner = inner.and_then(|rest| rest.strip_suffix(back.as_str()));
                let fits = inner.is_some_and(|password| password.len() == PASSWORD_LEN);
                if fits {
                    *self = Self::Known(text.to_owned());
                }
                fits
            }
        }
    }
}

/// The whole second that a time lies in.
pub fn floor(millis: i64) -> i64 {
    millis - millis.rem_euclid(1000)
}
