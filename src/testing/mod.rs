//! Instruments for tests, benches and fuzz targets of this crate and of those who embed it.

mod clock;
mod disk;
pub mod fuzz;
pub mod power;

pub use clock::ManualClock;
pub use disk::{Fault, FaultyDisk, Operation, ShortWrite, StateFault};

pub use crate::storage::{Disk, DiskFile, Moment, RealDisk, StateCall};
