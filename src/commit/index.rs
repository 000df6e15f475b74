//! What is known of every secret without reading it: which records are its heads, and its name.
//!
//! A head is identified by the first 16 bytes of its nonce. Nonces are random and never used twice,
//! so another nonce is another record: a reader that finds an older one put back sees it at once,
//! without a hash on the read path.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::{
    commit::{NameId, plan::HeadChange},
    crypto::nonce_of,
    domain::SecretName,
};

/// Identifies a record: the first 16 bytes of its nonce.
pub(crate) type Tag = [u8; 16];

/// How many parts the map is cut into, so that a commit does not stop readers of other secrets.
const SHARDS: usize = 64;

/// The two head records of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Heads {
    pub(crate) secret: Tag,
    pub(crate) stages: Tag,
}

/// The tag of a sealed record.
pub(crate) fn tag_of(record: &[u8]) -> Option<Tag> {
    nonce_of(record)?.first_chunk::<16>().copied()
}

/// All secrets of the store.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<RwLock<HashMap<NameId, Heads, BuildHasherDefault<IdHasher>>>>,
    names: RwLock<BTreeSet<SecretName>>,
    readiness: Mutex<Readiness>,
    changed: Condvar,
    /// The same as `readiness` for readers, who take no lock.
    ready: AtomicBool,
}

/// How far the index has come since the store was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Readiness {
    Loading,
    Ready,
    Failed,
}

impl Index {
    /// An empty index, not ready yet.
    pub(crate) fn loading() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            names: RwLock::default(),
            readiness: Mutex::new(Readiness::Loading),
            changed: Condvar::new(),
            ready: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_ready(&self, sound: bool) {
        *self.readiness.lock() = if sound { Readiness::Ready } else { Readiness::Failed };
        self.ready.store(sound, Ordering::Release);
        self.changed.notify_all();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Waits until the index is loaded; says whether it is complete and was found right.
    pub(super) fn wait_ready(&self) -> bool {
        if self.is_ready() {
            return true;
        }
        let mut readiness = self.readiness.lock();
        while *readiness == Readiness::Loading {
            self.changed.wait(&mut readiness);
        }
        *readiness == Readiness::Ready
    }

    pub(crate) fn heads(&self, id: &NameId) -> Option<Heads> {
        self.shard(id)?.read().get(id).copied()
    }

    pub(crate) fn insert(&self, id: NameId, heads: Heads) {
        if let Some(shard) = self.shard(&id) {
            shard.write().insert(id, heads);
        }
    }

    /// Adds names that arrive in bulk when the store is opened.
    pub(crate) fn insert_names(&self, names: impl IntoIterator<Item = SecretName>) {
        self.names.write().extend(names);
    }

    /// Makes the changes of a commit visible.
    pub(crate) fn publish(&self, change: &HeadChange) {
        let Some(shard) = self.shard(&change.id) else { return };
        match change.after {
            Some(heads) => shard.write().insert(change.id, heads),
            None => shard.write().remove(&change.id),
        };
        match (&change.before, &change.after) {
            (None, Some(_)) => drop(self.names.write().insert(change.name.clone())),
            (Some(_), None) => drop(self.names.write().remove(&change.name)),
            _ => {}
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.read().len()
    }

    /// At most `count` names greater than `after` that begin with `prefix`, in byte order.
    pub(crate) fn names(
        &self,
        prefix: &str,
        after: Option<&SecretName>,
        count: usize,
    ) -> Vec<SecretName> {
        let names = self.names.read();
        let from = match after {
            Some(after) if after.as_ref() >= prefix => Bound::Excluded(after.as_ref()),
            _ => Bound::Included(prefix),
        };
        names
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|name| name.as_ref().starts_with(prefix))
            .take(count)
            .cloned()
            .collect()
    }

    fn shard(
        &self,
        id: &NameId,
    ) -> Option<&RwLock<HashMap<NameId, Heads, BuildHasherDefault<IdHasher>>>> {
        let [first, ..] = id;
        self.shards.get(usize::from(*first) % SHARDS)
    }
}

/// Takes the id's own bytes for its hash: they are a keyed hash already, which nobody without the
/// key can steer.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk::<8>() {
            self.0 = u64::from_le_bytes(*last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_listed_by_prefix_after_a_marker_in_byte_order() {
        let index = Index::loading();
        index.insert_names(["b", "a2", "a10", "a1", "A", "c"].map(name));
        let list = |prefix: &str, after: Option<&str>, count| {
            let after = after.map(name);
            let found = index.names(prefix, after.as_ref(), count);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(list("", None, 10), "A a1 a10 a2 b c");
        assert_eq!(list("a", None, 10), "a1 a10 a2");
        assert_eq!(list("a", Some("a1"), 10), "a10 a2");
        assert_eq!(list("a", Some("a1x"), 10), "a2", "a marker that does not exist");
        assert_eq!(list("a", Some("A"), 10), "a1 a10 a2", "a marker before the prefix");
        assert_eq!(list("a", Some("b"), 10), "", "a marker behind the prefix");
        assert_eq!(list("", Some("a10"), 2), "a2 b");
    }

    #[test]
    fn a_commit_inserts_replaces_and_removes() {
        let index = Index::loading();
        let (one, two) = (
            Heads { secret: [1; 16], stages: [1; 16] },
            Heads { secret: [1; 16], stages: [2; 16] },
        );
        let mut change =
            HeadChange { id: [7; 16], name: name("n"), before: None, after: Some(one) };
        index.publish(&change);
        assert_eq!((index.heads(&[7; 16]), index.len()), (Some(one), 1));
        (change.before, change.after) = (Some(one), Some(two));
        index.publish(&change);
        assert_eq!((index.heads(&[7; 16]), index.len()), (Some(two), 1));
        (change.before, change.after) = (Some(two), None);
        index.publish(&change);
        assert_eq!((index.heads(&[7; 16]), index.len()), (None, 0));
    }
}
