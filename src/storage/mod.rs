//! Bytes in, bytes out: files, segments, the sled state. Nothing here knows what a byte means.

mod backend;
mod batch;
mod compact;
mod disk;
mod lock;
#[cfg(test)]
mod memory;
mod pieces;
mod rescue;
mod segment;
mod sled;
mod sled_files;
mod waker;
mod young;

pub(crate) use backend::{Backend, CompactError, Compacted, StorageError, TreeSpec};
pub(crate) use batch::{Address, Record, Write, logical_bytes};
#[cfg(feature = "testing")]
pub use disk::DiskFile;
pub(crate) use disk::replace_file;
pub use disk::{Disk, RealDisk};
#[cfg(feature = "testing")]
pub use disk::{Moment, StateCall};
pub(crate) use lock::{DirLock, LockError};
#[cfg(test)]
pub(crate) use memory::MemoryBackend;
pub(crate) use rescue::{ScratchDir, copy_around, read_around};
pub(crate) use segment::{BLOCK_BYTES, SEGMENT_BYTES, Segment, SegmentDir, segment_number};
pub(crate) use sled_files::SledFiles;
pub(crate) use young::YOUNG;
