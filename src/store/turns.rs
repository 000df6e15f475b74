//! Whose turn it is to change a secret, when several want to.
//!
//! Writers go ahead together and find out at the commit whether another was faster. Who lost once
//! asks for a turn alone: then nobody else changes that secret until he is done, so he cannot lose
//! again.

use std::fmt;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::commit::NameId;

/// One for each last byte of an id: secrets that agree in it share a turn.
const TURNS: usize = 256;

pub(super) struct Turns(Vec<RwLock<()>>);

/// A turn, held while a change is made.
#[expect(dead_code, reason = "held, not read")]
pub(super) enum Turn<'a> {
    Alone(RwLockWriteGuard<'a, ()>),
    Together(RwLockReadGuard<'a, ()>),
}

impl Turns {
    pub(super) fn new() -> Self {
        Self((0..TURNS).map(|_| RwLock::new(())).collect())
    }

    pub(super) fn together(&self, id: &NameId) -> Option<Turn<'_>> {
        self.of(id).map(|turn| Turn::Together(turn.read()))
    }

    pub(super) fn alone(&self, id: &NameId) -> Option<Turn<'_>> {
        self.of(id).map(|turn| Turn::Alone(turn.write()))
    }

    /// Turns for several secrets. Everybody takes them in one order, so that nobody waits in a circle; and
    /// none twice, so that nobody waits for himself.
    pub(super) fn all_together(&self, ids: &[NameId]) -> Vec<Turn<'_>> {
        in_order(ids).iter().filter_map(|id| self.together(id)).collect()
    }

    pub(super) fn all_alone(&self, ids: &[NameId]) -> Vec<Turn<'_>> {
        in_order(ids).iter().filter_map(|id| self.alone(id)).collect()
    }

    fn of(&self, id: &NameId) -> Option<&RwLock<()>> {
        let [.., last] = id;
        self.0.get(usize::from(*last))
    }
}

/// One id for each turn that these secrets have, in the order of the turns.
fn in_order(ids: &[NameId]) -> Vec<NameId> {
    let turn = |[.., last]: &NameId| *last;
    let mut ids = ids.to_vec();
    ids.sort_by_key(turn);
    ids.dedup_by_key(|id| turn(id));
    ids
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns(..)")
    }
}
