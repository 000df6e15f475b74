//! Compaction, as a job of the applier: while it copies the state, nobody else writes there. Commits go
//! on into journal and overlay, and wait only if too much is pending.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    commit::{EngineError, state::StateWriter},
    storage::{Backend, CompactError, Compacted},
};

/// Where the applier leaves what became of a compaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome(Arc<Mutex<Option<Result<Compacted, EngineError>>>>);

impl Outcome {
    /// What was left here.
    pub(crate) fn take(&self) -> Result<Compacted, EngineError> {
        self.0.lock().take().unwrap_or(Err(EngineError::Poisoned))
    }
}

/// Compacts the state. An error is one after which nothing may be applied any more; one that left the
/// state as it was is told to who asked, and to nobody else.
pub(super) fn run(
    state: &mut StateWriter,
    backend: &dyn Backend,
    outcome: &Outcome,
) -> Result<(), EngineError> {
    // Durable before, so that the old files are as good as the copy, and none of it counts as unsynced.
    state.settle()?;
    let result = match backend.compact() {
        Ok(compacted) => Ok(compacted),
        Err(CompactError::Kept(err)) => Err(err.into()),
        Err(CompactError::Broken(err)) => return Err(err.into()),
    };
    *outcome.0.lock() = Some(result);
    Ok(())
}
