//! Where a store is.

use std::path::{self, Path, PathBuf};

use crate::error::Error;

/// The path as it is now: the process may change its directory while the store is open.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    path::absolute(path).map_err(|source| Error::Storage { source })
}
