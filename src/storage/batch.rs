//! Where a record lives and what is to be written there.

use std::{fmt, sync::Arc};

/// The bytes of a stored record: sealed, so they may be shared and copied freely.
pub(crate) type Record = Arc<[u8]>;

/// The longest key of any tree, in bytes.
const KEY_LEN_MAX: usize = 16;

/// Rough bytes that one record costs beside its key and value.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// A tree and a key in it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Address {
    tree: u8,
    key_len: u8,
    key: [u8; KEY_LEN_MAX],
}

impl Address {
    /// The key `key`, of at most 16 bytes, in tree `tree`.
    pub(crate) fn new<const N: usize>(tree: u8, key: [u8; N]) -> Self {
        const { assert!(N <= KEY_LEN_MAX) }
        let mut padded = [0; KEY_LEN_MAX];
        for (to, from) in padded.iter_mut().zip(key) {
            *to = from;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 16, asserted above")]
        let key_len = N as u8;
        Self { tree, key_len, key: padded }
    }

    /// The same from a slice; `None` if it is too long for any tree.
    pub(crate) fn from_slice(tree: u8, key: &[u8]) -> Option<Self> {
        let mut padded = [0; KEY_LEN_MAX];
        padded.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { tree, key_len: u8::try_from(key.len()).ok()?, key: padded })
    }

    pub(crate) fn tree(&self) -> u8 {
        self.tree
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.key.get(..usize::from(self.key_len)).unwrap_or_default()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:", self.tree)?;
        self.key().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One record to be put, or with `None` removed.
#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) address: Address,
    pub(crate) record: Option<Record>,
}

impl Write {
    pub(crate) fn put(address: Address, record: impl Into<Record>) -> Self {
        Self { address, record: Some(record.into()) }
    }

    pub(crate) fn remove(address: Address) -> Self {
        Self { address, record: None }
    }

    /// About how many bytes of log this write costs.
    pub(crate) fn logical_bytes(&self) -> usize {
        let record = self.record.as_ref().map_or(0, |record| record.len());
        record.saturating_add(self.address.key().len()).saturating_add(RECORD_OVERHEAD_BYTES)
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.record {
            Some(record) => write!(f, "put {:?} ({} bytes)", self.address, record.len()),
            None => write!(f, "remove {:?}", self.address),
        }
    }
}

/// About how many bytes of log these writes cost together.
pub(crate) fn logical_bytes(writes: &[Write]) -> usize {
    writes.iter().map(Write::logical_bytes).fold(0, usize::saturating_add)
}
