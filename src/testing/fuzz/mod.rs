//! What fuzz targets, their replay and the benches call: one function a target, and valid bytes.

mod bytes;
mod journals;
mod key_files;
mod model;
mod must;
mod parts;
mod plaintexts;
mod specimens;
mod store_ops;

pub use bytes::{fuzz_journal, fuzz_key_file, fuzz_record, fuzz_secret_name};
pub use key_files::{check_key_file, data_keys, with_ring};
pub use parts::{Plaintext, RecordKind, Seals, frame, key_file, payload, segment_header};
pub use specimens::{Blueprint, Layer, Sealed, Specimens};
pub use store_ops::fuzz_store_ops;
