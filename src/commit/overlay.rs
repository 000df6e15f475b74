//! Records that are committed and not yet in the state: where reads look first.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::RwLock;

use crate::{
    commit::address::root_address,
    format::Tree,
    storage::{Address, Record, Write},
};

const SHARDS: usize = 64;

#[derive(Debug)]
struct Entry {
    seq: u64,
    /// `None`: removed.
    record: Option<Record>,
}

/// A map of the records between journal and state. All reads are reads by key, so it is hashed.
#[derive(Debug)]
pub(crate) struct Overlay {
    shards: Vec<RwLock<HashMap<Address, Entry>>>,
    hasher: RandomState,
    entries: AtomicUsize,
}

impl Overlay {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            entries: AtomicUsize::new(0),
        }
    }

    /// `None`: look in the state. `Some(None)`: removed.
    pub(crate) fn read(&self, address: &Address) -> Option<Option<Record>> {
        if self.entries.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.shard(address)?.read().get(address).map(|entry| entry.record.clone())
    }

    pub(crate) fn publish(&self, seq: u64, write: &Write) {
        let Some(shard) = self.shard(&write.address) else { return };
        let entry = Entry { seq, record: write.record.clone() };
        if shard.write().insert(write.address, entry).is_none() {
            self.entries.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether a later commit than `seq` put or removed what is at `address`, and waits.
    pub(crate) fn is_newer(&self, seq: u64, address: &Address) -> bool {
        self.shard(address)
            .is_some_and(|shard| shard.read().get(address).is_some_and(|entry| entry.seq > seq))
    }

    /// Drops what commit `seq` or an earlier one put at `address`: it is in the state now.
    pub(crate) fn drop_applied(&self, seq: u64, address: &Address) {
        let Some(shard) = self.shard(address) else { return };
        let mut shard = shard.write();
        if shard.get(address).is_some_and(|entry| entry.seq <= seq) {
            shard.remove(address);
            self.entries.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn shard(&self, address: &Address) -> Option<&RwLock<HashMap<Address, Entry>>> {
        let hash = usize::try_from(self.hasher.hash_one(address) >> 32).unwrap_or_default();
        self.shards.get(hash % SHARDS)
    }
}

/// Whether a record is ever read before the state has it.
pub(crate) fn is_read_by_key(address: &Address) -> bool {
    let trees = [Tree::Secrets.id(), Tree::Stages.id(), Tree::Versions.id(), Tree::Audit.id()];
    let is_object = address.tree() == Tree::System.id() && *address != root_address();
    trees.contains(&address.tree()) || is_object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_record_outlives_the_application_of_an_older_one() {
        let overlay = Overlay::new();
        let address = Address::new(1, [1; 8]);
        assert!(overlay.read(&address).is_none());
        overlay.publish(1, &Write::put(address, vec![1]));
        overlay.publish(2, &Write::remove(address));
        assert!(overlay.is_newer(1, &address) && !overlay.is_newer(2, &address));
        overlay.drop_applied(1, &address);
        assert_eq!(overlay.read(&address), Some(None));
        overlay.drop_applied(2, &address);
        assert!(overlay.read(&address).is_none());
    }
}
