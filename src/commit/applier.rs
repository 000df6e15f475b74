//! The applier: one thread that moves committed groups from the overlay into the state.
//!
//! The state lags behind the journal; what it has not got yet is read from the overlay. Between two
//! syncs of the state less than [`UNSYNCED_BYTES_MAX`] is written to it: sled reuses old segments of
//! its log before the moved copies are durable, so a power cut after much unsynced writing would
//! lose old data, which no replay of the young journal brings back.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    commit::{
        EngineError, address::root_address, health::Health, journal::Spare, overlay::Overlay,
    },
    format::Tree,
    storage::{Address, Backend, SegmentDir, StorageError, Write, logical_bytes},
};

/// Most bytes written to the state between two syncs, and by one transaction.
pub(crate) const UNSYNCED_BYTES_MAX: usize = 128 * 1024;

/// Most bytes of several groups that are merged into one transaction.
const MERGE_BYTES_MAX: usize = 96 * 1024;

/// A value longer than this is written piece by piece, before its heads.
const SMALL_VALUE_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of committed groups that may wait; then writers wait too.
const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A commit on its way into the state.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) seq: u64,
    /// Everything in the commit's frame, the root included.
    pub(crate) writes: Vec<Write>,
}

#[derive(Debug)]
enum Job {
    Apply(Group),
    /// Settle the state, then remove the segments below `keep_from`.
    Checkpoint {
        base_seq: u64,
        keep_from: u64,
    },
    /// Make a segment in advance.
    Prepare {
        number: u64,
    },
    /// Make durable all that was applied, files and names.
    Settle,
}

/// What the applier works on.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) health: Arc<Health>,
    pub(crate) segments: SegmentDir,
    pub(crate) spare: Spare,
}

/// The applier's queue, and the end of it that the committing threads hold.
#[derive(Debug)]
pub(crate) struct Applier {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    /// There is a job, or an end to it.
    arrived: Condvar,
    /// A job is done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    pending_bytes: usize,
    /// Jobs taken in and jobs done, to wait for one's own.
    entered: u64,
    finished: u64,
    stopping: bool,
    failed: Option<EngineError>,
}

impl Applier {
    pub(crate) fn start(target: Target) -> Result<Self, StorageError> {
        let queue = Arc::new(Queue::default());
        let worker_queue = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("strongroom-applier".to_owned())
            .spawn(move || Worker { target, queue: worker_queue, unsynced_bytes: 0 }.run())?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a committed group over. Waits while too much is pending.
    pub(crate) fn apply(&self, group: Group) {
        let bytes = logical_bytes(&group.writes);
        let mut state = self.queue.state.lock();
        while state.pending_bytes > PENDING_BYTES_MAX && state.failed.is_none() {
            self.queue.done.wait(&mut state);
        }
        state.pending_bytes = state.pending_bytes.saturating_add(bytes);
        self.queue.push(&mut state, Job::Apply(group));
    }

    /// Orders a checkpoint up to `base_seq`, after which segments below `keep_from` go.
    pub(crate) fn checkpoint(&self, base_seq: u64, keep_from: u64) {
        self.queue.push(&mut self.queue.state.lock(), Job::Checkpoint { base_seq, keep_from });
    }

    /// Orders a segment in advance.
    pub(crate) fn prepare(&self, number: u64) {
        self.queue.push(&mut self.queue.state.lock(), Job::Prepare { number });
    }

    /// Waits until everything handed over so far is in the state.
    pub(crate) fn drain(&self) -> Result<(), EngineError> {
        let mut state = self.queue.state.lock();
        let target = state.entered;
        self.queue.wait_finished(&mut state, target)
    }

    /// Waits until everything handed over so far is in the state, durably.
    pub(crate) fn settle(&self) -> Result<(), EngineError> {
        let mut state = self.queue.state.lock();
        self.queue.push(&mut state, Job::Settle);
        let target = state.entered;
        self.queue.wait_finished(&mut state, target)
    }

    /// Works off what is there and ends the thread.
    pub(crate) fn stop(&self) {
        self.queue.state.lock().stopping = true;
        self.queue.arrived.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // The worker catches its own failures; a panic of it poisons nothing further here.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&self, state: &mut QueueState, job: Job) {
        if state.failed.is_none() {
            state.jobs.push_back(job);
            state.entered = state.entered.saturating_add(1);
            self.arrived.notify_one();
        }
    }

    fn wait_finished(
        &self,
        state: &mut parking_lot::MutexGuard<'_, QueueState>,
        target: u64,
    ) -> Result<(), EngineError> {
        while state.finished < target && state.failed.is_none() {
            self.done.wait(state);
        }
        match &state.failed {
            Some(err) => Err(err.clone()),
            None => Ok(()),
        }
    }

    /// The next jobs: several groups that go well together, or one other job. `None`: the end.
    fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.stopping {
                return None;
            }
            self.arrived.wait(&mut state);
        }
        let (mut jobs, mut bytes) = (Vec::new(), 0_usize);
        while let Some(job) = state.jobs.front() {
            let Job::Apply(group) = job else {
                if jobs.is_empty() {
                    jobs.extend(state.jobs.pop_front());
                }
                break;
            };
            bytes = bytes.saturating_add(logical_bytes(&group.writes));
            if bytes > MERGE_BYTES_MAX && !jobs.is_empty() {
                break;
            }
            jobs.extend(state.jobs.pop_front());
        }
        Some(jobs)
    }

    fn finish(&self, jobs: usize, bytes: usize, result: Result<(), EngineError>) {
        let mut state = self.state.lock();
        state.finished = state.finished.saturating_add(jobs as u64);
        state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
        if let Err(err) = result {
            state.failed = Some(err);
            state.jobs.clear();
            state.pending_bytes = 0;
        }
        self.done.notify_all();
    }
}

/// The thread's side.
struct Worker {
    target: Target,
    queue: Arc<Queue>,
    unsynced_bytes: usize,
}

impl Worker {
    fn run(mut self) {
        while let Some(jobs) = self.queue.take() {
            let (count, mut bytes, mut failed) = (jobs.len(), 0_usize, false);
            let result = self.work(jobs, &mut bytes).inspect_err(|_| {
                failed = true;
                self.target.health.poison();
            });
            self.queue.finish(count, bytes, result);
            if failed {
                return;
            }
        }
    }

    fn work(&mut self, jobs: Vec<Job>, bytes: &mut usize) -> Result<(), EngineError> {
        let mut groups = Vec::new();
        for job in jobs {
            match job {
                Job::Apply(group) => groups.push(group),
                Job::Checkpoint { base_seq, keep_from } => self.checkpoint(base_seq, keep_from)?,
                Job::Prepare { number } => self.prepare(number)?,
                Job::Settle => self.settle()?,
            }
        }
        *bytes = groups.iter().map(|group| logical_bytes(&group.writes)).sum();
        self.apply(&groups)
    }

    fn apply(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        let Some(last) = groups.last() else { return Ok(()) };
        let writes = merge(groups.iter().flat_map(|group| group.writes.iter()));
        for part in transactions(writes) {
            self.make_room(part.bytes())?;
            match &part {
                Part::Together(writes) => self.target.backend.apply(writes)?,
                Part::Large(write) => self.target.backend.apply_large(write)?,
            }
        }
        for write in groups.iter().flat_map(|group| &group.writes) {
            self.target.overlay.drop_applied(last.seq, &write.address);
        }
        Ok(())
    }

    /// Syncs if `bytes` more would be too many.
    fn make_room(&mut self, bytes: usize) -> Result<(), StorageError> {
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(bytes);
        if self.unsynced_bytes > UNSYNCED_BYTES_MAX {
            self.target.backend.sync()?;
            self.unsynced_bytes = bytes;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), StorageError> {
        self.target.backend.settle()?;
        self.unsynced_bytes = 0;
        Ok(())
    }

    /// The queue is in order, so all groups up to `base_seq` were applied before this.
    fn checkpoint(&mut self, base_seq: u64, keep_from: u64) -> Result<(), EngineError> {
        self.settle()?;
        let root = self.target.backend.read(&root_address())?;
        let applied = root.as_deref().and_then(root_seq);
        if applied.is_none_or(|seq| seq < base_seq) {
            return Err(EngineError::Tampered("the root record of the state"));
        }
        for number in self.target.segments.numbers()?.into_iter().filter(|n| *n < keep_from) {
            self.target.segments.remove(number)?;
        }
        Ok(())
    }

    fn prepare(&self, number: u64) -> Result<(), StorageError> {
        // Held while it is made, so that a leader in need of it waits and does not make another.
        let mut spare = self.target.spare.lock();
        if !self.target.segments.numbers()?.contains(&number) {
            *spare = Some(self.target.segments.create(number)?);
        }
        Ok(())
    }
}

/// The commit of a sealed root, from its header; authentic because we wrote it in this process.
fn root_seq(record: &[u8]) -> Option<u64> {
    crate::crypto::Envelope::parse(record).ok().map(|envelope| envelope.header().revision)
}

/// The last write of each address, in no particular order.
pub(crate) fn merge<'a>(writes: impl Iterator<Item = &'a Write>) -> Vec<Write> {
    let last: HashMap<Address, &Write> = writes.map(|write| (write.address, write)).collect();
    last.into_values().cloned().collect()
}

/// One transaction of the state, or a value too large for one.
#[derive(Debug)]
pub(crate) enum Part {
    Together(Vec<Write>),
    Large(Write),
}

impl Part {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Together(writes) => logical_bytes(writes),
            // Written in pieces with a sync of its own behind each few.
            Self::Large(_) => UNSYNCED_BYTES_MAX,
        }
    }
}

/// Cuts merged writes into transactions: new values first, a bounded number of bytes at a time,
/// then everything that points at them, together with the root.
pub(crate) fn transactions(writes: Vec<Write>) -> Vec<Part> {
    let is_value =
        |write: &Write| write.address.tree() == Tree::Versions.id() && write.record.is_some();
    if logical_bytes(&writes) <= MERGE_BYTES_MAX {
        return vec![Part::Together(writes)];
    }
    let (values, heads): (Vec<Write>, Vec<Write>) = writes.into_iter().partition(is_value);
    let (mut parts, mut together, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for value in values {
        let len = value.logical_bytes();
        if len > SMALL_VALUE_BYTES_MAX {
            parts.push(Part::Large(value));
            continue;
        }
        bytes = bytes.saturating_add(len);
        if bytes > MERGE_BYTES_MAX {
            parts.push(Part::Together(std::mem::take(&mut together)));
            bytes = len;
        }
        together.push(value);
    }
    if !together.is_empty() {
        parts.push(Part::Together(together));
    }
    parts.push(Part::Together(heads));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u64, len: usize) -> Write {
        Write::put(Address::new(Tree::Versions.id(), number.to_be_bytes()), vec![0; len])
    }

    fn head(number: u8, len: usize) -> Write {
        Write::put(Address::new(Tree::Stages.id(), [number; 16]), vec![0; len])
    }

    #[test]
    fn writes_are_cut_so_that_heads_come_last_and_no_transaction_is_too_large() {
        let heads = || (0..40).map(|n| head(n, 2000));
        let cases: [(&str, Vec<Write>); 5] = [
            ("a few", vec![value(1, 100), head(1, 300)]),
            ("one large value", vec![value(1, 1_000_000), head(1, 300)]),
            ("many small values", heads().chain((0..300).map(|n| value(n, 1500))).collect()),
            ("some of each", heads().chain((0..9).map(|n| value(n, 40_000))).collect()),
            (
                "large values removed",
                heads().map(|w| Write { record: None, ..w }).chain([value(1, 90_000)]).collect(),
            ),
        ];
        for (what, writes) in cases {
            let parts = transactions(writes.clone());
            let mut seen: Vec<Address> = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let is_last = at == parts.len() - 1;
                match part {
                    Part::Together(writes) => {
                        assert!(part.bytes() <= UNSYNCED_BYTES_MAX, "{what}");
                        let values_only =
                            writes.iter().all(|w| w.address.tree() == Tree::Versions.id());
                        assert!(is_last || values_only, "{what}: heads before the last part");
                        seen.extend(writes.iter().map(|write| write.address));
                    }
                    Part::Large(write) => {
                        assert!(!is_last, "{what}: a value after the heads");
                        seen.push(write.address);
                    }
                }
            }
            seen.sort_unstable();
            let mut all: Vec<Address> = writes.iter().map(|write| write.address).collect();
            all.sort_unstable();
            assert_eq!(seen, all, "{what}");
        }
    }

    #[test]
    fn of_several_writes_to_one_address_the_last_remains() {
        let writes = [head(1, 1), head(2, 1), head(1, 2), Write::remove(head(2, 1).address)];
        let mut merged = merge(writes.iter());
        merged.sort_by_key(|write| write.address);
        let lens: Vec<Option<usize>> =
            merged.iter().map(|write| write.record.as_ref().map(|record| record.len())).collect();
        assert_eq!(lens, [Some(2), None]);
    }
}
