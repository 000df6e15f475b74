//! The files of the state, as far as they are looked at before sled may touch them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    domain::planted::{Planted, planted},
    storage::{backend::StorageError, disk::Disk},
};

/// How much is read at a time when checking that files can be read.
const READ_BYTES: usize = 1024 * 1024;

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
    pub(crate) fn prepare(&self) -> Result<(), StorageError> {
        let names = self.disk.list(&self.path)?;
        if !names.iter().any(|name| name == "db") {
            return Err(StorageError::Corrupt("the file db/db is missing".to_owned()));
        }
        for name in names {
            let path = self.path.join(&name);
            if name.starts_with("snap.") && name.ends_with(".generating") {
                if !planted(Planted::Generating) {
                    self.disk.remove(&path)?;
                }
            } else if name == "db" || name == "conf" || name.starts_with("snap.") {
                read_through(self.disk.as_ref(), &path)?;
            } else if name != "blobs" {
                return Err(StorageError::Corrupt(format!("{name:?} does not belong into db")));
            }
        }
        match self.disk.list(&self.path.join("blobs")) {
            Ok(blobs) if blobs.is_empty() => Ok(()),
            Ok(_) => Err(StorageError::Corrupt("db/blobs is not empty".to_owned())),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    /// Takes the files from everybody but their owner; sled does not.
    pub(super) fn close_to_others(&self) -> io::Result<()> {
        for name in self.disk.list(&self.path)? {
            let mode = if name == "blobs" { 0o700 } else { 0o600 };
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
        disk.sync_dir(&path.join("blobs"))?;
        disk.sync_dir(path)?;
        match path.parent() {
            Some(parent) => disk.sync_dir(parent),
            None => Ok(()),
        }
    }
}

fn read_through(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let file = disk.open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0_u64;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(read) => at = at.saturating_add(read as u64),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
}
