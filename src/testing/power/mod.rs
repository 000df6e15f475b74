//! Loss of power: a disk that knows what was durable, and builds what a loss of power would have left.
//!
//! ```text
//! PowerDisk   the file port, with every sync noted       disk.rs
//! Ledger      what is durable, and what is not yet        ledger.rs
//! Moment      a point at which power could fail           image.rs
//! ```
//!
//! sled's files are written past the port. They are looked at whenever the port is used, and only what
//! stood in a file when a sync of it through the port began counts as durable.

mod disk;
mod image;
mod ledger;

pub use disk::PowerDisk;
pub use image::{Moment, Style};
pub use ledger::Entries;
