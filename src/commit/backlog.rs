//! What waits for the applier: committed groups and other jobs, in order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::{
    commit::{
        EngineError,
        compact::Outcome,
        standstill::Gate,
        state::{MERGED_BYTES_MAX, MERGED_HEADS_BYTES_MAX, head_bytes},
    },
    storage::{Write, logical_bytes},
};

/// So many bytes of committed groups may wait whatever the buffer's size, since a single one may be
/// so large.
pub(super) const PENDING_BYTES_LEAST: usize = 4 * 1024 * 1024;

/// How long a commit waits at most for others to go into the state with it.
///
/// A record that is overwritten while it waits never goes into the state; a commit that is alone in a
/// transaction costs many times what it costs among others; and the writes to the state compete with
/// the journal's sync, for which callers wait.
const GATHER_MAX: Duration = Duration::from_millis(500);

/// A commit on its way into the state.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) seq: u64,
    /// Everything in the commit's frame, the root included.
    pub(crate) writes: Vec<Write>,
}

/// What the applier is to do.
#[derive(Debug)]
pub(super) enum Job {
    Apply(Group),
    /// Settle the state, then remove the segments below `keep_from`.
    Checkpoint {
        base_seq: u64,
        keep_from: u64,
    },
    /// Make durable all that was applied, files and names.
    Settle,
    /// Copy the state into fresh files.
    Compact(Outcome),
    /// Do nothing until told to go on.
    Stand(Arc<Gate>),
}

/// The jobs in their order, between the committing threads and the applier.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) state: Mutex<QueueState>,
    /// There is a job, or an end to it.
    pub(super) arrived: Condvar,
    /// A job is done.
    pub(super) done: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct QueueState {
    jobs: VecDeque<Job>,
    pub(super) buffer_bytes: usize,
    pub(super) pending_bytes: usize,
    /// Jobs taken in and jobs done, to wait for one's own.
    pub(super) entered: u64,
    finished: u64,
    /// The number of a segment to be made in advance.
    pub(super) segment: Option<u64>,
    /// How many jobs are to be worked off without waiting for more.
    ripe: usize,
    /// How many wait for the queue to be worked off.
    waiting: usize,
    pub(super) stopping: bool,
    pub(super) failed: Option<EngineError>,
}

impl QueueState {
    /// Whether there is a reason not to wait for more commits.
    fn is_ripe(&self) -> bool {
        self.pending_bytes >= self.buffer_bytes / 4 || self.waiting > 0 || self.stopping
    }

    /// The next jobs: several groups that go well together, or one other job.
    fn take_jobs(&mut self) -> Vec<Job> {
        let (mut jobs, mut heads, mut all) = (Vec::new(), 0_usize, 0_usize);
        while let Some(job) = self.jobs.front() {
            let Job::Apply(group) = job else {
                if jobs.is_empty() {
                    jobs.extend(self.jobs.pop_front());
                }
                break;
            };
            heads = heads.saturating_add(head_bytes(&group.writes));
            all = all.saturating_add(logical_bytes(&group.writes));
            if (heads > MERGED_HEADS_BYTES_MAX || all > MERGED_BYTES_MAX) && !jobs.is_empty() {
                break;
            }
            jobs.extend(self.jobs.pop_front());
        }
        self.ripe = self.ripe.saturating_sub(jobs.len());
        jobs
    }
}

impl Queue {
    pub(super) fn push(&self, state: &mut QueueState, job: Job) {
        if state.failed.is_none() {
            let was_empty = state.jobs.is_empty();
            state.jobs.push_back(job);
            state.entered = state.entered.saturating_add(1);
            if was_empty || state.is_ripe() {
                self.arrived.notify_one();
            }
        }
    }

    /// One more, or one fewer, waits for the queue to be worked off.
    pub(super) fn hasten(&self, by: isize) {
        let mut state = self.state.lock();
        state.waiting = state.waiting.saturating_add_signed(by);
        self.arrived.notify_one();
    }

    pub(super) fn wait_finished(
        &self,
        state: &mut parking_lot::MutexGuard<'_, QueueState>,
        target: u64,
    ) -> Result<(), EngineError> {
        state.waiting = state.waiting.saturating_add(1);
        self.arrived.notify_one();
        while state.finished < target && state.failed.is_none() {
            self.done.wait(state);
        }
        state.waiting = state.waiting.saturating_sub(1);
        match &state.failed {
            Some(err) => Err(err.clone()),
            None => Ok(()),
        }
    }

    /// What to do next. `None`: the end.
    pub(super) fn take(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(number) = state.segment.take() {
                return Some(Work::Prepare(number));
            }
            if state.ripe > 0 {
                return Some(Work::Jobs(state.take_jobs()));
            }
            if state.jobs.is_empty() {
                if state.stopping {
                    return None;
                }
                self.arrived.wait(&mut state);
                continue;
            }
            if state.is_ripe() || self.arrived.wait_for(&mut state, GATHER_MAX).timed_out() {
                // Everything that waits, so that there is quiet again afterwards.
                state.ripe = state.jobs.len();
            }
        }
    }

    pub(super) fn finish(&self, jobs: usize, bytes: usize, result: Result<(), EngineError>) {
        let mut state = self.state.lock();
        state.finished = state.finished.saturating_add(jobs as u64);
        state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
        if let Err(err) = result {
            state.failed = Some(err);
            state.jobs.clear();
            state.ripe = 0;
            state.pending_bytes = 0;
        }
        self.done.notify_all();
    }
}

/// What the thread does in one go.
pub(super) enum Work {
    Prepare(u64),
    Jobs(Vec<Job>),
}
