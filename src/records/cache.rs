//! What was read lately, kept for the next reader.
//!
//! Bounded; the data keys of what falls out are wiped when its last reader lets go. An entry is only as
//! good as its tags: the reader compares them with the index, so a stale one is never used.

use std::{
    fmt,
    sync::{Arc, OnceLock},
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
        self.entries.get(name).filter(|known| index.heads(&known.id) == Some(known.heads))
    }

    pub(crate) fn insert(&self, name: SecretName, known: Known<T>) {
        self.entries.insert(name, Arc::new(known));
    }

    pub(crate) fn remove(&self, name: &SecretName) {
        self.entries.remove(name);
    }
}

impl<T> fmt::Debug for NameCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameCache(..)")
    }
}
