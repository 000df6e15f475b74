//! The whole store as a backup, made while it is in use, and restored.

use std::{
    io::{Read, Seek, Write},
    path::Path,
};

use super::{Builder, HasKey, SecretStore, place::absolute};
use crate::{
    domain::{Action, Expect, Timestamp},
    error::Error,
    records::{Contents, Operation, RestoreTarget, check_backup, restore_backup},
};

/// What is in the backup of a store. Not in CSMS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The store's own identity.
    pub store_id: [u8; 16],
    /// How many commits it had made: the moment of the backup.
    pub seq: u64,
    /// When the last of them was made.
    pub at: Timestamp,
    /// Secrets, with their metadata and labels.
    pub secrets: u64,
    /// Versions with a value.
    pub versions: u64,
    /// Audit records.
    pub audit_records: u64,
    /// Length of the backup.
    pub bytes: u64,
}

impl SecretStore {
    /// Writes a backup of the whole store to `to`: all that it was at one moment, which is a commit
    /// of its own, with the audit log and the sealed key file. [`Builder::restore`] makes a store of
    /// it, with the master key or passphrase that opens this one. Not in CSMS.
    ///
    /// All in it is as encrypted as on disk. Every record is opened and checked on its way, so what does
    /// not end with an error can be restored; what is written before an error is no backup. `progress`
    /// is called with the number of bytes written so far, often; it must not call the store.
    ///
    /// Reads and writes go on meanwhile. What is committed waits in the journal and in memory until the
    /// backup is made; if it becomes more than [`write_buffer_bytes`](Builder::write_buffer_bytes), writers
    /// wait, and so does whoever calls [`checkpoint`](Self::checkpoint), [`compact`](Self::compact) or
    /// [`close`](Self::close). So write to a file, and from there to where it is slow. Needs a few MiB of
    /// memory, however large the store is.
    ///
    /// # Errors
    ///
    /// * [`Error::Storage`] if `to` fails, or the disk. The store goes on, unless the disk failed a write.
    /// * [`Error::Tampered`] if a record is not what was written, [`Error::Damaged`] if files cannot be
    ///   read.
    /// * [`Error::Poisoned`], [`Error::InvalidState`] as for every write: the audit log tells of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = || strongroom::MasterKey::from_bytes(&std::array::from_fn(|at| at as u8));
    /// # let store = strongroom::SecretStore::builder().master_key(key()?).create(dir.path().join("s"))?;
    /// use strongroom::{NewSecret, SecretStore, SecretValue};
    ///
    /// let name = "api-token".parse()?;
    /// store.create_secret(NewSecret::new("api-token".parse()?, SecretValue::from_string("tr-7f2c")))?;
    /// let mut file = std::fs::File::create_new(dir.path().join("backup"))?;
    /// store.backup(&mut file, |_| {})?;
    /// file.sync_all()?;
    ///
    /// let mut file = std::fs::File::open(dir.path().join("backup"))?;
    /// let builder = SecretStore::builder().master_key(key()?);
    /// let copy = builder.restore(dir.path().join("copy"), &mut file, |_| {})?;
    /// assert_eq!(copy.get(&name)?.value().expose_str(), Some("tr-7f2c"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup(
        &self,
        to: &mut impl Write,
        mut progress: impl FnMut(u64),
    ) -> Result<BackupInfo, Error> {
        self.permit(Action::BackupStore, None)?;
        let (records, at) = (&self.inner.records, self.inner.clock.now());
        records.commit_act(self.author(at), Operation::BackupStore, None, "")?;
        let contents = records.back_up(to, &mut progress);
        Ok(contents.map_err(of_backup)?.into())
    }
}

impl Builder<HasKey> {
    /// Makes a store at `path` out of a backup, and opens it.
    ///
    /// The backup is read twice: it is checked to its end before anything is written, every record of it
    /// as [`verify_backup`](Self::verify_backup) does, and again while the store is built. The store is built
    /// under a temporary name beside `path` and renamed into place, so that a crash leaves a whole store
    /// or none. `progress` is called with the number of bytes read so far.
    ///
    /// The store has the id and the keys of the original, and begins with the commit after the backup's. It
    /// is another copy of it: [anchors](crate::Anchor) of the original, or of another copy, do not fit it
    /// ([`Error::Rollback`]), so take a new one. What it [expects](Self::expect) here is the store's id
    /// alone, since a backup is an older state by intent.
    ///
    /// # Errors
    ///
    /// * [`Error::AlreadyExists`] if something is at `path`. It is not touched.
    /// * [`Error::WrongKey`] if the key does not open it, [`Error::KeyManager`] if a key manager did not
    ///   do its part, [`Error::WrongStore`] if it is of another store than expected.
    /// * [`Error::InvalidArgument`] if the cost parameters of a passphrase slot are out of bounds, or there
    ///   is not enough memory for them.
    /// * [`Error::Damaged`] if it is cut off or no backup, [`Error::Tampered`] if it is not as it was made,
    ///   [`Error::UnsupportedFormat`] if it is of another format.
    /// * [`Error::Storage`] if `from` or the disk fails.
    ///
    /// Nothing is at `path` then, or if only the last sync or the opening failed, a whole store.
    pub fn restore(
        self,
        path: impl AsRef<Path>,
        from: &mut (impl Read + Seek),
        mut progress: impl FnMut(u64),
    ) -> Result<SecretStore, Error> {
        let path = &absolute(path.as_ref())?;
        let target = RestoreTarget {
            disk: &self.settings.disk,
            path,
            cache_bytes: self.settings.state_cache_bytes,
            at: self.settings.clock.now(),
        };
        let keys = (&self.key.0, &self.settings.expect);
        let restored = restore_backup(from, keys, &target, &mut progress);
        let (_, lock) = restored.map_err(|err| Error::of_open(path, err))?;
        let (mut options, settings) = self.into_options();
        options.expect = Expect::default();
        settings.open(path, &options, Some(lock))
    }

    /// Checks a backup: that it is whole and authentic, that every record is what the store had at that
    /// moment, and that every value opens. Nothing is written. `progress` is called with the number of
    /// bytes read so far.
    ///
    /// # Errors
    ///
    /// As for [`restore`](Self::restore), but nothing about a path.
    pub fn verify_backup(
        &self,
        from: &mut impl Read,
        mut progress: impl FnMut(u64),
    ) -> Result<BackupInfo, Error> {
        let keys = (&self.key.0, &self.settings.expect);
        let contents = check_backup(from, keys, &mut progress);
        Ok(contents.map_err(of_backup)?.into())
    }
}

/// An error that is about no store at a path.
fn of_backup(err: crate::commit::OpenError) -> Error {
    Error::of_open(Path::new("backup"), err)
}

impl From<Contents> for BackupInfo {
    fn from(contents: Contents) -> Self {
        let Contents { store_id, seq, time_ms, seen, bytes } = contents;
        Self {
            store_id,
            seq,
            at: Timestamp::from_millis(time_ms).whole_seconds(),
            secrets: seen.secrets,
            versions: seen.versions,
            audit_records: seen.audit_records,
            bytes,
        }
    }
}
