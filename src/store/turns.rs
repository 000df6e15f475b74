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

    fn of(&self, id: &NameId) -> Option<&RwLock<()>> {
        let [.., last] = id;
        self.0.get(usize::from(*last))
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns(..)")
    }
}
