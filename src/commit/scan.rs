//! Loading the index: every head is read once, and their sum must be the root's.

use std::{collections::HashMap, ops::ControlFlow, thread};

use crate::{
    commit::{Engine, EngineError, Heads, NameId, Tag, engine::LEAVES_PER_SECRET, index::tag_of},
    crypto::{Forged, SetHash},
    domain::SecretName,
    format::{RootV1, Tree},
    storage::StorageError,
};

/// Opens the `secrets` record of a name's id and gives the name.
pub(crate) type NameOf<'a> = &'a (dyn Fn(&NameId, &[u8]) -> Result<SecretName, Forged> + Sync);

/// Called for each head of a tree with its id, record and tag.
type VisitHead<'a> = &'a mut dyn FnMut(&NameId, &[u8], Tag) -> Result<(), Forged>;

/// Most threads that load an index.
const THREADS_MAX: usize = 8;

/// What one part of the heads adds up to.
#[derive(Debug)]
struct Sum {
    set_hash: SetHash,
    leaves: u64,
    names: Vec<SecretName>,
}

impl Engine {
    /// Reads all heads, fills the index, and compares the set hash with the root's. Until then no
    /// commit is made. A difference closes the store for good: a record was put back, swapped,
    /// added or removed.
    pub(crate) fn load_index(&self, name_of: NameOf<'_>) -> Result<(), EngineError> {
        let loaded = self.caught_up_root().and_then(|root| self.load(&root, name_of));
        if let Err(err) = &loaded {
            self.health().fail(err);
        }
        self.index.set_ready(loaded.is_ok());
        loaded
    }

    fn load(&self, root: &RootV1, name_of: NameOf<'_>) -> Result<(), EngineError> {
        let parts = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let sums: Vec<Result<Sum, EngineError>> = thread::scope(|scope| {
            let threads: Vec<_> = bounds(parts)
                .into_iter()
                .map(|(from, to)| scope.spawn(move || self.load_part((from, to), name_of)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Err(EngineError::Poisoned)))
                .collect()
        });
        let (mut set_hash, mut leaves) = (SetHash::EMPTY, 0_u64);
        for sum in sums {
            let sum = sum?;
            set_hash.merge(&sum.set_hash);
            leaves = leaves.saturating_add(sum.leaves);
            self.index.insert_names(sum.names);
        }
        let secrets = u64::try_from(self.index.len()).unwrap_or(u64::MAX);
        let right = set_hash == SetHash::from_bytes(&root.set_hash)
            && leaves == root.leaves
            && secrets == root.secrets
            && secrets.checked_mul(LEAVES_PER_SECRET) == Some(leaves);
        if right { Ok(()) } else { Err(EngineError::Tampered("the set of secrets")) }
    }

    /// The heads whose ids begin with a byte in `from..to`.
    fn load_part(&self, bounds: (u16, u16), name_of: NameOf<'_>) -> Result<Sum, EngineError> {
        let mut sum = Sum { set_hash: SetHash::EMPTY, leaves: 0, names: Vec::new() };
        let mut secrets: HashMap<NameId, Tag> = HashMap::new();
        self.each_head(Tree::Secrets, bounds, &mut |id, record, tag| {
            sum.set_hash.insert(&self.ring().leaf(Tree::Secrets.id(), id, record));
            sum.leaves = sum.leaves.saturating_add(1);
            sum.names.push(name_of(id, record)?);
            secrets.insert(*id, tag);
            Ok(())
        })?;
        self.each_head(Tree::Stages, bounds, &mut |id, record, stages| {
            sum.set_hash.insert(&self.ring().leaf(Tree::Stages.id(), id, record));
            sum.leaves = sum.leaves.saturating_add(1);
            let secret = *secrets.get(id).ok_or(Forged)?;
            self.index.insert(*id, Heads { secret, stages });
            Ok(())
        })?;
        Ok(sum)
    }

    fn each_head(
        &self,
        tree: Tree,
        (from, to): (u16, u16),
        visit: VisitHead<'_>,
    ) -> Result<(), EngineError> {
        // Everything after the last possible key before `from`.
        let after = from.checked_sub(1).and_then(|byte| u8::try_from(byte).ok()).map(|byte| {
            let mut key = [0xff; 16];
            if let Some(first) = key.first_mut() {
                *first = byte;
            }
            key
        });
        let mut sound = true;
        let mut scan = || -> Result<(), StorageError> {
            self.state().scan(tree.id(), after.as_ref().map(|key| &key[..]), &mut |key, record| {
                if key.first().is_some_and(|byte| u16::from(*byte) >= to) {
                    return ControlFlow::Break(());
                }
                // Closed meanwhile: nobody waits for the rest.
                if self.health().check_read().is_err() {
                    return ControlFlow::Break(());
                }
                let head = key.try_into().ok().zip(tag_of(record));
                sound =
                    head.is_some_and(|(id, tag): (&NameId, Tag)| visit(id, record, tag).is_ok());
                if sound { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        };
        scan()?;
        self.health().check_read()?;
        if sound { Ok(()) } else { Err(EngineError::Tampered("a secret's record")) }
    }
}

/// Cuts the first bytes of all ids into `parts` ranges.
fn bounds(parts: usize) -> Vec<(u16, u16)> {
    let parts = u16::try_from(parts.clamp(1, 256)).unwrap_or(1);
    let edge = |part: u16| {
        u16::try_from(256_u32.saturating_mul(part.into()).checked_div(parts.into()).unwrap_or(0))
            .unwrap_or(256)
    };
    (0..parts).map(|part| (edge(part), edge(part.saturating_add(1)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_cover_every_byte_once() {
        for parts in [1, 2, 3, 7, 8, 256, 1000] {
            let bounds = bounds(parts);
            assert_eq!(bounds.first().unwrap().0, 0);
            assert_eq!(bounds.last().unwrap().1, 256);
            assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0), "{parts}");
        }
    }
}
