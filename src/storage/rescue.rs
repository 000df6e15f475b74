//! Reading from a disk that fails in places: what cannot be read is taken for zeros, so that the rest
//! keeps its place.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::storage::disk::{Disk, DiskFile, write_all_at};

/// How much is read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// How much is given up at a time where reading fails.
const STEP_BYTES: usize = 4096;

/// How often, and how long apart, the removal of a directory is tried while threads still use it.
const REMOVALS_MAX: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// The file's bytes, at most `len_max`, and how many of them could not be read.
pub(crate) fn read_around(
    disk: &dyn Disk,
    path: &Path,
    len_max: u64,
) -> io::Result<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    let unread = each_part(disk, path, len_max, &mut |part, _| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    Ok((bytes, unread))
}

/// Copies a file to `to`, which must not be there. Gives how many bytes could not be read.
pub(crate) fn copy_around(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<u64> {
    let copy = disk.create(to)?;
    each_part(disk, from, u64::MAX, &mut |part, at| write_all_at(copy.as_ref(), part, at))
}

fn each_part(
    disk: &dyn Disk,
    path: &Path,
    len_max: u64,
    visit: &mut dyn FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<u64> {
    let len = fs::metadata(path)?.len().min(len_max);
    let file = disk.open_to_read(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let (mut at, mut unread) = (0_u64, 0_u64);
    while at < len {
        let want = usize::try_from(len.saturating_sub(at)).unwrap_or(READ_BYTES).min(READ_BYTES);
        let Some(part) = buffer.get_mut(..want) else { break };
        unread = unread.saturating_add(fill(file.as_ref(), part, at));
        visit(part, at)?;
        at = at.saturating_add(want as u64);
    }
    Ok(unread)
}

/// Fills `buffer` from `offset`. After a first failure it goes on in small steps, since the kernel may
/// refuse a whole large read for one bad sector.
fn fill(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> u64 {
    let (mut done, mut unread, mut step) = (0_usize, 0_u64, buffer.len());
    while done < buffer.len() {
        let end = done.saturating_add(step).min(buffer.len());
        let Some(part) = buffer.get_mut(done..end) else { break };
        match file.read_at(part, offset.saturating_add(done as u64)) {
            Ok(read @ 1..) => done = done.saturating_add(read),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(_) if step > STEP_BYTES => step = STEP_BYTES,
            // A file that became shorter meanwhile, or a place that cannot be read.
            Ok(_) | Err(_) => {
                part.fill(0);
                unread = unread.saturating_add(part.len() as u64);
                done = end;
            }
        }
    }
    unread
}

/// A directory of our own, removed when dropped with all that is in it.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Makes `path`, which must not be there and which only its owner may enter.
    pub(crate) fn create(disk: &dyn Disk, path: PathBuf) -> io::Result<Self> {
        disk.create_dir(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        for _ in 0..REMOVALS_MAX {
            match fs::remove_dir_all(&self.path) {
                // sled's threads may make a file while the others are being removed.
                Err(err) if err.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    thread::sleep(REMOVAL_PAUSE);
                }
                // Nobody is left to hear of an error; all in it is encrypted.
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RealDisk;

    /// A file of which some bytes cannot be read, nor any read that touches them.
    #[derive(Debug)]
    struct Scratched {
        bytes: Vec<u8>,
        bad: std::ops::Range<usize>,
    }

    impl DiskFile for Scratched {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let at = usize::try_from(offset).unwrap();
            let end = at.saturating_add(buffer.len()).min(self.bytes.len());
            let len = end.saturating_sub(at);
            if at < self.bad.end && self.bad.start < end {
                return Err(io::Error::other("bad sector"));
            }
            buffer[..len].copy_from_slice(&self.bytes[at..end]);
            Ok(len)
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
            panic!("nothing is written")
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn sync_all(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bad_sector_costs_its_block_and_nothing_else() {
        let bytes: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0] | 1).collect();
        let file = Scratched { bytes: bytes.clone(), bad: 9000..9100 };
        let mut buffer = vec![7; bytes.len()];
        assert_eq!(fill(&file, &mut buffer, 0), 4096);
        assert_eq!(buffer[..8192], bytes[..8192]);
        assert_eq!(buffer[8192..12288], [0; 4096]);
        assert_eq!(buffer[12288..], bytes[12288..]);
    }

    #[test]
    fn a_file_is_copied_whole_and_read_to_a_length() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        let bytes: Vec<u8> =
            (0..READ_BYTES + 5000).map(|n| n.to_le_bytes()[0].wrapping_mul(7)).collect();
        fs::write(&from, &bytes).unwrap();
        assert_eq!(copy_around(&RealDisk, &from, &to).unwrap(), 0);
        assert!(fs::read(&to).unwrap() == bytes);
        let (read, unread) = read_around(&RealDisk, &from, 5000).unwrap();
        assert!(read == bytes[..5000] && unread == 0);
        assert!(copy_around(&RealDisk, &from, &to).is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_scratch_directory_goes_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = ScratchDir::create(&RealDisk, dir.path().join("s")).unwrap();
        fs::write(scratch.path().join("x"), "x").unwrap();
        drop(scratch);
        assert!(!dir.path().join("s").exists());
    }
}
