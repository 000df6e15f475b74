//! The files of the state, as far as they are looked at before sled may touch them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    domain::planted::{Planted, planted},
    storage::{
        backend::StorageError,
        disk::{Disk, write_all_at},
        young::{self, YOUNG, Young},
    },
};

/// Length of a segment of sled's log.
pub(super) const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// How much is read at a time when checking that files can be read.
const READ_BYTES: usize = 1024 * 1024;

/// The name of a mark in the directory: a write or sync failed, so what can be read back may stand in
/// the memory of the operating system alone, which takes it for written and never tries again. The
/// mark need not be durable itself: after a loss of power what can be read is on the disk.
const SUSPECT: &str = "suspect";

/// The directory in which sled would put what does not fit into its log.
const BLOBS: &str = "blobs";

/// The unit in which the system tells how much of the disk a file takes.
const STAT_BLOCK_BYTES: u64 = 512;

/// The files of a sled directory, looked at before sled may touch them.
#[derive(Debug)]
pub(crate) struct SledFiles {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

impl SledFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// Checks that an existing state is there and readable to its last byte, and removes what an
    /// interrupted open left behind. sled would make a new, empty state where one is missing, and
    /// would drop what it cannot read.
    ///
    /// If a write or sync failed since, what is read is written again in its place.
    pub(crate) fn prepare(&self) -> Result<(), StorageError> {
        let names = self.disk.list(&self.path)?;
        if !names.iter().any(|name| name == "db") {
            return Err(StorageError::Corrupt("the file db/db is missing".to_owned()));
        }
        self.put_back_young()?;
        let suspect = names.iter().any(|name| name == SUSPECT);
        for name in names.into_iter().filter(|name| ![SUSPECT, YOUNG].contains(&name.as_str())) {
            let path = self.path.join(&name);
            if name.starts_with("snap.") && name.ends_with(".generating") {
                if !planted(Planted::Generating) {
                    self.disk.remove(&path)?;
                }
            } else if name == young::TEMPORARY {
                self.disk.remove(&path)?;
            } else if name == "db" || name == "conf" || name.starts_with("snap.") {
                read_through(self.disk.as_ref(), &path, suspect)?;
            } else if name != BLOBS {
                return Err(StorageError::Corrupt(format!("{name:?} does not belong into db")));
            }
        }
        match self.disk.list(&self.path.join(BLOBS)) {
            Ok(blobs) if blobs.is_empty() => {}
            Ok(_) => return Err(StorageError::Corrupt("db/blobs is not empty".to_owned())),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err.into()),
        }
        if suspect {
            self.disk.remove(&self.path.join(SUSPECT))?;
        }
        Ok(self.young().set_aside()?)
    }

    /// Puts back what an opening that was cut off had set aside.
    pub(crate) fn put_back_young(&self) -> io::Result<()> {
        self.young().put_back()
    }

    /// The young end of the log, which sled may harm while it opens it.
    pub(super) fn young(&self) -> Young<'_> {
        Young { disk: self.disk.as_ref(), dir: &self.path, segment_bytes: SEGMENT_BYTES }
    }

    /// Marks the files as [`SUSPECT`] if that is what the error means, as well as a failing disk lets us.
    pub(super) fn doubt(&self, err: &StorageError) {
        if let StorageError::Io(_) = err {
            let _ = self.disk.create(&self.path.join(SUSPECT));
        }
    }

    /// Takes the files from everybody but their owner; sled does not.
    pub(super) fn close_to_others(&self) -> io::Result<()> {
        for name in self.disk.list(&self.path)? {
            let mode = if name == BLOBS { 0o700 } else { 0o600 };
            fs::set_permissions(self.path.join(name), fs::Permissions::from_mode(mode))?;
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))
    }

    /// Makes durable what stands beside the log, and all names.
    pub(super) fn sync_others(&self) -> io::Result<()> {
        let (disk, path) = (self.disk.as_ref(), &self.path);
        for name in
            disk.list(path)?.iter().filter(|name| name.starts_with("snap.") || *name == "conf")
        {
            disk.open(&path.join(name))?.sync_all()?;
        }
        disk.sync_dir(&path.join(BLOBS))?;
        disk.sync_dir(path)?;
        self.sync_parent()
    }

    /// Makes the directory's own name durable.
    pub(super) fn sync_parent(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(parent) => self.disk.sync_dir(parent),
            None => Ok(()),
        }
    }

    pub(super) fn is_there(&self) -> io::Result<bool> {
        match self.disk.list(&self.path) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// Removes the directory with all files of a state in it, durably. If something else is in it, or if
    /// there is no such directory, nothing is done.
    pub(super) fn remove(&self) -> Result<(), StorageError> {
        let (disk, path) = (self.disk.as_ref(), &self.path);
        let names = match disk.list(path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if let Some(name) = names.iter().find(|name| !is_ours(name)) {
            let dir = path.file_name().unwrap_or_default().to_string_lossy();
            return Err(StorageError::Corrupt(format!("{name:?} does not belong into {dir}")));
        }
        for name in names {
            let path = path.join(&name);
            if name == BLOBS { disk.remove_dir(&path)? } else { disk.remove(&path)? }
        }
        disk.remove_dir(path)?;
        Ok(self.sync_parent()?)
    }

    /// How much of the disk the files take.
    pub(super) fn allocated_bytes(&self) -> io::Result<u64> {
        let mut bytes = 0_u64;
        for name in self.disk.list(&self.path)? {
            let blocks = fs::metadata(self.path.join(name))?.blocks();
            bytes = bytes.saturating_add(blocks.saturating_mul(STAT_BLOCK_BYTES));
        }
        Ok(bytes)
    }
}

/// Whether sled or this layer makes a file of this name in the directory of a state.
fn is_ours(name: &str) -> bool {
    ["db", "conf", BLOBS, SUSPECT, YOUNG, young::TEMPORARY].contains(&name)
        || name.starts_with("snap.")
}

/// Reads the file to its end, and writes it anew, durably, if that is asked for.
fn read_through(disk: &dyn Disk, path: &Path, write: bool) -> io::Result<()> {
    let file = disk.open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0_u64;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => break,
            Ok(read) => {
                if write {
                    write_all_at(file.as_ref(), buffer.get(..read).unwrap_or_default(), at)?;
                }
                at = at.saturating_add(read as u64);
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    if write { file.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::storage::RealDisk;

    /// After a failed sync the kernel takes the pages for written. The next opening found everything in
    /// its memory, synced without an error, and a loss of power took it away.
    #[test]
    fn files_that_are_in_doubt_are_written_anew_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        fs::create_dir(&path).unwrap();
        let files = SledFiles::new(Arc::new(RealDisk), path.clone());
        let names = ["db", "conf", "snap.0001"];
        let content: Vec<u8> = (0..3 * READ_BYTES + 17).map(|n| n.to_le_bytes()[0]).collect();
        let long_ago = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1000)).unwrap();
        for name in names {
            fs::write(path.join(name), &content).unwrap();
        }
        let written_by_prepare = || {
            for name in names {
                fs::File::open(path.join(name)).unwrap().set_modified(long_ago).unwrap();
            }
            files.prepare().unwrap();
            let modified = |name: &str| fs::metadata(path.join(name)).unwrap().modified().unwrap();
            names.iter().filter(|name| modified(name) > long_ago).count()
        };
        assert_eq!(written_by_prepare(), 0);
        files.doubt(&StorageError::Corrupt("no doubt, it is".to_owned()));
        assert_eq!(written_by_prepare(), 0);
        files.doubt(&io::Error::other("failed").into());
        files.doubt(&io::Error::other("failed again").into());
        assert_eq!(written_by_prepare(), 3);
        assert_eq!(written_by_prepare(), 0);
        for name in names {
            assert!(fs::read(path.join(name)).unwrap() == content, "{name} is another");
        }
    }
}
