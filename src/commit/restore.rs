//! Building a store out of the records of another one.

use std::{path::Path, sync::Arc};

use crate::{
    commit::{
        address::{audit_address, root_address, tree_specs},
        create::build_journal,
        keys::write_both,
        open::{JOURNAL, OpenError, STATE},
        root::seal_root,
        state::StateWriter,
    },
    crypto::{KeyRing, sha256},
    format::RootV1,
    storage::{Backend, Disk, Record, SledFiles, Write},
};

/// How many bytes of records are written at a time.
const BATCH_BYTES: usize = 512 * 1024;

/// What a copy of a store is made with, beside its records.
#[derive(Debug)]
pub(crate) struct Copied<'a> {
    pub(crate) key_file: &'a [u8],
    pub(crate) ring: &'a KeyRing,
    pub(crate) store_id: [u8; 16],
    /// The root of the commit that was copied.
    pub(crate) root: RootV1,
    /// What makes the copy another one than the original.
    pub(crate) epoch: u64,
    pub(crate) time_ms: i64,
    /// Tells of the copying. It is the next commit.
    pub(crate) audit: Record,
    pub(crate) cache_bytes: u64,
}

/// Takes the records of a copy, all but the root.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Write) -> Result<(), OpenError>;

/// Builds the copy in `dir`. `records` gives the records, in any order.
pub(crate) fn build_copy(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    copied: &Copied<'_>,
    records: &mut dyn FnMut(Take<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let Copied { ring, store_id, .. } = copied;
    let seq = copied.root.seq.saturating_add(1);
    let root = RootV1 {
        epoch: copied.epoch,
        seq,
        chain: ring.chain_next(&copied.root.chain, seq, &sha256(&[&copied.audit])),
        time_ms: copied.time_ms,
        ..copied.root.clone()
    };
    write_both(disk.as_ref(), dir, copied.key_file)?;
    build_journal(disk, &dir.join(JOURNAL), ring, &root, *store_id)?;
    let files = SledFiles::new(Arc::clone(disk), dir.join(STATE));
    let backend: Arc<dyn Backend> = Arc::new(files.open(&tree_specs(), copied.cache_bytes)?);
    let mut state = StateWriter::new(Arc::clone(&backend));
    let (mut batch, mut bytes) = (Vec::new(), 0_usize);
    records(&mut |write| {
        bytes = bytes.saturating_add(write.logical_bytes());
        batch.push(write);
        if bytes > BATCH_BYTES {
            bytes = 0;
            state.write_piecemeal(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    batch.push(Write::put(audit_address(seq, 0), Record::clone(&copied.audit)));
    state.write_piecemeal(batch)?;
    state.sync()?;
    state.write(vec![Write::put(root_address(), seal_root(ring, store_id, &root)?)])?;
    state.settle()?;
    backend.close()?;
    Ok(disk.sync_dir(dir)?)
}
