//! The stores that are damaged, and what they held after each of their commits.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use strongroom::{
    Builder, Error, HasKey, Limits, ListSecrets, ListVersions, NewSecret, NewVersion, SecretName,
    SecretStore, SecretType, SecretValue, Unlock, VersionRef,
};
use tempfile::TempDir;

use crate::support::{copy_dir, key, scratch};

/// What was last done with a store before somebody got at its files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Left {
    /// Closed. sled's snapshot is from the day the store was made; all else is in its log.
    Closed,
    /// Closed, opened and closed: sled has just written a snapshot of everything.
    Reopened,
    /// Copied while it was open.
    Running,
}

/// A store to be damaged.
pub struct Original {
    dir: TempDir,
    /// The same store half-way through its life, of the time when it had another key slot.
    older: TempDir,
    /// What it held after each commit. The last is the newest.
    pub history: Vec<String>,
    pub left: Left,
}

/// The master key of the stores here.
pub const KEY: u8 = 1;

/// A key that opened the store once, and does no more.
pub const REMOVED_KEY: u8 = 5;

impl Original {
    pub fn new(left: Left) -> Self {
        Self::of_key(KEY, left, 0)
    }

    /// One of another key, or with `bulk` large changes more, so that sled's log has been reused.
    pub fn of_key(seed: u8, left: Left, bulk: u8) -> Self {
        let (dir, older) = (scratch(), scratch());
        let path = dir.path().join("store");
        let store = builder(seed).create(&path).unwrap();
        let mut history = vec![content(&store).unwrap()];
        let mut done = |call: &dyn Fn(&SecretStore) -> Result<(), Error>| {
            call(&store).unwrap();
            history.push(content(&store).unwrap());
        };
        for n in 0..4 {
            done(&|store| {
                let new = NewSecret::new(name(n), value(n, 100 * usize::from(n)));
                store.create_secret(new.secret_type(SecretType::RdsFg)).map(drop)
            });
        }
        let (present, other) = (Unlock::from(key(seed)), Unlock::from(key(REMOVED_KEY)));
        done(&|store| store.add_key_slot(&present, &other, "removed later").map(drop));
        for n in 0..bulk {
            done(&|store| store.put_version(&name(0), NewVersion::new(value(n, 16_000))).map(drop));
        }
        done(&|store| store.put_version(&name(0), NewVersion::new(value(5, 20_000))).map(drop));
        done(&|store| store.rotate(&name(1)).map(drop));
        store.checkpoint().unwrap();
        copy_dir(&path, &older.path().join("store"));
        let slot = store.key_slots().last().unwrap().id();
        done(&|store| store.remove_key_slot(slot));
        // Four versions of a secret are kept, so with bulk they alone are 16 blocks of the state.
        let len = if bulk > 0 { 16_000 } else { 3000 };
        for n in 0..8 + bulk {
            done(&|store| match n % 3 {
                0 => store.rotate(&name(2)).map(drop),
                1 => store.put_version(&name(3), NewVersion::new(value(n, len))).map(drop),
                _ => store.put_version(&name(0), NewVersion::new(value(n, 10))).map(drop),
            });
            if n == 8 + bulk / 2 && bulk > 0 {
                // Only now is it certain that the state of a running store has any of this.
                store.checkpoint().unwrap();
            }
        }
        done(&|store| store.delete_secret(&name(1)));
        done(&|store| store.put_version(&name(2), NewVersion::new(value(9, 10))).map(drop));
        let dir = match left {
            Left::Running => {
                // All frames are on the disk by now, whatever the state has of them.
                let left = scratch();
                copy_dir(&path, &left.path().join("store"));
                store.close().unwrap();
                left
            }
            Left::Closed | Left::Reopened => {
                store.close().unwrap();
                dir
            }
        };
        if left == Left::Reopened {
            builder(seed).open(&path).unwrap().close().unwrap();
        }
        Self { dir, older, history, left }
    }

    /// A store of which the journal still holds every commit.
    pub fn young() -> Self {
        let (dir, older) = (scratch(), scratch());
        let path = dir.path().join("store");
        let store = builder(KEY).create(&path).unwrap();
        for n in 0..6 {
            let new = NewSecret::new(name(n), value(n, 700 * usize::from(n)));
            store.create_secret(new.secret_type(SecretType::RdsFg)).unwrap();
            store.rotate(&name(n)).unwrap();
        }
        copy_dir(&path, &older.path().join("store"));
        store.rotate(&name(0)).unwrap();
        store.delete_secret(&name(5)).unwrap();
        let history = vec![content(&store).unwrap()];
        store.close().unwrap();
        Self { dir, older, history, left: Left::Closed }
    }

    /// A closed store that goes on, with changes in every tree and dropped versions, until nothing
    /// older than its last two commits is in the journal. What it was before is its older copy.
    pub fn gone_on() -> Self {
        let before = Self::new(Left::Closed);
        let (dir, older) = (before.copy().0, before.dir);
        let store = open(&dir.path().join("store"));
        for n in [2, 3, 0, 2, 3] {
            store.rotate(&name(n)).unwrap();
        }
        store.checkpoint().unwrap();
        store.rotate(&name(2)).unwrap();
        store.checkpoint().unwrap();
        store.create_secret(NewSecret::new(name(8), value(8, 8))).unwrap();
        store.checkpoint().unwrap();
        store.put_version(&name(8), NewVersion::new(value(8, 9))).unwrap();
        store.checkpoint().unwrap();
        let history = vec![content(&store).unwrap()];
        store.close().unwrap();
        Self { dir, older, history, left: Left::Closed }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn older(&self) -> PathBuf {
        self.older.path().join("store")
    }

    pub fn newest(&self) -> &str {
        self.history.last().unwrap()
    }

    /// A copy that may be damaged.
    pub fn copy(&self) -> (TempDir, PathBuf) {
        let dir = scratch();
        let path = dir.path().join("store");
        copy_dir(&self.store(), &path);
        (dir, path)
    }

    /// Puts `files` of `store`, files or directories with a space between, back as they were.
    pub fn put_back(&self, store: &Path, files: &str) {
        for file in files.split(' ') {
            replace(&self.store().join(file), &store.join(file));
        }
    }
}

/// Removes what is at `to`, and copies the file or directory `from` there, if it exists.
pub fn replace(from: &Path, to: &Path) {
    if to.is_dir() {
        fs::remove_dir_all(to).unwrap();
    } else if to.exists() {
        fs::remove_file(to).unwrap();
    }
    if from.is_dir() {
        copy_dir(from, to);
    } else if from.exists() {
        fs::copy(from, to).unwrap();
    }
}

pub fn edit(store: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = store.join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files of a store.
pub fn files(store: &Path) -> Vec<String> {
    let below = |dir: &'static str| {
        let names = names(&store.join(dir)).into_iter();
        names.map(move |name| format!("{dir}/{name}")).filter(|name| name != "db/blobs")
    };
    let top = ["keys", "keys.bak", "lock"].map(str::to_owned).into_iter();
    top.chain(below("journal")).chain(below("db")).collect()
}

pub fn open(path: &Path) -> SecretStore {
    builder(KEY).open(path).unwrap()
}

pub fn builder(seed: u8) -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(4).unwrap();
    SecretStore::builder()
        .master_key(key(seed))
        .limits(limits)
        .state_cache_bytes(1 << 20)
        .write_buffer_bytes(0)
}

/// Everything that a store tells.
pub fn content(store: &SecretStore) -> Result<String, Error> {
    let mut text = String::new();
    for secret in store.secrets(&ListSecrets::new())?.items() {
        let (name, kind) = (secret.name(), secret.secret_type());
        writeln!(text, "{name} {kind:?} {} {:?}", secret.revision(), secret.rotated()).unwrap();
        for version in store.versions(name, &ListVersions::new())?.items() {
            let got = store.version(name, &VersionRef::Id(version.id()))?;
            let value = got.value().expose_str().unwrap_or("binary");
            writeln!(text, "  {} {:?} {value}", version.id(), version.stages()).unwrap();
        }
    }
    Ok(text)
}

pub fn name(number: u8) -> SecretName {
    format!("secret-{number}").parse().unwrap()
}

pub fn value(number: u8, len: usize) -> SecretValue {
    let pad = "0123456789".repeat(len / 10 + 1);
    let users = r#"{"users":[{"name":"app","password":"pw-"#;
    SecretValue::from_string(format!(r#"{users}{number}"}}],"pad":"{pad}"}}"#))
}
