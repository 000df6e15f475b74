//! A workload for the power-cut simulator, and the check of what a cut left behind.
//!
//! ```text
//! powercut_workload run   DIR [calls=200] [from=0] [threads=1] [large=10] [close=1] [made=0]
//! powercut_workload check DIR ACKS [from=0] [threads=1] [large=10]
//! ```
//!
//! `run` makes the store `DIR/store`, or opens it if `from` or `made` is not 0, and makes `calls`
//! calls on it from each thread. Behind each that returned it prints one line in one write:
//! `ACK thread call`. `check` is given the lines printed before the cut. What every call does follows
//! from its number, so both sides know what must be there. It opens the store, compares, verifies,
//! writes, closes, opens again and compares again, and prints `RESULT word`: `ok`, or `lost` if the
//! store is as it was some acknowledged calls earlier, `torn` if it is as it never was, `open-error`
//! with the error. Repeat any finding with the same arguments; nothing is random but keys and new
//! passwords.
#![allow(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program: it may stop at the first surprise"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error as StdError,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
};

use strongroom::{
    Description, ErrorKind, Limits, ListSecrets, ListVersions, MasterKey, NewSecret, NewVersion,
    SecretName, SecretStore, SecretType, SecretValue, Stage, Unlock, VersionId, VersionRef,
};

type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Secrets of one thread.
const NAMES: u64 = 5;

/// Versions kept, few so that some are dropped.
const VERSIONS_MAX: usize = 4;

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let settings = Settings::parse(&args);
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", dir, ..] => run(Path::new(dir), &settings),
        ["check", dir, acks, ..] => {
            let word = match check(Path::new(dir), &fs::read_to_string(acks)?, &settings) {
                Ok(word) => word,
                Err(err) => format!("open-error {err}"),
            };
            println!("RESULT {word}");
            Ok(())
        }
        _ => Err("usage: run DIR | check DIR ACKS, then key=value".into()),
    }
}

#[derive(Clone, Copy)]
struct Settings {
    calls: u64,
    from: u64,
    threads: u64,
    /// How many of a hundred values are large.
    large: u64,
    close: bool,
    made: bool,
}

impl Settings {
    fn parse(args: &[String]) -> Self {
        let number = |key: &str, default: u64| {
            let found = args.iter().filter_map(|arg| arg.split_once('=')).find(|(k, _)| *k == key);
            found.map_or(default, |(_, value)| value.parse().expect("a number"))
        };
        Self {
            calls: number("calls", 200),
            from: number("from", 0),
            threads: number("threads", 1),
            large: number("large", 10),
            close: number("close", 1) == 1,
            made: number("made", 0) == 1,
        }
    }
}

fn key() -> MasterKey {
    key_of(77)
}

fn second_key() -> MasterKey {
    key_of(78)
}

fn key_of(salt: u64) -> MasterKey {
    let bytes: [u8; 32] = std::array::from_fn(|n| draw(n as u64, salt).to_le_bytes()[0]);
    MasterKey::from_bytes(&bytes).expect("a key")
}

fn limits() -> Limits {
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).expect("allowed");
    limits.with_value_len_max_bytes(1 << 20).expect("allowed")
}

fn open(store: &Path) -> Result<SecretStore, strongroom::Error> {
    SecretStore::builder().master_key(key()).limits(limits()).open(store)
}

/// A number that depends on nothing but its arguments (splitmix64).
fn draw(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(1);
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

// --- What must be there ---------------------------------------------------------------------

/// What one thread's calls made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Model {
    secrets: BTreeMap<String, Entry>,
    slots: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Entry {
    description: String,
    next: u64,
    versions: BTreeMap<u64, Content>,
    labels: BTreeMap<Stage, u64>,
}

/// A value; after a rotation the password in it is anything.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Content {
    Exact(String),
    Rotated(String),
}

enum Call {
    Create(String, String),
    Put(String, String, Option<Stage>),
    Rotate(String),
    Describe(String, String),
    Move(String, Stage, u64),
    Unlabel(String, Stage),
    Delete(String),
    AddSlot(String),
    RemoveSlot,
    Checkpoint,
}

fn rotatable(name: &str) -> bool {
    name.ends_with(['0', '2', '4'])
}

fn value(thread: u64, n: u64, settings: &Settings) -> String {
    let chance = draw(n, 100 + thread) % 100;
    let len = match chance {
        _ if chance < settings.large => 20_000 + draw(n, 200 + thread) % 180_000,
        90.. => 3_000 + draw(n, 201 + thread) % 6_000,
        _ => draw(n, 202 + thread) % 300,
    };
    let len = usize::try_from(len).expect("small");
    let pad: String = format!("{:016x}", draw(n, 300 + thread)).chars().cycle().take(len).collect();
    format!(r#"{{"users":[{{"name":"app","password":"pw-{thread}-{n}"}}],"pad":"{pad}"}}"#)
}

/// What call `n` of a thread does, given what the ones before made.
fn call(thread: u64, n: u64, model: &Model, settings: &Settings) -> Call {
    let name = format!("t{thread}-n{}", draw(n, 1 + thread) % NAMES);
    if thread == 0 && n % 37 == 36 {
        return match model.slots.len() {
            1 => Call::AddSlot(format!("slot-{n}")),
            _ => Call::RemoveSlot,
        };
    }
    if n % 53 == 52 {
        return Call::Checkpoint;
    }
    let Some(entry) = model.secrets.get(&name) else {
        return Call::Create(name, value(thread, n, settings));
    };
    let blue: Stage = "blue".parse().expect("a label");
    match draw(n, 50 + thread) % 20 {
        0 => Call::Describe(name, format!("described by {n}")),
        1 | 2 => {
            let newest = entry.versions.keys().last().copied().expect("a version");
            Call::Move(name, blue, newest)
        }
        3 if entry.labels.contains_key(&blue) => Call::Unlabel(name, blue),
        4 => Call::Put(name, value(thread, n, settings), Some(Stage::Pending)),
        5 => Call::Delete(name),
        6..=12 if rotatable(&name) => Call::Rotate(name),
        _ => Call::Put(name, value(thread, n, settings), None),
    }
}

impl Model {
    fn apply(&mut self, call: &Call) {
        match call {
            Call::Create(name, value) => {
                let mut entry = Entry { next: 1, ..Entry::default() };
                entry.add(Content::Exact(value.clone()), None);
                self.secrets.insert(name.clone(), entry);
            }
            Call::Put(name, value, stage) => {
                self.entry(name).add(Content::Exact(value.clone()), stage.clone());
            }
            Call::Rotate(name) => {
                let entry = self.entry(name);
                let (Content::Exact(text) | Content::Rotated(text)) =
                    &entry.versions[&entry.labels[&Stage::Current]];
                let rotated = Content::Rotated(without_password(text));
                entry.add(rotated, None);
            }
            Call::Describe(name, text) => self.entry(name).description.clone_from(text),
            Call::Move(name, stage, to) => {
                self.entry(name).labels.insert(stage.clone(), *to);
            }
            Call::Unlabel(name, stage) => {
                self.entry(name).labels.remove(stage);
            }
            Call::Delete(name) => {
                self.secrets.remove(name);
            }
            Call::AddSlot(label) => {
                self.slots.insert(label.clone());
            }
            Call::RemoveSlot => self.slots.retain(String::is_empty),
            Call::Checkpoint => {}
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
            self.versions.remove(&oldest.expect("fewer labels than versions"));
        }
    }
}

fn without_password(text: &str) -> String {
    let (front, rest) = text.split_once(r#""password":""#).expect("a password");
    let (_, back) = rest.split_once('"').expect("its end");
    format!(r#"{front}"password":"*"{back}"#)
}

/// The model before the first call of `run`.
fn model_at(thread: u64, n: u64, settings: &Settings) -> Model {
    let mut model = Model::default();
    if thread == 0 {
        model.slots.insert(String::new());
    }
    (0..n).for_each(|n| {
        let call = call(thread, n, &model, settings);
        model.apply(&call);
    });
    model
}

// --- Running --------------------------------------------------------------------------------

fn run(dir: &Path, settings: &Settings) -> Outcome<()> {
    let path = dir.join("store");
    let builder = SecretStore::builder().master_key(key()).limits(limits());
    let there = settings.made || settings.from > 0;
    let store = if there { builder.open(&path)? } else { builder.create(&path)? };
    say("READY\n")?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads)
            .map(|thread| {
                let store = store.clone();
                scope.spawn(move || work(&store, thread, settings))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    if settings.close {
        store.close()?;
        say("CLOSED\n")?;
    } else {
        // As if killed: nothing is closed, no destructor runs.
        std::process::exit(0);
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn work(store: &SecretStore, thread: u64, settings: &Settings) -> Outcome<()> {
    let mut model = model_at(thread, settings.from, settings);
    for n in settings.from..settings.from + settings.calls {
        let call = call(thread, n, &model, settings);
        make(store, &call)?;
        model.apply(&call);
        say(&format!("ACK {thread} {n}\n"))?;
    }
    Ok(())
}

fn make(store: &SecretStore, call: &Call) -> Outcome<()> {
    let named = |name: &str| name.parse::<SecretName>();
    match call {
        Call::Create(name, value) => {
            let kind = if rotatable(name) { SecretType::RdsFg } else { SecretType::Common };
            let new = NewSecret::new(named(name)?, SecretValue::from_string(value.as_str()));
            store.create_secret(new.secret_type(kind))?;
        }
        Call::Put(name, value, stage) => {
            let new = NewVersion::new(SecretValue::from_string(value.as_str()));
            store.put_version(&named(name)?, new.stages(stage.clone()))?;
        }
        Call::Rotate(name) => drop(store.rotate(&named(name)?)?),
        Call::Describe(name, text) => {
            let update = strongroom::SecretUpdate::new().description(text.parse::<Description>()?);
            store.update_secret(&named(name)?, &update)?;
        }
        Call::Move(name, stage, to) => {
            let to = VersionId::from_number(*to).expect("a version");
            store.move_stage(&named(name)?, stage, to)?;
        }
        Call::Unlabel(name, stage) => store.delete_stage(&named(name)?, stage)?,
        Call::Delete(name) => store.delete_secret(&named(name)?)?,
        Call::AddSlot(label) => {
            store.add_key_slot(
                &Unlock::MasterKey(key()),
                &Unlock::MasterKey(second_key()),
                label,
            )?;
        }
        Call::RemoveSlot => {
            let last = store.key_slots().pop().expect("a slot");
            store.remove_key_slot(last.id())?;
        }
        Call::Checkpoint => store.checkpoint()?,
    }
    Ok(())
}

// --- Checking -------------------------------------------------------------------------------

fn check(dir: &Path, acks: &str, settings: &Settings) -> Outcome<String> {
    let path: PathBuf = dir.join("store");
    let ready = settings.from > 0 || acks.lines().any(|line| line == "READY");
    let store = match open(&path) {
        Err(err) if !ready && err.kind() == ErrorKind::NotAStore => {
            let store = SecretStore::builder().master_key(key()).limits(limits()).create(&path)?;
            store.close()?;
            open(&path)?
        }
        other => other?,
    };
    if let Some(bad) = compare(&store, acks, settings)? {
        return Ok(bad);
    }
    store.verify()?;
    probe(&store)?;
    store.close()?;
    let store = open(&path)?;
    if let Some(bad) = compare(&store, acks, settings)? {
        return Ok(format!("{bad} (after reopening)"));
    }
    store.get(&"probe".parse()?)?;
    store.verify()?;
    store.close()?;
    Ok("ok".to_owned())
}

/// One more write, which an earlier check of the same files may have made already.
fn probe(store: &SecretStore) -> Outcome<()> {
    let value = || SecretValue::from_string("one more");
    match store.create_secret(NewSecret::new("probe".parse()?, value())) {
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {
            store.put_version(&"probe".parse()?, NewVersion::new(value()))?;
        }
        other => drop(other?),
    }
    Ok(())
}

fn compare(store: &SecretStore, acks: &str, settings: &Settings) -> Outcome<Option<String>> {
    for thread in 0..settings.threads {
        let mine = format!("ACK {thread} ");
        let acked = acks.lines().filter(|line| line.starts_with(&mine)).count() as u64;
        let found = found(store, thread)?;
        let done = settings.from + acked;
        let mut model = model_at(thread, done, settings);
        if same(&model, &found) {
            continue;
        }
        let before = model.clone();
        let next = call(thread, done, &model, settings);
        model.apply(&next);
        if same(&model, &found) {
            continue;
        }
        let earlier = (0..done).rev().find(|n| same(&model_at(thread, *n, settings), &found));
        return Ok(Some(match earlier {
            Some(n) => format!("lost thread {thread}: is at call {n}, acknowledged {done}"),
            None => {
                format!("torn thread {thread} at call {done}: {}", differences(&before, &found))
            }
        }));
    }
    Ok(None)
}

fn found(store: &SecretStore, thread: u64) -> Outcome<Model> {
    let mut model = Model::default();
    if thread == 0 {
        model.slots = store.key_slots().iter().map(|slot| slot.label().to_owned()).collect();
    }
    let list = ListSecrets::new().prefix(format!("t{thread}-")).limit(1000);
    for secret in store.secrets(&list)?.items() {
        let mut entry = Entry { description: secret.description().to_string(), ..Entry::default() };
        for version in store.versions(secret.name(), &ListVersions::new())?.items() {
            let got = store.version(secret.name(), &VersionRef::Id(version.id()))?;
            let text = got.value().expose_str().ok_or("not text")?.to_owned();
            entry.versions.insert(version.id().number(), Content::Exact(text));
            for stage in version.stages() {
                entry.labels.insert(stage.clone(), version.id().number());
            }
        }
        model.secrets.insert(secret.name().to_string(), entry);
    }
    Ok(model)
}

fn same(model: &Model, found: &Model) -> bool {
    model.slots == found.slots
        && model.secrets.keys().eq(found.secrets.keys())
        && model
            .secrets
            .values()
            .zip(found.secrets.values())
            .all(|(want, got)| same_entry(want, got))
}

fn same_entry(want: &Entry, got: &Entry) -> bool {
    let alike = |(want, got): (&Content, &Content)| match (want, got) {
        (Content::Rotated(want), Content::Exact(got)) => *want == without_password(got),
        (want, got) => want == got,
    };
    want.description == got.description
        && want.labels == got.labels
        && want.versions.keys().eq(got.versions.keys())
        && want.versions.values().zip(got.versions.values()).all(alike)
}

fn differences(want: &Model, got: &Model) -> String {
    let names: BTreeSet<&String> = want.secrets.keys().chain(got.secrets.keys()).collect();
    let mut out = Vec::new();
    if want.slots != got.slots {
        out.push(format!("slots {:?} not {:?}", got.slots, want.slots));
    }
    for name in names {
        match (want.secrets.get(name), got.secrets.get(name)) {
            (Some(want), Some(got)) if same_entry(want, got) => {}
            (Some(want), Some(got)) => out.push(format!(
                "{name}: versions {:?} labels {:?}, not {:?} {:?}",
                got.versions.keys(),
                got.labels,
                want.versions.keys(),
                want.labels
            )),
            (want, _) => {
                out.push(format!("{name}: {}", if want.is_some() { "gone" } else { "there" }));
            }
        }
    }
    out.join("; ")
}
