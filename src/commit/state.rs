//! Writing to the state: in transactions of bounded size, with a sync before too much is unsynced.
//!
//! sled reuses an old segment of its log one segment after the segment's last live page was moved
//! elsewhere. If the moved copy is not durable by then, a power cut loses old data, which no replay of
//! the young journal brings back, or leaves a state that never opens again. So less than one segment
//! of log may be written between two syncs. What counts is what sled writes, and that is several times
//! what it is given, since it rewrites whole tree nodes: hence a segment of 2 MiB, pieces of 1 KiB
//! (which keep nodes small), and a sync for every 128 KiB given. Removing counts like writing.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    format::Tree,
    storage::{Address, Backend, StorageError, Write},
};

/// Most bytes given to the state between two syncs, and by one transaction.
const UNSYNCED_BYTES_MAX: usize = 128 * 1024;

/// Most bytes of records that are written one after another without a look at what is unsynced.
const CHUNK_BYTES_MAX: usize = 96 * 1024;

/// Most bytes of heads of several groups that go into one transaction. Whoever reads the state waits for
/// it to end, so it is shorter than what a single group may have.
pub(crate) const MERGED_HEADS_BYTES_MAX: usize = 32 * 1024;

/// Most bytes of several groups that go into the state together.
pub(crate) const MERGED_BYTES_MAX: usize = 512 * 1024;

/// A value longer than this is written or removed piece by piece, in transactions of its own.
const SMALL_VALUE_BYTES_MAX: usize = 16 * 1024;

/// The one that writes to the state.
#[derive(Debug)]
pub(crate) struct StateWriter {
    backend: Arc<dyn Backend>,
    unsynced_bytes: usize,
}

/// A write, and how many bytes sled has to move for it.
#[derive(Clone, Debug)]
struct Weighed {
    write: Write,
    bytes: usize,
}

/// What is done in one go.
#[derive(Debug)]
enum Part {
    /// One transaction.
    Together(Vec<Weighed>),
    /// Records at which nothing points yet, or any more.
    Apart(Vec<Weighed>),
    /// A value that is too large for either.
    Large(Write),
}

impl StateWriter {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, unsynced_bytes: 0 }
    }

    /// Makes the merged writes of whole commits: new values and audit records first, then in one
    /// transaction everything that points at them, the root too, then removals of values.
    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Result<(), StorageError> {
        let weighed = self.weigh(writes)?;
        parts(weighed).into_iter().try_for_each(|part| self.apply(part))
    }

    /// Makes writes of which a part may be seen before the others: those of a replay, which nobody
    /// reads before its end.
    pub(crate) fn write_piecemeal(&mut self, writes: Vec<Write>) -> Result<(), StorageError> {
        for chunk in chunks(self.weigh(writes)?) {
            parts(chunk).into_iter().try_for_each(|part| self.apply(part))?;
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Result<(), StorageError> {
        self.unsynced_bytes = 0;
        self.backend.sync()
    }

    /// Makes files and names durable too.
    pub(crate) fn settle(&mut self) -> Result<(), StorageError> {
        self.unsynced_bytes = 0;
        self.backend.settle()
    }

    fn weigh(&self, writes: Vec<Write>) -> Result<Vec<Weighed>, StorageError> {
        let weigh = |write: Write| {
            let removed = match &write.record {
                None => self.backend.stored_bytes(&write.address)?,
                Some(_) => 0,
            };
            let bytes = write.logical_bytes().saturating_add(removed);
            Ok(Weighed { write, bytes })
        };
        writes.into_iter().map(weigh).collect()
    }

    fn apply(&mut self, part: Part) -> Result<(), StorageError> {
        let bytes = match &part {
            Part::Together(writes) | Part::Apart(writes) => sum(writes),
            // Syncs by itself as it goes; the next write finds a fresh count.
            Part::Large(_) => UNSYNCED_BYTES_MAX,
        };
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(bytes);
        if self.unsynced_bytes > UNSYNCED_BYTES_MAX {
            self.backend.sync()?;
            self.unsynced_bytes = bytes;
        }
        match part {
            Part::Together(writes) => self.backend.apply(&bare(writes)),
            Part::Apart(writes) => self.backend.apply_apart(&bare(writes)),
            Part::Large(write) => {
                self.backend.apply_large(&write)?;
                self.unsynced_bytes = 0;
                Ok(())
            }
        }
    }
}

/// The last write of each address, in the order of addresses: neighbours share the nodes that sled
/// rewrites.
pub(crate) fn merge<'a>(writes: impl Iterator<Item = &'a Write>) -> Vec<Write> {
    let last: BTreeMap<Address, &Write> = writes.map(|write| (write.address, write)).collect();
    last.into_values().cloned().collect()
}

/// Whether it must change together with other records.
fn is_head(write: &Write) -> bool {
    ![Tree::Versions.id(), Tree::Audit.id(), Tree::Notices.id()].contains(&write.address.tree())
}

/// How many bytes of heads there are among `writes`.
pub(crate) fn head_bytes(writes: &[Write]) -> usize {
    let heads = writes.iter().filter(|write| is_head(write));
    heads.map(Write::logical_bytes).fold(0, usize::saturating_add)
}

fn bare(writes: Vec<Weighed>) -> Vec<Write> {
    writes.into_iter().map(|weighed| weighed.write).collect()
}

/// Cuts into parts: new values and audit records, then all heads in one transaction, then old values.
///
/// Only heads are pointed at by a name, so only they must change together: a value is found through
/// its head, and an audit record counts once the root has its commit.
fn parts(writes: Vec<Weighed>) -> Vec<Part> {
    let (heads, apart): (Vec<Weighed>, Vec<Weighed>) =
        writes.into_iter().partition(|weighed| is_head(&weighed.write));
    let (new, old): (Vec<Weighed>, Vec<Weighed>) =
        apart.into_iter().partition(|weighed| weighed.write.record.is_some());
    let mut parts = value_parts(new);
    if !heads.is_empty() {
        parts.push(Part::Together(heads));
    }
    parts.extend(value_parts(old));
    parts
}

fn value_parts(values: Vec<Weighed>) -> Vec<Part> {
    let (large, small): (Vec<Weighed>, Vec<Weighed>) =
        values.into_iter().partition(|weighed| weighed.bytes > SMALL_VALUE_BYTES_MAX);
    let large = large.into_iter().map(|weighed| Part::Large(weighed.write));
    large.chain(chunks(small).into_iter().map(Part::Apart)).collect()
}

/// Cuts into lists of which each fits a transaction, or has one write only.
fn chunks(writes: Vec<Weighed>) -> Vec<Vec<Weighed>> {
    let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for weighed in writes {
        bytes = bytes.saturating_add(weighed.bytes);
        if bytes > CHUNK_BYTES_MAX && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            bytes = weighed.bytes;
        }
        chunk.push(weighed);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

fn sum(writes: &[Weighed]) -> usize {
    writes.iter().map(|weighed| weighed.bytes).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u64, len: usize) -> Write {
        Write::put(Address::new(Tree::Versions.id(), number.to_be_bytes()), vec![0; len])
    }

    fn head(number: u8, len: usize) -> Write {
        Write::put(Address::new(Tree::Stages.id(), [number; 16]), vec![0; len])
    }

    fn weighed(write: Write) -> Weighed {
        Weighed { bytes: write.logical_bytes(), write }
    }

    fn removed(number: u64, bytes: usize) -> Weighed {
        let address = Address::new(Tree::Versions.id(), number.to_be_bytes());
        Weighed { bytes, write: Write::remove(address) }
    }

    #[test]
    fn writes_are_cut_so_that_heads_come_between_new_and_old_values_and_none_is_too_large() {
        let heads = || (0..40).map(|n| weighed(head(n, 2000)));
        let cases: [(&str, Vec<Weighed>); 5] = [
            ("a few", vec![weighed(value(1, 100)), weighed(head(1, 300)), removed(7, 100)]),
            ("one large value", vec![weighed(value(1, 1_000_000)), weighed(head(1, 300))]),
            (
                "many small values",
                heads().chain((0..300).map(|n| weighed(value(n, 1500)))).collect(),
            ),
            ("some of each", heads().chain((0..9).map(|n| weighed(value(n, 40_000)))).collect()),
            (
                "old values",
                heads()
                    .chain((0..9).map(|n| removed(n, 100_000)))
                    .chain((10..99).map(|n| removed(n, 9000)))
                    .collect(),
            ),
        ];
        for (what, writes) in cases {
            let parts = parts(writes.clone());
            let mut seen: Vec<Address> = Vec::new();
            let mut heads_done = false;
            for part in parts {
                let is_value = |w: &Weighed| w.write.address.tree() == Tree::Versions.id();
                match part {
                    Part::Together(writes) => {
                        assert!(sum(&writes) <= UNSYNCED_BYTES_MAX, "{what}");
                        assert!(!heads_done && !writes.iter().any(is_value), "{what}");
                        heads_done = true;
                        seen.extend(writes.iter().map(|weighed| weighed.write.address));
                    }
                    Part::Apart(writes) => {
                        assert!(sum(&writes) <= UNSYNCED_BYTES_MAX, "{what}");
                        let timely = |w: &Weighed| w.write.record.is_none() == heads_done;
                        assert!(writes.iter().all(|w| is_value(w) && timely(w)), "{what}");
                        seen.extend(writes.iter().map(|weighed| weighed.write.address));
                    }
                    Part::Large(write) => {
                        assert_eq!(write.record.is_none(), heads_done, "{what}");
                        seen.push(write.address);
                    }
                }
            }
            assert!(heads_done, "{what}");
            seen.sort_unstable();
            let mut all: Vec<Address> =
                writes.iter().map(|weighed| weighed.write.address).collect();
            all.sort_unstable();
            assert_eq!(seen, all, "{what}");
        }
    }

    #[test]
    fn of_several_writes_to_one_address_the_last_remains() {
        let writes = [head(1, 1), head(2, 1), head(1, 2), Write::remove(head(2, 1).address)];
        let mut merged = merge(writes.iter());
        merged.sort_by_key(|write| write.address);
        let lens: Vec<Option<usize>> =
            merged.iter().map(|write| write.record.as_ref().map(|record| record.len())).collect();
        assert_eq!(lens, [Some(2), None]);
    }
}
