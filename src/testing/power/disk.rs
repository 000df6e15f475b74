//! The file port with every sync noted in the ledger.

use std::{fmt, fs, io, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use parking_lot::Mutex;

use crate::{
    storage::{Disk, DiskFile, RealDisk},
    testing::power::{
        image::Moment,
        ledger::{Entries, Inode, Ledger},
    },
};

/// What is called at every moment at which power could fail.
type Watch = Box<dyn FnMut(&Moment<'_>) + Send>;

/// The real disk, with books on what a loss of power could take away. Clones share them.
///
/// The calls that change something are made one at a time; after each, before each sync, and when a
/// directory is listed is a moment at which power could fail, and the watcher is asked.
#[derive(Clone, Debug)]
pub struct PowerDisk {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    ledger: Ledger,
    moments: u64,
    watch: Option<Watch>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("moments", &self.moments).finish_non_exhaustive()
    }
}

impl PowerDisk {
    /// Keeps the books of everything below `root`, which is durable as it is now.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    pub fn new(root: &Path, entries: Entries) -> io::Result<Self> {
        let shared = Shared { ledger: Ledger::new(root, entries)?, moments: 0, watch: None };
        Ok(Self { shared: Arc::new(Mutex::new(shared)) })
    }

    /// Calls `watch` at every moment from now on, on the thread that uses the disk. It must not use
    /// the disk itself.
    pub fn watch(&self, watch: impl FnMut(&Moment<'_>) + Send + 'static) {
        self.shared.lock().watch = Some(Box::new(watch));
    }

    /// Asks nobody any more, and drops the watcher.
    pub fn stop(&self) {
        self.shared.lock().watch = None;
    }

    /// How many moments there were so far.
    #[must_use]
    pub fn moments(&self) -> u64 {
        self.shared.lock().moments
    }

    /// Makes a call that changes something, with the ledger told before and after it.
    fn change<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut shared = self.shared.lock();
        let done = call()?;
        shared.moment()?;
        Ok(done)
    }

    /// Makes a sync. What it makes durable is what there was when it began.
    fn sync(
        &self,
        inode: Inode,
        book: impl FnOnce(&mut Ledger) -> io::Result<()>,
        call: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut shared = self.shared.lock();
        shared.moment()?;
        if shared.ledger.path(inode).is_some() {
            book(&mut shared.ledger)?;
        }
        call()?;
        shared.moment()
    }

    fn wrap(&self, file: Box<dyn DiskFile>, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = fs::metadata(path)?.ino();
        Ok(Box::new(PowerFile { file, inode, disk: self.clone() }))
    }
}

impl Shared {
    fn moment(&mut self) -> io::Result<()> {
        self.ledger.look()?;
        let number = self.moments;
        self.moments = self.moments.saturating_add(1);
        if let Some(watch) = &mut self.watch {
            watch(&Moment { number, ledger: &self.ledger });
        }
        Ok(())
    }
}

impl Disk for PowerDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealDisk.create_dir(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.change(|| RealDisk.create(path))?;
        self.wrap(file, path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.wrap(RealDisk.open(path)?, path)
    }

    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, len_max)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        // The first call after sled was opened, which has changed files by itself.
        self.shared.lock().moment()?;
        RealDisk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| RealDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealDisk.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| RealDisk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let inode = fs::metadata(path)?.ino();
        let book = |ledger: &mut Ledger| {
            ledger.sync_dir(inode);
            Ok(())
        };
        self.sync(inode, book, || RealDisk.sync_dir(path))
    }
}

#[derive(Debug)]
struct PowerFile {
    file: Box<dyn DiskFile>,
    inode: Inode,
    disk: PowerDisk,
}

impl PowerFile {
    fn sync(&self, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let book = |ledger: &mut Ledger| {
            ledger.sync_bytes(self.inode)?;
            ledger.sync_name(self.inode);
            Ok(())
        };
        self.disk.sync(self.inode, book, call)
    }
}

impl DiskFile for PowerFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.change(|| self.file.write_at(bytes, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(|| self.file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(|| self.file.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::power::Style;

    /// A directory under the eyes of a disk.
    fn begin(entries: Entries) -> (tempfile::TempDir, PowerDisk) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("old"), [1; 2000]).unwrap();
        let disk = PowerDisk::new(dir.path(), entries).unwrap();
        (dir, disk)
    }

    /// What a loss of power leaves now: the files with their bytes.
    fn left(disk: &PowerDisk, style: Style, seed: u64) -> Vec<(String, Vec<u8>)> {
        let target = tempfile::tempdir().unwrap();
        let mut shared = disk.shared.lock();
        shared.ledger.look().unwrap();
        Moment { number: 0, ledger: &shared.ledger }.image(style, seed, target.path()).unwrap();
        drop(shared);
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(target.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn what_was_not_synced_is_lost_or_there_and_in_sectors() {
        let (dir, disk) = begin(Entries::File);
        let file = disk.open(&dir.path().join("old")).unwrap();
        file.write_at(&[2; 1500], 0).unwrap();
        let (before, after) = ([1; 2000].to_vec(), [[2; 1500].as_slice(), &[1; 500]].concat());
        assert_eq!(left(&disk, Style::Drop, 1), [("old".to_owned(), before)]);
        assert_eq!(left(&disk, Style::Keep, 1), [("old".to_owned(), after.clone())]);
        let mut seen: Vec<Vec<u8>> =
            (0..100).map(|seed| left(&disk, Style::Random, seed).remove(0).1).collect();
        seen.sort();
        seen.dedup();
        // Three sectors changed, each there or not.
        assert_eq!(seen.len(), 8);
        assert!(seen.iter().all(|bytes| bytes.chunks(512).all(|sector| {
            sector == [1; 512] || sector.starts_with(&[2]) || sector == [1; 464]
        })));
        file.sync_data().unwrap();
        assert_eq!(left(&disk, Style::Drop, 1), [("old".to_owned(), after)]);
    }

    #[test]
    fn a_new_name_is_lost_until_its_directory_is_synced() {
        for (entries, after_file_sync) in [(Entries::Dir, 1), (Entries::File, 2)] {
            let (dir, disk) = begin(entries);
            let file = disk.create(&dir.path().join("new")).unwrap();
            file.write_at(b"bytes", 0).unwrap();
            assert_eq!(left(&disk, Style::Drop, 1).len(), 1);
            file.sync_all().unwrap();
            assert_eq!(left(&disk, Style::Drop, 1).len(), after_file_sync);
            disk.sync_dir(dir.path()).unwrap();
            assert_eq!(left(&disk, Style::Drop, 1)[0], ("new".to_owned(), b"bytes".to_vec()));
        }
    }

    #[test]
    fn a_renaming_is_lost_or_there_in_one_step() {
        let (dir, disk) = begin(Entries::Dir);
        let path = |name: &str| dir.path().join(name);
        disk.create(&path("new")).unwrap().sync_all().unwrap();
        disk.sync_dir(dir.path()).unwrap();
        disk.rename(&path("new"), &path("old")).unwrap();
        let names = |style, seed| -> Vec<usize> {
            left(&disk, style, seed).iter().map(|(_, bytes)| bytes.len()).collect()
        };
        assert_eq!(names(Style::Drop, 1), [0, 2000]);
        for seed in 0..20 {
            assert!([vec![0, 2000], vec![0]].contains(&names(Style::Random, seed)));
        }
        disk.sync_dir(dir.path()).unwrap();
        assert_eq!(names(Style::Drop, 1), [0]);
    }
}
