//! The state port: what the engine asks of the store of sealed records.

use std::{fmt, io, ops::ControlFlow};

use crate::storage::{Address, Record, Write};

/// A tree of the state: its id in an [`Address`], its name, and the length of its keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TreeSpec {
    pub(crate) id: u8,
    pub(crate) name: &'static str,
    pub(crate) key_len: usize,
}

/// Called for each record of a scan, with its key and its bytes.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Keeps records. One thread writes, many read.
///
/// After an error of `apply` or `sync` nothing more may be written: what is in memory may then be
/// ahead of the disk.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// The record at `address`. While it is being overwritten a reader may get the old one, the
    /// new one, or `None`.
    fn read(&self, address: &Address) -> Result<Option<Record>, StorageError>;

    /// Makes all of `writes` or none of them. Not durable before the next [`Backend::sync`].
    fn apply(&self, writes: &[Write]) -> Result<(), StorageError>;

    /// Makes `writes` one after another, which costs less than making them together. Nothing may point at
    /// what is put before this has returned, nor any more at what is removed.
    fn apply_apart(&self, writes: &[Write]) -> Result<(), StorageError>;

    /// About how many bytes are stored at `address`, those of an incomplete record included; 0 if
    /// nothing is.
    fn stored_bytes(&self, address: &Address) -> Result<usize, StorageError>;

    /// Puts or removes one record that is too large for a transaction, piece by piece, with syncs in
    /// between and at the end.
    ///
    /// Not atomic: nothing may point at a record that is put before this has returned, nor at one that
    /// is removed. Cut off, it is done again from the beginning.
    fn apply_large(&self, write: &Write) -> Result<(), StorageError>;

    /// Makes what was applied durable.
    fn sync(&self) -> Result<(), StorageError>;

    /// Makes everything durable that the state needs to be opened: files and names.
    fn settle(&self) -> Result<(), StorageError>;

    /// Visits the records of a tree in the order of their keys, after `after` if given. Not a
    /// snapshot: records written meanwhile may be seen or not.
    fn scan(&self, tree: u8, after: Option<&[u8]>, visit: Visit<'_>) -> Result<(), StorageError>;

    /// The greatest key of a tree.
    fn last_key(&self, tree: u8) -> Result<Option<Vec<u8>>, StorageError>;

    /// Moves all records into fresh files that take little more room than they need. Nothing may be
    /// applied meanwhile; reading goes on.
    fn compact(&self) -> Result<Compacted, CompactError>;

    /// Lets go of all files. Later calls fail.
    fn close(&self) -> Result<(), StorageError>;
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Compacted {
    /// Room on the disk that the state took before, and takes now.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    /// Bytes of all keys and records.
    pub(crate) record_bytes: u64,
}

/// Why a compaction did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactError {
    /// The state is as good as before and may be used on.
    #[error(transparent)]
    Kept(StorageError),
    /// Nobody knows which files stand at the state's place: nothing may be applied any more.
    #[error(transparent)]
    Broken(StorageError),
}

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The operating system refused.
    #[error("input or output failed")]
    Io(#[from] io::Error),
    /// sled found its own files damaged.
    #[error("the state's files are damaged: {0}")]
    Corrupt(String),
    /// sled panicked; the text of the panic stays out, it may hold keys.
    #[error("the state engine panicked")]
    Panicked,
    /// The state was closed.
    #[error("the state is closed")]
    Closed,
}
