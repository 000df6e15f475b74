//! The state in sled 0.34.7: the only file that names it.
//!
//! What this adapter adds, each for a measured reason (`manual/format.md`, "sled"):
//!
//! * sled's `flush` is no barrier against power loss: [`Backend::sync`] adds `fdatasync` on a handle
//!   of our own, which is held open all the time, since a late one may miss a write error.
//! * A tree node over a quarter of a segment would leave the log for an unsynced file, and nodes are
//!   rewritten whole: records over 1 KiB are cut into pieces.
//! * An interrupted open can leave `snap.*.generating`, on which every later open fails: removed.
//! * A read error while sled recovers loses data for good: every file is read to its end before.
//! * sled panics on some damage: every call runs under `catch_unwind`.
//! * A call may wait for ever for a write that failed: a thread looks for such errors and wakes it.

use std::{
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use sled::{Transactional as _, Tree, transaction::TransactionError};

use crate::{
    domain::planted::{Planted, planted},
    storage::{
        Address, Record, Write,
        backend::{Backend, CompactError, Compacted, StorageError, TreeSpec, Visit},
        disk::{Disk, DiskFile, Moment, StateCall},
        pieces::{
            PIECE_BYTES, Reassembly, key_of_piece, piece_key, pieces_backwards, put_pieces,
            split_count,
        },
        sled_files::{SEGMENT_BYTES, SledFiles},
        waker::Waker,
    },
};

/// How many pieces of a large record are written or removed between two syncs: 64 KiB.
const LARGE_STEP_PIECES: usize = 64;

/// How long to wait for a lock that an earlier handle of this process is still letting go of.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

impl SledFiles {
    /// Opens the state, or makes it.
    pub(crate) fn open(
        self,
        specs: &[TreeSpec],
        cache_bytes: u64,
    ) -> Result<SledBackend, StorageError> {
        let config = sled::Config::new()
            .path(&self.path)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            // The engine syncs; sled's own flusher only logs a failed sync.
            .flush_every_ms(None);
        let db =
            open_when_unlocked(self.disk.as_ref(), &config).inspect_err(|err| self.doubt(err))?;
        match waker(&db).map_err(Into::into).and_then(|waker| Ok((waker, self.finish(&db, specs)?)))
        {
            Ok((waker, (trees, log))) => Ok(SledBackend {
                open: RwLock::new(Some(Open { waker, db, trees })),
                log: Mutex::new(log),
                files: self,
                cache_bytes,
            }),
            Err(err) => {
                // Letting go of a state writes to its files too, and panics if that fails.
                let _ = guard(self.disk.as_ref(), StateCall::Close, || {
                    drop(db);
                    Ok(())
                });
                Err(err)
            }
        }
    }

    /// What is left to be done with the files once sled has opened them.
    fn finish(&self, db: &sled::Db, specs: &[TreeSpec]) -> Result<OpenParts, StorageError> {
        // The name of the snapshot that sled has just written.
        self.disk.sync_dir(&self.path)?;
        self.young().forget()?;
        let trees = guard(self.disk.as_ref(), StateCall::Open, || {
            specs
                .iter()
                .map(|spec| Ok((*spec, db.open_tree(spec.name)?)))
                .collect::<sled::Result<_>>()
        })?;
        self.close_to_others()?;
        Ok((trees, self.disk.open(&self.path.join("db"))?))
    }
}

/// The trees of an open state, and its log.
type OpenParts = (Vec<(TreeSpec, Tree)>, Box<dyn DiskFile>);

/// An open state.
#[derive(Debug)]
pub(crate) struct SledBackend {
    pub(super) open: RwLock<Option<Open>>,
    pub(super) log: Mutex<Box<dyn DiskFile>>,
    pub(super) files: SledFiles,
    pub(super) cache_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Open {
    // Dropped first, since its thread holds the state too.
    waker: Waker,
    pub(super) db: sled::Db,
    pub(super) trees: Vec<(TreeSpec, Tree)>,
}

impl SledBackend {
    /// Runs `call` on the open trees, with sled's errors and panics translated.
    pub(super) fn with<T>(
        &self,
        call: StateCall,
        run: impl FnOnce(&Open) -> sled::Result<T>,
    ) -> Result<T, StorageError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or(StorageError::Closed)?;
        guard(self.files.disk.as_ref(), call, || run(open))
    }

    /// Puts or removes some pieces of one record.
    fn put_batch(
        &self,
        address: &Address,
        pieces: &[(u16, Option<Vec<u8>>)],
    ) -> Result<(), StorageError> {
        self.with(StateCall::ApplyLarge, |open| {
            let mut batch = sled::Batch::default();
            for (index, piece) in pieces {
                let key = key_of_piece(address.key(), *index);
                match piece {
                    Some(piece) => batch.insert(key, piece.as_slice()),
                    None => batch.remove(key),
                }
            }
            open.tree(address.tree())?.1.apply_batch(batch)
        })
    }
}

impl Open {
    /// How many pieces the record at `address` has. Without a first piece, as a record that was not
    /// wholly written has none, up to which one there are others.
    fn pieces(&self, address: &Address) -> sled::Result<u16> {
        let (tree, key) = (&self.tree(address.tree())?.1, address.key());
        if let Some(first) = tree.get(key)? {
            return Ok(split_count(&first).map_or(1, |(count, _)| count));
        }
        let last = tree.range(piece_key(key, 0)..=piece_key(key, u16::MAX)).next_back();
        let last = last.transpose()?.and_then(|(key, _)| key.last_chunk::<2>().copied());
        Ok(last.map_or(0, |index| u16::from_be_bytes(index).saturating_add(1)))
    }

    /// The pieces to be put or removed for `write`, in an order in which it may be cut off: the first
    /// piece comes last. Without it a new record is not seen, and with it what is left of an old one is
    /// found again.
    fn backwards(&self, write: &Write) -> sled::Result<Vec<(u16, Option<Vec<u8>>)>> {
        match &write.record {
            Some(record) => Ok(pieces_backwards(record)),
            None => {
                Ok((0..self.pieces(&write.address)?).rev().map(|index| (index, None)).collect())
            }
        }
    }

    pub(super) fn tree(&self, id: u8) -> sled::Result<&(TreeSpec, Tree)> {
        self.trees
            .iter()
            .find(|(spec, _)| spec.id == id)
            .ok_or_else(|| sled::Error::Unsupported(format!("there is no tree {id:#04x}")))
    }
}

impl Backend for SledBackend {
    fn read(&self, address: &Address) -> Result<Option<Record>, StorageError> {
        self.with(StateCall::Read, |open| {
            let (_, tree) = open.tree(address.tree())?;
            let Some(first) = tree.get(address.key())? else { return Ok(None) };
            let Some((count, head)) = split_count(&first) else { return Ok(None) };
            if count == 1 {
                return Ok(Some(Record::from(head)));
            }
            let mut record = head.to_vec();
            for index in 1..count {
                let Some(piece) = tree.get(piece_key(address.key(), index))? else {
                    return Ok(None);
                };
                record.extend_from_slice(&piece);
            }
            Ok(Some(record.into()))
        })
    }

    fn apply(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.with(StateCall::Apply, |open| {
            let trees: Vec<Tree> = open.trees.iter().map(|(_, tree)| tree.clone()).collect();
            let result = trees[..].transaction(|views| {
                for write in writes {
                    let tree =
                        open.trees.iter().position(|(spec, _)| spec.id == write.address.tree());
                    if let Some(view) = tree.and_then(|tree| views.get(tree)) {
                        put_pieces(write, |key, piece| match piece {
                            Some(piece) => view.insert(key, piece),
                            None => view.remove(key),
                        })?;
                    }
                }
                Ok(())
            });
            result.map_err(|err| match err {
                TransactionError::Abort(()) => sled::Error::ReportableBug("aborted".to_owned()),
                TransactionError::Storage(err) => err,
            })
        })
    }

    fn apply_apart(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.with(StateCall::ApplyApart, |open| {
            for write in writes {
                let tree = &open.tree(write.address.tree())?.1;
                for (index, piece) in open.backwards(write)? {
                    let key = key_of_piece(write.address.key(), index);
                    let _ = match piece {
                        Some(piece) => tree.insert(key, piece),
                        None => tree.remove(key),
                    }?;
                }
            }
            Ok(())
        })
    }

    fn stored_bytes(&self, address: &Address) -> Result<usize, StorageError> {
        let pieces = self.with(StateCall::Size, |open| open.pieces(address))?;
        Ok(usize::from(pieces).saturating_mul(PIECE_BYTES))
    }

    fn apply_large(&self, write: &Write) -> Result<(), StorageError> {
        let backwards = self.with(StateCall::Size, |open| open.backwards(write))?;
        for few in backwards.chunks(LARGE_STEP_PIECES) {
            self.put_batch(&write.address, few)?;
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.with(StateCall::Sync, |open| open.db.flush())
            .and_then(|_| match planted(Planted::StateSync) {
                true => Ok(()),
                false => Ok(self.log.lock().sync_data()?),
            })
            .inspect_err(|err| self.files.doubt(err))
    }

    fn settle(&self) -> Result<(), StorageError> {
        self.with(StateCall::Sync, |open| open.db.flush())
            .and_then(|_| Ok(self.log.lock().sync_all()?))
            .and_then(|()| Ok(self.files.sync_others()?))
            .inspect_err(|err| self.files.doubt(err))
    }

    fn scan(&self, tree: u8, after: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StorageError> {
        self.with(StateCall::Scan, |open| {
            let (spec, tree) = open.tree(tree)?;
            let mut entries = match after {
                // Beyond the pieces of `after`, whose keys begin with it.
                Some(key) => tree.range(piece_key(key, u16::MAX)..),
                None => tree.iter(),
            };
            let mut scan = Reassembly::default();
            for entry in &mut entries {
                let (key, bytes) = entry?;
                // Nearly all records are of one piece: those are shown as they are.
                if key.len() == spec.key_len
                    && let Some((1, record)) = split_count(&bytes)
                    && scan.is_empty()
                {
                    if visit(&key, record) == ControlFlow::Break(()) {
                        return Ok(());
                    }
                    continue;
                }
                if let Some((key, record)) = scan.push(spec, &key, &bytes)
                    && visit(&key, &record) == ControlFlow::Break(())
                {
                    return Ok(());
                }
            }
            if let Some((key, record)) = scan.finish() {
                let _ = visit(&key, &record);
            }
            Ok(())
        })
    }

    fn last_key(&self, tree: u8) -> Result<Option<Vec<u8>>, StorageError> {
        self.with(StateCall::LastKey, |open| {
            let (spec, tree) = open.tree(tree)?;
            Ok(tree.last()?.map(|(key, _)| key.get(..spec.key_len).unwrap_or(&key).to_vec()))
        })
    }

    fn compact(&self) -> Result<Compacted, CompactError> {
        self.move_into_fresh_files()
    }

    fn close(&self) -> Result<(), StorageError> {
        let open = self.open.write().take();
        guard(self.files.disk.as_ref(), StateCall::Close, || {
            if let Some(Open { waker, db, trees }) = open {
                // While there is someone to wake it: letting go flushes what is left.
                let _ = db.flush();
                drop(waker);
                drop((trees, db));
            }
            Ok(())
        })
    }
}

impl Drop for SledBackend {
    fn drop(&mut self) {
        // sled's own drop panics when its last sync fails; here that is an error nobody hears of.
        let _ = self.close();
    }
}

/// Opens, and waits a while if the lock is still held: the store's own lock is ours already, so it
/// can only be an earlier handle of this process whose pool threads have not let go yet.
fn open_when_unlocked(disk: &dyn Disk, config: &sled::Config) -> Result<sled::Db, StorageError> {
    let give_up = Instant::now().checked_add(LOCK_WAIT_MAX);
    loop {
        match guard(disk, StateCall::Open, || config.open()) {
            Err(StorageError::Io(err))
                if err.to_string().contains("could not acquire lock")
                    && give_up.is_some_and(|at| Instant::now() < at) =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// What wakes those who wait for a write that failed.
///
/// sled writes its log in threads of its own. If that fails it keeps the error, and in one of two
/// places (`exit_reservation`) it wakes nobody: a flush, or a read of what was not written yet, then
/// waits for ever. Whatever call meets the kept error wakes them all.
fn waker(db: &sled::Db) -> io::Result<Waker> {
    let db = db.clone();
    Waker::start(move || {
        if db.context.global_error().is_err() {
            // Does not wait itself, since it meets the error.
            let _ = catch_unwind(AssertUnwindSafe(|| db.flush()));
        }
    })
}

/// Runs a call into sled; a panic becomes an error.
fn guard<T>(
    disk: &dyn Disk,
    call: StateCall,
    run: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StorageError> {
    let told = || {
        disk.state_call(call, Moment::Before)?;
        let value = run()?;
        disk.state_call(call, Moment::After)?;
        Ok(value)
    };
    match catch_unwind(AssertUnwindSafe(told)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(err))) => Err(StorageError::Io(err)),
        Ok(Err(sled::Error::Corruption { at, .. })) => {
            let at = at.map_or_else(String::new, |at| format!(" at {at:?}"));
            Err(StorageError::Corrupt(format!("sled finds the files of the state corrupt{at}")))
        }
        Ok(Err(sled::Error::CollectionNotFound(_))) => {
            Err(StorageError::Corrupt("a tree of the state is gone".to_owned()))
        }
        // The text of the other two describes sled's configuration or a broken rule of its own.
        Ok(Err(sled::Error::Unsupported(text) | sled::Error::ReportableBug(text))) => {
            Err(StorageError::Corrupt(format!("the files of the state: {text}")))
        }
        Err(_) => Err(StorageError::Panicked),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

    use super::*;
    use crate::storage::{RealDisk, memory::MemoryBackend};

    const SPECS: [TreeSpec; 2] =
        [TreeSpec { id: 1, name: "a", key_len: 16 }, TreeSpec { id: 2, name: "b", key_len: 8 }];

    fn open(path: &Path) -> SledBackend {
        SledFiles::new(Arc::new(RealDisk), path.to_owned()).open(&SPECS, 1 << 24).unwrap()
    }

    fn all(backend: &dyn Backend, tree: u8, after: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        backend
            .scan(tree, after, &mut |key, record| {
                found.push((key.to_vec(), record.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    /// What any backend must do.
    fn conformance(backend: &dyn Backend) {
        let at = |n: u64| Address::new(2, n.to_be_bytes());
        let record = |len: usize, fill: u8| vec![fill; len];
        assert!(backend.read(&at(1)).unwrap().is_none());
        assert!(backend.last_key(2).unwrap().is_none());

        // Records around the size of a piece, next to each other, and one in another tree.
        let sizes = [0, 1, 4095, 4096, 4097, 8192, 8193, 70_000];
        let mut writes: Vec<Write> = (1_u64..)
            .zip(sizes)
            .map(|(n, len)| Write::put(at(n), record(len, n.to_be_bytes()[7])))
            .collect();
        writes.push(Write::put(Address::new(1, [9; 16]), record(10, 9)));
        backend.apply(&writes).unwrap();
        for (n, len) in (1_u64..).zip(sizes) {
            let found = backend.read(&at(n)).unwrap().unwrap();
            assert!(found.len() == len && found.iter().all(|b| u64::from(*b) == n), "{n}");
        }
        let scanned = all(backend, 2, None);
        assert_eq!(scanned.iter().map(|(_, r)| r.len()).collect::<Vec<_>>(), sizes);
        let rest = all(backend, 2, Some(&5_u64.to_be_bytes()));
        assert_eq!(rest.iter().map(|(_, r)| r.len()).collect::<Vec<_>>(), [8192, 8193, 70_000]);
        assert_eq!(backend.last_key(2).unwrap().unwrap(), 8_u64.to_be_bytes());

        // A shorter record leaves nothing of the longer one behind, nor does a removed one.
        backend.apply(&[Write::put(at(8), record(3, 1)), Write::remove(at(7))]).unwrap();
        assert_eq!(&backend.read(&at(8)).unwrap().unwrap()[..], [1; 3]);
        assert_eq!(all(backend, 2, Some(&5_u64.to_be_bytes())).len(), 2);
        backend.apply(&[Write::remove(at(6)), Write::remove(at(99))]).unwrap();
        assert_eq!(all(backend, 2, Some(&5_u64.to_be_bytes())).len(), 1);
        let large = Write::put(at(5), record(1_000_000, 5));
        backend.apply_large(&large).unwrap();
        assert_eq!(backend.read(&at(5)).unwrap(), large.record);
        assert_eq!(all(backend, 2, Some(&4_u64.to_be_bytes()))[0].1.len(), 1_000_000);
        assert!(backend.stored_bytes(&at(5)).unwrap() >= 1_000_000);
        backend.apply_large(&Write::remove(at(5))).unwrap();
        assert!(backend.read(&at(5)).unwrap().is_none());
        assert_eq!(backend.stored_bytes(&at(5)).unwrap(), 0);
        assert_eq!(all(backend, 2, Some(&4_u64.to_be_bytes())).len(), 1);
        backend.sync().unwrap();
        backend.settle().unwrap();
    }

    #[test]
    fn sled_keeps_the_rules_of_a_backend() {
        let dir = tempfile::tempdir().unwrap();
        conformance(&open(&dir.path().join("db")));
    }

    #[test]
    fn what_is_left_of_a_large_record_that_was_not_wholly_written_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(&dir.path().join("db"));
        let address = Address::new(2, [1; 8]);
        backend.put_batch(&address, &[(70, Some(vec![1])), (71, Some(vec![1]))]).unwrap();
        assert!(backend.read(&address).unwrap().is_none());
        assert!(backend.stored_bytes(&address).unwrap() > 70_000);
        backend.apply_large(&Write::remove(address)).unwrap();
        assert_eq!(backend.stored_bytes(&address).unwrap(), 0);
        assert!(all(&backend, 2, None).is_empty());
    }

    #[test]
    fn memory_keeps_the_rules_of_a_backend() {
        conformance(&MemoryBackend::default());
    }

    #[test]
    fn records_are_there_after_closing_and_opening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let address = Address::new(1, [7; 16]);
        for round in 0_u8..3 {
            let backend = open(&path);
            let found = backend.read(&address).unwrap();
            assert_eq!(found.map(|r| r[0]), round.checked_sub(1));
            backend.apply(&[Write::put(address, vec![round; 9000])]).unwrap();
            backend.sync().unwrap();
            backend.close().unwrap();
            assert!(matches!(backend.read(&address), Err(StorageError::Closed)));
        }
    }

    #[test]
    fn a_missing_state_is_not_replaced_by_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("conf"), "").unwrap();
        let files = SledFiles::new(Arc::new(RealDisk), dir.path().to_owned());
        assert!(matches!(files.prepare(), Err(StorageError::Corrupt(_))));
    }

    #[test]
    fn what_an_interrupted_open_left_behind_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        open(&path).close().unwrap();
        let left = path.join("snap.0000.generating");
        fs::write(&left, "half a snapshot").unwrap();
        SledFiles::new(Arc::new(RealDisk), path.clone()).prepare().unwrap();
        assert!(!left.exists());
        open(&path).close().unwrap();
    }

    #[test]
    fn sled_s_files_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        open(&path).close().unwrap();
        for name in ["db", "conf"] {
            let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    /// After a loss of power pieces of the state were of no secret: the first had gone before them.
    #[test]
    fn a_value_put_or_removed_in_pieces_is_found_again_wherever_it_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(&dir.path().join("db"));
        let address = Address::new(2, [7; 8]);
        let (put, remove) = (Write::put(address, vec![7; 2500]), Write::remove(address));
        let first_of = |write: &Write, count: usize| {
            let pieces = backend.with(StateCall::Size, |open| open.backwards(write)).unwrap();
            assert_eq!(pieces.len(), 3);
            backend.put_batch(&address, &pieces[..count]).unwrap();
        };
        for count in 1..3 {
            first_of(&put, count);
            assert_eq!(backend.read(&address).unwrap(), None, "{count} of 3 put");
            assert_ne!(backend.stored_bytes(&address).unwrap(), 0, "{count} of 3 put");
            backend.apply_apart(std::slice::from_ref(&put)).unwrap();
            assert_eq!(backend.read(&address).unwrap(), put.record);
            first_of(&remove, count);
            assert_ne!(backend.stored_bytes(&address).unwrap(), 0, "{count} of 3 removed");
            backend.apply_apart(std::slice::from_ref(&remove)).unwrap();
            assert_eq!(backend.stored_bytes(&address).unwrap(), 0);
            assert!(all(&backend, 2, None).is_empty(), "nothing is left");
        }
    }
}
