//! A standstill of the applier: while it lasts, the state is that of one commit, and anybody may read it
//! at leisure. Commits go on into journal and overlay, and wait only if too much is pending.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::{
    commit::{Engine, EngineError, backlog::Queue},
    format::RootV1,
};

/// How often it is looked whether the applier has failed before it came to stand.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where the applier stands, and who ordered it waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Ordered,
    Standing,
    Over,
}

impl Gate {
    /// The applier's side: stands until it is over.
    pub(super) fn stand(&self) {
        let mut phase = self.phase.lock();
        if *phase == Phase::Ordered {
            *phase = Phase::Standing;
            self.changed.notify_all();
        }
        while *phase != Phase::Over {
            self.changed.wait(&mut phase);
        }
    }
}

/// A standstill that was ordered. It is over when this is dropped.
#[must_use]
pub(crate) struct Standstill {
    queue: Arc<Queue>,
    gate: Arc<Gate>,
}

impl Standstill {
    pub(super) fn new(queue: Arc<Queue>, gate: Arc<Gate>) -> Self {
        Self { queue, gate }
    }

    /// Waits until the applier stands.
    pub(super) fn wait(&self) -> Result<(), EngineError> {
        self.queue.hasten(1);
        let stood = loop {
            let mut phase = self.gate.phase.lock();
            if *phase == Phase::Standing {
                break Ok(());
            }
            self.gate.changed.wait_for(&mut phase, LOOK_AGAIN);
            drop(phase);
            if let Some(err) = self.queue.state.lock().failed.clone() {
                break Err(err);
            }
        };
        self.queue.hasten(-1);
        stood
    }
}

impl Engine {
    /// The store at one moment: its root, its key file, and the state, which stays as it is as long as
    /// the standstill lives. Reads and commits go on.
    pub(crate) fn stand_still(&self) -> Result<(RootV1, Vec<u8>, Standstill), EngineError> {
        self.wait_ready()?;
        // Most of what waits goes before, so that writers stand still for a moment only.
        self.applier.drain()?;
        self.keys.with_bytes(|key_file| {
            let core = self.core.lock();
            self.health().check_write()?;
            let standstill = self.applier.stand_still();
            // Under the lock: what a later commit overwrites would not go into the state with this one.
            standstill.wait()?;
            Ok((core.root.clone(), key_file?, standstill))
        })
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        *self.gate.phase.lock() = Phase::Over;
        self.gate.changed.notify_all();
    }
}

impl fmt::Debug for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standstill(..)")
    }
}
