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
