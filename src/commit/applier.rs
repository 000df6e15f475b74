//! The applier: one thread that moves committed groups from the overlay into the state.
//!
//! The state lags behind the journal; what it has not got yet is read from the overlay.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;

use crate::{
    commit::{
        EngineError,
        address::root_address,
        backlog::{Group, Job, PENDING_BYTES_LEAST, Queue, Work},
        compact::{self, Outcome},
        health::Health,
        journal::Spare,
        overlay::Overlay,
        standstill::{Gate, Standstill},
        state::{StateWriter, merge},
    },
    storage::{Backend, Compacted, SegmentDir, StorageError, logical_bytes},
};

/// What the applier works on.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) health: Arc<Health>,
    pub(crate) segments: SegmentDir,
    pub(crate) spare: Spare,
    /// How many bytes of commits may wait to be applied. When a quarter is full, they are.
    pub(crate) write_buffer_bytes: usize,
}

/// The applier's queue, and the end of it that the committing threads hold.
#[derive(Debug)]
pub(crate) struct Applier {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The jobs that were handed over up to some moment.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandedOver(u64);

/// An order to settle that was placed: the number of its job.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settling(u64);

/// An order to compact that was placed.
#[must_use]
#[derive(Debug)]
pub(crate) struct Compaction {
    job: u64,
    outcome: Outcome,
}

impl Applier {
    pub(crate) fn start(target: Target) -> Result<Self, StorageError> {
        let queue = Arc::new(Queue::default());
        queue.state.lock().buffer_bytes = target.write_buffer_bytes;
        let worker_queue = Arc::clone(&queue);
        let thread =
            thread::Builder::new().name("strongroom-applier".to_owned()).spawn(move || {
                let state = StateWriter::new(Arc::clone(&target.backend));
                Worker { target, queue: worker_queue, state }.run();
            })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a committed group over. Waits while too much is pending.
    pub(crate) fn apply(&self, group: Group) {
        let bytes = logical_bytes(&group.writes);
        let mut state = self.queue.state.lock();
        let max = state.buffer_bytes.max(PENDING_BYTES_LEAST);
        while state.pending_bytes > max && state.failed.is_none() {
            self.queue.done.wait(&mut state);
        }
        state.pending_bytes = state.pending_bytes.saturating_add(bytes);
        self.queue.push(&mut state, Job::Apply(group));
    }

    /// Orders a checkpoint up to `base_seq`, after which segments below `keep_from` go.
    pub(crate) fn checkpoint(&self, base_seq: u64, keep_from: u64) {
        self.queue.push(&mut self.queue.state.lock(), Job::Checkpoint { base_seq, keep_from });
    }

    /// Orders a segment in advance, which is made before all else.
    pub(crate) fn prepare(&self, number: u64) {
        self.queue.state.lock().segment = Some(number);
        self.queue.arrived.notify_one();
    }

    /// Waits until everything handed over so far is in the state.
    pub(crate) fn drain(&self) -> Result<(), EngineError> {
        self.wait_applied(self.handed_over())
    }

    /// What was handed over so far, to be waited for with [`Applier::wait_applied`].
    pub(crate) fn handed_over(&self) -> HandedOver {
        HandedOver(self.queue.state.lock().entered)
    }

    pub(crate) fn wait_applied(&self, so_far: HandedOver) -> Result<(), EngineError> {
        self.queue.wait_finished(&mut self.queue.state.lock(), so_far.0)
    }

    /// Orders that everything handed over so far be durable in the state. To be waited for with
    /// [`Applier::wait_settled`].
    pub(crate) fn settle(&self) -> Settling {
        let mut state = self.queue.state.lock();
        self.queue.push(&mut state, Job::Settle);
        Settling(state.entered)
    }

    pub(crate) fn wait_settled(&self, settling: Settling) -> Result<(), EngineError> {
        self.queue.wait_finished(&mut self.queue.state.lock(), settling.0)
    }

    /// Orders a compaction. To be waited for with [`Applier::wait_compacted`].
    pub(crate) fn compact(&self) -> Compaction {
        let outcome = Outcome::default();
        let mut state = self.queue.state.lock();
        self.queue.push(&mut state, Job::Compact(outcome.clone()));
        Compaction { job: state.entered, outcome }
    }

    /// Orders a standstill: what was handed over so far is in the state then, and nothing else.
    pub(crate) fn stand_still(&self) -> Standstill {
        let gate = Arc::new(Gate::default());
        self.queue.push(&mut self.queue.state.lock(), Job::Stand(Arc::clone(&gate)));
        Standstill::new(Arc::clone(&self.queue), gate)
    }

    pub(crate) fn wait_compacted(&self, order: &Compaction) -> Result<Compacted, EngineError> {
        self.queue.wait_finished(&mut self.queue.state.lock(), order.job)?;
        order.outcome.take()
    }

    /// Works off what is there and ends the thread.
    pub(crate) fn stop(&self) {
        self.queue.state.lock().stopping = true;
        self.queue.arrived.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It catches its own panics.
            let _ = thread.join();
        }
        // Whoever comes now waits for nobody.
        let mut state = self.queue.state.lock();
        state.failed.get_or_insert(EngineError::Closed);
        self.queue.done.notify_all();
    }
}

/// The thread's side.
struct Worker {
    target: Target,
    queue: Arc<Queue>,
    state: StateWriter,
}

impl Worker {
    fn run(mut self) {
        while let Some(work) = self.queue.take() {
            let (mut bytes, mut failed) = (0_usize, false);
            let count = if let Work::Jobs(jobs) = &work { jobs.len() } else { 0 };
            let work = AssertUnwindSafe(|| self.work(work, &mut bytes));
            let result = catch_unwind(work).unwrap_or(Err(EngineError::Poisoned));
            let result = result.inspect_err(|_| {
                failed = true;
                self.target.health.poison();
            });
            self.queue.finish(count, bytes, result);
            if failed {
                return;
            }
        }
    }

    fn work(&mut self, work: Work, bytes: &mut usize) -> Result<(), EngineError> {
        let jobs = match work {
            Work::Jobs(jobs) => jobs,
            Work::Prepare(number) => return Ok(self.prepare(number)?),
        };
        let mut groups = Vec::new();
        for job in jobs {
            match job {
                Job::Apply(group) => groups.push(group),
                Job::Checkpoint { base_seq, keep_from } => self.checkpoint(base_seq, keep_from)?,
                Job::Settle => self.state.settle()?,
                Job::Compact(outcome) => {
                    compact::run(&mut self.state, self.target.backend.as_ref(), &outcome)?;
                }
                Job::Stand(gate) => gate.stand(),
            }
        }
        *bytes = groups.iter().map(|group| logical_bytes(&group.writes)).sum();
        self.apply(&groups)
    }

    fn apply(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        let Some(last) = groups.last() else { return Ok(()) };
        // What a later commit overwrites goes into the state with that one alone. Should the process
        // die before, the journal has both.
        let overlay = &self.target.overlay;
        let writes = groups.iter().flat_map(|group| group.writes.iter());
        self.state
            .write(merge(writes.filter(|write| !overlay.is_newer(last.seq, &write.address))))?;
        for write in groups.iter().flat_map(|group| &group.writes) {
            overlay.drop_applied(last.seq, &write.address);
        }
        Ok(())
    }

    /// The queue is in order, so all groups up to `base_seq` were applied before this.
    fn checkpoint(&mut self, base_seq: u64, keep_from: u64) -> Result<(), EngineError> {
        self.state.settle()?;
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
        if self.target.segments.numbers()?.contains(&number) {
            return Ok(());
        }
        match self.target.segments.create(number) {
            Ok(segment) => *spare = Some(segment),
            // Nothing was harmed, and half of the present segment is left. By the time it is used up
            // there may be room again; if not, the commit that needs the next one fails.
            Err(err) if means_no_room(&err) => {}
            Err(err) => return Err(err.into()),
        }
        Ok(())
    }
}

/// Whether it says that the disk is full, and not that it is broken.
fn means_no_room(err: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(err.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

/// The commit of a sealed root, from its header; authentic because we wrote it in this process.
fn root_seq(record: &[u8]) -> Option<u64> {
    crate::crypto::Envelope::parse(record).ok().map(|envelope| envelope.header().revision)
}
