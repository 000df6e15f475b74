//! What was read lately, kept for the next reader.
//!
//! Bounded; the data keys of what falls out are wiped when its last reader lets go. An entry is only as
//! good as its tags: the reader compares them with the index, so a stale one is never used. What is kept
//! by name remembers under which stamp of the index that was done last, and does it again only if there
//! was a change since.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache;

use crate::{
    commit::{Heads, Index, NameId, Tag},
    crypto::{KeyRing, Leaf},
    domain::SecretName,
    storage::{Address, Record},
};

/// An opened head record.
#[derive(Debug)]
pub(crate) struct Head<T> {
    pub(crate) body: T,
    /// The secret's revision when this record was written.
    pub(crate) revision: u64,
    /// The record as it is stored: what a change takes out of the set hash.
    pub(crate) record: Record,
    pub(crate) tag: Tag,
    /// What the record adds to the set hash, once that was needed.
    leaf: OnceLock<Leaf>,
}

impl<T> Head<T> {
    pub(crate) fn new(body: T, revision: u64, record: Record, tag: Tag) -> Self {
        Self { body, revision, record, tag, leaf: OnceLock::new() }
    }

    /// What the record, which stands at `address`, adds to the set hash.
    pub(crate) fn leaf(&self, ring: &KeyRing, address: &Address) -> Leaf {
        *self.leaf.get_or_init(|| ring.leaf(address.tree(), address.key(), &self.record))
    }
}

/// The heads of one kind that were used lately: saves a read of the state and an AEAD open.
pub(crate) struct HeadCache<T> {
    heads: Cache<NameId, Arc<Head<T>>>,
}

impl<T> HeadCache<T> {
    pub(crate) fn new(heads_max: usize) -> Self {
        Self { heads: Cache::new(heads_max) }
    }

    pub(crate) fn get(&self, id: &NameId, tag: &Tag) -> Option<Arc<Head<T>>> {
        self.heads.get(id).filter(|head| head.tag == *tag)
    }

    pub(crate) fn insert(&self, id: NameId, head: Arc<Head<T>>) {
        self.heads.insert(id, head);
    }

    pub(crate) fn remove(&self, id: &NameId) {
        self.heads.remove(id);
    }
}

impl<T> fmt::Debug for HeadCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadCache(..)")
    }
}

/// What was made of a secret's heads.
#[derive(Debug)]
pub(crate) struct Known<T> {
    pub(crate) id: NameId,
    pub(crate) heads: Heads,
    pub(crate) what: T,
    /// The index's stamp under which the heads were last found to be the newest: even, or none at all.
    stamp: AtomicU64,
}

impl<T> Known<T> {
    const NO_STAMP: u64 = u64::MAX;

    pub(crate) fn new(id: NameId, heads: Heads, what: T) -> Self {
        Self { id, heads, what, stamp: AtomicU64::new(Self::NO_STAMP) }
    }

    /// Whether the heads that this was made of are still the secret's.
    fn holds(&self, index: &Index) -> bool {
        let stamp = index.stamp(&self.id);
        if self.stamp.load(Ordering::Relaxed) == stamp {
            return true;
        }
        let holds = index.heads(&self.id) == Some(self.heads);
        if holds && stamp.is_multiple_of(2) && index.stamp(&self.id) == stamp {
            self.stamp.store(stamp, Ordering::Relaxed);
        }
        holds
    }
}

/// What was made of the heads of secrets lately, by name: saves the keyed hash of the name too.
pub(crate) struct NameCache<T> {
    entries: Cache<SecretName, Arc<Known<T>>>,
}

impl<T> NameCache<T> {
    pub(crate) fn new(names_max: usize) -> Self {
        Self { entries: Cache::new(names_max) }
    }

    /// What is known of `name`, if the heads that it was made of are still the secret's.
    pub(crate) fn get(&self, name: &SecretName, index: &Index) -> Option<Arc<Known<T>>> {
        self.entries.get(name).filter(|known| known.holds(index))
    }

    pub(crate) fn insert(&self, name: SecretName, known: Known<T>) {
        self.entries.insert(name, Arc::new(known));
    }

    pub(crate) fn remove(&self, name: &SecretName) {
        self.entries.remove(name);
    }

    /// Whether anything is in memory of a secret, stale or not.
    #[cfg(test)]
    pub(crate) fn has(&self, name: &SecretName) -> bool {
        self.entries.get(name).is_some()
    }
}

impl<T> fmt::Debug for NameCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameCache(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::HeadChange;

    #[test]
    fn what_is_known_of_a_secret_is_not_given_out_after_its_heads_changed() {
        let index = Index::loading(0);
        let cache = NameCache::new(4);
        let name: SecretName = "n".parse().unwrap();
        let heads = |n| Heads { secret: [n; 16], stages: [n; 16] };
        let change = |before, after| {
            index.publish(&HeadChange { id: [7; 16], name: name.clone(), before, after });
        };
        let known = || cache.get(&name, &index).map(|known| known.what);
        change(None, Some(heads(1)));
        cache.insert(name.clone(), Known::new([7; 16], heads(1), "first"));
        assert_eq!((known(), known()), (Some("first"), Some("first")), "by tags, then by stamp");
        // A secret of another id that shares the stamp.
        let mut other = [7; 16];
        other[0] = 8;
        let beside = HeadChange {
            id: other,
            name: "m".parse().unwrap(),
            before: None,
            after: Some(heads(3)),
        };
        index.publish(&beside);
        assert_eq!((known(), known()), (Some("first"), Some("first")), "another one's change");
        change(Some(heads(1)), Some(heads(2)));
        assert_eq!((known(), known()), (None, None), "its own");
        change(Some(heads(2)), None);
        assert_eq!(known(), None, "removed");
    }
}
