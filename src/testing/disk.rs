//! A disk that fails on command: counts the calls of the file port, and those into sled, and fails the
//! one asked for.

use std::{
    io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::storage::{Disk, DiskFile, Moment, RealDisk, StateCall};

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

impl Operation {
    /// Whether it changes what is on the disk, or makes it durable.
    fn changes(self) -> bool {
        match self {
            Self::Create
            | Self::CreateDir
            | Self::Remove
            | Self::Rename
            | Self::Sync
            | Self::Write => true,
            Self::List | Self::Open | Self::Read => false,
        }
    }
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

/// Writes that take a part of what they are given and say so, as a system may at any time.
#[derive(Clone, Copy, Debug)]
pub struct ShortWrite {
    /// The first write to be short, counted from 0 over the writes.
    pub at: u64,
    /// Whether all later ones are short too.
    pub lasting: bool,
    /// The error of the write after it, if that one is to fail.
    pub then: Option<io::ErrorKind>,
}

/// Calls into sled that fail: its own files are not reached through the file port.
#[derive(Clone, Copy, Debug)]
pub struct StateFault {
    /// The first call to fail, counted from 0 over the calls in `only`.
    pub at: u64,
    /// Whether all later ones fail too.
    pub lasting: bool,
    /// Which calls count; all if `None`.
    pub only: Option<StateCall>,
    /// Whether the call fails before it did anything, or after it did everything.
    pub moment: Moment,
    /// The error; a panic if `None`.
    pub error: Option<io::ErrorKind>,
}

/// The real disk with a fault in it. Clones share the fault and the count.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    plan: Mutex<Plan>,
    count: AtomicU64,
    failed: AtomicU64,
    synced_dirs: Mutex<Vec<PathBuf>>,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// Nothing; all calls are counted.
    Count,
    Fail(Fault),
    Short(ShortWrite),
    State(StateFault),
    /// From this call on, counted over the calls that change something, none of these does.
    Crash(u64),
}

impl FaultyDisk {
    /// A disk with this fault, or one that only counts.
    #[must_use]
    pub fn new(fault: Option<Fault>) -> Self {
        let plan = Mutex::new(fault.map_or(Plan::Count, Plan::Fail));
        let state = State {
            plan,
            count: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            synced_dirs: Mutex::default(),
        };
        Self { state: Arc::new(state) }
    }

    /// Gives the disk another fault, counted from the next call on.
    pub fn set(&self, fault: Option<Fault>) {
        self.replace(fault.map_or(Plan::Count, Plan::Fail));
    }

    /// Lets the process die, as far as files can tell, in the call number `at` from now on, counted
    /// from 0 over those that change something: a write is cut in half, and nothing is written,
    /// synced, made, renamed or removed any more. Reading goes on.
    pub fn crash(&self, at: u64) {
        self.replace(Plan::Crash(at));
    }

    /// Lets writes take only a part from now on.
    pub fn shorten(&self, writes: ShortWrite) {
        self.replace(Plan::Short(writes));
    }

    /// Lets calls into sled fail from now on.
    pub fn fail_state(&self, fault: StateFault) {
        self.replace(Plan::State(fault));
    }

    fn replace(&self, plan: Plan) {
        let mut now = self.state.plan.lock();
        *now = plan;
        self.state.count.store(0, Ordering::SeqCst);
        self.state.failed.store(0, Ordering::SeqCst);
    }

    /// How many calls counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::SeqCst)
    }

    /// The directories whose names were made durable, in order, with repetitions.
    #[must_use]
    pub fn synced_dirs(&self) -> Vec<PathBuf> {
        self.state.synced_dirs.lock().clone()
    }

    /// How many calls failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state.failed.load(Ordering::SeqCst)
    }
}

impl State {
    fn check(&self, operation: Operation) -> io::Result<()> {
        // Held while counting, so that a new plan begins with the next call.
        let plan = self.plan.lock();
        let (counts, first, lasting, error) = match *plan {
            Plan::Count => (true, u64::MAX, false, io::ErrorKind::Other),
            Plan::Fail(Fault { at, lasting, only, error }) => {
                (only.is_none_or(|only| only == operation), at, lasting, error)
            }
            Plan::Crash(at) => (operation.changes(), at, true, io::ErrorKind::Other),
            // What these do to a call is more than failing it.
            Plan::Short(_) | Plan::State(_) => return Ok(()),
        };
        if counts && self.is_hit(first, lasting) { Err(error.into()) } else { Ok(()) }
    }

    /// Counts a call, and says whether it is one of those to fail.
    fn is_hit(&self, first: u64, lasting: bool) -> bool {
        let at = self.count.fetch_add(1, Ordering::SeqCst);
        let hit = at == first || (lasting && at > first);
        if hit {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
        hit
    }

    /// How many of `len` bytes a write may take.
    fn room(&self, len: usize) -> io::Result<usize> {
        let plan = self.plan.lock();
        let Plan::Short(ShortWrite { at, lasting, then }) = *plan else { return Ok(len) };
        let after = self.count.load(Ordering::SeqCst) == at.saturating_add(1);
        if let Some(error) = then.filter(|_| after && self.failed.load(Ordering::SeqCst) > 0) {
            self.is_hit(0, true);
            return Err(error.into());
        }
        let half = len.checked_div(2).unwrap_or(0).max(1);
        Ok(if self.is_hit(at, lasting) { half } else { len })
    }

    fn check_state(&self, call: StateCall, moment: Moment) -> io::Result<()> {
        let plan = self.plan.lock();
        let Plan::State(fault) = *plan else { return Ok(()) };
        let counts = fault.moment == moment && fault.only.is_none_or(|only| only == call);
        if !counts || !self.is_hit(fault.at, fault.lasting) {
            return Ok(());
        }
        drop(plan);
        match fault.error {
            Some(error) => Err(error.into()),
            // Past the hook that prints it: thousands of these are planted.
            None => resume_unwind(Box::new("planted")),
        }
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

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.state.check(Operation::Remove)?;
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.check(Operation::Sync)?;
        RealDisk.sync_dir(path)?;
        self.state.synced_dirs.lock().push(path.to_owned());
        Ok(())
    }

    fn state_call(&self, call: StateCall, moment: Moment) -> io::Result<()> {
        self.state.check_state(call, moment)
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
        let room = self.state.room(bytes.len())?;
        self.file.write_at(bytes.get(..room).unwrap_or_default(), offset)
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
