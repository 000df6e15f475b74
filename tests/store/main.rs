//! The public API, a module per subject.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]
#![allow(
    clippy::type_complexity,
    reason = "tables of cases have a column for each thing that varies"
)]

mod access;
mod audit;
mod backup;
mod batch;
mod clock;
mod codes;
mod emulators;
mod errors;
mod events;
mod feed;
mod fired;
mod handles;
mod keys;
mod kms;
mod kms_slots;
mod lifecycle;
mod load;
mod notifications;
mod opening;
mod passwords;
mod regression;
mod restore;
mod rotation;
mod rotation_policy;
mod rows;
mod scheduler;
mod secrets;
mod stages;
#[path = "../support/mod.rs"]
mod support;
mod tags;
mod tasks;
mod version_states;
mod versions;

use std::{fmt::Write as _, fs, ops::Deref, path::Path, path::PathBuf};

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListVersions, MasterKey, NewSecret, NewVersion,
    RequestToken, SecretName, SecretStore, SecretType, SecretValue, Stage, Timestamp, VersionId,
    testing::ManualClock,
};
use support::copy_dir;
use tempfile::TempDir;

/// Where hand-set clocks begin, in milliseconds: not a whole second.
const START_MS: i64 = 1_700_000_000_250;

/// An open store in a directory of its own, which goes with it.
struct Fresh {
    store: SecretStore,
    path: PathBuf,
    dir: TempDir,
}

impl Fresh {
    fn new() -> Self {
        Self::with(builder())
    }

    fn with(builder: Builder<HasKey>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let store = builder.create(&path).unwrap();
        Self { store, path, dir }
    }

    fn limited(limits: Limits) -> Self {
        Self::with(builder().limits(limits))
    }

    /// A store whose clock stands at [`START_MS`] until it is moved.
    fn at_a_standstill() -> (Self, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        (Self::with(builder().clock(clock.clone())), clock)
    }

    /// Closes the store and opens it again with the default key and settings.
    fn reopened(self) -> Self {
        self.reopened_with(builder())
    }

    fn reopened_with(self, builder: Builder<HasKey>) -> Self {
        let Self { store, path, dir } = self;
        store.close().unwrap();
        let store = builder.open(&path).unwrap();
        Self { store, path, dir }
    }
}

impl Deref for Fresh {
    type Target = SecretStore;

    fn deref(&self) -> &SecretStore {
        &self.store
    }
}

/// A builder with the key of the tests, and a small cache.
fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(1)).state_cache_bytes(4 << 20)
}

fn key(seed: u8) -> MasterKey {
    MasterKey::from_bytes(&std::array::from_fn(|at| seed.wrapping_add(at as u8))).unwrap()
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn stage(text: &str) -> Stage {
    text.parse().unwrap()
}

fn stages(list: &str) -> Vec<Stage> {
    list.split_whitespace().map(stage).collect()
}

fn token(text: &str) -> RequestToken {
    text.parse().unwrap()
}

fn v(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

fn text(value: &str) -> SecretValue {
    SecretValue::from_string(value)
}

/// A value that a database secret may have.
fn account(password: &str) -> SecretValue {
    text(&format!(r#"{{"users":[{{"name":"app","password":"{password}"}}]}}"#))
}

/// Creates a COMMON secret with the value "one".
fn create(store: &SecretStore, secret: &str) -> SecretName {
    store.create_secret(NewSecret::new(name(secret), text("one"))).unwrap();
    name(secret)
}

/// Creates a secret that can be rotated.
fn create_rotatable(store: &SecretStore, secret: &str) -> SecretName {
    let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
    store.create_secret(new).unwrap();
    name(secret)
}

/// Stores a value with these labels, by default SYSCURRENT, and gives its number.
fn put(store: &SecretStore, secret: &SecretName, labels: &str) -> u64 {
    let new = NewVersion::new(text("more")).stages(stages(labels));
    store.put_version(secret, new).unwrap().id().number()
}

fn current(store: &SecretStore, secret: &SecretName) -> String {
    store.get(secret).unwrap().value().expose_str().unwrap().to_owned()
}

/// Every version with its labels, such as `v1 v2[SYSPREVIOUS] v3[SYSCURRENT blue]`.
fn picture(store: &SecretStore, secret: &SecretName) -> String {
    let page = store.versions(secret, &ListVersions::new().limit(1000)).unwrap();
    let mut picture = String::new();
    for version in page.items() {
        let labels: Vec<&str> = version.stages().iter().map(Stage::as_str).collect();
        let labels = labels.join(" ");
        let shown = if labels.is_empty() { labels } else { format!("[{labels}]") };
        write!(picture, "{}{}{shown}", if picture.is_empty() { "" } else { " " }, version.id())
            .unwrap();
    }
    picture
}

/// How many commits the store has made: equal numbers mean that nothing was written.
fn seq(store: &SecretStore) -> u64 {
    store.anchor().unwrap().seq()
}

#[track_caller]
fn kind_of<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("it should have been refused").kind()
}

/// Every file below a directory, with what it holds.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}
