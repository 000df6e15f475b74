//! What is known of every secret without reading it: which records are its heads, and its name.
//!
//! A head is identified by the first 16 bytes of its nonce. Nonces are random and never used twice,
//! so another nonce is another record: a reader that finds an older one put back sees it at once,
//! without a hash on the read path.
//!
//! All secrets are in here, so it is kept dense: heads in short sorted vectors, 48 bytes and a sixteenth
//! of that for growing; names in a set whose nodes are full when the store was opened.

use std::{
    collections::BTreeSet,
    ops::Bound,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::{
    commit::{NameId, plan::HeadChange},
    crypto::nonce_of,
    domain::SecretName,
};

/// Identifies a record: the first 16 bytes of its nonce.
pub(crate) type Tag = [u8; 16];

/// How many secrets share a part, as the store is opened. If there are many more later, a look-up takes a
/// few steps more, and an insertion moves more.
const PART_SECRETS: u64 = 64;

/// Fewest and most parts, as powers of two. A commit stops the readers of one part.
const PARTS_LOG2: std::ops::RangeInclusive<u32> = 10..=24;

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

/// How many counters of changes there are: few enough for the nearest cache of a processor, so many that
/// a change seldom makes others look again.
const STAMPS: usize = 4096;

/// All secrets of the store.
#[derive(Debug)]
pub(crate) struct Index {
    /// By other bits of the id: goes up before and after each change, so it is even in between.
    stamps: Vec<AtomicU64>,
    /// Goes up before and after each commit that changes several secrets.
    joint: AtomicU64,
    /// By the first bits of the id.
    parts: Vec<RwLock<Part>>,
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
    /// An empty index for about so many secrets, not ready yet.
    pub(crate) fn loading(secrets: u64) -> Self {
        let (least, most) = (1 << PARTS_LOG2.start(), 1 << PARTS_LOG2.end());
        let parts = (secrets / PART_SECRETS).clamp(least, most).next_power_of_two();
        Self {
            stamps: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
            joint: AtomicU64::new(0),
            parts: (0..parts).map(|_| RwLock::default()).collect(),
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

    /// A number that is another one after each change of this secret, and odd during one.
    ///
    /// What was found in the index between two looks at one even stamp holds as long as the stamp does.
    pub(crate) fn stamp(&self, id: &NameId) -> u64 {
        self.stamp_of(id).map_or(1, |stamp| stamp.load(Ordering::Acquire))
    }

    /// A number that is another one after each commit that changes several secrets, and odd during one.
    pub(crate) fn joint_stamp(&self) -> u64 {
        self.joint.load(Ordering::Acquire)
    }

    /// Makes all changes of a commit visible.
    pub(crate) fn publish_all<'a>(&self, changes: impl ExactSizeIterator<Item = &'a HeadChange>) {
        // One secret's change is seen whole anyway.
        let joint = changes.len() > 1;
        if joint {
            self.joint.fetch_add(1, Ordering::AcqRel);
        }
        changes.for_each(|change| self.publish(change));
        if joint {
            self.joint.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn stamp_of(&self, id: &NameId) -> Option<&AtomicU64> {
        let [.., high, low] = *id;
        self.stamps.get(usize::from(u16::from_be_bytes([high, low])) % STAMPS)
    }

    pub(crate) fn heads(&self, id: &NameId) -> Option<Heads> {
        self.part(id)?.read().get(id)
    }

    /// Adds many secrets, sorted by id, when the store is opened. Those of one part get no more memory than
    /// they need.
    pub(crate) fn insert_heads(&self, heads: &[(NameId, Heads)]) {
        for alike in heads.chunk_by(|(one, _), (other, _)| self.at(one) == self.at(other)) {
            let part = alike.first().and_then(|(id, _)| self.part(id));
            if let Some(part) = part {
                let entries = &mut part.write().entries;
                entries.reserve_exact(alike.len());
                entries.extend_from_slice(alike);
            }
        }
    }

    /// Adds the names of all secrets when the store is opened, best in long sorted stretches.
    pub(crate) fn insert_names(&self, names: Vec<SecretName>) {
        let mut bulk: BTreeSet<SecretName> = names.into_iter().collect();
        self.names.write().append(&mut bulk);
    }

    /// Makes the change of one secret visible.
    pub(crate) fn publish(&self, change: &HeadChange) {
        let Some((part, stamp)) = self.part(&change.id).zip(self.stamp_of(&change.id)) else {
            return;
        };
        stamp.fetch_add(1, Ordering::AcqRel);
        match change.after {
            Some(heads) => part.write().insert(change.id, heads),
            None => part.write().remove(&change.id),
        }
        match (&change.before, &change.after) {
            (None, Some(_)) => drop(self.names.write().insert(change.name.clone())),
            (Some(_), None) => drop(self.names.write().remove(&change.name)),
            _ => {}
        }
        stamp.fetch_add(1, Ordering::AcqRel);
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

    fn part(&self, id: &NameId) -> Option<&RwLock<Part>> {
        self.parts.get(self.at(id))
    }

    /// Ids are keyed hashes, spread evenly, and nobody without the key can steer them.
    fn at(&self, id: &NameId) -> usize {
        let front = u128::from_be_bytes(*id) >> 64;
        let at = front.saturating_mul(self.parts.len() as u128) >> 64;
        usize::try_from(at).unwrap_or(usize::MAX)
    }
}

/// The secrets whose ids begin alike, sorted by id.
#[derive(Debug, Default)]
struct Part {
    entries: Vec<(NameId, Heads)>,
}

impl Part {
    fn get(&self, id: &NameId) -> Option<Heads> {
        let at = self.find(id).ok()?;
        self.entries.get(at).map(|(_, heads)| *heads)
    }

    fn insert(&mut self, id: NameId, heads: Heads) {
        match self.find(&id) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.1 = heads;
                }
            }
            Err(at) => {
                if self.entries.len() == self.entries.capacity() {
                    self.entries.reserve_exact((self.entries.len() / 8).max(4));
                }
                self.entries.insert(at, (id, heads));
            }
        }
    }

    fn remove(&mut self, id: &NameId) {
        if let Ok(at) = self.find(id) {
            self.entries.remove(at);
        }
    }

    /// Where the id is, or where it would have to be.
    fn find(&self, id: &NameId) -> Result<usize, usize> {
        // As numbers: one comparison, and no call for it.
        let id = u128::from_be_bytes(*id);
        self.entries.binary_search_by(|(entry, _)| u128::from_be_bytes(*entry).cmp(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn a_commit_of_several_secrets_can_be_told_while_it_is_published() {
        let index = Index::loading(0);
        let change = |n: u8| HeadChange {
            id: [n; 16],
            name: name(&format!("n{n}")),
            before: None,
            after: Some(Heads { secret: [n; 16], stages: [n; 16] }),
        };
        for (count, odd) in [(0, 0), (1, 0), (2, 2), (5, 5)] {
            let changes: Vec<HeadChange> = (0..count).map(change).collect();
            let (before, mut told) = (index.joint_stamp(), 0);
            index.publish_all(changes.iter().inspect(|_| told += index.joint_stamp() % 2));
            assert_eq!(told, odd, "{count}");
            let after = index.joint_stamp();
            assert_eq!((after % 2, after != before), (0, count > 1), "{count}");
        }
    }

    #[test]
    fn names_are_listed_by_prefix_after_a_marker_in_byte_order() {
        let index = Index::loading(0);
        index.insert_names(["b", "a2", "a10", "a1", "A", "c"].map(name).into());
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
        let index = Index::loading(0);
        let (one, two) = (
            Heads { secret: [1; 16], stages: [1; 16] },
            Heads { secret: [1; 16], stages: [2; 16] },
        );
        let mut change =
            HeadChange { id: [7; 16], name: name("n"), before: None, after: Some(one) };
        let stamp = index.stamp(&[7; 16]);
        index.publish(&change);
        let after = index.stamp(&[7; 16]);
        assert!(after > stamp && after.is_multiple_of(2), "a change is seen in the stamp");
        assert_eq!((index.heads(&[7; 16]), index.len()), (Some(one), 1));
        (change.before, change.after) = (Some(one), Some(two));
        index.publish(&change);
        assert_eq!((index.heads(&[7; 16]), index.len()), (Some(two), 1));
        (change.before, change.after) = (Some(two), None);
        index.publish(&change);
        assert_eq!((index.heads(&[7; 16]), index.len()), (None, 0));
    }

    /// Against a map, with ids all over and close to each other, at the edges too.
    #[test]
    fn heads_are_found_whatever_was_inserted_and_removed() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for secrets in [0, 1_000_000] {
            let index = Index::loading(secrets);
            let mut model = std::collections::HashMap::new();
            for _ in 0..20_000 {
                let first = match next() % 3 {
                    0 => next() << 33,
                    1 => u64::MAX - next() % 3,
                    _ => next() % 3,
                };
                let mut id: NameId = [0; 16];
                id[..8].copy_from_slice(&first.to_be_bytes());
                id[15] = next().to_le_bytes()[0] % 200;
                let heads = Heads { secret: id, stages: [next().to_le_bytes()[0]; 16] };
                let before = model.get(&id).copied();
                assert_eq!(index.heads(&id), before);
                let after = (next() % 4 > 0).then_some(heads);
                index.publish(&HeadChange { id, name: name("n"), before, after });
                match after {
                    Some(heads) => model.insert(id, heads),
                    None => model.remove(&id),
                };
            }
            assert!(model.len() > 3000, "{}", model.len());
            let loaded = Index::loading(secrets);
            let mut sorted: Vec<(NameId, Heads)> = model.clone().into_iter().collect();
            sorted.sort_by_key(|(id, _)| *id);
            let (front, back) = sorted.split_at(sorted.len() / 3);
            loaded.insert_heads(front);
            loaded.insert_heads(back);
            assert!(model.iter().all(|(id, heads)| loaded.heads(id) == Some(*heads)));
            assert!(model.iter().all(|(id, heads)| index.heads(id) == Some(*heads)));
            let parts = index.parts.iter().map(|part| part.read().entries.len()).sum::<usize>();
            assert_eq!(parts, model.len());
        }
    }
}
