//! A thread that does what falls due by the clock.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    DueRotations, SecretStore,
    handle::{Caller, Inner},
};
use crate::{
    domain::{Action, SecretName, Timestamp},
    error::{Error, ErrorKind},
    records::Alarm,
};

/// How many errors are kept; the oldest go first.
const ERRORS_MAX: usize = 256;

/// The shortest time between two rounds, if nothing changes.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// How a scheduler works (csms.md 8.2 row 35 has the sweeper).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "options do nothing by themselves"]
pub struct SchedulerOptions {
    longest_sleep: Duration,
}

impl SchedulerOptions {
    /// The longest sleep when nothing else is said.
    pub const LONGEST_SLEEP_DEFAULT: Duration = Duration::from_secs(60);

    /// Looks at the clock once a minute, or when something falls due.
    pub fn new() -> Self {
        Self { longest_sleep: Self::LONGEST_SLEEP_DEFAULT }
    }

    /// The longest time between two looks at the clock, from a millisecond to an hour; what is beyond
    /// is cut. It matters if the store's clock is set, and for what was due and could not be done, which is
    /// tried again then.
    pub fn longest_sleep(self, longest: Duration) -> Self {
        Self { longest_sleep: longest.clamp(SLEEP_MIN, Duration::from_secs(60 * 60)) }
    }
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A running scheduler (csms.md 8.2 row 35 has the sweeper). Dropping it stops the thread and waits
/// until it has ended.
///
/// It does not keep the store open: when the last handle of the store is dropped, or the store is
/// closed, it ends by itself.
pub struct Scheduler {
    shared: Arc<Shared>,
    alarm: Arc<Alarm>,
    thread: Option<JoinHandle<()>>,
}

/// Something that the scheduler could not do (csms.md 8.3 row 63).
#[derive(Debug)]
pub struct SchedulerError {
    at: Timestamp,
    secret: Option<SecretName>,
    error: Error,
}

impl SchedulerError {
    /// When, by the store's clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The secret whose rotation failed; none if it was something else.
    #[must_use]
    pub fn secret_name(&self) -> Option<&SecretName> {
        self.secret.as_ref()
    }

    /// What failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

/// What the thread and its owner share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    rounds: AtomicU64,
    errors: Mutex<VecDeque<SchedulerError>>,
}

impl SecretStore {
    /// Starts a thread that calls [`rotate_due`](Self::rotate_due), [`sweep`](Self::sweep) and
    /// [`deliver_notifications`](Self::deliver_notifications) when something falls due, and now and
    /// then; the last one only if the store has a notifier (csms.md 8.2 row 35; 8.3 row 58). Changes
    /// of the schedule, such as a new rotation period, wake it, and so do changes that are to be
    /// notified.
    ///
    /// Keep what is returned: it stops when that is dropped. Several of them do no harm.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if no thread can be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::SchedulerOptions;
    ///
    /// let scheduler = store.start_scheduler(SchedulerOptions::new())?;
    /// // While the service runs; now and then:
    /// for problem in scheduler.take_errors() {
    ///     eprintln!("{:?}: {}", problem.secret_name(), problem.error());
    /// }
    /// drop(scheduler);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_scheduler(&self, options: SchedulerOptions) -> Result<Scheduler, Error> {
        self.permit(Action::Maintain, None)?;
        let (shared, alarm) =
            (Arc::<Shared>::default(), Arc::clone(&self.inner.records.schedule.alarm));
        let (store, theirs, rung) =
            (Arc::downgrade(&self.inner), Arc::clone(&shared), Arc::clone(&alarm));
        let thread = thread::Builder::new()
            .name("strongroom-scheduler".to_owned())
            .spawn(move || theirs.run(&store, &rung, options.longest_sleep))
            .map_err(|source| Error::Storage { source })?;
        Ok(Scheduler { shared, alarm, thread: Some(thread) })
    }
}

impl Scheduler {
    /// Has it look at once, such as after the store's clock was set.
    pub fn wake(&self) {
        self.alarm.ring();
    }

    /// How often it has looked.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::Acquire)
    }

    /// Whether it goes on: not after the store was closed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// What it could not do since this was last called, in order; 256 at most, the newest. Failed
    /// rotations are in the audit log too.
    #[must_use]
    pub fn take_errors(&self) -> Vec<SchedulerError> {
        self.shared.errors.lock().drain(..).collect()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.alarm.ring();
        if let Some(thread) = self.thread.take() {
            // Only the embedder's clock or key manager could have made it panic; there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("rounds", &self.rounds()).finish_non_exhaustive()
    }
}

impl Shared {
    fn run(&self, store: &Weak<Inner>, alarm: &Alarm, longest_sleep: Duration) {
        while !self.stop.load(Ordering::Acquire) {
            // Counted before the look: what changes while it looks makes it look again.
            let heard = alarm.rings();
            let Some(inner) = store.upgrade() else { return };
            let store = SecretStore { inner, caller: Caller::Store };
            let next = self.round(&store);
            let now = store.inner.clock.now();
            // Not held while it sleeps, or the store would never be closed.
            drop(store);
            self.rounds.fetch_add(1, Ordering::Release);
            let Ok(next) = next else { return };
            alarm.wait(heard, sleep(next, now, longest_sleep));
        }
    }

    /// Does what is due, and says when something is due next. An error only if the store is closed.
    fn round(&self, store: &SecretStore) -> Result<Option<Timestamp>, Error> {
        let at = store.inner.clock.now();
        let rotated = self.heed(at, store.rotate_due())?.map(DueRotations::into_failed);
        for failed in rotated.into_iter().flatten() {
            let (secret, error) = (Some(failed.secret_name().clone()), failed.into_error());
            self.keep(SchedulerError { at, secret, error });
        }
        self.heed(at, store.sweep())?;
        if store.inner.notifier.is_some() {
            self.heed(at, store.deliver_notifications())?;
        }
        Ok(self.heed(at, store.next_due())?.flatten())
    }

    /// What was done, or none if it failed: that is kept. An error only if the store is closed.
    fn heed<T>(&self, at: Timestamp, done: Result<T, Error>) -> Result<Option<T>, Error> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::InvalidState => Err(error),
            Err(error) => {
                self.keep(SchedulerError { at, secret: None, error });
                Ok(None)
            }
        }
    }

    fn keep(&self, error: SchedulerError) {
        let mut errors = self.errors.lock();
        if errors.len() >= ERRORS_MAX {
            errors.pop_front();
        }
        errors.push_back(error);
    }
}

/// How long to sleep until `next`. What was due and could not be done waits as long as anything.
fn sleep(next: Option<Timestamp>, now: Timestamp, longest: Duration) -> Duration {
    let wait_ms = next.map(|next| next.as_millis().saturating_sub(now.as_millis()));
    match wait_ms.and_then(|millis| u64::try_from(millis).ok()) {
        Some(millis @ 1..) => Duration::from_millis(millis).min(longest),
        _ => longest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_something_is_due_and_not_longer_than_it_may() {
        let cases = [
            ("nothing is due", None, 60_000),
            ("soon", Some(1_001), 1),
            ("later", Some(31_000), 30_000),
            ("much later", Some(1_000_000), 60_000),
            ("at the end of time", Some(i64::MAX), 60_000),
            ("now, and not done", Some(1_000), 60_000),
            ("before, and not done", Some(-5), 60_000),
        ];
        for (what, next, want) in cases {
            let at = Timestamp::from_millis;
            let got = sleep(next.map(at), at(1_000), Duration::from_secs(60));
            assert_eq!(got, Duration::from_millis(want), "case: {what}");
        }
    }
}
