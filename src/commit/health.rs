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
    commit::news::News,
    crypto::{Forged, RandomError},
    domain::KeyTrouble,
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
    /// A key of the key manager cannot be used.
    #[error("the key {0} cannot be used: {1}")]
    Key(Arc<str>, KeyTrouble),
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
    /// What makes even reads impossible.
    failure: Mutex<Option<EngineError>>,
    /// Who waits for commits hears of the end too.
    pub(super) news: News,
}

impl Health {
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.news.end();
    }

    /// From now on neither reads nor writes are answered, but with this.
    pub(crate) fn fail(&self, failure: &EngineError) {
        *self.failure.lock() = Some(failure.clone());
        self.poison();
    }

    /// Marks the store closed; says whether it was open.
    pub(crate) fn close(&self) -> bool {
        let was_open = !self.closed.swap(true, Ordering::AcqRel);
        self.news.end();
        was_open
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
        match self.is_poisoned().then(|| self.failure.lock().clone()).flatten() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that could not be read once ended the check in the background, and reads went on for
    /// ever without it: damaging one page switched off the protection against records put back.
    #[test]
    fn a_check_that_could_not_be_done_ends_reads_as_one_that_failed_does() {
        for failure in [EngineError::Tampered("x"), StorageError::Panicked.into()] {
            let health = Health::default();
            assert!(health.check_write().is_ok());
            health.fail(&failure);
            let (read, write) = (health.check_read(), health.check_write());
            assert_eq!(read.unwrap_err().to_string(), failure.to_string());
            assert_eq!(write.unwrap_err().to_string(), failure.to_string());
        }
    }

    #[test]
    fn poison_ends_writes_and_closing_ends_both() {
        let health = Health::default();
        health.poison();
        assert!(health.check_read().is_ok());
        assert!(matches!(health.check_write(), Err(EngineError::Poisoned)));
        assert!(health.close());
        assert!(!health.close());
        assert!(matches!(health.check_read(), Err(EngineError::Closed)));
    }
}
