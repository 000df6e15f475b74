//! What a caller wants committed: decided, sealed, not yet written.

use crate::{
    commit::{Heads, NameId, ObjectChange},
    crypto::{SetHash, ct_eq},
    domain::{SecretName, Timestamp},
    format::{RootV1, Tree},
    storage::{Record, Write},
};

/// Leaves of the set hash that each secret has: its two heads.
pub(super) const LEAVES_PER_SECRET: u64 = 2;

/// The change of one secret's heads. `before` is what the plan was made from: if the heads are
/// others by the time of the commit, the whole plan is refused with a conflict.
#[derive(Clone, Debug)]
pub(crate) struct HeadChange {
    pub(crate) id: NameId,
    pub(crate) name: SecretName,
    /// `None`: there must be no such secret.
    pub(crate) before: Option<Heads>,
    /// `None`: the secret is removed.
    pub(crate) after: Option<Heads>,
}

/// A change of the key file, which the root record binds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingChange {
    pub(crate) ring_seq: u64,
    pub(crate) digest: [u8; 32],
}

/// The digest in constant time, like all that are compared with an authenticated one.
impl PartialEq for RingChange {
    fn eq(&self, other: &Self) -> bool {
        self.ring_seq == other.ring_seq && ct_eq(&self.digest, &other.digest)
    }
}

impl Eq for RingChange {}

/// Where the audit log begins from now on: everything before is cut off by the same plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditStart {
    /// The first commit whose records are kept.
    pub(crate) seq: u64,
    /// The chain before its first record.
    pub(crate) chain: [u8; 32],
}

/// One all-or-nothing change.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) at: Timestamp,
    pub(crate) heads: Vec<HeadChange>,
    pub(crate) objects: Vec<ObjectChange>,
    /// Sealed records of any tree but new ones of `audit`, and the root.
    pub(crate) writes: Vec<Write>,
    /// Sealed audit records; the commit gives them their place.
    pub(crate) audit: Vec<Record>,
    /// What the set hash changes by.
    pub(crate) set_hash: SetHash,
    pub(crate) ring: Option<RingChange>,
    pub(crate) audit_start: Option<AuditStart>,
}

impl Plan {
    /// A plan that changes nothing yet.
    pub(crate) fn at(at: Timestamp) -> Self {
        Self {
            at,
            heads: Vec::new(),
            objects: Vec::new(),
            writes: Vec::new(),
            audit: Vec::new(),
            set_hash: SetHash::EMPTY,
            ring: None,
            audit_start: None,
        }
    }

    /// Whether it may be committed with these writes and an audit record more.
    pub(crate) fn has_room_for(&self, writes: &[Write]) -> bool {
        let audit = Weight { all: AUDIT_BYTES_MAX, heads: AUDIT_BYTES_MAX };
        writes.iter().fold(self.weight().plus(audit), |sum, write| sum.plus(weight(write))).fits()
    }

    /// Takes in all of another plan, so that both are committed or none. Gives it back if there is no
    /// room for it.
    ///
    /// The plans must not be about the same secret or object.
    #[must_use]
    pub(crate) fn absorb(&mut self, mut other: Self) -> Option<Self> {
        let alone = other.ring.is_some() || other.audit_start.is_some();
        if alone || !self.weight().plus(other.weight()).fits() {
            return Some(other);
        }
        self.at = self.at.max(other.at);
        self.heads.append(&mut other.heads);
        self.objects.append(&mut other.objects);
        self.writes.append(&mut other.writes);
        self.audit.append(&mut other.audit);
        self.set_hash.merge(&other.set_hash);
        None
    }

    /// Counts the secrets and leaves that it adds or removes.
    pub(super) fn count(&self, root: &mut RootV1) {
        let step = |count: u64, by: u64, (before, after): (bool, bool)| match (before, after) {
            (false, true) => count.saturating_add(by),
            (true, false) => count.saturating_sub(by),
            _ => count,
        };
        for HeadChange { before, after, .. } in &self.heads {
            let change = (before.is_some(), after.is_some());
            root.secrets = step(root.secrets, 1, change);
            root.leaves = step(root.leaves, LEAVES_PER_SECRET, change);
        }
        for ObjectChange { before, after, .. } in &self.objects {
            root.leaves = step(root.leaves, 1, (before.is_some(), after.is_some()));
        }
    }

    /// Bytes in the journal, and of these the bytes that must become visible together.
    pub(crate) fn weight(&self) -> Weight {
        let audit: usize = self.audit.iter().map(|record| record.len().saturating_add(64)).sum();
        let audit = Weight { all: audit, heads: audit };
        self.writes.iter().fold(audit, |sum, write| sum.plus(weight(write)))
    }
}

fn weight(write: &Write) -> Weight {
    let bytes = write.logical_bytes();
    let heads = if write.address.tree() == Tree::Versions.id() { 0 } else { bytes };
    Weight { all: bytes, heads }
}

/// More than an audit record takes.
const AUDIT_BYTES_MAX: usize = 1024;

/// How much a plan weighs in a group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Weight {
    pub(crate) all: usize,
    pub(crate) heads: usize,
}

impl Weight {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_add(other.all),
            heads: self.heads.saturating_add(other.heads),
        }
    }

    /// Whether a group of this weight may be committed.
    ///
    /// Heads go into the state in one transaction, which must stay well below a segment of sled's
    /// log: more than that between two syncs and a power cut may cost old data. Values may come in
    /// several transactions before, since nothing points at them yet.
    pub(crate) fn fits(self) -> bool {
        self.heads <= HEADS_BYTES_MAX && self.all <= GROUP_BYTES_MAX
    }
}

/// Most bytes of heads and audit records in one group.
const HEADS_BYTES_MAX: usize = 96 * 1024;

/// Most bytes of one group: a value of the greatest size and its heads.
pub(super) const GROUP_BYTES_MAX: usize = 2 * 1024 * 1024;
