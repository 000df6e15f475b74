//! A disk that fails on command: counts the calls of the file port and fails the one asked for.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::storage::{Disk, DiskFile, RealDisk};

/// A call of the file port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "named for the calls of `Disk` and `DiskFile`")]
pub enum Operation {
    Create,
    CreateDir,
    List,
    Open,
    Read,
    Remove,
    Rename,
    Sync,
    Write,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The first call to fail, counted from 0 over the operations in `only`.
    pub at: u64,
    /// Whether all later ones fail too.
    pub lasting: bool,
    /// Which calls count; all if `None`.
    pub only: Option<Operation>,
    /// The error. A write that fails writes half of its bytes first.
    pub error: io::ErrorKind,
}

/// The real disk with a fault in it. Clones share the count.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    fault: Option<Fault>,
    count: AtomicU64,
    failed: AtomicU64,
}

impl FaultyDisk {
    /// A disk with this fault, or one that only counts.
    #[must_use]
    pub fn new(fault: Option<Fault>) -> Self {
        let state = State { fault, count: AtomicU64::new(0), failed: AtomicU64::new(0) };
        Self { state: Arc::new(state) }
    }

    /// How many calls counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::SeqCst)
    }

    /// How many calls failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state.failed.load(Ordering::SeqCst)
    }
}

impl State {
    fn check(&self, operation: Operation) -> io::Result<()> {
        let Some(fault) = self.fault else {
            self.count.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        };
        if fault.only.is_some_and(|only| only != operation) {
            return Ok(());
        }
        let at = self.count.fetch_add(1, Ordering::SeqCst);
        if at == fault.at || (fault.lasting && at > fault.at) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(fault.error.into());
        }
        Ok(())
    }

    fn wrap(self: &Arc<Self>, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, state: Arc::clone(self) })
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state.check(Operation::CreateDir)?;
        RealDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.state.check(Operation::Create)?;
        Ok(self.state.wrap(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.state.check(Operation::Open)?;
        Ok(self.state.wrap(RealDisk.open(path)?))
    }

    fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        self.state.check(Operation::Read)?;
        RealDisk.read(path, len_max)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.state.check(Operation::List)?;
        RealDisk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.check(Operation::Rename)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.check(Operation::Remove)?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.check(Operation::Sync)?;
        RealDisk.sync_dir(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    state: Arc<State>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state.check(Operation::Read)?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if let Err(err) = self.state.check(Operation::Write) {
            let half = bytes.len().checked_div(2).unwrap_or(0);
            self.file.write_at(bytes.get(..half).unwrap_or_default(), offset)?;
            return Err(err);
        }
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state.check(Operation::Sync)?;
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.state.check(Operation::Sync)?;
        self.file.sync_all()
    }
}
