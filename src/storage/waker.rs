//! A thread that looks again and again whether somebody has to be woken.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Waker {
    /// Tells the thread to end by being dropped.
    alive: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waker {
    /// Calls `look` every now and then. It must neither wait nor panic.
    pub(crate) fn start(look: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel();
        let looking = move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                look();
            }
        };
        let thread = thread::Builder::new().name("strongroom-waker".to_owned()).spawn(looking)?;
        Ok(Self { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // Nothing is left to be done about a panic there.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn it_looks_until_it_is_dropped_and_not_after() {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let waker = Waker::start(move || {
            let _ = counted.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        while looks.load(Ordering::SeqCst) < 2 {
            thread::sleep(Duration::from_millis(10));
        }
        drop(waker);
        let seen = looks.load(Ordering::SeqCst);
        assert_eq!(Arc::strong_count(&looks), 1, "the thread is still there");
        thread::sleep(LOOK_EVERY + LOOK_EVERY / 2);
        assert_eq!(looks.load(Ordering::SeqCst), seen);
    }
}
