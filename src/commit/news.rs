//! Word of each commit, for those who wait for the next one.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// The last commit that can be read, and who waits for another.
///
/// Telling costs a lock that nobody holds for long; whoever is slow to ask waits alone.
#[derive(Debug, Default)]
pub(crate) struct News {
    state: Mutex<Told>,
    arrived: Condvar,
    audit_first: AtomicU64,
}

#[derive(Debug, Default)]
struct Told {
    seq: u64,
    ended: bool,
}

impl News {
    /// Where the audit log begins; told before the records in front of it can be missed.
    pub(super) fn cut_audit(&self, first: u64) {
        self.audit_first.store(first, Ordering::SeqCst);
    }

    /// The first commit whose audit records are kept. Who found a record missing asks this afterwards.
    pub(crate) fn audit_first(&self) -> u64 {
        self.audit_first.load(Ordering::SeqCst)
    }

    /// Commit `seq` can be read.
    pub(super) fn tell(&self, seq: u64) {
        self.state.lock().seq = seq;
        self.arrived.notify_all();
    }

    /// No commit will come any more.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.arrived.notify_all();
    }

    /// The last commit that can be read.
    pub(crate) fn seq(&self) -> u64 {
        self.state.lock().seq
    }

    /// Waits until there is a commit behind `seq`, there will be none, or `timeout` is over; without
    /// one, for as long as it takes. Says whether there is one.
    pub(crate) fn wait_behind(&self, seq: u64, timeout: Option<Duration>) -> bool {
        let mut told = self.state.lock();
        while told.seq <= seq && !told.ended {
            // Who is woken has a reason, so the time is not counted anew for ever.
            let timed_out = match timeout {
                Some(timeout) => self.arrived.wait_for(&mut told, timeout).timed_out(),
                None => {
                    self.arrived.wait(&mut told);
                    false
                }
            };
            if timed_out {
                break;
            }
        }
        told.seq > seq
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_is_woken_by_a_commit_and_by_the_end() {
        let news = News::default();
        news.tell(3);
        assert!(news.wait_behind(2, None), "it is there already");
        assert!(!news.wait_behind(3, Some(Duration::from_millis(1))));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| news.wait_behind(3, None));
            news.tell(4);
            assert!(waiting.join().unwrap());
            let waiting = scope.spawn(|| news.wait_behind(4, None));
            news.end();
            assert!(!waiting.join().unwrap());
        });
        assert!(news.wait_behind(3, None), "what came before the end can be read");
    }
}
