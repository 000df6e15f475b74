//! Opening a store: from the lock to an engine that holds the last acknowledged commit.
//!
//! What is only read comes first. The state is opened after the key file is unlocked, the journal
//! checked to its end, and every file of the state read once; it is written to after its root record
//! fits the journal.

use std::{io, ops::ControlFlow, path::Path, sync::Arc};

use parking_lot::Mutex;

use crate::{
    commit::{
        EngineError, KeyError, Unlock,
        address::{audit_address, parse_audit_key, root_address, tree_specs},
        applier::{Applier, Target},
        engine::{Engine, EngineParts},
        health::Health,
        journal::Journal,
        keys::{KeyStore, Unlocked, mend, unlock_all},
        overlay::Overlay,
        plan::RingChange,
        replay::{JournalImage, read_journal},
        root::open_root,
        state::StateWriter,
    },
    crypto::{KeyRing, sha256},
    domain::Expect,
    format::{RootV1, Tree},
    storage::{Backend, DirLock, Disk, LockError, SegmentDir, SledFiles, StorageError},
};

/// Why a store was not opened. Nothing acknowledged was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the anchor is older than the audit records kept")]
    AnchorTooOld,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Damaged(String),
    #[error("something is there already")]
    Exists,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the store is open already")]
    Locked,
    #[error("there is no store")]
    NotAStore,
    #[error("the store is at commit {found}, and has been at {expected}")]
    Rollback { found: u64, expected: u64 },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0} is not what was written there")]
    Tampered(&'static str),
    #[error("the store is another one")]
    WrongStore,
}

impl From<io::Error> for OpenError {
    fn from(err: io::Error) -> Self {
        Self::Storage(err.into())
    }
}

impl From<LockError> for OpenError {
    fn from(err: LockError) -> Self {
        match err {
            LockError::Held => Self::Locked,
            LockError::Io(err) => err.into(),
        }
    }
}

/// What opening takes beside the path.
#[derive(Debug)]
pub(crate) struct OpenOptions {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) unlock: Unlock,
    pub(crate) expect: Expect,
    /// For sled's page cache.
    pub(crate) cache_bytes: u64,
    /// For commits on their way from the journal into the state.
    pub(crate) write_buffer_bytes: usize,
}

/// An engine whose index is still to be loaded.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) engine: Engine,
    /// A key file that was written and not yet bound into the root: to be committed.
    pub(crate) adopt: Option<RingChange>,
}

/// The names of what a store directory holds.
pub(crate) const LOCK: &str = "lock";
pub(crate) const JOURNAL: &str = "journal";
pub(crate) const STATE: &str = "db";
/// The state before a compaction, at hand until the copy is in its place.
pub(crate) const OLD_STATE: &str = "db.old";

/// Opens the store at `path`, recovering it if need be. `held` is its lock if we have it already.
pub(crate) fn open(
    path: &Path,
    options: &OpenOptions,
    held: Option<DirLock>,
) -> Result<Opening, OpenError> {
    check_is_store(options.disk.as_ref(), path)?;
    let lock = match held {
        Some(lock) => lock,
        None => DirLock::acquire(&path.join(LOCK))?,
    };
    let mut unlocked = unlock_all(options.disk.as_ref(), path, &options.unlock)?;
    unlocked.retain(|it| options.expect.allows_store(&it.file.store_id));
    let segments = SegmentDir::new(Arc::clone(&options.disk), path.join(JOURNAL));
    let (unlocked, mut image) = of_one_store(unlocked, &segments)?;
    let newest = unlocked.iter().max_by_key(|it| it.file.ring_seq);
    let newest = newest.ok_or(KeyError::Missing)?;
    let store_id = newest.file.store_id;
    let files = SledFiles::new(Arc::clone(&options.disk), path.join(STATE));
    files.end_compaction()?;
    files.prepare()?;
    let backend: Arc<dyn Backend> = Arc::new(files.open(&tree_specs(), options.cache_bytes)?);
    let before = read_root(backend.as_ref(), &newest.ring, &store_id)?;
    check_reach(&before, &image)?;
    replay(&backend, &segments, &mut image)?;
    let root = read_root(backend.as_ref(), &newest.ring, &store_id)?;
    if root.seq != image.last_seq {
        return Err(OpenError::Tampered("the root record in the journal"));
    }
    check_audit_tail(backend.as_ref(), &root)?;
    check_anchor(backend.as_ref(), &newest.ring, &root, &options.expect)?;
    backend.settle()?;
    if let Some(parent) = path.parent() {
        // Whoever made the store may have died before its name was durable. A parent that only others
        // may read is theirs to look after.
        match options.disk.sync_dir(parent) {
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }

    let (unlocked, adopt) = choose(unlocked, &root)?;
    mend(options.disk.as_ref(), path, &unlocked.bytes)?;
    let (keys, ring) = KeyStore::new(Arc::clone(&options.disk), path.to_owned(), unlocked);
    let held = Held { segments, lock, write_buffer_bytes: options.write_buffer_bytes };
    let engine = assemble(held, (keys, ring), backend, root, image)?;
    Ok(Opening { engine, adopt })
}

/// The key files of the store whose journal it is, and that journal.
///
/// One of two key files may have been copied here from another store with the same master key. What
/// tells them apart is the journal, whose key is the same in every key file of a store.
fn of_one_store(
    mut unlocked: Vec<Unlocked>,
    segments: &SegmentDir,
) -> Result<(Vec<Unlocked>, JournalImage), OpenError> {
    unlocked.sort_by_key(|it| std::cmp::Reverse(it.file.ring_seq));
    let (mut tried, mut first_error) = (Vec::new(), None);
    for candidate in &unlocked {
        let store_id = candidate.file.store_id;
        if tried.contains(&store_id) {
            continue;
        }
        tried.push(store_id);
        match read_journal(segments, &candidate.ring, &store_id) {
            Ok(image) => {
                unlocked.retain(|it| it.file.store_id == store_id);
                return Ok((unlocked, image));
            }
            Err(err) => {
                first_error.get_or_insert(err);
            }
        }
    }
    // Only key files of other stores than the expected one are left out before.
    Err(first_error.unwrap_or(OpenError::WrongStore))
}

/// A directory in which some of a store's files are is a damaged store; one with none is no store.
fn check_is_store(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    let names = match disk.list(path) {
        Ok(names) => names,
        Err(err)
            if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Err(OpenError::NotAStore);
        }
        Err(err) => return Err(err.into()),
    };
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let key_file = has("keys") || has("keys.bak");
    match (key_file, has(JOURNAL), has(STATE) || has(OLD_STATE)) {
        (true, true, true) => Ok(()),
        (false, false, _) | (false, _, false) => Err(OpenError::NotAStore),
        (false, true, true) => Err(OpenError::Damaged("the key file is missing".to_owned())),
        (true, false, _) => Err(OpenError::Damaged("the journal is missing".to_owned())),
        (true, true, false) => Err(OpenError::Damaged("the state is missing".to_owned())),
    }
}

pub(crate) fn read_root(
    backend: &dyn Backend,
    ring: &KeyRing,
    store_id: &[u8; 16],
) -> Result<RootV1, OpenError> {
    let record = backend.read(&root_address())?;
    let record =
        record.ok_or_else(|| OpenError::Damaged("the root record is missing".to_owned()))?;
    open_root(ring, store_id, &record).map_err(|_| OpenError::Tampered("the root record"))
}

/// The state must not lie before what the journal can bring back, nor behind what it ever said.
fn check_reach(root: &RootV1, image: &JournalImage) -> Result<(), OpenError> {
    let (state, base, last) = (root.seq, image.base_seq, image.last_seq);
    if state < base {
        let text = format!("the state is at commit {state}, the journal begins after {base}");
        return Err(OpenError::Damaged(text));
    }
    if state > last {
        let text = format!("the state is at commit {state}, the journal ends at {last}");
        return Err(OpenError::Damaged(text));
    }
    Ok(())
}

/// Brings the state to the journal's end.
///
/// The writes of all kept frames are folded, and those that differ from the state are made: values
/// first, the root in the last transaction. Writes are absolute, so this heals a state whose last
/// transactions were lost or torn, and may be cut off and begun again.
fn replay(
    backend: &Arc<dyn Backend>,
    segments: &SegmentDir,
    image: &mut JournalImage,
) -> Result<(), OpenError> {
    image.settle(segments)?;
    let mut missing = image.missing_from(backend.as_ref())?;
    // The root names the commit that the state has reached, so nothing may come after it.
    let root = missing.iter().position(|write| write.address == root_address());
    let root = root.map(|at| missing.swap_remove(at));
    let mut state = StateWriter::new(Arc::clone(backend));
    state.write_piecemeal(missing)?;
    state.sync()?;
    state.write(root.into_iter().collect())?;
    Ok(state.sync()?)
}

/// Every commit has an audit record, so the last one must be of the last commit.
fn check_audit_tail(backend: &dyn Backend, root: &RootV1) -> Result<(), OpenError> {
    let last = backend.last_key(Tree::Audit.id())?;
    let seq = last.as_deref().and_then(parse_audit_key).map(|(seq, _)| seq);
    match seq {
        Some(seq) if seq == root.seq => Ok(()),
        // An audit record goes into the state after its frame is durable, and before the root.
        Some(seq) if seq > root.seq => {
            let text = format!("the state has commit {seq}, the journal ends at {}", root.seq);
            Err(OpenError::Damaged(text))
        }
        _ => Err(OpenError::Tampered("the audit log's end")),
    }
}

/// Compares the store with where it is known to have been.
fn check_anchor(
    backend: &dyn Backend,
    ring: &KeyRing,
    root: &RootV1,
    expect: &Expect,
) -> Result<(), OpenError> {
    let Expect::Anchor(anchor) = expect else { return Ok(()) };
    let rollback = OpenError::Rollback { found: root.seq, expected: anchor.seq };
    if root.epoch != anchor.epoch || root.seq < anchor.seq {
        return Err(rollback);
    }
    // The chain at the anchor, continued over the audit records since, must end in the root's: a
    // copy of an old state that went on by itself has another history.
    if anchor.seq.saturating_add(1) < root.audit_first_seq {
        return Err(OpenError::AnchorTooOld);
    }
    let chain = fold_chain(backend, ring, anchor.seq, anchor.chain)?;
    if crate::crypto::ct_eq(&chain, &root.chain) { Ok(()) } else { Err(rollback) }
}

/// Continues `chain`, the one after commit `seq`, over all later audit records.
fn fold_chain(
    backend: &dyn Backend,
    ring: &KeyRing,
    seq: u64,
    chain: [u8; 32],
) -> Result<[u8; 32], StorageError> {
    let (mut chain, mut sound) = (chain, true);
    let after = audit_address(seq, u32::MAX);
    backend.scan(Tree::Audit.id(), Some(after.key()), &mut |key, record| {
        match fold_step(ring, &chain, key, record) {
            Some((next, _)) => chain = next,
            None => sound = false,
        }
        ControlFlow::Continue(())
    })?;
    // No chain is all zeros, so a key that is none of ours makes the comparison fail.
    Ok(if sound { chain } else { [0; 32] })
}

/// The chain behind one audit record, with the record's commit and index. `None` for a key that is
/// no audit record's.
pub(crate) fn fold_step(
    ring: &KeyRing,
    chain: &[u8; 32],
    key: &[u8],
    record: &[u8],
) -> Option<([u8; 32], (u64, u32))> {
    let (seq, index) = parse_audit_key(key)?;
    Some((ring.chain_next(chain, seq, &sha256(&[record])), (seq, index)))
}

/// The key file that the root names, or the one that is one change ahead of it.
fn choose(
    unlocked: Vec<Unlocked>,
    root: &RootV1,
) -> Result<(Unlocked, Option<RingChange>), OpenError> {
    let bound = RingChange { ring_seq: root.ring_seq, digest: root.ring_digest };
    let mut ahead = None;
    for candidate in unlocked {
        let change = candidate.change();
        if change == bound {
            return Ok((candidate, None));
        }
        if Some(change.ring_seq) == root.ring_seq.checked_add(1) {
            ahead = Some((candidate, Some(change)));
        }
    }
    ahead.ok_or(OpenError::Tampered("the key file"))
}

/// What an engine is given to hold.
struct Held {
    segments: SegmentDir,
    lock: DirLock,
    write_buffer_bytes: usize,
}

fn assemble(
    held: Held,
    (keys, ring): (KeyStore, Arc<KeyRing>),
    backend: Arc<dyn Backend>,
    root: RootV1,
    image: JournalImage,
) -> Result<Engine, OpenError> {
    let (overlay, health) = (Arc::new(Overlay::new()), Arc::new(Health::default()));
    let spare = Arc::new(Mutex::new(image.spare));
    let store_id = image.header.store_id;
    let applier = Applier::start(Target {
        backend: Arc::clone(&backend),
        overlay: Arc::clone(&overlay),
        health: Arc::clone(&health),
        segments: held.segments.clone(),
        spare: Arc::clone(&spare),
        write_buffer_bytes: held.write_buffer_bytes,
    })?;
    let journal = Journal::resume(
        held.segments,
        store_id,
        (image.segment, image.header, image.offset),
        spare,
    );
    Ok(Engine::new(EngineParts {
        store_id,
        keys,
        ring,
        backend,
        overlay,
        health,
        applier,
        journal,
        root,
        lock: held.lock,
    }))
}
