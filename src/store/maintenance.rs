//! The store as a whole: anchor, verification, checkpoint, closing.

use super::SecretStore;
use crate::{domain::Anchor, error::Error, records::Verified};

/// What [`SecretStore::verify`] checked and found right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// Secrets, with their metadata and labels.
    pub secrets: u64,
    /// Versions, with their values.
    pub versions: u64,
    /// Audit records.
    pub audit_records: u64,
}

impl SecretStore {
    /// Where the store stands, to be kept somewhere else. See [`Anchor`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the store is closed, [`Error::Tampered`] if it was found forged.
    pub fn anchor(&self) -> Result<Anchor, Error> {
        Ok(self.inner.records.engine.anchor()?)
    }

    /// Checks everything: opens every record of every secret with all values, follows the chain of
    /// the audit log, and looks for records that belong to nothing. Reads and writes go on meanwhile.
    /// Takes some seconds for 100,000 secrets.
    ///
    /// # Errors
    ///
    /// * [`Error::Tampered`] with the first thing that is not as it was written.
    /// * [`Error::Storage`] or [`Error::Damaged`] if the files cannot be read.
    /// * [`Error::InvalidState`] if the store is closed.
    pub fn verify(&self) -> Result<Verification, Error> {
        self.verify_with(|_| {})
    }

    /// Like [`verify`](Self::verify); `progress` is called with the number of secrets checked so far.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    pub fn verify_with(&self, progress: impl Fn(u64)) -> Result<Verification, Error> {
        let Verified { secrets, versions, audit_records } = self.inner.records.verify(&progress)?;
        Ok(Verification { secrets, versions, audit_records })
    }

    /// Moves everything from the journal into the state and lets go of old journal segments. The
    /// store does this by itself whenever a segment is full; calling it before a quiet time makes the
    /// next opening quicker. Nothing depends on it: what was acknowledged is durable already.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the disk fails; the handle is then poisoned, and nothing is lost.
    /// [`Error::Poisoned`], [`Error::InvalidState`] as for every write.
    pub fn checkpoint(&self) -> Result<(), Error> {
        Ok(self.inner.records.engine.checkpoint()?)
    }

    /// Closes the store for all its handles: brings everything into the state, durably, and releases
    /// files and lock, so that it can be opened again. A second call does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that failed, or had failed before in the background; [`Error::Poisoned`] if
    /// an earlier failure that a call reported had stopped all writing. The store is closed all the
    /// same, and what was acknowledged is there when it is opened again.
    pub fn close(self) -> Result<(), Error> {
        Ok(self.inner.close()?)
    }
}
