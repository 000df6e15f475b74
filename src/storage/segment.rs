//! Journal segments as files: preallocated, zeroed, numbered without gaps.

use std::{io, path::PathBuf, sync::Arc};

use crate::{
    domain::planted::{Planted, planted},
    storage::disk::{Disk, DiskFile, read_full_at, write_all_at},
};

/// The unit in which segments are written. No block ever holds parts of two frames, so a write
/// that is cut off cannot hurt what was acknowledged before it.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Length of a segment file.
pub(crate) const SEGMENT_BYTES: usize = 4 * 1024 * 1024;

/// How much is zeroed by one write.
const ZERO_BYTES: usize = 1024 * 1024;

const _: () =
    assert!(SEGMENT_BYTES.is_multiple_of(ZERO_BYTES) && ZERO_BYTES.is_multiple_of(BLOCK_BYTES));

/// The directory of the segments.
#[derive(Clone, Debug)]
pub(crate) struct SegmentDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl SegmentDir {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// The numbers of the segments there are, ascending.
    pub(crate) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for name in self.disk.list(&self.path)? {
            match segment_number(&name) {
                Some(number) => numbers.push(number),
                None => {
                    let text = format!("{name:?} does not belong into the journal");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes segment `number`, full length, all zeros, durable with its name.
    ///
    /// Real zeros are written and not just a length: overwriting allocated blocks later needs no
    /// change of the file's metadata, which makes `fdatasync` cost one write to the disk.
    pub(crate) fn create(&self, number: u64) -> io::Result<Segment> {
        let path = self.file(number);
        let file = self.disk.create(&path)?;
        self.fill(file.as_ref()).inspect_err(|_| {
            // Half a segment is of no use, and takes room that may be what was missing.
            let _ = self.disk.remove(&path);
        })?;
        Ok(Segment { number, file })
    }

    fn fill(&self, file: &dyn DiskFile) -> io::Result<()> {
        zero(file, 0)?;
        file.sync_all()?;
        if planted(Planted::DirSync) { Ok(()) } else { self.disk.sync_dir(&self.path) }
    }

    pub(crate) fn open(&self, number: u64) -> io::Result<Segment> {
        Ok(Segment { number, file: self.disk.open(&self.file(number))? })
    }

    /// Removes segment `number`. That it is gone need not be durable: an old segment that comes
    /// back is one more to replay.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        self.disk.remove(&self.file(number))
    }

    /// Makes durable which segments there are.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.path)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(number.to_string())
    }
}

/// The segment that a file of this name is: its number in decimal, without leading zeros.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    name.parse().ok().filter(|number: &u64| number.to_string() == name)
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    file: Box<dyn DiskFile>,
}

impl Segment {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Everything in the file, at most one segment's length.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; SEGMENT_BYTES];
        let filled = read_full_at(self.file.as_ref(), &mut bytes, 0)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        write_all_at(self.file.as_ref(), bytes, offset as u64)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if planted(Planted::JournalSync) { Ok(()) } else { self.file.sync_data() }
    }

    /// Overwrites everything from `offset` on with zeros, to the full length, and syncs.
    pub(crate) fn clear_from(&self, offset: usize) -> io::Result<()> {
        zero(self.file.as_ref(), offset)?;
        self.file.sync_all()
    }
}

fn zero(file: &dyn DiskFile, from: usize) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES];
    let mut at = from;
    while at < SEGMENT_BYTES {
        let len = zeros.len().min(SEGMENT_BYTES.saturating_sub(at));
        write_all_at(file, zeros.get(..len).unwrap_or_default(), at as u64)?;
        at = at.saturating_add(len);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealDisk;

    fn dir() -> (tempfile::TempDir, SegmentDir) {
        let dir = tempfile::tempdir().unwrap();
        let segments = SegmentDir::new(Arc::new(RealDisk), dir.path().to_owned());
        (dir, segments)
    }

    #[test]
    fn a_new_segment_is_all_zeros_and_of_full_length() {
        let (_dir, segments) = dir();
        let segment = segments.create(3).unwrap();
        assert_eq!(segments.numbers().unwrap(), [3]);
        assert!(segment.read().unwrap() == vec![0; SEGMENT_BYTES]);
    }

    #[test]
    fn what_is_written_is_read_back_and_cleared_from_an_offset() {
        let (_dir, segments) = dir();
        let segment = segments.create(1).unwrap();
        segment.write(b"head", 0).unwrap();
        segment.write(b"tail", 8000).unwrap();
        let reopened = segments.open(1).unwrap();
        assert_eq!(reopened.read().unwrap().get(8000..8004), Some(&b"tail"[..]));
        reopened.clear_from(4096).unwrap();
        let bytes = segment.read().unwrap();
        assert_eq!(
            (bytes.get(..4), bytes.get(8000..8004)),
            (Some(&b"head"[..]), Some(&[0; 4][..]))
        );
    }

    #[test]
    fn a_foreign_file_among_the_segments_is_an_error() {
        for name in ["x", "01", "1.tmp", "-1"] {
            let (dir, segments) = dir();
            std::fs::write(dir.path().join(name), "").unwrap();
            let kind = segments.numbers().unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::InvalidData, "{name}");
        }
    }
}
