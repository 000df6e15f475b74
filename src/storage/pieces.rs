//! Records in pieces: a sled value stays small enough for its tree node to stay in the log.
//!
//! The first piece stands under the record's own key, behind a count of all pieces; the others under
//! the key with their number behind it.

use crate::storage::{Write, backend::TreeSpec};

/// Most bytes of a record in one sled value, so that no tree node outgrows the log.
pub(super) const PIECE_BYTES: usize = 1024;

/// In front of the first piece: how many pieces there are.
const COUNT_BYTES: usize = 2;

/// Puts the pieces of a scan together again.
#[derive(Default)]
pub(super) struct Reassembly {
    current: Option<(Vec<u8>, Vec<u8>)>,
}

impl Reassembly {
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none()
    }

    /// Takes the next entry, and gives the record before it if that is now complete.
    pub(super) fn push(
        &mut self,
        spec: &TreeSpec,
        key: &[u8],
        bytes: &[u8],
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        if key.len() == spec.key_len {
            // An entry without a count cannot be ours; as an empty record it fails every check.
            let head = split_count(bytes).map_or(&[][..], |(_, head)| head);
            return self.current.replace((key.to_vec(), head.to_vec()));
        }
        match &mut self.current {
            Some((owner, record)) if key.starts_with(owner) => {
                record.extend_from_slice(bytes);
                None
            }
            // A piece without its first one: shown as a record that fails every check.
            _ => self.current.replace((key.to_vec(), Vec::new())),
        }
    }

    /// The last record.
    pub(super) fn finish(self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.current
    }
}

/// The first piece: the number of pieces and the record's beginning.
pub(super) fn first_piece(record: &[u8]) -> Vec<u8> {
    let count = u16::try_from(record.chunks(PIECE_BYTES).len().max(1)).unwrap_or(u16::MAX);
    let head = record.get(..PIECE_BYTES).unwrap_or(record);
    let mut piece = Vec::with_capacity(head.len().saturating_add(COUNT_BYTES));
    piece.extend_from_slice(&count.to_be_bytes());
    piece.extend_from_slice(head);
    piece
}

/// Takes a first piece apart.
pub(super) fn split_count(piece: &[u8]) -> Option<(u16, &[u8])> {
    let (count, head) = piece.split_first_chunk::<COUNT_BYTES>()?;
    Some((u16::from_be_bytes(*count), head))
}

/// All pieces of a record with their numbers, the first one last.
pub(super) fn pieces_backwards(record: &[u8]) -> Vec<(u16, Option<Vec<u8>>)> {
    let rest = record.chunks(PIECE_BYTES).skip(1).map(|piece| Some(piece.to_vec()));
    let mut pieces: Vec<_> =
        (0..).zip(std::iter::once(Some(first_piece(record))).chain(rest)).collect();
    pieces.reverse();
    pieces
}

/// The key of any piece of the record at `key`.
pub(super) fn key_of_piece(key: &[u8], index: u16) -> Vec<u8> {
    if index == 0 { key.to_vec() } else { piece_key(key, index) }
}

/// The key of the piece number `index`, from 1 on.
pub(super) fn piece_key(key: &[u8], index: u16) -> Vec<u8> {
    let mut piece = Vec::with_capacity(key.len().saturating_add(2));
    piece.extend_from_slice(key);
    piece.extend_from_slice(&index.to_be_bytes());
    piece
}
/// Writes or removes a record, with all pieces of what was there before. `put` puts or removes one piece
/// and gives the one that was there.
pub(super) fn put_pieces<P: AsRef<[u8]>, E>(
    write: &Write,
    mut put: impl FnMut(&[u8], Option<&[u8]>) -> Result<Option<P>, E>,
) -> Result<(), E> {
    let key = write.address.key();
    let first = write.record.as_ref().map(|record| first_piece(record));
    let before = put(key, first.as_deref())?;
    let count_before =
        before.as_ref().and_then(|piece| split_count(piece.as_ref())).map_or(0, |(count, _)| count);
    let mut count = 1;
    for piece in write.record.iter().flat_map(|record| record.chunks(PIECE_BYTES).skip(1)) {
        put(&piece_key(key, count), Some(piece))?;
        count = count.saturating_add(1);
    }
    for index in count..count_before {
        put(&piece_key(key, index), None)?;
    }
    Ok(())
}
