//! Loading the index: every head is read once, and their sum must be the root's.

use std::{
    ops::{ControlFlow, Range},
    thread,
};

use crate::{
    commit::{
        Engine, EngineError, Heads, NameId, ObjectChange, ObjectKey, Tag, index::tag_of,
        plan::LEAVES_PER_SECRET,
    },
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

/// One part of the heads, and what they add up to.
#[derive(Debug)]
struct Part {
    set_hash: SetHash,
    leaves: u64,
    /// Sorted by id.
    heads: Vec<(NameId, Heads)>,
    names: Names,
}

/// Names in one piece of memory.
///
/// What stays is made of them at the end, in one thread: between what reading the heads allocates and
/// frees, each name would keep a page of memory from the system.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Sorted by name.
    places: Vec<Range<usize>>,
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
        let count = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let parts: Vec<Result<Part, EngineError>> = thread::scope(|scope| {
            let threads: Vec<_> = bounds(count)
                .into_iter()
                .map(|bounds| scope.spawn(move || self.load_part(bounds, name_of)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Err(EngineError::Poisoned)))
                .collect()
        });
        let (mut set_hash, mut leaves, mut names) = (SetHash::EMPTY, 0_u64, Vec::new());
        for part in parts {
            let part = part?;
            set_hash.merge(&part.set_hash);
            leaves = leaves.saturating_add(part.leaves);
            self.index.insert_heads(&part.heads);
            names.extend(part.names.parsed()?);
        }
        self.index.insert_names(names);
        let objects = self.load_objects(&mut set_hash)?;
        leaves = leaves.saturating_add(objects);
        let secrets = u64::try_from(self.index.len()).unwrap_or(u64::MAX);
        let right = set_hash == SetHash::from_bytes(&root.set_hash)
            && leaves == root.leaves
            && secrets == root.secrets
            && secrets.checked_mul(LEAVES_PER_SECRET) == leaves.checked_sub(objects);
        if right { Ok(()) } else { Err(EngineError::Tampered("the set of secrets")) }
    }

    /// Takes in the objects, and gives how many there are.
    fn load_objects(&self, set_hash: &mut SetHash) -> Result<u64, EngineError> {
        let (mut count, mut sound) = (0_u64, true);
        self.state().scan(Tree::System.id(), None, &mut |key, record| {
            let Some(key) = ObjectKey::parse(key) else { return ControlFlow::Continue(()) };
            set_hash.insert(&self.ring().leaf(Tree::System.id(), key.as_bytes(), record));
            count = count.saturating_add(1);
            match tag_of(record) {
                Some(tag) => {
                    let after = Some(tag);
                    self.objects.publish(&ObjectChange { key, before: None, after });
                    ControlFlow::Continue(())
                }
                None => {
                    sound = false;
                    ControlFlow::Break(())
                }
            }
        })?;
        if sound { Ok(count) } else { Err(EngineError::Tampered("an object of the store")) }
    }

    /// The heads whose ids begin with a byte in `from..to`.
    fn load_part(&self, bounds: (u16, u16), name_of: NameOf<'_>) -> Result<Part, EngineError> {
        let (mut set_hash, mut leaves) = (SetHash::EMPTY, 0_u64);
        let mut add = |tree: Tree, id: &NameId, record: &[u8]| {
            set_hash.insert(&self.ring().leaf(tree.id(), id, record));
            leaves = leaves.saturating_add(1);
        };
        let mut names = Names::default();
        let mut heads: Vec<(NameId, Heads)> = Vec::new();
        self.each_head(Tree::Secrets, bounds, &mut |id, record, secret| {
            add(Tree::Secrets, id, record);
            names.push(&name_of(id, record)?);
            heads.push((*id, Heads { secret, stages: [0; 16] }));
            Ok(())
        })?;
        // Both trees are in the order of the ids.
        let mut waiting = heads.iter_mut();
        self.each_head(Tree::Stages, bounds, &mut |id, record, tag| {
            add(Tree::Stages, id, record);
            // One without a secret is missed here, a secret without one in the number of leaves.
            let (_, heads) = waiting.find(|(other, _)| other == id).ok_or(Forged)?;
            heads.stages = tag;
            Ok(())
        })?;
        names.sort();
        Ok(Part { set_hash, leaves, heads, names })
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

impl Names {
    fn push(&mut self, name: &SecretName) {
        let start = self.text.len();
        self.text.push_str(name.as_str());
        self.places.push(start..self.text.len());
    }

    fn sort(&mut self) {
        let text = &self.text;
        self.places.sort_unstable_by_key(|place| text.get(place.clone()));
    }

    fn parsed(&self) -> Result<Vec<SecretName>, EngineError> {
        let name = |place: &Range<usize>| {
            let text = self.text.get(place.clone()).unwrap_or_default();
            SecretName::from_stored(text).map_err(|_| EngineError::Tampered("a secret's name"))
        };
        self.places.iter().map(name).collect()
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
