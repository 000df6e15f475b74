//! Making a store: built under another name, then renamed into place, so that it is there wholly or
//! not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    commit::{
        Unlock,
        address::{audit_address, root_address, tree_specs},
        journal::Journal,
        keys::{Unlocked, write_both},
        open::{JOURNAL, LOCK, OpenError, STATE},
        root::seal_root,
    },
    crypto::{KeyRing, SetHash, random, sha256},
    domain::Timestamp,
    format::{RootV1, SegmentHeader},
    storage::{Backend, DirLock, Disk, LockError, Record, SegmentDir, SledFiles, Write},
};

/// The first commit of every store: its creation.
pub(crate) const FIRST_SEQ: u64 = 1;

/// Seals the audit record of the creation under a new ring.
pub(crate) type SealAudit<'a> = &'a dyn Fn(&Arc<KeyRing>, &[u8; 16]) -> Result<Record, OpenError>;

/// Makes a store at `path`, where nothing or an empty directory must be. Gives its lock, so that nobody
/// comes between making and opening it.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    path: &Path,
    (unlock, at): (&Unlock, Timestamp),
    audit: SealAudit<'_>,
) -> Result<DirLock, OpenError> {
    build_in_place(disk.as_ref(), path, &mut |dir| build(disk, dir, (unlock, at), audit))
}

/// Has `build` fill a directory that then takes its place at `path`, where nothing or an empty one must
/// be. Gives its lock.
pub(crate) fn build_in_place(
    disk: &dyn Disk,
    path: &Path,
    build: &mut dyn FnMut(&Path) -> Result<(), OpenError>,
) -> Result<DirLock, OpenError> {
    check_is_free(disk, path)?;
    let parent = parent_of(path).ok_or(OpenError::Exists)?;
    let name = path.file_name().ok_or(OpenError::Exists)?;
    let building = parent.join(format!(".{}.strongroom-new", name.to_string_lossy()));
    let lock = begin_building(disk, &building)?;
    // Again, now that nobody else can finish one.
    let made = check_is_free(disk, path)
        .and_then(|()| build(&building))
        .and_then(|()| put_in_place(disk, &building, path));
    // Unless it was renamed and only the last sync failed: then the site may be somebody else's.
    if made.is_err() && lock.is_at(&building.join(LOCK)) {
        abandon(disk, &building);
    }
    made.map(|()| lock)
}

/// Renames a finished store to `path`, durably.
pub(crate) fn put_in_place(disk: &dyn Disk, built: &Path, path: &Path) -> Result<(), OpenError> {
    disk.rename(built, path).map_err(|err| match err.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => OpenError::Exists,
        _ => err.into(),
    })?;
    Ok(disk.sync_dir(parent_of(path).ok_or(OpenError::Exists)?)?)
}

/// The directory that `path` stands in; `None` for the root of all.
fn parent_of(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Whether a store may be made at `path`: nothing or an empty directory is there.
pub(crate) fn check_is_free(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    match disk.list(path) {
        Ok(names) if names.is_empty() => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(OpenError::Exists),
        Err(err) if err.kind() == io::ErrorKind::NotADirectory => Err(OpenError::Exists),
        Err(err) => Err(err.into()),
    }
}

/// Takes the building site, and clears it of what an attempt that died left there.
fn begin_building(disk: &dyn Disk, building: &Path) -> Result<DirLock, OpenError> {
    match disk.create_dir(building) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let lock = match DirLock::acquire(&building.join(LOCK)) {
        // Renamed or cleared away just now, perhaps although we made it: another one is at it.
        Err(LockError::Io(err)) if err.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Locked);
        }
        other => other?,
    };
    if !lock.is_at(&building.join(LOCK)) {
        // Renamed away between the opening of the file and the lock: it is a finished store's.
        return Err(OpenError::Locked);
    }
    clear(disk, building)?;
    Ok(lock)
}

/// Removes everything but the lock.
fn clear(disk: &dyn Disk, building: &Path) -> io::Result<()> {
    for name in disk.list(building)?.into_iter().filter(|name| name != LOCK) {
        let path: PathBuf = building.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the building site while its lock is held, best effort: what is left is cleared away by the
/// next attempt. The lock goes last, since that attempt may begin as soon as it is gone, and what is
/// there then is its own.
fn abandon(disk: &dyn Disk, building: &Path) {
    let _ = clear(disk, building)
        .and_then(|()| fs::remove_file(building.join(LOCK)))
        .and_then(|()| fs::remove_dir(building));
}

fn build(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    (unlock, at): (&Unlock, Timestamp),
    audit: SealAudit<'_>,
) -> Result<(), OpenError> {
    let mut store_id = [0; 16];
    random::fill(&mut store_id).map_err(crate::commit::KeyError::from)?;
    let unlocked = Unlocked::generate(store_id, unlock, at)?;
    let ring = &unlocked.ring;
    let first_chain = ring.chain_first(&store_id);
    let audit = audit(ring, &store_id)?;
    let chain = ring.chain_next(&first_chain, FIRST_SEQ, &sha256(&[&audit]));
    let change = unlocked.change();
    let root = RootV1 {
        epoch: 1,
        seq: FIRST_SEQ,
        leaves: 0,
        secrets: 0,
        next_vrec: 1,
        audit_first_seq: FIRST_SEQ,
        audit_first_chain: first_chain,
        set_hash: SetHash::EMPTY.to_bytes(),
        chain,
        ring_seq: change.ring_seq,
        ring_digest: change.digest,
        kek_active: ring.active(),
        kek_floor: ring.active(),
        time_ms: at.as_millis(),
    };
    write_both(disk.as_ref(), dir, &unlocked.bytes)?;
    build_journal(disk, &dir.join(JOURNAL), ring, &root, store_id)?;
    let state = SledFiles::new(Arc::clone(disk), dir.join(STATE));
    let state = state.open(&tree_specs(), 1 << 20)?;
    state.apply(&[
        Write::put(audit_address(FIRST_SEQ, 0), audit),
        Write::put(root_address(), seal_root(ring, &store_id, &root)?),
    ])?;
    state.settle()?;
    state.close()?;
    Ok(disk.sync_dir(dir)?)
}

pub(super) fn build_journal(
    disk: &Arc<dyn Disk>,
    path: &Path,
    ring: &KeyRing,
    root: &RootV1,
    store_id: [u8; 16],
) -> Result<(), OpenError> {
    disk.create_dir(path)?;
    let mut salt = [0; 16];
    random::fill(&mut salt).map_err(crate::commit::KeyError::from)?;
    let header =
        SegmentHeader { store_id, number: 1, salt, base_seq: root.seq, base_chain: root.chain };
    let segments = SegmentDir::new(Arc::clone(disk), path.to_owned());
    Ok(Journal::begin(&segments, ring, &header)?)
}
