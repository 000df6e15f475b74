//! What may be asked: every call, with what it is asked with.

use strongroom::{EventType, SecretState};

use crate::refusals::Refused;

pub const NAMES: [&str; 4] = ["a", "ab", "b", "c"];
pub const LABELS: [&str; 6] = ["SYSCURRENT", "SYSPREVIOUS", "SYSPENDING", "x", "y", "z"];
pub const EVENTS: [&str; 3] = ["e1", "e2", "E3"];
pub const TARGETS: [&str; 2] = ["urn:one", "urn:two"];
pub const PERIODS: [(&str, i64); 3] = [("6h", 6 * HOUR), ("360m", 6 * HOUR), ("1d", DAY)];
pub const TAG_KEYS: [&str; 3] = ["k1", "k2", "K3"];
pub const TAG_VALUES: [&str; 3] = ["", "x", "y"];
pub const ALIASES: [&str; 4] = ["", "one", "two", "not an alias"];

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A call and who makes it: a person, or the embedder. Calls that are about no secret are the
/// embedder's.
#[derive(Clone, Debug)]
pub struct Step {
    pub who: Option<usize>,
    pub call: Call,
}

#[derive(Clone, Debug)]
pub enum Call {
    // Secrets.
    Create(New),
    /// Several in few commits.
    Load(Vec<New>),
    Secret(usize),
    Secrets {
        event: Option<usize>,
        limit: Option<usize>,
    },
    Update {
        name: usize,
        to: Update,
        before: Before,
    },
    ScheduleDeletion {
        name: usize,
        days: u32,
    },
    CancelDeletion(usize),
    Delete {
        name: usize,
        before: Before,
    },
    SetState {
        name: usize,
        state: SecretState,
    },
    Protect(usize),
    // Versions.
    Put {
        name: usize,
        value: Value,
        labels: Vec<usize>,
        expires: After,
        not_before: After,
    },
    Get(usize),
    Read {
        name: usize,
        reference: Reference,
    },
    Versions(usize),
    GetMany(Vec<usize>),
    Expire {
        name: usize,
        reference: Reference,
        expires: After,
    },
    Disable {
        name: usize,
        version: u64,
    },
    Enable {
        name: usize,
        version: u64,
    },
    Destroy {
        name: usize,
        version: u64,
    },
    ScheduleDestruction {
        name: usize,
        version: u64,
        after: i64,
    },
    CancelDestruction {
        name: usize,
        version: u64,
    },
    // Labels.
    Stage {
        name: usize,
        label: usize,
    },
    Move {
        name: usize,
        label: usize,
        to: u64,
    },
    MoveMany(Vec<Move>),
    Unlabel {
        name: usize,
        label: usize,
    },
    // Tags.
    AddTags {
        name: usize,
        tags: Vec<(usize, usize)>,
    },
    RemoveTag {
        name: usize,
        key: usize,
    },
    RemoveTags {
        name: usize,
        filters: Vec<Filter>,
    },
    Tags(usize),
    ProjectTags,
    Find {
        find: Find,
        limit: Option<usize>,
        offset: usize,
    },
    Count(Find),
    // Events.
    CreateEvent {
        event: usize,
        types: Vec<EventType>,
        on: bool,
    },
    UpdateEvent {
        event: usize,
        types: Option<Vec<EventType>>,
        on: Option<bool>,
        target: Option<usize>,
    },
    DeleteEvent(usize),
    Event(usize),
    Events {
        limit: Option<usize>,
    },
    Deliver(Mood),
    Notices {
        limit: Option<usize>,
    },
    // Rotation.
    Rotate {
        name: usize,
        before: Before,
    },
    RotateDue,
    RotationsDue,
    CancelRotation(usize),
    ResumeRotation(usize),
    Tasks {
        name: Option<usize>,
        status: Option<strongroom::TaskStatus>,
        limit: Option<usize>,
    },
    // Keys.
    CreateKey {
        alias: usize,
    },
    SetKey {
        key: usize,
        enabled: bool,
    },
    DeleteKey(usize),
    Keys,
    // Blobs.
    Backup(usize),
    Restore {
        blob: usize,
        name: Option<usize>,
    },
    // The clock, the log, the files.
    Tick(Tick),
    Sweep,
    NextDue,
    Prune {
        age: i64,
    },
    Checkpoint,
    Compact,
    Reopen {
        close: bool,
        settings: Settings,
    },
}

/// A secret to be made.
#[derive(Clone, Debug)]
pub struct New {
    pub name: usize,
    pub rotatable: bool,
    pub value: Value,
    pub protected: bool,
    pub key: Option<usize>,
    pub events: Vec<usize>,
    pub keep: Keep,
    pub rules: Rules,
}

/// What is to be changed of a secret's metadata.
#[derive(Clone, Debug)]
pub struct Update {
    pub description: Option<&'static str>,
    pub events: Option<Vec<usize>>,
    pub keep: Option<Keep>,
    /// The default key, or one of the ring.
    pub key: Option<Option<usize>>,
    pub rules: Rules,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keep {
    pub versions: Option<usize>,
    pub days: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub automatic: Option<bool>,
    pub period: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value {
    /// Of the shape that can be rotated, with a password and padding of these lengths.
    Account(usize, usize),
    Text(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Reference {
    Id(u64),
    Label(usize),
    Latest,
}

/// Milliseconds from now; `None`: not said, or cleared.
pub type After = Option<i64>;

#[derive(Clone, Copy, Debug)]
pub enum Before {
    Anything,
    /// The present revision plus this.
    Revision(u64),
    Current(u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Move {
    pub name: usize,
    pub label: usize,
    pub to: u64,
    pub before: Before,
}

/// A key, and the values of which one is enough; none for any.
#[derive(Clone, Debug)]
pub struct Filter {
    pub key: usize,
    pub values: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct Find {
    pub filters: Vec<Filter>,
    pub part: Option<&'static str>,
}

/// How the notifier takes the first notification of a call; it takes all others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mood {
    Fine,
    FailsOnce,
    Fails,
    Invalid,
}

#[derive(Clone, Copy, Debug)]
pub enum Tick {
    By(i64),
    /// To the next moment at which something falls due, and so much further.
    ToDue(i64),
    /// To the moment at which the oldest record of a notification or rotation is kept no longer, and
    /// so much further.
    ToEndOfRecord(i64),
}

/// What a store is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub enforce_validity: bool,
    pub audit_reads: bool,
}

/// What a caller needs for a call: one of some actions, and some beside it, on a secret.
pub struct Needs {
    pub name: usize,
    pub one_of: &'static [&'static str],
    pub all: &'static [&'static str],
}

impl Call {
    /// What a session needs for it (csms.md 3.9); `None` for a call that only the embedder makes here.
    pub fn needs(&self) -> Option<Needs> {
        let needs = |name: &usize, one_of, all| Some(Needs { name: *name, one_of, all });
        let one = |name: &usize, action| needs(name, action, &[]);
        match self {
            Self::Secret(name) | Self::Backup(name) => one(name, &["csms:secret:get"]),
            Self::Get(name) | Self::Read { name, .. } => {
                needs(name, &["csms:secret:getVersion"], &["kms:cmk:decryptDataKey"])
            }
            Self::Put { name, .. } => {
                needs(name, &["csms:secret:createVersion"], &["kms:cmk:createDataKey"])
            }
            Self::Update { name, to, .. } => {
                let all: &[&str] = match (to.key, to.keep) {
                    (Some(Some(_)), Some(_)) => {
                        &["kms:cmk:createDataKey", "strongroom:secret:destroyVersion"]
                    }
                    (Some(Some(_)), None) => &["kms:cmk:createDataKey"],
                    (_, Some(_)) => &["strongroom:secret:destroyVersion"],
                    _ => &[],
                };
                needs(name, &["csms:secret:update"], all)
            }
            Self::ScheduleDeletion { name, .. }
            | Self::CancelDeletion(name)
            | Self::Delete { name, .. } => one(name, &["csms:secret:delete"]),
            Self::SetState { name, .. } | Self::Protect(name) => {
                one(name, &["strongroom:secret:setState"])
            }
            Self::Versions(name) => one(name, &["csms:secret:listVersion"]),
            Self::Expire { name, .. } => one(name, &["csms:secret:updateVersion"]),
            Self::Disable { name, .. } | Self::Enable { name, .. } => {
                one(name, &["strongroom:secret:setVersionState"])
            }
            Self::Destroy { name, .. }
            | Self::ScheduleDestruction { name, .. }
            | Self::CancelDestruction { name, .. } => {
                one(name, &["strongroom:secret:destroyVersion"])
            }
            Self::Stage { name, .. } => one(name, &["csms:secret:getStage"]),
            Self::Move { name, .. } => {
                one(name, &["csms:secret:updateStage", "csms:secret:createStage"])
            }
            Self::Unlabel { name, .. } => one(name, &["csms:secret:deleteStage"]),
            Self::AddTags { name, .. } => one(name, &["csms:secret:createTag"]),
            Self::RemoveTag { name, .. } | Self::RemoveTags { name, .. } => {
                one(name, &["csms:secret:deleteTag"])
            }
            Self::Tags(name) => one(name, &["csms:secret:listTags"]),
            Self::Rotate { name, .. } => one(name, &["csms:secret:rotate"]),
            Self::CancelRotation(name) | Self::ResumeRotation(name) => {
                one(name, &["strongroom:secret:controlRotation"])
            }
            _ => None,
        }
    }

    /// What a session needs, on one secret at least, for a call about several; `None` for any other.
    pub fn lists(&self) -> Option<&'static str> {
        match self {
            Self::Secrets { .. } | Self::Find { .. } | Self::Count(_) => Some("csms:secret:list"),
            Self::ProjectTags => Some("csms:secret:listTags"),
            Self::GetMany(_) => Some("csms:secret:batchGetSecretValue"),
            _ => None,
        }
    }

    /// Whether others than the embedder make it here.
    pub fn is_open(&self) -> bool {
        self.needs().is_some() || self.lists().is_some()
    }

    /// The call without what it is asked with.
    pub fn word(&self) -> String {
        format!("{self:?}").chars().take_while(char::is_ascii_alphabetic).collect()
    }
}

impl Value {
    pub fn text(self) -> String {
        match self {
            Self::Account(password, padding) => {
                let (password, padding) = ("p".repeat(password), "q".repeat(padding));
                format!(r#"{{"users":[{{"name":"u","password":"{password}"}}],"{padding}":0}}"#)
            }
            Self::Text(len) => "t".repeat(len),
        }
    }
}

/// What a call came to: a text of all that can be seen, or the refusal.
pub type Answer = Result<String, String>;

pub fn done() -> Answer {
    Ok(String::new())
}

/// The model's answer as one of the two that are compared.
pub fn answer(want: Result<String, Refused>) -> Answer {
    want.map_err(str::to_owned)
}
