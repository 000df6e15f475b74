//! A store to be damaged, and all that it ever held.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use strongroom::{
    Builder, HasKey, Limits, ListSecrets, ListVersions, NewSecret, NewVersion, Salvage, SecretName,
    SecretStore, SecretType, SecretUpdate, SecretValue, Stage, Timestamp, VersionId, VersionRef,
};
use tempfile::TempDir;

use crate::support::{Random, copy_dir, key, name, scratch};

/// In every value, so that it can be searched for.
pub(crate) const MARK: &str = "the-secret-itself";

/// One version, with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) value: Vec<u8>,
}

/// One secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) metadata: strongroom::Secret,
    pub(crate) rows: BTreeMap<VersionId, Row>,
}

/// All secrets at one moment.
pub(crate) type Content = BTreeMap<SecretName, Entry>;

/// A store in a directory of its own, and its history.
pub(crate) struct Original {
    pub(crate) dir: TempDir,
    /// It was copied while it was open.
    pub(crate) open: bool,
    /// After each commit, by its number.
    pub(crate) history: BTreeMap<u64, Content>,
    /// Every value there ever was, by the secret's id and the version.
    pub(crate) ever: BTreeMap<(String, VersionId), Row>,
}

impl Original {
    /// A store with some history over several segments of the journal. It is closed, or it is the copy of
    /// one that is open, as a crash leaves it.
    pub(crate) fn new(random: &mut Random, open: bool) -> Self {
        let dir = scratch();
        let path = dir.path().join("store");
        let store = builder().create(&path).unwrap();
        let mut original = Self { dir, open, history: BTreeMap::new(), ever: BTreeMap::new() };
        original.note(&store);
        for number in 0..12 {
            let len = [10, 100, 1200, 9000][random.below(4)];
            let new = NewSecret::new(secret(number), value(random, len));
            let new = match number % 3 {
                0 => new.secret_type(SecretType::RdsFg),
                1 => new.secret_type(SecretType::rotatable("REDIS-ACL").unwrap()),
                _ => new,
            };
            store
                .create_secret(new.description(format!("number {number}").parse().unwrap()))
                .unwrap();
            original.note(&store);
        }
        for step in 0..70 {
            original.change(&store, random, step);
            original.note(&store);
            if step == 20 || step == 45 {
                store.checkpoint().unwrap();
            }
        }
        let left = scratch();
        if open {
            copy_dir(&path, &left.path().join("store"));
        }
        store.close().unwrap();
        if open {
            original.dir = left;
        }
        original
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// A copy to be damaged.
    pub(crate) fn copy(&self) -> (TempDir, PathBuf) {
        let dir = scratch();
        let path = dir.path().join("store");
        copy_dir(&self.path(), &path);
        (dir, path)
    }

    pub(crate) fn last(&self) -> (u64, &Content) {
        let (commit, content) = self.history.last_key_value().unwrap();
        (*commit, content)
    }

    /// One change of some secret, of every kind in turn.
    fn change(&mut self, store: &SecretStore, random: &mut Random, step: u64) {
        let name = secret(random.below(12));
        let kind = store.secret(&name).unwrap();
        let len = [10, 100, 1200, 9000, 30_000][random.below(5)];
        match step % 10 {
            2 if kind.secret_type().is_rotatable() => drop(store.rotate(&name).unwrap()),
            2 | 3 => {
                let new = NewVersion::new(value(random, len)).stages([Stage::Pending]);
                store.put_version(&name, new).unwrap();
            }
            4 => {
                let blue = "blue".parse().unwrap();
                store.move_stage(&name, &blue, kind.current_version().unwrap()).unwrap();
            }
            5 => {
                let update =
                    SecretUpdate::new().description(format!("step {step}").parse().unwrap());
                store.update_secret(&name, &update).unwrap();
            }
            6 => {
                let far = Timestamp::from_millis(4_000_000_000_000);
                store.update_version(&name, &VersionRef::Latest, far).unwrap();
            }
            7 => {
                store.delete_secret(&name).unwrap();
                self.note(store);
                store.create_secret(NewSecret::new(name, value(random, len))).unwrap();
            }
            8 => {
                let far = Timestamp::from_millis(3_900_000_000_000);
                store.put_version(&name, NewVersion::new(value(random, len)).expires(far)).unwrap();
            }
            _ => drop(store.put_version(&name, NewVersion::new(value(random, len))).unwrap()),
        }
    }

    fn note(&mut self, store: &SecretStore) {
        let content = content(store);
        for entry in content.values() {
            for (id, row) in &entry.rows {
                self.ever.insert((entry.metadata.id(), *id), row.clone());
            }
        }
        self.history.insert(store.anchor().unwrap().seq(), content);
    }
}

/// A value of about `len` bytes, with the shape that every type accepts.
fn value(random: &mut Random, len: usize) -> SecretValue {
    let pad = "0123456789".repeat(len / 10);
    let number = random.next();
    let users =
        format!(r#"{{"users":[{{"name":"app","password":"{MARK}-{number}"}}],"pad":"{pad}"}}"#);
    SecretValue::from_string(users.as_str())
}

pub(crate) fn secret(number: usize) -> SecretName {
    name(&format!("secret-{number}"))
}

pub(crate) fn builder() -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(6).unwrap();
    SecretStore::builder().master_key(key(1)).limits(limits).state_cache_bytes(1 << 20)
}

/// All that a store holds.
pub(crate) fn content(store: &SecretStore) -> Content {
    let secrets = store.secrets(&ListSecrets::new().limit(1000)).unwrap().into_items();
    let entry = |metadata: strongroom::Secret| {
        let name = metadata.name().clone();
        let versions = store.versions(&name, &ListVersions::new().limit(1000)).unwrap();
        let row = |version: &strongroom::VersionMetadata| {
            let got = store.version(&name, &VersionRef::Id(version.id())).unwrap();
            (version.id(), row(&got))
        };
        let rows = versions.items().iter().map(row).collect();
        (name.clone(), Entry { metadata, rows })
    };
    secrets.into_iter().map(entry).collect()
}

/// All that a salvage gives out of secrets with a name.
pub(crate) fn salvaged(salvage: &Salvage) -> Content {
    let mut content = Content::new();
    for secret in salvage.secrets() {
        let Some(name) = secret.name().filter(|_| !secret.intact().is_empty()) else { continue };
        let metadata = salvage.secret(name).unwrap();
        let mut rows = BTreeMap::new();
        for id in secret.intact() {
            let got = salvage.version(name, &VersionRef::Id(*id)).unwrap();
            rows.insert(*id, row(&got));
        }
        let listed: BTreeSet<VersionId> =
            salvage.versions(name).unwrap().iter().map(strongroom::VersionMetadata::id).collect();
        assert!(listed.iter().eq(rows.keys()), "{name}: two lists of versions");
        content.insert(name.clone(), Entry { metadata, rows });
    }
    content
}

fn row(got: &strongroom::Version) -> Row {
    let metadata = got.metadata();
    Row {
        created: metadata.created(),
        expires: metadata.expires(),
        stages: metadata.stages().to_vec(),
        value: got.value().expose().to_vec(),
    }
}

/// Every file below a directory, with all its bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), b"a directory".to_vec());
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}
