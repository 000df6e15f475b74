//! The file port: every call by which the crate itself touches files, so that a test can fail each.
//!
//! sled does its own file access; the journal, the key file, the lock and all syncing of sled's
//! files go through here.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Rights of every directory of a store.
const DIR_MODE: u32 = 0o700;

/// Rights of every file of a store.
const FILE_MODE: u32 = 0o600;

/// What the store asks of a file system.
///
/// [`RealDisk`] is the one in use; the `testing` feature has one that fails on command.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory that only its owner may enter. An existing one is an error.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that only its owner may use, open for reading and writing. An existing one is
    /// an error.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading alone, so that it may be on a disk that is not to be written.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    /// The whole file, which must not be longer than `len_max` bytes.
    ///
    /// # Errors
    ///
    /// What the operating system reports, or `InvalidData` for a longer file.
    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>>;

    /// The names of what is in a directory, in no particular order.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Renames a file or directory, in one step, over a file or an empty directory of that name.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// How many bytes may still be written to the file system that `path` is on.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn room(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Told of every call into sled, whose own files are not reached through this port: a disk for
    /// tests fails here in their place, or panics as sled may.
    ///
    /// # Errors
    ///
    /// What the call is to fail with. None, but for tests.
    fn state_call(&self, call: StateCall, moment: Moment) -> io::Result<()> {
        let _ = (call, moment);
        Ok(())
    }
}

/// A call into sled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs, reason = "named for what the state is asked for; seen by testing alone")]
pub enum StateCall {
    Apply,
    ApplyApart,
    ApplyLarge,
    Close,
    LastKey,
    Open,
    Read,
    Scan,
    Size,
    Sync,
}

/// When a call into sled is told of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Moment {
    /// It is about to be made.
    Before,
    /// It has come back without an error.
    After,
}

/// An open file of a [`Disk`].
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads into `buffer` from `offset`, and says how many bytes were read; 0 at the end.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset`, and says how many.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the content durable (`fdatasync`).
    ///
    /// # Errors
    ///
    /// What the operating system reports. The content must then be taken for lost.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes content and metadata durable (`fsync`).
    ///
    /// # Errors
    ///
    /// What the operating system reports. The content must then be taken for lost.
    fn sync_all(&self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(DIR_MODE).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(len_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > len_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too long"));
        }
        Ok(bytes)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Writes all of `bytes` at `offset`, however often the disk takes only a part.
pub(crate) fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        match file.write_at(rest, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                at = at.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// Reads from `offset` until `buffer` is full or the file ends, and says how much was read.
pub(crate) fn read_full_at(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(filled)
}

/// Puts `bytes` in the place of the file `name` of `dir`, in one step and durably: after a crash
/// at any point the file holds its old bytes or the new ones.
pub(crate) fn replace_file(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let (target, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
    match disk.remove(&temporary) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    write_all_at(file.as_ref(), bytes, 0)?;
    file.sync_all()?;
    disk.rename(&temporary, &target)?;
    disk.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_bytes_and_leaves_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b"first"[..], b"second and longer", b""] {
            replace_file(&RealDisk, dir.path(), "keys", bytes).unwrap();
            assert_eq!(RealDisk.read(&dir.path().join("keys"), 100).unwrap(), bytes);
            assert_eq!(RealDisk.list(dir.path()).unwrap(), ["keys"]);
        }
    }

    #[test]
    fn a_left_over_temporary_file_does_not_stop_a_replacement() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("keys.tmp"), "half").unwrap();
        replace_file(&RealDisk, dir.path(), "keys", b"whole").unwrap();
        assert_eq!(RealDisk.read(&dir.path().join("keys"), 100).unwrap(), b"whole");
    }

    #[test]
    fn a_file_longer_than_allowed_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        fs::write(&path, [0; 11]).unwrap();
        assert_eq!(RealDisk.read(&path, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(RealDisk.read(&path, 11).unwrap().len(), 11);
    }

    #[test]
    fn files_and_directories_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        RealDisk.create_dir(&dir.path().join("d")).unwrap();
        RealDisk.create(&dir.path().join("f")).unwrap();
        for (name, mode) in [("d", 0o700), ("f", 0o600)] {
            let found = fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
    }
}
