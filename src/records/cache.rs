//! Opened heads, kept for the next reader: saves a read of the state and an AEAD open.
//!
//! Bounded; the data keys of what falls out are wiped when its last reader lets go. An entry is only as good as its
//! tag: the reader compares it with the index, so a stale one is never used.

use std::{fmt, sync::Arc};

use quick_cache::sync::Cache;

use crate::{
    commit::{NameId, Tag},
    storage::Record,
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
}

/// The heads of one kind that were used lately.
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
