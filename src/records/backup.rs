//! The whole store as a backup, and built again out of it.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::Path,
    sync::Arc,
};

use crate::{
    commit::{
        self, Copied, EngineError, OpenError, Unlock, secret_address, stages_address, value_address,
    },
    crypto::{ct_eq, random, sha256},
    domain::{Expect, Timestamp, VersionState},
    format::{Entry, Kind, RootV1, Tree},
    records::{
        Act, Author, Operation, Records, Sealer, Stages, Verified,
        head::HeadBody,
        inspect::Inspector,
        stream::{BackupReader, BackupWriter, FORGED},
    },
    storage::{self, Address, DirLock, Disk, Record},
};

/// How many bytes of records are taken from a tree at a time.
const PART_BYTES: usize = 1024 * 1024;

/// What is in a backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Contents {
    pub(crate) store_id: [u8; 16],
    pub(crate) seq: u64,
    pub(crate) time_ms: i64,
    pub(crate) seen: Verified,
    pub(crate) bytes: u64,
}

/// Told how many bytes have gone by.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64);

/// Where a backup is restored to.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) path: &'a Path,
    pub(crate) cache_bytes: u64,
    pub(crate) at: Timestamp,
}

/// Called with the key and the record.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), OpenError>;

impl Records {
    /// Writes all records of one commit to `to`, each checked on its way.
    pub(crate) fn back_up(
        &self,
        to: &mut dyn Write,
        progress: Progress<'_>,
    ) -> Result<Contents, OpenError> {
        let (root, key_file, _standstill) = self.engine.stand_still()?;
        let sealer = self.sealer.clone();
        let keys = (&*self.sealer.ring, self.sealer.store_id);
        let mut out = Out {
            writer: BackupWriter::begin(to, keys, &key_file)?,
            inspector: None,
            key_file: &key_file,
            sealer,
            progress,
        };
        let state = self.engine.state();
        let root_key = Address::new(Tree::System.id(), [Kind::Root.id(), 0, 0, 0, 0, 0, 0, 0, 0]);
        let record = state.read(&root_key)?.ok_or(FORGED)?;
        out.add(Tree::System, root_key.key(), &record)?;
        self.each(Tree::System, &mut |key, record| match key == root_key.key() {
            true => Ok(()),
            false => out.add(Tree::System, key, record),
        })?;
        self.each(Tree::Secrets, &mut |key, record| {
            let id = key.try_into().map_err(|_| FORGED)?;
            out.add(Tree::Secrets, secret_address(&id).key(), record)?;
            let stages = state.read(&stages_address(&id))?.ok_or(FORGED)?;
            out.add(Tree::Stages, key, &stages)?;
            let (table, _) = Stages::open(&self.sealer, &id, &stages).map_err(|_| FORGED)?;
            let kept = table.versions.iter().filter(|row| row.state != VersionState::Destroyed);
            for row in kept {
                let address = value_address(row.vrec);
                let value = state.read(&address)?.ok_or(FORGED)?;
                out.add(Tree::Versions, address.key(), &value)?;
            }
            Ok(())
        })?;
        self.each(Tree::Audit, &mut |key, record| out.add(Tree::Audit, key, record))?;
        self.each(Tree::Notices, &mut |key, record| out.add(Tree::Notices, key, record))?;
        out.writer.end()?;
        let bytes = out.writer.bytes;
        let inspector = out.inspector.take().ok_or(FORGED)?;
        if inspector.root.seq != root.seq {
            return Err(FORGED);
        }
        to.flush()?;
        let seen = inspector.end()?;
        let (store_id, seq, time_ms) = (self.sealer.store_id, root.seq, root.time_ms);
        Ok(Contents { store_id, seq, time_ms, seen, bytes })
    }

    /// Visits the records of a tree, in pieces: nothing is locked while one is visited.
    fn each(&self, tree: Tree, visit: Visit<'_>) -> Result<(), OpenError> {
        let mut after = None::<Vec<u8>>;
        loop {
            let (mut part, mut bytes) = (Vec::new(), 0_usize);
            self.engine.state().scan(tree.id(), after.as_deref(), &mut |key, record| {
                bytes = bytes.saturating_add(record.len()).saturating_add(key.len());
                part.push((key.to_vec(), record.to_vec()));
                if bytes > PART_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let Some((last, _)) = part.last() else { return Ok(()) };
            after = Some(last.clone());
            part.iter().try_for_each(|(key, record)| visit(key, record))?;
        }
    }
}

/// What records go through on their way out.
struct Out<'a> {
    writer: BackupWriter<'a>,
    inspector: Option<Inspector>,
    key_file: &'a [u8],
    sealer: Sealer,
    progress: Progress<'a>,
}

impl Out<'_> {
    fn add(&mut self, tree: Tree, key: &[u8], record: &[u8]) -> Result<(), OpenError> {
        let entry = Entry { tree, key, record };
        inspect(&mut self.inspector, &self.sealer, &entry, self.key_file)?;
        self.writer.add(&entry)?;
        (self.progress)(self.writer.bytes);
        Ok(())
    }
}

/// The first entry makes the inspector, all others are looked at by it.
fn inspect(
    inspector: &mut Option<Inspector>,
    sealer: &Sealer,
    entry: &Entry<'_>,
    key_file: &[u8],
) -> Result<(), EngineError> {
    match inspector {
        Some(inspector) => inspector.look(entry),
        None => {
            *inspector = Some(Inspector::begin(sealer.clone(), entry, key_file)?);
            Ok(())
        }
    }
}

/// Checks a backup to its end.
pub(crate) fn check_backup(
    from: &mut dyn Read,
    (unlock, expect): (&Unlock, &Expect),
    progress: Progress<'_>,
) -> Result<Contents, OpenError> {
    check(from, (unlock, expect), progress).map(|(contents, _)| contents)
}

fn check(
    from: &mut dyn Read,
    (unlock, expect): (&Unlock, &Expect),
    progress: Progress<'_>,
) -> Result<(Contents, RootV1), OpenError> {
    let mut reader = BackupReader::begin(from, unlock)?;
    let store_id = reader.store_id();
    if !expect.allows_store(&store_id) {
        return Err(OpenError::WrongStore);
    }
    let (ring, key_file) = (Arc::clone(&reader.keys.ring), reader.keys.bytes.clone());
    let (sealer, mut inspector) = (Sealer { ring, store_id }, None);
    reader.each(&mut |entry, bytes| {
        inspect(&mut inspector, &sealer, entry, &key_file)?;
        progress(bytes);
        Ok(())
    })?;
    let inspector = inspector.ok_or(FORGED)?;
    let (root, bytes) = (inspector.root.clone(), reader.bytes);
    let seen = inspector.end()?;
    Ok((Contents { store_id, seq: root.seq, time_ms: root.time_ms, seen, bytes }, root))
}

/// Checks a backup to its end, then builds a store out of it. Gives its lock.
pub(crate) fn restore_backup<R: Read + Seek>(
    from: &mut R,
    (unlock, expect): (&Unlock, &Expect),
    target: &Target<'_>,
    progress: Progress<'_>,
) -> Result<(Contents, DirLock), OpenError> {
    commit::check_is_free(target.disk.as_ref(), target.path)?;
    let start = from.stream_position()?;
    let (contents, root) = check(from, (unlock, expect), progress)?;
    let lock = commit::build_in_place(target.disk.as_ref(), target.path, &mut |dir| {
        from.seek(SeekFrom::Start(start))?;
        let mut reader = BackupReader::begin(from, unlock)?;
        let sealer = Sealer { ring: Arc::clone(&reader.keys.ring), store_id: reader.store_id() };
        // It may have been exchanged since it was checked.
        let key_file_is_bound = ct_eq(&sha256(&[&reader.keys.bytes]), &root.ring_digest);
        if !key_file_is_bound || sealer.store_id != contents.store_id {
            return Err(FORGED);
        }
        let key_file = reader.keys.bytes.clone();
        let copied = Copied {
            key_file: &key_file,
            ring: &sealer.ring,
            store_id: sealer.store_id,
            root: root.clone(),
            epoch: new_epoch(root.epoch)?,
            time_ms: target.at.as_millis(),
            audit: audit(&sealer, target.at)?,
            cache_bytes: target.cache_bytes,
        };
        commit::build_copy(target.disk, dir, &copied, &mut |take| {
            let mut inspector = None;
            reader.each(&mut |entry, bytes| {
                let is_root = inspector.is_none();
                inspect(&mut inspector, &sealer, entry, &key_file)?;
                progress(contents.bytes.saturating_add(bytes));
                if is_root {
                    return Ok(());
                }
                let address = Address::from_slice(entry.tree.id(), entry.key).ok_or(FORGED)?;
                take(storage::Write::put(address, entry.record))
            })?;
            let inspector = inspector.ok_or(FORGED)?;
            let same = inspector.root == root;
            inspector.end()?;
            if same { Ok(()) } else { Err(FORGED) }
        })
    })?;
    Ok((contents, lock))
}

/// Tells the copy from the original and from every other copy: their anchors do not fit it.
fn new_epoch(old: u64) -> Result<u64, OpenError> {
    let mut epoch = [0; 8];
    random::fill(&mut epoch).map_err(EngineError::from)?;
    let epoch = u64::from_be_bytes(epoch);
    Ok(if epoch == old { epoch.wrapping_add(1) } else { epoch })
}

fn audit(sealer: &Sealer, at: Timestamp) -> Result<Record, OpenError> {
    let author = Author { actor: "", at };
    Ok(Act::on_store(author, Operation::RestoreStore).seal_alone(sealer)?)
}
