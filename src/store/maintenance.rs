//! The store as a whole: anchor, verification, checkpoint, closing.

use super::SecretStore;
use crate::{
    domain::{Action, Anchor},
    error::Error,
    records::Verified,
    storage::Compacted,
};

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

/// What [`SecretStore::compact`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Compaction {
    /// Room on the disk that the state took before.
    pub bytes_before: u64,
    /// Room on the disk that the state takes now.
    pub bytes_after: u64,
    /// Bytes of all sealed records with their keys: what the state would take at least.
    pub record_bytes: u64,
}

impl SecretStore {
    /// Where the store stands, to be kept somewhere else. See [`Anchor`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the store is closed, [`Error::Tampered`] if it was found forged.
    pub fn anchor(&self) -> Result<Anchor, Error> {
        self.permit(Action::Maintain, None)?;
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
        self.permit(Action::Maintain, None)?;
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
        self.permit(Action::Maintain, None)?;
        Ok(self.inner.records.engine.checkpoint()?)
    }

    /// Gives disk space back: copies all records into fresh files, compares the copy with the original,
    /// and puts it in its place. Otherwise the files of the state only grow, to two to four times what
    /// is in them. Worth calling after many deletions or rotations.
    ///
    /// Reads and writes go on meanwhile. What is committed waits in the journal and in memory until the
    /// copy is in its place; if it becomes more than 16 MiB, writers wait. A second call at the same time
    /// waits for the first and does its work again. A crash at any point leaves the old files or the new.
    ///
    /// Needs free disk space for the copy, about one and a half times [`record_bytes`](Compaction::record_bytes)
    /// and 32 MiB, and memory for one more cache of [`state_cache_bytes`](crate::Builder::state_cache_bytes). How long
    /// it takes and what it gains is in [operations](crate::manual::operations), "Compaction".
    ///
    /// # Errors
    ///
    /// * [`Error::Storage`] if the disk fails or has no room for the copy. While it was copied nothing has changed
    ///   and the store goes on; if the failure came while files took each other's place the handle is poisoned,
    ///   and opening again puts that right. [`Error::Poisoned`] from the next write on tells. If only the old
    ///   files could not be removed, the copy is in use already.
    /// * [`Error::Damaged`] if the old files cannot be read, or the copy is not the same. Nothing was changed.
    /// * [`Error::Tampered`] if the store was found forged; [`Error::Poisoned`], [`Error::InvalidState`] as
    ///   for every write.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("store"))?;
    /// let compaction = store.compact()?;
    /// println!("{} bytes given back", compaction.bytes_before.saturating_sub(compaction.bytes_after));
    /// # Ok(())
    /// # }
    /// ```
    pub fn compact(&self) -> Result<Compaction, Error> {
        self.permit(Action::Maintain, None)?;
        let Compacted { bytes_before, bytes_after, record_bytes } =
            self.inner.records.engine.compact()?;
        Ok(Compaction { bytes_before, bytes_after, record_bytes })
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
        self.permit(Action::Maintain, None)?;
        Ok(self.inner.close()?)
    }
}
