//! Calls that follow from their number and a seed, and what must be there after them.
//!
//! Who makes the calls and who checks what they left need to share nothing but the seed. Each thread
//! has secrets of its own, so that its calls happen one after the other. What the store draws itself,
//! a rotation's password, is any until it was told or seen.
//!
//! The newer calls, of states, tags, events, keys and backups, are in `workload/newer.rs`.
#![allow(dead_code, reason = "no program uses all of it")]
#![allow(unreachable_pub, reason = "a module of each program")]

#[path = "workload/newer.rs"]
mod newer;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as StdError,
};

use strongroom::{
    Builder, Description, ErrorKind, HasKey, Limits, ListSecrets, ListVersions, MasterKey,
    NewSecret, NewVersion, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue, Stage,
    Unlock, VersionId, VersionRef,
};

pub use newer::Newer;
use newer::{FoundNewer, NewerEntry, NewerModel};

pub type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Secrets of one thread.
const NAMES: u64 = 5;

/// Every so many calls of the first thread, the last of them changes the key slots.
pub const SLOTS_EVERY: u64 = 37;

/// Versions kept, few so that some are dropped.
const VERSIONS_MAX: usize = 4;

/// How long the passwords are that a rotation draws, and no others.
const PASSWORD_LEN: usize = 24;

/// What the calls are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub seed: u64,
    /// How many of a hundred values are large.
    pub large: u64,
    /// Longest large value, in bytes; the shortest is a tenth of it.
    pub large_len_max: u64,
    /// Whether the newer calls are among them.
    pub newer: bool,
}

/// One call.
#[derive(Clone, Debug)]
pub enum Call {
    Create(String),
    Put(String, Option<Stage>),
    Rotate(String),
    Describe(String),
    Move(String, Stage, u64),
    Unlabel(String, Stage),
    Delete(String),
    AddSlot,
    RemoveSlot,
    Checkpoint,
    Newer(Newer),
}

/// What one thread's calls made.
#[derive(Clone, Debug, Default)]
pub struct Model {
    thread: u64,
    /// The number of the next call.
    pub next: u64,
    secrets: BTreeMap<String, Entry>,
    slots: BTreeSet<String>,
    newer: NewerModel,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    description: String,
    next: u64,
    versions: BTreeMap<u64, Content>,
    labels: BTreeMap<Stage, u64>,
    newer: NewerEntry,
}

/// A value: written by this call, with this password in it.
#[derive(Clone, Debug)]
struct Content {
    call: u64,
    password: Password,
}

#[derive(Clone, Debug)]
enum Password {
    /// The one that the call wrote.
    Own,
    /// One that a rotation drew and nobody was told.
    Any,
    Told(String),
}

/// Everything that a store answers about secrets and slots.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    pub secrets: BTreeMap<String, FoundEntry>,
    pub slots: BTreeSet<String>,
    newer: FoundNewer,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundEntry {
    description: String,
    /// `None` if it may not be read.
    versions: BTreeMap<u64, Option<String>>,
    labels: BTreeMap<Stage, u64>,
    newer: NewerEntry,
}

pub fn master_key() -> MasterKey {
    key_of(77)
}

/// What the second slot opens with, when there is one.
pub fn second_key() -> MasterKey {
    key_of(78)
}

fn key_of(salt: u64) -> MasterKey {
    let bytes: [u8; 32] = std::array::from_fn(|n| draw(n as u64, salt).to_le_bytes()[0]);
    MasterKey::from_bytes(&bytes).expect("a key")
}

pub fn builder(key: MasterKey) -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).expect("allowed");
    let limits = limits.with_value_len_max_bytes(1 << 20).expect("allowed");
    SecretStore::builder().master_key(key).limits(limits)
}

/// A number that depends on nothing but its arguments (splitmix64).
fn draw(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(1);
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn rotatable(name: &str) -> bool {
    name.ends_with(['0', '2', '4'])
}

fn blue() -> Stage {
    "blue".parse().expect("a label")
}

impl Call {
    /// What kind of call it is, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Put(..) => "put",
            Self::Rotate(_) => "rotate",
            Self::Describe(_) => "describe",
            Self::Move(..) | Self::Unlabel(..) => "labels",
            Self::Delete(_) => "delete",
            Self::AddSlot | Self::RemoveSlot => "key slots",
            Self::Checkpoint => "checkpoint",
            Self::Newer(newer) => newer.kind(),
        }
    }

    /// Whether it is seen from what is there that it was made.
    pub fn is_seen(&self) -> bool {
        !matches!(self, Self::Checkpoint | Self::Newer(Newer::Deliver | Newer::Prune))
    }
}

impl Workload {
    /// What the next call of the model's thread does.
    pub fn call(&self, model: &Model) -> Call {
        let (thread, n) = (model.thread, model.next);
        let name = format!("t{thread}-n{}", self.draw(thread, n, 1) % NAMES);
        if thread == 0 && n % SLOTS_EVERY == SLOTS_EVERY - 1 {
            return if model.slots.len() == 1 { Call::AddSlot } else { Call::RemoveSlot };
        }
        if n % 53 == 52 {
            return Call::Checkpoint;
        }
        let Some(entry) = model.secrets.get(&name) else { return Call::Create(name) };
        if self.newer
            && let Some(newer) = Newer::draw(model, &name, self.draw(thread, n, 60) % 28)
        {
            return Call::Newer(newer);
        }
        match self.draw(thread, n, 50) % 20 {
            0 => Call::Describe(name),
            1 | 2 => {
                let newest = entry.versions.keys().last().copied().expect("a version");
                Call::Move(name, blue(), newest)
            }
            3 if entry.labels.contains_key(&blue()) => Call::Unlabel(name, blue()),
            4 => Call::Put(name, Some(Stage::Pending)),
            5 => Call::Delete(name),
            6..=12 if rotatable(&name) => Call::Rotate(name),
            _ => Call::Put(name, None),
        }
    }

    /// Makes the next call of the model's thread. Gives the password that a rotation drew.
    pub fn make(&self, store: &SecretStore, model: &Model, call: &Call) -> Outcome<Option<String>> {
        let named = |name: &str| name.parse::<SecretName>();
        let value = || SecretValue::from_string(self.text(model.thread, model.next, None));
        match call {
            Call::Create(name) => {
                let kind = if rotatable(name) { SecretType::RdsFg } else { SecretType::Common };
                store.create_secret(NewSecret::new(named(name)?, value()).secret_type(kind))?;
            }
            Call::Put(name, stage) => {
                store.put_version(&named(name)?, NewVersion::new(value()).stages(stage.clone()))?;
            }
            Call::Rotate(name) => {
                let rotation = store.rotate(&named(name)?)?;
                let made = store.version(&named(name)?, &VersionRef::Id(rotation.version_id()))?;
                return Ok(Some(password_of(made.value().expose_str().ok_or("not text")?)));
            }
            Call::Describe(name) => {
                let text = described(model.next).parse::<Description>()?;
                store.update_secret(&named(name)?, &SecretUpdate::new().description(text))?;
            }
            Call::Move(name, stage, to) => {
                let to = VersionId::from_number(*to).expect("a version");
                store.move_stage(&named(name)?, stage, to)?;
            }
            Call::Unlabel(name, stage) => store.delete_stage(&named(name)?, stage)?,
            Call::Delete(name) => store.delete_secret(&named(name)?)?,
            Call::AddSlot => {
                let (first, second) = (Unlock::from(master_key()), Unlock::from(second_key()));
                store.add_key_slot(&first, &second, &slot_label(model.next))?;
            }
            Call::RemoveSlot => {
                let last = store.key_slots().pop().expect("a slot");
                store.remove_key_slot(last.id())?;
            }
            Call::Checkpoint => store.checkpoint()?,
            Call::Newer(newer) => newer.make(store, model)?,
        }
        Ok(None)
    }

    /// The value that a call writes, with its own password or another.
    fn text(&self, thread: u64, n: u64, password: Option<&str>) -> String {
        let chance = self.draw(thread, n, 100) % 100;
        let len = match chance {
            _ if chance < self.large => {
                let least = self.large_len_max / 10;
                least + self.draw(thread, n, 200) % (self.large_len_max - least + 1)
            }
            90.. => 3_000 + self.draw(thread, n, 201) % 6_000,
            _ => self.draw(thread, n, 202) % 300,
        };
        let len = usize::try_from(len).expect("small");
        let pad = format!("{:016x}", self.draw(thread, n, 300)).repeat(len / 16 + 1);
        let own = format!("pw-{thread}-{n}");
        let password = password.unwrap_or(&own);
        let user = format!(r#"{{"name":"app","password":"{password}"}}"#);
        format!(r#"{{"users":[{user}],"pad":"{}"}}"#, &pad[..len])
    }

    fn draw(&self, thread: u64, n: u64, salt: u64) -> u64 {
        draw(n, self.seed.wrapping_mul(1_000_000).wrapping_add(salt + thread * 1_000))
    }

    /// The first thing in which what was found is not as the model says.
    pub fn difference(&self, model: &Model, found: &Found) -> Option<String> {
        let own = format!("t{}-", model.thread);
        let there = found.secrets.keys().filter(|name| name.starts_with(&own));
        if model.thread == 0 && model.slots != found.slots {
            return Some(format!("slots {:?}, not {:?}", found.slots, model.slots));
        }
        let newer = found.newer.of_thread(model.thread);
        if newer != model.newer.seen() {
            return Some(format!("{newer:?}, not {:?}", model.newer));
        }
        if !there.clone().eq(model.secrets.keys()) {
            let (there, wanted) = (there.collect::<Vec<_>>(), model.secrets.keys());
            return Some(format!("secrets {there:?}, not {wanted:?}"));
        }
        let entries = model.secrets.iter();
        entries.map(|(name, want)| (name, want, &found.secrets[name])).find_map(
            |(name, want, got)| {
                let what = self.entry_difference(model.thread, want, got)?;
                Some(format!("{name}: {what}"))
            },
        )
    }

    fn entry_difference(&self, thread: u64, want: &Entry, got: &FoundEntry) -> Option<String> {
        if want.description != got.description {
            return Some(format!("described as {:?}", got.description));
        }
        if !want.versions.keys().eq(got.versions.keys()) || want.labels != got.labels {
            let (found, wanted) = (got.versions.keys(), want.versions.keys());
            return Some(format!(
                "versions {found:?} and labels {:?}, not {wanted:?} and {:?}",
                got.labels, want.labels
            ));
        }
        if want.newer != got.newer {
            return Some(format!("{:?}, not {:?}", got.newer, want.newer));
        }
        let values = want.versions.iter().zip(got.versions.values());
        let readable = values.filter(|((id, _), _)| want.newer.can_be_read(**id));
        readable
            .map(|(want, got)| (want, got.as_deref().unwrap_or_default()))
            .filter(|((_, want), got)| {
                let password = match &want.password {
                    Password::Own => None,
                    Password::Any => Some(password_of(got)),
                    Password::Told(password) => Some(password.clone()),
                };
                let long = password.as_ref().is_none_or(|it| it.len() == PASSWORD_LEN);
                !long || self.text(thread, want.call, password.as_deref()) != *got
            })
            .map(|((id, want), got)| {
                format!(
                    "v{id} begins {:?}, but call {} made it",
                    &got[..60.min(got.len())],
                    want.call
                )
            })
            .next()
    }
}

impl Model {
    /// Before the first call of a thread.
    pub fn new(thread: u64) -> Self {
        let slots = if thread == 0 { BTreeSet::from([String::new()]) } else { BTreeSet::new() };
        Self { thread, slots, ..Self::default() }
    }

    /// Before call `n` of a thread, passwords unknown.
    pub fn at(workload: &Workload, thread: u64, n: u64) -> Self {
        let mut model = Self::new(thread);
        while model.next < n {
            let call = workload.call(&model);
            model.apply(&call, None);
        }
        model
    }

    /// Whether there is a second slot.
    pub fn has_second_key(&self) -> bool {
        self.slots.len() > 1
    }

    /// What the next call does to what is there.
    pub fn apply(&mut self, call: &Call, password: Option<String>) {
        let n = self.next;
        self.next += 1;
        let own = Content { call: n, password: Password::Own };
        match call {
            Call::Create(name) => {
                let mut entry = Entry { next: 1, ..Entry::default() };
                entry.add(own, None);
                self.secrets.insert(name.clone(), entry);
            }
            Call::Put(name, stage) => {
                self.fires(name);
                self.entry(name).add(own, stage.clone());
            }
            Call::Rotate(name) => {
                self.fires(name);
                let entry = self.entry(name);
                let call = entry.versions[&entry.labels[&Stage::Current]].call;
                let password = password.map_or(Password::Any, Password::Told);
                entry.add(Content { call, password }, None);
            }
            Call::Describe(name) => self.entry(name).description = described(n),
            Call::Move(name, stage, to) => {
                self.entry(name).labels.insert(stage.clone(), *to);
            }
            Call::Unlabel(name, stage) => {
                self.entry(name).labels.remove(stage);
            }
            Call::Delete(name) => {
                self.fires(name);
                self.secrets.remove(name);
            }
            Call::AddSlot => {
                self.slots.insert(slot_label(n));
            }
            Call::RemoveSlot => self.slots.retain(String::is_empty),
            Call::Checkpoint => {}
            Call::Newer(newer) => newer.apply(self, n),
        }
    }

    /// Takes over the passwords of rotations whose answer was never heard. They must not change any
    /// more. What was found has to agree otherwise.
    pub fn learn(&mut self, found: &Found) {
        for (name, entry) in &mut self.secrets {
            for (id, content) in &mut entry.versions {
                if matches!(content.password, Password::Any)
                    && let Some(text) = &found.secrets[name].versions[id]
                {
                    content.password = Password::Told(password_of(text));
                }
            }
        }
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        self.secrets.get_mut(name).expect("there")
    }
}

impl Entry {
    fn add(&mut self, content: Content, stage: Option<Stage>) {
        let id = self.next;
        self.next += 1;
        self.versions.insert(id, content);
        let stage = stage.unwrap_or(Stage::Current);
        if stage == Stage::Current
            && let Some(left) = self.labels.get(&Stage::Current).copied()
        {
            self.labels.insert(Stage::Previous, left);
        }
        self.labels.insert(stage, id);
        while self.versions.len() > VERSIONS_MAX {
            let labelled: BTreeSet<u64> = self.labels.values().copied().collect();
            let oldest = self.versions.keys().copied().find(|v| !labelled.contains(v));
            let oldest = oldest.expect("fewer labels than versions");
            self.versions.remove(&oldest);
            self.newer.forget(oldest);
        }
    }
}

impl Found {
    /// Asks a store for everything.
    pub fn of(store: &SecretStore) -> Outcome<Self> {
        let slots = store.key_slots();
        let slots = slots.iter().map(|slot| slot.label().to_owned()).collect();
        let mut found = Self { slots, newer: FoundNewer::of(store)?, ..Self::default() };
        for secret in store.secrets(&ListSecrets::new().limit(1000))?.items() {
            let description = secret.description().to_string();
            let newer = NewerEntry::of(store, secret)?;
            let mut entry = FoundEntry { description, newer, ..FoundEntry::default() };
            for version in store.versions(secret.name(), &ListVersions::new())?.items() {
                let text = match store.version(secret.name(), &VersionRef::Id(version.id())) {
                    Ok(got) => Some(got.value().expose_str().ok_or("not text")?.to_owned()),
                    Err(err) => match err.kind() {
                        ErrorKind::SecretState | ErrorKind::VersionState => None,
                        _ => return Err(err.into()),
                    },
                };
                entry.versions.insert(version.id().number(), text);
                for stage in version.stages() {
                    entry.labels.insert(stage.clone(), version.id().number());
                }
            }
            found.secrets.insert(secret.name().to_string(), entry);
        }
        Ok(found)
    }
}

fn described(n: u64) -> String {
    format!("described by {n}")
}

fn slot_label(n: u64) -> String {
    format!("slot-{n}")
}

fn password_of(text: &str) -> String {
    let (_, rest) = text.split_once(r#""password":""#).expect("a password");
    rest.split_once('"').expect("its end").0.to_owned()
}
