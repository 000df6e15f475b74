//! What wakes the one who waits for something to fall due.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Rings when the next thing falls due at another time than before, or something is to be told at once.
/// How often it rang is counted, so that nobody misses it who was busy.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        let mut rings = self.rings.lock();
        *rings = rings.saturating_add(1);
        self.rung.notify_all();
    }

    /// How often it rang.
    pub(crate) fn rings(&self) -> u64 {
        *self.rings.lock()
    }

    /// Waits until it has rung more often than `heard`, `longest` at most.
    pub(crate) fn wait(&self, heard: u64, longest: Duration) {
        let mut rings = self.rings.lock();
        if *rings == heard {
            self.rung.wait_for(&mut rings, longest);
        }
    }
}
