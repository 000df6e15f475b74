//! A state in memory, for tests: the same port, nothing on disk.

use std::{collections::BTreeMap, ops::ControlFlow};

use parking_lot::RwLock;

use crate::storage::{
    Address, Record, Write,
    backend::{Backend, CompactError, Compacted, StorageError, Visit},
};

/// A map of records.
#[derive(Debug, Default)]
pub(crate) struct MemoryBackend {
    records: RwLock<BTreeMap<(u8, Vec<u8>), Record>>,
}

impl Backend for MemoryBackend {
    fn read(&self, address: &Address) -> Result<Option<Record>, StorageError> {
        let key = (address.tree(), address.key().to_vec());
        Ok(self.records.read().get(&key).cloned())
    }

    fn apply(&self, writes: &[Write]) -> Result<(), StorageError> {
        let mut records = self.records.write();
        for write in writes {
            let key = (write.address.tree(), write.address.key().to_vec());
            match &write.record {
                Some(record) => records.insert(key, record.clone()),
                None => records.remove(&key),
            };
        }
        Ok(())
    }

    fn apply_apart(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.apply(writes)
    }

    fn stored_bytes(&self, address: &Address) -> Result<usize, StorageError> {
        Ok(self.read(address)?.map_or(0, |record| record.len().max(1)))
    }

    fn apply_large(&self, write: &Write) -> Result<(), StorageError> {
        self.apply(std::slice::from_ref(write))
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn settle(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn scan(&self, tree: u8, after: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StorageError> {
        let from = (tree, after.unwrap_or_default().to_vec());
        let records = self.records.read().clone();
        for ((found, key), record) in records.range(from..) {
            if *found != tree {
                break;
            }
            if after != Some(key.as_slice()) && visit(key, record) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, tree: u8) -> Result<Option<Vec<u8>>, StorageError> {
        let records = self.records.read();
        Ok(records.keys().rev().find(|(found, _)| *found == tree).map(|(_, key)| key.clone()))
    }

    fn compact(&self) -> Result<Compacted, CompactError> {
        Ok(Compacted::default())
    }

    fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
