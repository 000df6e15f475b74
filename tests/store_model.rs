//! A store does what a plain map does, whatever is asked of it in whatever order, closed and opened
//! again in between.
//!
//! The map follows the rules of csms.md 2.3 and 8.1, written down a second time. The sequences come
//! from a fixed seed; `STRONGROOM_SEED=n` sets another, `STRONGROOM_SEQUENCES=n` how many. A failure
//! prints the seed and the shortest sequence that still fails.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

#[path = "support/sequences.rs"]
mod sequences;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use sequences::Sequences;
use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListSecrets, ListVersions, MasterKey, NewSecret,
    NewVersion, Preconditions, RequestToken, RotateOptions, Secret, SecretName, SecretStore,
    SecretType, SecretUpdate, SecretValue, Stage, StageInfo, Timestamp, Unlock, VersionId,
    VersionMetadata, VersionRef, testing::ManualClock,
};
use tempfile::TempDir;

const SEQUENCES: u32 = 2000;
const CALLS: usize = 50;

const VERSIONS_MAX: usize = 4;
const LABELS_MAX: usize = 5;
const VALUE_LEN_MAX: usize = 200;
/// Length of a password that the store makes.
const PASSWORD_LEN: usize = 24;

const START_MS: i64 = 1_700_000_000_250;
const NAMES: [&str; 5] = ["a", "ab", "abc", "b", "B-1"];
const LABELS: [&str; 6] = ["SYSCURRENT", "SYSPREVIOUS", "SYSPENDING", "x", "y", "z"];
const TOKENS: [&str; 3] = ["t1", "t2", "t3"];

// --- What may be asked ------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Call {
    Create { name: usize, rotatable: bool, value: Value, token: Option<usize> },
    Put { name: usize, value: Value, labels: Vec<usize>, expires: Expires, terms: Terms },
    Rotate { name: usize, terms: Terms },
    Version { name: usize, reference: Reference },
    Versions { name: usize, marker: Option<u64>, limit: Option<usize> },
    Secrets { prefix: &'static str, marker: Option<&'static str>, limit: Option<usize> },
    UpdateSecret { name: usize, description: Option<&'static str>, before: Before },
    UpdateVersion { name: usize, reference: Reference, expires: Expires, before: Before },
    Stage { name: usize, label: usize },
    MoveStage { name: usize, label: usize, to: u64, before: Before },
    DeleteStage { name: usize, label: usize, before: Before },
    Delete { name: usize, before: Before },
    AddSlot,
    RemoveSlot,
    Tick(i64),
    Checkpoint,
    Close,
    Drop,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Value {
    /// Of the shape that can be rotated, with a password and padding of these lengths.
    Account(usize, usize),
    Text(usize),
    Binary(usize),
}

#[derive(Clone, Copy, Debug)]
enum Reference {
    Id(u64),
    Label(usize),
    Latest,
}

/// Milliseconds from now; `None`: not said, or cleared.
type Expires = Option<i64>;

#[derive(Clone, Copy, Debug)]
struct Terms {
    token: Option<usize>,
    before: Before,
}

#[derive(Clone, Copy, Debug)]
enum Before {
    Anything,
    /// The present revision plus this.
    Revision(u64),
    Current(u64),
}

#[expect(clippy::too_many_lines, reason = "one line a call")]
fn calls() -> impl Strategy<Value = Vec<Call>> {
    // Most calls meet in one or two secrets, so that these grow old.
    let name = || prop_oneof![12 => Just(0_usize), 5 => Just(1_usize), 1 => 0..NAMES.len()];
    let label = || 0..LABELS.len();
    let value = || {
        prop_oneof![
            12 => (0_usize..40, 0_usize..40).prop_map(|(p, q)| Value::Account(p, q)),
            1 => (0_usize..10, 115_usize..150).prop_map(|(p, q)| Value::Account(p, q)),
            2 => prop_oneof![0_usize..30, 195_usize..205].prop_map(Value::Text),
            1 => prop_oneof![0_usize..30, 145_usize..155].prop_map(Value::Binary),
        ]
    };
    let before = || {
        prop_oneof![
            20 => Just(Before::Anything),
            1 => (0_u64..2).prop_map(Before::Revision),
            1 => (1_u64..5).prop_map(Before::Current),
        ]
    };
    let token = || prop_oneof![5 => Just(None), 1 => (0..TOKENS.len()).prop_map(Some)];
    let terms = move || (token(), before()).prop_map(|(token, before)| Terms { token, before });
    let version = || prop_oneof![4 => 1_u64..5, 2 => 5_u64..9, 1 => 9_u64..14];
    let reference = move || {
        prop_oneof![
            2 => version().prop_map(Reference::Id),
            2 => label().prop_map(Reference::Label),
            1 => Just(Reference::Latest),
        ]
    };
    let expires = || {
        let cases =
            std::vec![None, None, None, Some(-1), Some(500), Some(1500), Some(9000), Some(90_000)];
        select(cases)
    };
    let labels = move || {
        prop_oneof![
            3 => Just(Vec::new()),
            3 => subsequence((0..LABELS.len()).collect::<Vec<_>>(), 1..=LABELS.len()),
            1 => vec(label(), 1..4),
        ]
    };
    let limit =
        || prop_oneof![2 => Just(None), 3 => (0_usize..4).prop_map(Some), 1 => Just(Some(1001))];
    let call = prop_oneof![
        5 => (name(), any::<bool>(), value(), token())
            .prop_map(|(name, rotatable, value, token)| Call::Create { name, rotatable, value, token }),
        14 => (name(), value(), labels(), expires(), terms()).prop_map(
            |(name, value, labels, expires, terms)| Call::Put { name, value, labels, expires, terms }
        ),
        10 => (name(), terms()).prop_map(|(name, terms)| Call::Rotate { name, terms }),
        8 => (name(), reference()).prop_map(|(name, reference)| Call::Version { name, reference }),
        3 => (name(), prop_oneof![Just(None), (1_u64..9).prop_map(Some)], limit())
            .prop_map(|(name, marker, limit)| Call::Versions { name, marker, limit }),
        3 => (
            select(vec!["", "a", "ab", "c", "B"]),
            select(vec![None, Some("a"), Some("aa"), Some("abc"), Some("z"), Some("B-1")]),
            limit(),
        )
            .prop_map(|(prefix, marker, limit)| Call::Secrets { prefix, marker, limit }),
        3 => (name(), select(vec![None, Some(""), Some("one"), Some("two")]), before()).prop_map(
            |(name, description, before)| Call::UpdateSecret { name, description, before }
        ),
        5 => (name(), reference(), expires(), before()).prop_map(
            |(name, reference, expires, before)| Call::UpdateVersion { name, reference, expires, before }
        ),
        3 => (name(), label()).prop_map(|(name, label)| Call::Stage { name, label }),
        12 => (name(), label(), version(), before())
            .prop_map(|(name, label, to, before)| Call::MoveStage { name, label, to, before }),
        5 => (name(), label(), before())
            .prop_map(|(name, label, before)| Call::DeleteStage { name, label, before }),
        1 => (name(), before()).prop_map(|(name, before)| Call::Delete { name, before }),
        1 => Just(Call::AddSlot),
        1 => Just(Call::RemoveSlot),
        6 => (-1500_i64..4000).prop_map(Call::Tick),
        1 => Just(Call::Checkpoint),
        1 => prop_oneof![Just(Call::Close), Just(Call::Drop)],
    ];
    // The first two calls make what the others need.
    let first = |name| {
        let make = move |rotatable| Call::Create {
            name,
            rotatable,
            value: Value::Account(9, 0),
            token: None,
        };
        prop::bool::weighted(0.8).prop_map(make)
    };
    (first(0), first(1), vec(call, CALLS - 2))
        .prop_map(|(one, two, rest)| [std::vec![one, two], rest].concat())
}

impl Value {
    fn make(self) -> SecretValue {
        match self {
            Self::Account(password, padding) => {
                SecretValue::from_string(self.text(password, padding))
            }
            Self::Text(len) => SecretValue::from_string("t".repeat(len)),
            Self::Binary(len) => SecretValue::from_bytes(vec![0xb1; len]),
        }
    }

    fn text(self, password: usize, padding: usize) -> String {
        let (password, padding) = ("p".repeat(password), "q".repeat(padding));
        format!(r#"{{"users":[{{"name":"u","password":"{password}"}}],"{padding}":0}}"#)
    }

    /// As csms.md 8.1 row 23 measures it.
    fn measured_len(self) -> usize {
        match self {
            Self::Account(..) | Self::Text(_) => self.make().expose().len(),
            Self::Binary(len) => len.div_ceil(3) * 4,
        }
    }
}

// --- The rules, a second time -----------------------------------------------------------------

#[derive(Clone, Debug, Default)]
struct Model {
    secrets: BTreeMap<String, Entry>,
    now: i64,
}

#[derive(Clone, Debug)]
struct Entry {
    rotatable: bool,
    description: &'static str,
    created: i64,
    described: i64,
    changed: i64,
    rotated: Option<i64>,
    revision: u64,
    next: u64,
    versions: BTreeMap<u64, Version>,
    /// Where a label is, and since when.
    labels: BTreeMap<Stage, (u64, i64)>,
    /// Token, what was asked with it, and the version that it made.
    tokens: Vec<(usize, String, u64)>,
}

#[derive(Clone, Debug)]
struct Version {
    created: i64,
    expires: Option<i64>,
    value: Vec<u8>,
}

type Refused = ErrorKind;

impl Model {
    fn entry(&self, name: usize) -> Result<&Entry, Refused> {
        self.secrets.get(NAMES[name]).ok_or(ErrorKind::NotFound)
    }

    /// Changes a secret by `edit`, which refuses, changes nothing (`false`), or changes.
    fn change(
        &mut self,
        name: usize,
        before: Before,
        edit: impl FnOnce(&mut Entry, i64) -> Result<bool, Refused>,
    ) -> Result<(), Refused> {
        let mut entry = self.entry(name)?.clone();
        entry.check(before)?;
        if edit(&mut entry, self.now)? {
            entry.revision += 1;
            self.secrets.insert(NAMES[name].to_owned(), entry);
        }
        Ok(())
    }

    fn create(
        &mut self,
        (name, rotatable): (usize, bool),
        value: Value,
        token: Option<usize>,
    ) -> Result<(), Refused> {
        if value.measured_len() > VALUE_LEN_MAX {
            return Err(ErrorKind::LimitExceeded);
        }
        if rotatable && !matches!(value, Value::Account(..)) {
            return Err(ErrorKind::Constraint);
        }
        let asked = format!("create {rotatable} {value:?}");
        if let Some(there) = self.secrets.get(NAMES[name]) {
            return match token.map(|token| there.done_before(token, &asked)).transpose()? {
                Some(Some(_)) => Ok(()),
                _ => Err(ErrorKind::AlreadyExists),
            };
        }
        let now = self.now;
        let first = Version { created: now, expires: None, value: value.make().expose().to_vec() };
        let entry = Entry {
            rotatable,
            description: "",
            created: now,
            described: now,
            changed: now,
            rotated: None,
            revision: 1,
            next: 2,
            versions: BTreeMap::from([(1, first)]),
            labels: BTreeMap::from([(Stage::Current, (1, now))]),
            tokens: token.map(|token| (token, asked, 1)).into_iter().collect(),
        };
        self.secrets.insert(NAMES[name].to_owned(), entry);
        Ok(())
    }

    /// Gives the version that was made, or was before by the same request.
    fn put(
        &mut self,
        name: usize,
        (value, labels, expires): (Value, &[Stage], Expires),
        terms: Terms,
    ) -> Result<u64, Refused> {
        if value.measured_len() > VALUE_LEN_MAX {
            return Err(ErrorKind::LimitExceeded);
        }
        let expires = expires.map(|after| self.now + after);
        let asked = format!("put {labels:?} {expires:?} {value:?}");
        if let Some(version) = self.done_before(name, terms, &asked)? {
            // The version may have been dropped since.
            let there = self.entry(name)?.versions.contains_key(&version);
            return if there { Ok(version) } else { Err(ErrorKind::NotFound) };
        }
        let mut made = 0;
        self.change(name, terms.before, |entry, at| {
            if entry.rotatable && !matches!(value, Value::Account(..)) {
                return Err(ErrorKind::Constraint);
            }
            let expires = match expires {
                None => None,
                Some(time) if floor(time) > at => Some(floor(time)),
                Some(_) => return Err(ErrorKind::InvalidArgument),
            };
            let bytes = value.make().expose().to_vec();
            made = entry.add(Version { created: at, expires, value: bytes }, labels)?;
            entry.remember(terms.token, asked, made);
            Ok(true)
        })?;
        Ok(made)
    }

    /// `made` is the value that the store made up. Gives the version.
    fn rotate(&mut self, name: usize, terms: Terms, made: Option<Vec<u8>>) -> Result<u64, Refused> {
        if let Some(version) = self.done_before(name, terms, "rotate")? {
            return Ok(version);
        }
        let mut version = 0;
        self.change(name, terms.before, |entry, at| {
            if !entry.rotatable {
                return Err(ErrorKind::Constraint);
            }
            let old = &entry.versions[&entry.labels[&Stage::Current].0].value;
            let (front, back) = around_password(old);
            if front.len() + PASSWORD_LEN + back.len() > VALUE_LEN_MAX {
                return Err(ErrorKind::LimitExceeded);
            }
            // Refusals need no value.
            let value = made.unwrap_or_default();
            version = entry.add(Version { created: at, expires: None, value }, &[])?;
            entry.rotated = Some(at);
            entry.remember(terms.token, "rotate".to_owned(), version);
            Ok(true)
        })?;
        Ok(version)
    }

    fn done_before(&self, name: usize, terms: Terms, asked: &str) -> Result<Option<u64>, Refused> {
        let entry = self.entry(name)?;
        terms.token.map_or(Ok(None), |token| entry.done_before(token, asked))
    }
}

impl Entry {
    fn check(&self, before: Before) -> Result<(), Refused> {
        let holds = match before {
            Before::Anything => true,
            Before::Revision(more) => more == 0,
            Before::Current(version) => self.labels[&Stage::Current].0 == version,
        };
        if holds { Ok(()) } else { Err(ErrorKind::Conflict) }
    }

    fn done_before(&self, token: usize, asked: &str) -> Result<Option<u64>, Refused> {
        match self.tokens.iter().rev().find(|(known, ..)| *known == token) {
            None => Ok(None),
            Some((_, was, version)) if was == asked => Ok(Some(*version)),
            Some(_) => Err(ErrorKind::Conflict),
        }
    }

    fn remember(&mut self, token: Option<usize>, asked: String, version: u64) {
        self.tokens.extend(token.map(|token| (token, asked, version)));
    }

    /// A new version with these labels, SYSCURRENT if none (2.3; 8.1 rows 1 to 7, 10, 11).
    fn add(&mut self, version: Version, labels: &[Stage]) -> Result<u64, Refused> {
        let (id, now) = (self.next, version.created);
        let youngest = self.versions.values().last().expect("never none").created;
        let at = now.max(youngest + 1);
        let version = Version { created: at, ..version };
        if labels.len() > LABELS_MAX {
            return Err(ErrorKind::LimitExceeded);
        }
        if labels.iter().collect::<BTreeSet<_>>().len() < labels.len() {
            return Err(ErrorKind::InvalidArgument);
        }
        let labels = if labels.is_empty() { &[Stage::Current] } else { labels };
        self.place(labels, id, at)?;
        self.versions.insert(id, version);
        self.next += 1;
        while self.versions.len() > VERSIONS_MAX {
            let oldest = self.versions.keys().copied().find(|id| !self.is_labelled(*id));
            self.versions.remove(&oldest.ok_or(ErrorKind::Constraint)?);
        }
        self.changed = now;
        Ok(id)
    }

    /// Moves labels; says whether any moved (2.3; 8.1 rows 4, 8 to 12).
    fn place(&mut self, labels: &[Stage], to: u64, at: i64) -> Result<bool, Refused> {
        let mut after = self.labels.clone();
        let mut put = |label: &Stage, to: u64| {
            if self.labels.get(label).map(|(there, _)| *there) != Some(to) {
                after.insert(label.clone(), (to, at));
            }
        };
        let left = self.labels[&Stage::Current].0;
        if labels.contains(&Stage::Current) && !labels.contains(&Stage::Previous) && left != to {
            put(&Stage::Previous, left);
        }
        labels.iter().for_each(|label| put(label, to));
        if after.len() > self.labels.len() && after.len() > LABELS_MAX {
            return Err(ErrorKind::LimitExceeded);
        }
        let moved = after != self.labels;
        self.labels = after;
        Ok(moved)
    }

    fn is_labelled(&self, id: u64) -> bool {
        self.labels.values().any(|(at, _)| *at == id)
    }

    fn resolve(&self, reference: Reference) -> Result<u64, Refused> {
        let labelled = |label: &Stage| self.labels.get(label).map(|(id, _)| *id);
        let id = match reference {
            Reference::Id(id) => Some(id),
            Reference::Label(at) => labelled(&label(at)),
            Reference::Latest => labelled(&Stage::Current),
        };
        id.filter(|id| self.versions.contains_key(id)).ok_or(ErrorKind::NotFound)
    }

    // How the store shows it.

    fn shown(&self, name: &str) -> String {
        let current = self.labels[&Stage::Current].0;
        let updated = floor(self.described.max(self.changed));
        format!(
            "{name} {} {:?} {} {updated} {:?} v{current} {}",
            self.rotatable,
            self.description,
            floor(self.created),
            self.rotated.map(floor),
            self.revision
        )
    }

    fn shown_version(&self, id: u64) -> String {
        let version = &self.versions[&id];
        let labels = self.labels.iter().filter(|(_, (at, _))| *at == id);
        let labels: Vec<&str> = labels.map(|(label, _)| label.as_str()).collect();
        format!("v{id} {} {:?} {labels:?}", floor(version.created), version.expires)
    }

    fn shown_stage(&self, label: &Stage) -> Result<String, Refused> {
        let (id, since) = self.labels.get(label).ok_or(ErrorKind::NotFound)?;
        Ok(format!("{label} v{id} {}", floor(*since)))
    }
}

/// What the store made of its answers, to be compared with the model's.
fn show(secret: &Secret) -> String {
    format!(
        "{} {} {:?} {} {} {:?} {} {}",
        secret.name(),
        *secret.secret_type() == SecretType::RdsFg,
        secret.description().to_string(),
        secret.created().as_millis(),
        secret.updated().as_millis(),
        secret.rotated().map(Timestamp::as_millis),
        secret.current_version().expect("always one"),
        secret.revision()
    )
}

fn show_version(version: &VersionMetadata) -> String {
    let labels: Vec<&str> = version.stages().iter().map(Stage::as_str).collect();
    let expires = version.expires().map(Timestamp::as_millis);
    format!("{} {} {expires:?} {labels:?}", version.id(), version.created().as_millis())
}

fn show_stage(info: &StageInfo) -> String {
    format!("{} {} {}", info.stage(), info.version_id(), info.updated().as_millis())
}

// --- Both side by side ------------------------------------------------------------------------

/// How often each call ended how, so that the sequences can be seen to reach the edges.
static ENDS: Mutex<BTreeMap<(String, String), u64>> = Mutex::new(BTreeMap::new());

/// A store on disk, its clock, and the slots that were added.
struct Lab {
    store: Option<SecretStore>,
    clock: ManualClock,
    slots: Vec<u32>,
    slots_ever: BTreeSet<u32>,
    dir: TempDir,
}

#[test]
fn a_store_does_what_the_model_does_in_any_sequence() {
    let sequences = Sequences { count: SEQUENCES, shrink_iters_max: 2000 };
    let sequences = sequences.run(calls, Lab::new, |lab, calls| lab.sequence(calls));
    let ends = ENDS.lock().unwrap();
    for ((call, end), times) in ends.iter() {
        println!("{call:>14} {end:<16} {times}");
    }
    // Every call succeeded now and then, and was refused for each reason that it can be.
    let wanted = [
        ("Create", "AlreadyExists Conflict Constraint LimitExceeded Ok"),
        ("Put", "Conflict Constraint InvalidArgument LimitExceeded NotFound Ok"),
        ("Rotate", "Conflict Constraint LimitExceeded NotFound Ok"),
        ("Version", "NotFound Ok"),
        ("Versions", "InvalidArgument NotFound Ok"),
        ("Secrets", "InvalidArgument Ok"),
        ("UpdateSecret", "Conflict NotFound Ok"),
        ("UpdateVersion", "Conflict InvalidArgument NotFound Ok"),
        ("Stage", "NotFound Ok"),
        ("MoveStage", "Conflict LimitExceeded NotFound Ok"),
        ("DeleteStage", "Conflict Constraint NotFound Ok"),
        ("Delete", "Conflict NotFound Ok"),
    ];
    for (call, kinds) in wanted {
        let of_call = ends.keys().filter(|(name, _)| name == call);
        let seen: Vec<&str> = of_call.map(|(_, end)| end.as_str()).collect();
        assert!(sequences < 500 || seen.join(" ") == kinds, "{call} ended as {seen:?}");
    }
}

fn count(call: &Call, end: &Answer) {
    let name: String = format!("{call:?}").chars().take_while(char::is_ascii_alphabetic).collect();
    let end = end.as_ref().map_or_else(|kind| format!("{kind:?}"), |_| "Ok".to_owned());
    *ENDS.lock().unwrap().entry((name, end)).or_default() += 1;
}

impl Lab {
    fn new() -> Self {
        let dir = support::scratch();
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        let store = builder(&clock).create(dir.path().join("store")).unwrap();
        let (slots, slots_ever) = (Vec::new(), BTreeSet::from([1]));
        Self { store: Some(store), clock, slots, slots_ever, dir }
    }

    fn store(&self) -> &SecretStore {
        self.store.as_ref().expect("open")
    }

    fn reopen(&mut self, close: bool) {
        let store = self.store.take().expect("open");
        if close {
            store.close().unwrap();
        } else {
            drop(store);
        }
        self.store = Some(builder(&self.clock).open(self.dir.path().join("store")).unwrap());
    }

    fn sequence(&mut self, calls: &[Call]) -> Result<(), TestCaseError> {
        let mut model = Model { now: self.now(), ..Model::default() };
        for (n, call) in calls.iter().enumerate() {
            let (got, want) = self.both(call, &mut model);
            count(call, &got);
            prop_assert_eq!(got, want, "call {}: {:?}", n, call);
            if matches!(call, Call::Close | Call::Drop) {
                self.compare(&model)?;
            }
        }
        self.compare(&model)?;
        // The next sequence finds the store empty.
        for name in model.secrets.keys() {
            self.store().delete_secret(&name.parse().unwrap()).unwrap();
        }
        while let Some(slot) = self.slots.pop() {
            self.store().remove_key_slot(slot).unwrap();
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        strongroom::Clock::now(&self.clock).as_millis()
    }

    /// Everything in the store against everything in the model.
    fn compare(&self, model: &Model) -> Result<(), TestCaseError> {
        let store = self.store();
        let listed = store.secrets(&ListSecrets::new()).unwrap();
        let got: Vec<String> = listed.items().iter().map(show).collect();
        let want: Vec<String> = model.secrets.iter().map(|(n, entry)| entry.shown(n)).collect();
        prop_assert_eq!(got, want);
        for (name, entry) in &model.secrets {
            let parsed: SecretName = name.parse().unwrap();
            let rows = store.versions(&parsed, &ListVersions::new()).unwrap();
            let got: Vec<String> = rows.items().iter().map(show_version).collect();
            let want: Vec<String> =
                entry.versions.keys().map(|id| entry.shown_version(*id)).collect();
            prop_assert_eq!(got, want, "{}", name);
            for (id, version) in &entry.versions {
                let got = store.version(&parsed, &VersionRef::Id(v(*id))).unwrap();
                prop_assert!(got.value().expose() == &version.value[..], "{} v{}", name, id);
            }
            for label in entry.labels.keys() {
                let got = show_stage(&store.stage(&parsed, label).unwrap());
                prop_assert_eq!(got, entry.shown_stage(label).unwrap());
            }
        }
        prop_assert_eq!(store.key_slots().len(), 1 + self.slots.len());
        Ok(())
    }

    /// Makes the call on both sides. The answers are texts, or kinds of errors.
    fn both(&mut self, call: &Call, model: &mut Model) -> (Answer, Answer) {
        match call {
            Call::Create { .. } | Call::Put { .. } | Call::Rotate { .. } => {
                self.store_value(call, model)
            }
            Call::Version { .. } | Call::Versions { .. } | Call::Secrets { .. } => {
                self.read(call, model)
            }
            Call::AddSlot | Call::RemoveSlot => (self.slot(matches!(call, Call::AddSlot)), done()),
            Call::Tick(millis) => {
                self.clock.advance_ms(*millis);
                model.now += millis;
                (done(), done())
            }
            Call::Checkpoint => (answer(self.store().checkpoint(), |()| String::new()), done()),
            Call::Close | Call::Drop => {
                self.reopen(matches!(call, Call::Close));
                (done(), done())
            }
            _ => self.edit(call, model),
        }
    }

    fn store_value(&self, call: &Call, model: &mut Model) -> (Answer, Answer) {
        let store = self.store();
        match call {
            Call::Create { name, rotatable, value, token } => {
                let kind = if *rotatable { SecretType::RdsFg } else { SecretType::Common };
                let mut new = NewSecret::new(named(*name), value.make()).secret_type(kind);
                if let Some(token) = token {
                    new = new.token(TOKENS[*token].parse().unwrap());
                }
                let got = answer(store.create_secret(new), |secret| show(&secret));
                let want = model.create((*name, *rotatable), *value, *token);
                (got, want.map(|()| model.secrets[NAMES[*name]].shown(NAMES[*name])))
            }
            Call::Put { name, value, labels, expires, terms } => {
                let labels: Vec<Stage> = labels.iter().map(|at| label(*at)).collect();
                let mut new = NewVersion::new(value.make()).stages(labels.clone());
                new = new.preconditions(preconditions(terms.before, *name, model));
                if let Some(after) = expires {
                    new = new.expires(Timestamp::from_millis(model.now + after));
                }
                if let Some(token) = terms.token {
                    new = new.token(token_of(token));
                }
                let got = answer(store.put_version(&named(*name), new), |row| show_version(&row));
                let want = model.put(*name, (*value, &labels, *expires), *terms);
                (got, want.map(|id| model.secrets[NAMES[*name]].shown_version(id)))
            }
            Call::Rotate { name, terms } => {
                let mut options = RotateOptions::new();
                options = options.preconditions(preconditions(terms.before, *name, model));
                if let Some(token) = terms.token {
                    options = options.token(token_of(token));
                }
                let rotated = store.rotate_with(&named(*name), &options);
                let made = rotated.as_ref().ok().map(|rotation| {
                    let reference = VersionRef::Id(rotation.version_id());
                    store
                        .version(&named(*name), &reference)
                        .map(|got| got.value().expose().to_vec())
                });
                // A repetition may name a version that was dropped since.
                let made = made.and_then(Result::ok);
                let old = model.secrets.get(NAMES[*name]).cloned();
                let want = model.rotate(*name, *terms, made);
                if let (Ok(id), Some(old)) = (&want, old)
                    && *id == old.next
                {
                    check_rotated(&old, &model.secrets[NAMES[*name]]);
                }
                let got = answer(rotated, |rotation| rotation.version_id().to_string());
                (got, want.map(|id| format!("v{id}")))
            }
            _ => unreachable!("not a call that stores a value"),
        }
    }

    fn read(&self, call: &Call, model: &Model) -> (Answer, Answer) {
        let store = self.store();
        match call {
            Call::Version { name, reference } => {
                let got = answer(store.version(&named(*name), &reference_of(*reference)), |got| {
                    format!("{} {:?}", show_version(got.metadata()), got.value().expose())
                });
                let want = model.entry(*name).and_then(|entry| {
                    let id = entry.resolve(*reference)?;
                    Ok(format!("{} {:?}", entry.shown_version(id), entry.versions[&id].value))
                });
                (got, want)
            }
            Call::Versions { name, marker, limit } => {
                let mut list = ListVersions::new();
                if let Some(marker) = marker {
                    list = list.marker(v(*marker));
                }
                if let Some(limit) = limit {
                    list = list.limit(*limit);
                }
                let got = answer(store.versions(&named(*name), &list), |page| {
                    let rows: Vec<String> = page.items().iter().map(show_version).collect();
                    format!("{rows:?} {}", page.has_more())
                });
                let want = page(*limit, || {
                    let entry = model.entry(*name)?;
                    let ids = entry.versions.keys().filter(|id| Some(**id) > *marker);
                    Ok(ids.map(|id| entry.shown_version(*id)).collect())
                });
                (got, want)
            }
            Call::Secrets { prefix, marker, limit } => {
                let mut list = ListSecrets::new().prefix(*prefix);
                if let Some(marker) = marker {
                    list = list.marker(marker.parse().unwrap());
                }
                if let Some(limit) = limit {
                    list = list.limit(*limit);
                }
                let got = answer(store.secrets(&list), |page| {
                    let rows: Vec<String> = page.items().iter().map(show).collect();
                    format!("{rows:?} {}", page.has_more())
                });
                let want = page(*limit, || {
                    let found = model.secrets.iter().filter(|(name, _)| {
                        name.starts_with(prefix)
                            && marker.is_none_or(|marker| name.as_str() > marker)
                    });
                    Ok(found.map(|(name, entry)| entry.shown(name)).collect())
                });
                (got, want)
            }
            _ => unreachable!("not a call that reads"),
        }
    }

    fn edit(&self, call: &Call, model: &mut Model) -> (Answer, Answer) {
        let store = self.store();
        match call {
            Call::UpdateSecret { name, description, before } => {
                let mut update = SecretUpdate::new();
                update = update.preconditions(preconditions(*before, *name, model));
                if let Some(text) = description {
                    update = update.description(text.parse().unwrap());
                }
                let got = answer(store.update_secret(&named(*name), &update), |got| show(&got));
                let want = model.change(*name, *before, |entry, at| {
                    let Some(text) = description.filter(|text| *text != entry.description) else {
                        return Ok(false);
                    };
                    (entry.description, entry.described) = (text, at);
                    Ok(true)
                });
                (got, want.map(|()| model.secrets[NAMES[*name]].shown(NAMES[*name])))
            }
            Call::UpdateVersion { name, reference, expires, before } => {
                let time = expires.map_or(0, |after| model.now + after);
                let conditions = preconditions(*before, *name, model);
                let got = store.update_version_if(
                    &named(*name),
                    &reference_of(*reference),
                    Timestamp::from_millis(time),
                    &conditions,
                );
                let (got, now) = (answer(got, |row| show_version(&row)), model.now);
                let want = model.change(*name, *before, |entry, at| {
                    let id = entry.resolve(*reference)?;
                    let wanted = (time != 0).then(|| floor(time));
                    if wanted.is_some_and(|time| time <= now) {
                        return Err(ErrorKind::InvalidArgument);
                    }
                    let version = entry.versions.get_mut(&id).expect("resolved");
                    let differs = version.expires != wanted;
                    version.expires = wanted;
                    if differs {
                        entry.changed = at;
                    }
                    Ok(differs)
                });
                let shown = || {
                    let entry = &model.secrets[NAMES[*name]];
                    entry.shown_version(entry.resolve(*reference).expect("as before"))
                };
                (got, want.map(|()| shown()))
            }
            _ => self.edit_stage(call, model),
        }
    }

    fn edit_stage(&self, call: &Call, model: &mut Model) -> (Answer, Answer) {
        let store = self.store();
        match call {
            Call::Stage { name, label: at } => {
                let got = answer(store.stage(&named(*name), &label(*at)), |info| show_stage(&info));
                (got, model.entry(*name).and_then(|entry| entry.shown_stage(&label(*at))))
            }
            Call::MoveStage { name, label: at, to, before } => {
                let (stage, conditions) = (label(*at), preconditions(*before, *name, model));
                let got = store.move_stage_if(&named(*name), &stage, v(*to), &conditions);
                let got = answer(got, |info| show_stage(&info));
                let want = model.change(*name, *before, |entry, at| {
                    entry.resolve(Reference::Id(*to))?;
                    let moved = entry.place(std::slice::from_ref(&stage), *to, at)?;
                    if moved {
                        entry.changed = at;
                    }
                    Ok(moved)
                });
                let shown = |()| model.secrets[NAMES[*name]].shown_stage(&stage);
                (got, want.and_then(shown))
            }
            Call::DeleteStage { name, label: at, before } => {
                let (stage, conditions) = (label(*at), preconditions(*before, *name, model));
                let got = store.delete_stage_if(&named(*name), &stage, &conditions);
                let want = model.change(*name, *before, |entry, at| {
                    if matches!(stage, Stage::Current | Stage::Previous) {
                        return Err(ErrorKind::Constraint);
                    }
                    entry.labels.remove(&stage).ok_or(ErrorKind::NotFound)?;
                    entry.changed = at;
                    Ok(true)
                });
                (answer(got, |()| String::new()), want.map(|()| String::new()))
            }
            Call::Delete { name, before } => {
                let conditions = preconditions(*before, *name, model);
                let got = store.delete_secret_if(&named(*name), &conditions);
                let want = model.change(*name, *before, |_, _| Ok(true));
                if want.is_ok() {
                    model.secrets.remove(NAMES[*name]);
                }
                (answer(got, |()| String::new()), want.map(|()| String::new()))
            }
            _ => unreachable!("not a call that edits"),
        }
    }

    /// Adds or removes a key slot; its number was never given before.
    fn slot(&mut self, add: bool) -> Answer {
        if add && self.slots.len() < 15 {
            let (present, new) = (Unlock::from(key(1)), Unlock::from(key(2)));
            let slot =
                self.store().add_key_slot(&present, &new, "more").map_err(|err| err.kind())?;
            assert!(self.slots_ever.insert(slot.id()), "slot {} again", slot.id());
            self.slots.push(slot.id());
        } else if let Some(slot) = self.slots.pop() {
            self.store().remove_key_slot(slot).map_err(|err| err.kind())?;
        }
        done()
    }
}

type Answer = Result<String, ErrorKind>;

fn done() -> Answer {
    Ok(String::new())
}

fn answer<T>(result: Result<T, Error>, show: impl FnOnce(T) -> String) -> Answer {
    result.map(show).map_err(|err| err.kind())
}

/// A page of `rows` as it is shown.
fn page(limit: Option<usize>, rows: impl FnOnce() -> Result<Vec<String>, Refused>) -> Answer {
    let limit = limit.unwrap_or(50);
    if !(1..=1000).contains(&limit) {
        return Err(ErrorKind::InvalidArgument);
    }
    let mut rows = rows()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(format!("{rows:?} {more}"))
}

/// The new value is the old one with another password.
fn check_rotated(before: &Entry, after: &Entry) {
    let old = &before.versions[&before.labels[&Stage::Current].0].value;
    let new = &after.versions[&after.labels[&Stage::Current].0].value;
    assert_ne!(old, new);
    assert_eq!(around_password(old), around_password(new));
    let (front, back) = around_password(new);
    assert_eq!(new.len(), front.len() + PASSWORD_LEN + back.len());
}

/// What stands before and behind the password in a value.
fn around_password(value: &[u8]) -> (String, String) {
    let text = std::str::from_utf8(value).unwrap();
    let (front, rest) = text.split_once(r#""password":""#).unwrap();
    let (_, back) = rest.split_once('"').unwrap();
    (format!(r#"{front}"password":""#), format!("\"{back}"))
}

fn preconditions(before: Before, name: usize, model: &Model) -> Preconditions {
    let revision = model.secrets.get(NAMES[name]).map_or(1, |entry| entry.revision);
    match before {
        Before::Anything => Preconditions::none(),
        Before::Revision(more) => Preconditions::none().if_revision(revision + more),
        Before::Current(version) => Preconditions::none().if_version(v(version)),
    }
}

fn reference_of(reference: Reference) -> VersionRef {
    match reference {
        Reference::Id(id) => VersionRef::Id(v(id)),
        Reference::Label(at) => VersionRef::Stage(label(at)),
        Reference::Latest => VersionRef::Latest,
    }
}

fn token_of(token: usize) -> RequestToken {
    TOKENS[token].parse().unwrap()
}

fn floor(millis: i64) -> i64 {
    millis - millis.rem_euclid(1000)
}

fn named(name: usize) -> SecretName {
    NAMES[name].parse().unwrap()
}

fn label(at: usize) -> Stage {
    LABELS[at].parse().unwrap()
}

fn v(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

fn builder(clock: &ManualClock) -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).unwrap();
    let limits = limits.with_labels_max(LABELS_MAX).unwrap();
    let limits = limits.with_value_len_max_bytes(VALUE_LEN_MAX).unwrap();
    SecretStore::builder().master_key(key(1)).limits(limits).clock(clock.clone())
}

fn key(seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(73).wrapping_add(seed)).collect();
    MasterKey::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap()
}
