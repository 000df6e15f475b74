//! The objects of the store as a whole: few small records, each a leaf of the set hash like a head.
//!
//! Which there are, and which record each is, is kept in memory from the opening on, so that a plan can
//! name what it was made from, and a record that was put back is noticed.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use crate::{
    commit::Tag,
    format::{Kind, Tree},
    storage::Address,
};

/// Where an object stands in the tree of the system: its kind and a number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ObjectKey([u8; 9]);

/// The change of an object. `before` is what the plan was made from, as with heads; `after` may be
/// the same, for a plan that only relies on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ObjectChange {
    pub(crate) key: ObjectKey,
    pub(crate) before: Option<Tag>,
    pub(crate) after: Option<Tag>,
}

/// All objects by their tags.
#[derive(Debug, Default)]
pub(crate) struct Objects(RwLock<BTreeMap<ObjectKey, Tag>>);

impl ObjectKey {
    pub(crate) const fn new(kind: Kind, number: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = number;
        Self([kind.id(), a, b, c, d, e, f, g, h])
    }

    /// The key in the tree of the system, unless it is the root's.
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let key: [u8; 9] = key.try_into().ok()?;
        (key.first() != Some(&Kind::Root.id())).then_some(Self(key))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 9] {
        &self.0
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(Tree::System.id(), self.0)
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.0.first() == Some(&kind.id())
    }
}

impl Objects {
    pub(crate) fn tag(&self, key: &ObjectKey) -> Option<Tag> {
        self.0.read().get(key).copied()
    }

    /// Those of one kind.
    pub(crate) fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        self.0.read().keys().filter(|key| key.is(kind)).copied().collect()
    }

    pub(crate) fn all(&self) -> Vec<(ObjectKey, Tag)> {
        self.0.read().iter().map(|(key, tag)| (*key, *tag)).collect()
    }

    pub(super) fn publish(&self, change: &ObjectChange) {
        let mut objects = self.0.write();
        match change.after {
            Some(tag) => objects.insert(change.key, tag),
            None => objects.remove(&change.key),
        };
    }
}
