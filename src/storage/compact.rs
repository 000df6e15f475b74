//! Compaction of the state: its records are copied into fresh files, which take the place of the old.
//!
//! sled gives hardly anything of its file back: segments are used again, and stay. A plain copy would
//! be no small one either, since sled rewrites nodes as they fill. So each part of a tree is written in
//! three rounds (`SledBackend::fill`), after which every node stands in the log once, as a whole.
//!
//! What is there after a crash, seen from the directory of the store:
//!
//! | moment | `db` | `db.new` | `db.old` | the next opening |
//! | --- | --- | --- | --- | --- |
//! | while copying | the state | a part of it | - | removes `db.new` |
//! | between the renamings | - | the state | the state | puts `db.old` back, removes `db.new` |
//! | after them | the state | - | the state, or a part | removes `db.old` |

use std::{cmp::Reverse, io, mem, ops::Bound, sync::Arc, thread, time::Duration};

use parking_lot::RwLockWriteGuard;

use crate::storage::{
    StorageError, TreeSpec,
    backend::{Backend as _, CompactError, Compacted},
    disk::StateCall,
    sled::{Open, SledBackend},
    sled_files::SledFiles,
};

/// How much of a tree is held in memory, and written in three rounds, at a time. What is written twice
/// takes room in the log until it is used again: less would be rewritten more often, more takes more room.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// How many records a leaf of sled has that was filled in the order of keys: it is split when it has
/// seventeen, and what stays are nine. If that were wrong the copy would be larger, and as right.
const LEAF_RECORDS: usize = 9;

/// After so many bytes given to sled it is asked to write them, for only what was written makes room.
const FLUSH_BYTES: usize = 128 * 1024;

/// What one record costs in sled's log beside key and value, roughly.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// What must stay free on the disk for commits, which go on meanwhile and would be the first to fail.
const ROOM_BYTES_MIN: u64 = 32 * 1024 * 1024;

/// How long the change of files waits at a time for those who read, and keeps new ones waiting.
const READERS_WAIT_MAX: Duration = Duration::from_millis(5);

/// How long it leaves them alone then.
const READERS_PAUSE: Duration = Duration::from_millis(50);

/// After so many times it waits for as long as it takes.
const READERS_TRIES_MAX: u32 = 200;

/// A key and a value as they stand in a tree of sled.
type Entry = (Vec<u8>, Vec<u8>);

impl SledBackend {
    /// Copies the state into fresh files and goes on with those. Nothing may be applied meanwhile.
    pub(super) fn move_into_fresh_files(&self) -> Result<Compacted, CompactError> {
        let bytes_before = self.files.allocated_bytes().map_err(kept)?;
        let copied = self.copy().map_err(CompactError::Kept);
        let (fresh, record_bytes) = copied.inspect_err(|_| {
            // Best effort: what is left is removed by the next attempt, or the next opening.
            let _ = self.files.fresh().remove();
        })?;
        self.exchange(&fresh)?;
        // Now the old files are those of `fresh`. Nothing in them is needed any more.
        let _ = fresh.close();
        self.files.old().remove().map_err(CompactError::Kept)?;
        let bytes_after = self.files.allocated_bytes().map_err(kept)?;
        Ok(Compacted { bytes_before, bytes_after, record_bytes })
    }

    /// A durable copy of all records beside the state, read back and compared; and how many bytes the
    /// records have.
    fn copy(&self) -> Result<(Self, u64), StorageError> {
        let files = || self.files.fresh();
        files().remove()?;
        self.files.old().remove()?;
        let specs = self.specs()?;
        let fresh = files().open(&specs, self.cache_bytes)?;
        let mut trees = Vec::new();
        for spec in &specs {
            trees.push((self.tree_bytes(*spec)?, *spec));
        }
        // The smaller ones fit into the room that the larger ones leave behind.
        trees.sort_by_key(|(bytes, _)| Reverse(*bytes));
        trees.iter().try_for_each(|(_, spec)| self.copy_tree(&fresh, *spec))?;
        let record_bytes = trees.iter().map(|(bytes, _)| *bytes).fold(0, u64::saturating_add);
        fresh.settle()?;
        fresh.close()?;
        // As the next opening will do it, and so that nothing comes from the memory of this one.
        files().prepare()?;
        let fresh = files().open(&specs, self.cache_bytes)?;
        specs.iter().try_for_each(|spec| self.compare_tree(&fresh, *spec))?;
        fresh.settle()?;
        Ok((fresh, record_bytes))
    }

    /// Bytes of all keys and values of a tree.
    fn tree_bytes(&self, spec: TreeSpec) -> Result<u64, StorageError> {
        self.with(StateCall::Scan, |open| {
            open.tree(spec.id)?.1.iter().try_fold(0_u64, |sum, entry| {
                let (key, value) = entry?;
                Ok(sum.saturating_add(key.len().saturating_add(value.len()) as u64))
            })
        })
    }

    fn copy_tree(&self, fresh: &Self, spec: TreeSpec) -> Result<(), StorageError> {
        let (mut after, mut count) = (None::<Vec<u8>>, 0_usize);
        loop {
            let part = self.part(spec, after.as_deref())?;
            let Some((last, _)) = part.last() else { return Ok(()) };
            after = Some(last.clone());
            if self.files.disk.room(&fresh.files.path)? < ROOM_BYTES_MIN {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            fresh.fill(spec, &part, count)?;
            count = count.saturating_add(part.len());
        }
    }

    /// Writes the next records of a tree, before which it has `count`.
    ///
    /// First all keys, by which the tree gets its nodes while these are small. Then all values but one
    /// in each leaf: with this the leaf has as many changes as sled takes before it writes the node
    /// anew, whole, and the last value makes it do so. All that was written before is dead then, in
    /// segments next to each other, which are used again.
    fn fill(&self, spec: TreeSpec, part: &[Entry], count: usize) -> Result<(), StorageError> {
        let is_last = |n: usize| {
            count.saturating_add(n).checked_rem(LEAF_RECORDS) == LEAF_RECORDS.checked_sub(1)
        };
        let rounds: [&dyn Fn(usize) -> Option<Round>; 3] = [
            &|_| Some(Round::Key),
            &|n| Some(if is_last(n) { Round::Mark } else { Round::Value }),
            &|n| is_last(n).then_some(Round::Value),
        ];
        rounds.into_iter().try_for_each(|round| {
            self.with(StateCall::Apply, |open| {
                let (tree, mut unflushed) = (&open.tree(spec.id)?.1, 0_usize);
                for (n, (key, value)) in part.iter().enumerate() {
                    let value: &[u8] = match round(n) {
                        Some(Round::Key) => &[],
                        Some(Round::Mark) => &[0],
                        Some(Round::Value) => value,
                        None => continue,
                    };
                    tree.insert(key, value)?;
                    let bytes = key.len().saturating_add(value.len());
                    unflushed =
                        unflushed.saturating_add(bytes).saturating_add(RECORD_OVERHEAD_BYTES);
                    if unflushed > FLUSH_BYTES {
                        open.db.flush()?;
                        unflushed = 0;
                    }
                }
                open.db.flush().map(drop)
            })
        })
    }

    fn compare_tree(&self, fresh: &Self, spec: TreeSpec) -> Result<(), StorageError> {
        let mut after = None::<Vec<u8>>;
        loop {
            let part = self.part(spec, after.as_deref())?;
            if part != fresh.part(spec, after.as_deref())? {
                return Err(StorageError::Corrupt("the copy of the state is another".to_owned()));
            }
            let Some((last, _)) = part.last() else { return Ok(()) };
            after = Some(last.clone());
        }
    }

    /// The next entries of a tree after a key, as they stand in sled.
    fn part(&self, spec: TreeSpec, after: Option<&[u8]>) -> Result<Vec<Entry>, StorageError> {
        self.with(StateCall::Scan, |open| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let (mut part, mut bytes) = (Vec::new(), 0_usize);
            for entry in open.tree(spec.id)?.1.range::<&[u8], _>((from, Bound::Unbounded)) {
                let (key, value) = entry?;
                bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
                part.push((key.to_vec(), value.to_vec()));
                if bytes > PART_BYTES {
                    break;
                }
            }
            Ok(part)
        })
    }

    /// Puts the files of `fresh` in the place of ours, and its open state too.
    fn exchange(&self, fresh: &Self) -> Result<(), CompactError> {
        let (disk, path) = (self.files.disk.as_ref(), &self.files.path);
        disk.rename(path, &self.files.old().path)
            .and_then(|()| disk.rename(&fresh.files.path, path))
            .and_then(|()| self.files.sync_parent())
            .map_err(|err| CompactError::Broken(err.into()))?;
        // sled has its files open and asks for none by name any more, so it may go on with them.
        let mut ours = self.without_readers();
        mem::swap(&mut *ours, &mut *fresh.open.write());
        mem::swap(&mut *self.log.lock(), &mut *fresh.log.lock());
        Ok(())
    }

    /// The state, with nobody reading. Who scans it may take long, and whoever came after us would wait
    /// behind us: so we step back now and then.
    fn without_readers(&self) -> RwLockWriteGuard<'_, Option<Open>> {
        for _ in 0..READERS_TRIES_MAX {
            if let Some(guard) = self.open.try_write_for(READERS_WAIT_MAX) {
                return guard;
            }
            thread::sleep(READERS_PAUSE);
        }
        self.open.write()
    }

    fn specs(&self) -> Result<Vec<TreeSpec>, StorageError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or(StorageError::Closed)?;
        Ok(open.trees.iter().map(|(spec, _)| *spec).collect())
    }
}

/// What is written of an entry.
enum Round {
    Key,
    /// Something else than key and value.
    Mark,
    Value,
}

impl SledFiles {
    /// The files of a copy that is being made.
    fn fresh(&self) -> Self {
        self.beside("new")
    }

    /// The files that were replaced by a copy.
    fn old(&self) -> Self {
        self.beside("old")
    }

    fn beside(&self, extension: &str) -> Self {
        Self::new(Arc::clone(&self.disk), self.path.with_extension(extension))
    }

    /// Brings a compaction that was cut off to an end: the state is at its place, and nothing beside it.
    pub(crate) fn end_compaction(&self) -> Result<(), StorageError> {
        let old = self.old();
        if !self.is_there()? && old.is_there()? {
            self.disk.rename(&old.path, &self.path)?;
            self.sync_parent()?;
        }
        self.fresh().remove()?;
        old.remove()
    }
}

fn kept(err: io::Error) -> CompactError {
    CompactError::Kept(err.into())
}
