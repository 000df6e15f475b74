//! Faults planted on purpose, to see that the tests notice: a check that cannot fail is not a check.
//!
//! Compiled in by the feature `planted-faults` alone, and even then asleep until the environment
//! variable `STRONGROOM_PLANT` names one. Without the feature every question here is a constant.

/// What can be left out.
#[cfg_attr(not(feature = "planted-faults"), allow(dead_code, reason = "nobody asks for this one"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Planted {
    /// The data that a record is bound to: its store, place, kind and revision.
    Aad,
    /// The sync of the journal's directory when a segment is made.
    DirSync,
    /// Clearing away a half-made snapshot before the state is opened.
    Generating,
    /// The sync of the journal that a commit waits for.
    JournalSync,
    /// Poisoning after a failed write or sync of the journal.
    Poison,
    /// The root record of a commit.
    Root,
    /// The sync of the state.
    StateSync,
    /// Wiping a value when it is dropped.
    Wipe,
}

/// Whether this fault is switched on.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(what: Planted) -> bool {
    use std::{env, sync::OnceLock};

    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| env::var("STRONGROOM_PLANT").ok());
    chosen.as_deref().is_some_and(|chosen| chosen == format!("{what:?}"))
}

/// Whether this fault is switched on: never.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_: Planted) -> bool {
    false
}
