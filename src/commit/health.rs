//! Whether the store may still write, and the errors of the commit path.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{
    crypto::{Forged, RandomError},
    format::Malformed,
    storage::StorageError,
};

/// Why nothing was committed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A head was changed by somebody else since it was read.
    #[error("another change was faster")]
    Conflict,
    /// An earlier failure; nothing is written any more.
    #[error("an earlier failure poisoned the store")]
    Poisoned,
    /// The random generator of the operating system failed.
    #[error("no randomness")]
    Random,
    /// A write or sync failed. The store is poisoned from now on.
    #[error("the commit could not be made durable")]
    Storage(#[source] Arc<StorageError>),
    /// Something stored is not what this store wrote there.
    #[error("{0} is not what was written there")]
    Tampered(&'static str),
    /// More than fits into one commit.
    #[error("too large for one commit")]
    TooLarge,
}

impl From<StorageError> for EngineError {
    fn from(err: StorageError) -> Self {
        Self::Storage(Arc::new(err))
    }
}

impl From<io::Error> for EngineError {
    fn from(err: io::Error) -> Self {
        StorageError::from(err).into()
    }
}

impl From<RandomError> for EngineError {
    fn from(_: RandomError) -> Self {
        Self::Random
    }
}

impl From<Malformed> for EngineError {
    fn from(_: Malformed) -> Self {
        Self::TooLarge
    }
}

impl From<Forged> for EngineError {
    fn from(_: Forged) -> Self {
        Self::TooLarge
    }
}

/// Set once and for good: after a failed write or sync nobody knows what is on disk, so nothing
/// more is written, and nothing is tried again. Opening the store anew finds out.
#[derive(Debug, Default)]
pub(crate) struct Health {
    poisoned: AtomicBool,
    closed: AtomicBool,
    tampered: Mutex<Option<&'static str>>,
}

impl Health {
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Notes what was found to be forged; from then on neither reads nor writes are answered.
    pub(crate) fn tampered(&self, what: &'static str) {
        *self.tampered.lock() = Some(what);
        self.poison();
    }

    /// Marks the store closed; says whether it was open.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn check_write(&self) -> Result<(), EngineError> {
        self.check_read()?;
        if self.is_poisoned() { Err(EngineError::Poisoned) } else { Ok(()) }
    }

    pub(crate) fn check_read(&self) -> Result<(), EngineError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(EngineError::Closed);
        }
        // The flag is set with the poison, so a healthy store takes no lock here.
        match self.is_poisoned().then(|| *self.tampered.lock()).flatten() {
            Some(what) => Err(EngineError::Tampered(what)),
            None => Ok(()),
        }
    }
}
