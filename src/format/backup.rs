//! The backup of a whole store: a header and blocks of records, each with a MAC behind it.
//!
//! ```text
//! header  magic[8] ‖ format u8 ‖ store id[16] ‖ salt[16] ‖ u32 len ‖ key file ‖ mac[32]
//! block   u32 len ‖ last u8 ‖ entries ‖ mac[32]
//! entry   tree u8 ‖ key, as long as the tree's are ‖ u32 len ‖ record
//! ```
//!
//! A MAC goes over the salt, the number of the block and all of the block before it: blocks cannot be
//! changed, left out, put elsewhere or brought from another backup, and the last one says that it is.

use crate::format::{KEY_FILE_LEN_MAX, Malformed, Tree, root::Reader};

const MAGIC: [u8; 8] = *b"SRbackup";
const FORMAT: u8 = 1;

/// Length of a header before the key file.
pub(crate) const BACKUP_FRONT_BYTES: usize = 8 + 1 + 16 + 16 + 4;

/// Length of a block before its entries.
pub(crate) const BLOCK_FRONT_BYTES: usize = 5;

/// So many bytes of entries are put into one block, or one entry alone.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Longest block that is read.
const BLOCK_LEN_MAX: usize = 4 * 1024 * 1024;

/// The fixed part of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BackupFront {
    pub(crate) store_id: [u8; 16],
    pub(crate) salt: [u8; 16],
    pub(crate) key_file_len: usize,
}

/// Why bytes are no header of a backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BackupFrontError {
    Malformed,
    /// Of a later format.
    Format(u8),
}

impl BackupFront {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let len = u32::try_from(self.key_file_len).map_err(|_| Malformed)?;
        let parts: [&[u8]; 5] = [&MAGIC, &[FORMAT], &self.store_id, &self.salt, &len.to_be_bytes()];
        Ok(parts.concat())
    }

    pub(crate) fn parse(bytes: &[u8; BACKUP_FRONT_BYTES]) -> Result<Self, BackupFrontError> {
        let mut reader = Reader(bytes);
        let malformed = |_| BackupFrontError::Malformed;
        if reader.take().map_err(malformed)? != MAGIC {
            return Err(BackupFrontError::Malformed);
        }
        let [format] = reader.take().map_err(malformed)?;
        if format != FORMAT {
            return Err(BackupFrontError::Format(format));
        }
        let (store_id, salt) =
            (reader.take().map_err(malformed)?, reader.take().map_err(malformed)?);
        let len = u32::from_be_bytes(reader.take().map_err(malformed)?);
        match usize::try_from(len) {
            Ok(key_file_len) if key_file_len <= KEY_FILE_LEN_MAX => {
                Ok(Self { store_id, salt, key_file_len })
            }
            _ => Err(BackupFrontError::Malformed),
        }
    }
}

/// The front of a block with so many bytes of entries.
pub(crate) fn block_front(len: usize, last: bool) -> Result<[u8; BLOCK_FRONT_BYTES], Malformed> {
    let [a, b, c, d] = u32::try_from(len).map_err(|_| Malformed)?.to_be_bytes();
    Ok([a, b, c, d, u8::from(last)])
}

/// How many bytes of entries follow, and whether it is the last block.
pub(crate) fn parse_block_front(
    front: [u8; BLOCK_FRONT_BYTES],
) -> Result<(usize, bool), Malformed> {
    let [a, b, c, d, last] = front;
    let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| Malformed)?;
    match last {
        0 | 1 if len <= BLOCK_LEN_MAX => Ok((len, last == 1)),
        _ => Err(Malformed),
    }
}

/// One record with its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) tree: Tree,
    pub(crate) key: &'a [u8],
    pub(crate) record: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.key.len() != self.tree.key_len() {
            return Err(Malformed);
        }
        let len = u32::try_from(self.record.len()).map_err(|_| Malformed)?;
        out.push(self.tree.id());
        out.extend_from_slice(self.key);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(self.record);
        Ok(())
    }

    /// The first entry of a block, and what follows it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let mut reader = Reader(bytes);
        let [id] = reader.take()?;
        let tree = Tree::ALL.into_iter().find(|tree| tree.id() == id).ok_or(Malformed)?;
        let key = reader.slice(tree.key_len())?;
        let len = usize::try_from(u32::from_be_bytes(reader.take()?)).map_err(|_| Malformed)?;
        let record = reader.slice(len)?;
        Ok((Self { tree, key, record }, reader.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_and_entries_read_back_and_other_bytes_are_refused() {
        let front = BackupFront { store_id: [1; 16], salt: [2; 16], key_file_len: 300 };
        let bytes: [u8; BACKUP_FRONT_BYTES] = front.encode().unwrap().try_into().unwrap();
        assert_eq!(BackupFront::parse(&bytes), Ok(front));
        let with = |at: usize, byte: u8| {
            let mut other = bytes;
            other[at] = byte;
            BackupFront::parse(&other)
        };
        assert_eq!(with(0, 0), Err(BackupFrontError::Malformed));
        assert_eq!(with(8, 2), Err(BackupFrontError::Format(2)));
        assert_eq!(with(41, 9), Err(BackupFrontError::Malformed), "a huge key file");

        assert_eq!(parse_block_front(block_front(77, true).unwrap()), Ok((77, true)));
        assert_eq!(parse_block_front([0, 0, 0, 1, 2]), Err(Malformed));
        assert_eq!(parse_block_front([0xff, 0, 0, 0, 0]), Err(Malformed), "a huge block");

        for tree in Tree::ALL {
            let key = vec![7; tree.key_len()];
            let entry = Entry { tree, key: &key, record: b"record" };
            let mut bytes = Vec::new();
            entry.encode_into(&mut bytes).unwrap();
            bytes.push(9);
            assert_eq!(Entry::parse(&bytes), Ok((entry, &[9][..])));
            for cut in 0..bytes.len() - 1 {
                assert_eq!(Entry::parse(&bytes[..cut]), Err(Malformed), "{tree:?} cut at {cut}");
            }
            let short = Entry { key: &key[1..], ..entry };
            assert_eq!(short.encode_into(&mut Vec::new()), Err(Malformed));
        }
        assert_eq!(Entry::parse(&[0xee, 0, 0, 0]), Err(Malformed), "no tree of ours");
    }
}
