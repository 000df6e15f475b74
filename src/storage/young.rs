//! The young end of sled's log, set aside while sled opens it.
//!
//! sled accepts its log only if no segment is missing among the youngest. When it is opened it writes a
//! snapshot and then fills with zeros the segments that are free by it, also young ones. If power fails
//! with the zeros on the disk and the snapshot's name not, the old snapshot is left with a log that has
//! a hole, and the state can never be opened again. So these segments are copied into a file before,
//! which goes when the snapshot is durable; if it is still there at the next opening, and no newer
//! snapshot is, they are put back.

use std::{io, path::Path};

use crate::storage::disk::{Disk, DiskFile, read_full_at, replace_file, write_all_at};

/// The file, in the directory of the state; under [`TEMPORARY`] while it is written.
pub(crate) const YOUNG: &str = "young";

/// What [`replace_file`] leaves behind if it dies.
pub(super) const TEMPORARY: &str = "young.tmp";

const MAGIC: &[u8; 8] = b"SRyoung1";

/// Length of a name of a snapshot: `snap.` and sixteen digits.
const SNAPSHOT_NAME_LEN: usize = 21;

/// Length of the header of a segment: checksum, number of its first byte in the log, and how far the log
/// was durable when it was begun.
const HEADER_BYTES: usize = 20;

/// sled writes numbers in headers xored with this.
const MASK: u64 = 0x7fff_ffff_ffff_ffff;

/// The directory of a state that is about to be opened.
#[derive(Debug)]
pub(super) struct Young<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
    pub(super) segment_bytes: usize,
}

impl Young<'_> {
    /// Copies the young segments of the log aside, durably.
    pub(super) fn set_aside(&self) -> io::Result<()> {
        let log = self.disk.open(&self.dir.join("db"))?;
        let segments = self.young_segments(log.as_ref())?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.newest_snapshot()?.as_bytes());
        bytes.resize(MAGIC.len().saturating_add(SNAPSHOT_NAME_LEN), 0);
        for number in segments {
            bytes.extend_from_slice(&number.to_be_bytes());
            let mut segment = vec![0; self.segment_bytes];
            read_full_at(log.as_ref(), &mut segment, self.offset(number))?;
            bytes.extend_from_slice(&segment);
        }
        replace_file(self.disk, self.dir, YOUNG, &bytes)
    }

    /// Puts back what was set aside, if anything was and the opening after it was cut off.
    pub(super) fn put_back(&self) -> io::Result<()> {
        let bytes = match self.disk.read(&self.dir.join(YOUNG), u64::MAX) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "db/young is malformed");
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(malformed)?;
        let (snapshot, mut rest) =
            rest.split_at_checked(SNAPSHOT_NAME_LEN).ok_or_else(malformed)?;
        let mut newest = self.newest_snapshot()?.into_bytes();
        newest.resize(SNAPSHOT_NAME_LEN, 0);
        // The new one may be lost and the old one removed all the same.
        if newest.as_slice() <= snapshot {
            let log = self.disk.open(&self.dir.join("db"))?;
            while let Some((number, after)) = rest.split_first_chunk::<8>() {
                let (segment, after) =
                    after.split_at_checked(self.segment_bytes).ok_or_else(malformed)?;
                write_all_at(log.as_ref(), segment, self.offset(u64::from_be_bytes(*number)))?;
                rest = after;
            }
            log.sync_all()?;
        }
        self.forget()
    }

    /// Removes what was set aside, if anything was, durably: nothing may be written to the log before.
    pub(super) fn forget(&self) -> io::Result<()> {
        match self.disk.remove(&self.dir.join(YOUNG)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(err),
            Ok(()) => self.disk.sync_dir(self.dir),
        }
    }

    /// The segments from the one on in which, by the headers, the log's durable end lay.
    fn young_segments(&self, log: &dyn DiskFile) -> io::Result<Vec<u64>> {
        let (mut begins, mut durable) = (Vec::new(), 0_u64);
        for number in 0.. {
            let mut header = [0; HEADER_BYTES];
            if read_full_at(log, &mut header, self.offset(number))? < HEADER_BYTES {
                break;
            }
            let (begin, stable) = (number_at(&header, 4), number_at(&header, 12));
            // One of all zeros, or of a segment that sled does not take for one, is out of all bounds.
            if begin.is_multiple_of(self.segment_bytes as u64) && begin < MASK {
                begins.push((number, begin));
                durable = durable.max(if stable < MASK { stable } else { 0 });
            }
        }
        let young = begins
            .into_iter()
            .filter(|(_, begin)| begin.saturating_add(self.segment_bytes as u64) > durable);
        Ok(young.map(|(number, _)| number).collect())
    }

    /// The name of the snapshot that sled would take; empty if there is none.
    fn newest_snapshot(&self) -> io::Result<String> {
        let names = self.disk.list(self.dir)?.into_iter();
        let is_snapshot =
            |name: &String| name.starts_with("snap.") && name.len() == SNAPSHOT_NAME_LEN;
        Ok(names.filter(is_snapshot).max().unwrap_or_default())
    }

    fn offset(&self, segment: u64) -> u64 {
        segment.saturating_mul(self.segment_bytes as u64)
    }
}

fn number_at(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk::<8>());
    bytes.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes) ^ MASK)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::RealDisk;

    const SEGMENT: usize = 512;

    /// A log whose segments begin at `begins`, each with how far the log was durable by its header.
    fn log(dir: &Path, segments: &[(u64, u64)]) {
        let mut bytes = Vec::new();
        for (begin, stable) in segments {
            let mut segment = vec![7; SEGMENT];
            segment[4..12].copy_from_slice(&(begin ^ MASK).to_le_bytes());
            segment[12..20].copy_from_slice(&(stable ^ MASK).to_le_bytes());
            bytes.extend(segment);
        }
        fs::write(dir.join("db"), bytes).unwrap();
    }

    #[test]
    fn young_segments_are_put_back_while_the_snapshot_is_the_old_one() {
        for (new_snapshot, put_back) in [(false, true), (true, false)] {
            let dir = tempfile::tempdir().unwrap();
            let young = Young { disk: &RealDisk, dir: dir.path(), segment_bytes: SEGMENT };
            // The durable end is in the segment at 1024; those from there on are young.
            log(dir.path(), &[(1536, 1100), (0, 0), (1024, 900), (512, 400)]);
            fs::write(dir.path().join("snap.0000000000000001"), "").unwrap();
            let before = fs::read(dir.path().join("db")).unwrap();
            young.set_aside().unwrap();
            let mut zeroed = before.clone();
            zeroed[..SEGMENT].fill(0);
            zeroed[2 * SEGMENT..3 * SEGMENT].fill(0);
            fs::write(dir.path().join("db"), &zeroed).unwrap();
            if new_snapshot {
                fs::write(dir.path().join("snap.0000000000000002"), "").unwrap();
            }
            young.put_back().unwrap();
            let after = fs::read(dir.path().join("db")).unwrap();
            assert!(after == if put_back { before } else { zeroed });
            assert!(!dir.path().join(YOUNG).exists());
        }
    }
}
