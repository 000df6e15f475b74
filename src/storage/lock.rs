//! The lock file: one process, and in it one store, at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Holds a directory's lock until dropped. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Not left to the closing of the file: a child process that was forked and has not yet run
        // its program holds a copy of it. If it fails, closing is what remains.
        let _ = self.file.unlock();
    }
}

/// Why a lock was not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("another process, or another handle in this one, holds the lock")]
    Held,
    #[error("the lock file cannot be used")]
    Io(#[from] io::Error),
}

impl DirLock {
    /// Takes the lock of `path`, a file that is made if need be, without waiting.
    pub(crate) fn acquire(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Self::of(options.open(path)?)
    }

    /// Takes the lock of `path` without making or writing anything. `None` if the file is not there.
    pub(crate) fn acquire_existing(path: &Path) -> Result<Option<Self>, LockError> {
        match File::open(path) {
            Ok(file) => Self::of(file).map(Some),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Whether what is locked is the file that is at `path` now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    fn of(file: File) -> Result<Self, LockError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(err)) => Err(err.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DirLock::acquire(&path).unwrap();
        assert!(matches!(DirLock::acquire(&path), Err(LockError::Held)));
        drop(first);
        DirLock::acquire(&path).unwrap();
    }

    #[test]
    fn a_lock_that_is_only_read_excludes_others_too_and_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(DirLock::acquire_existing(&path).unwrap().is_none());
        assert!(!path.exists());
        drop(DirLock::acquire(&path).unwrap());
        let first = DirLock::acquire_existing(&path).unwrap().unwrap();
        assert!(matches!(DirLock::acquire(&path), Err(LockError::Held)));
        assert!(matches!(DirLock::acquire_existing(&path), Err(LockError::Held)));
        drop(first);
        DirLock::acquire(&path).unwrap();
    }

    /// Somebody else finished the store between the opening of the file and the lock on it.
    #[test]
    fn a_lock_whose_file_was_renamed_away_is_not_at_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let (site, store) = (dir.path().join("site"), dir.path().join("store"));
        fs::create_dir(&site).unwrap();
        let lock = DirLock::acquire(&site.join("lock")).unwrap();
        assert!(lock.is_at(&site.join("lock")));
        fs::rename(&site, &store).unwrap();
        assert!(!lock.is_at(&site.join("lock")) && lock.is_at(&store.join("lock")));
        fs::create_dir(&site).unwrap();
        let _other = DirLock::acquire(&site.join("lock")).unwrap();
        assert!(!lock.is_at(&site.join("lock")));
    }
}
