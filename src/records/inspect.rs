//! The full check of a backup as it goes by: every record that a store's root vouches for, and no other.
//!
//! The order is the root, the objects, each secret followed by its labels and its values, the audit log,
//! the notices. So one secret's data keys are in memory at a time, however large the store is.

use std::collections::VecDeque;

use crate::{
    commit::{EngineError, NameId, ObjectKey, fold_step, open_root},
    crypto::{SetHash, ct_eq, sha256},
    domain::{KeyId, Position, VersionState},
    format::{Entry, Kind, RootV1, Tree},
    records::{
        Sealer, SecretBody, Stages, Verified, VersionEntry,
        audit::open_audit,
        deliveries::Deliveries,
        head::HeadBody,
        local_key::{LocalKey, named_value_key},
        log::follows,
        notice::open_notice,
        object::open_object,
        value::open_value_with,
    },
};

const FORGED: EngineError = EngineError::Tampered("the backup");

/// Leaves of the set hash that each secret has.
const LEAVES_PER_SECRET: u64 = 2;

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Section {
    Objects,
    Secrets,
    Audit,
    Notices,
}

/// The secret whose records are going by.
#[derive(Debug)]
struct Passing {
    id: NameId,
    sid: [u8; 16],
    /// The values still to come, once its labels have.
    values: Option<VecDeque<VersionEntry>>,
}

/// Checks entries in their order.
#[derive(Debug)]
pub(super) struct Inspector {
    sealer: Sealer,
    pub(super) root: RootV1,
    section: Section,
    passing: Option<Passing>,
    last_key: Vec<u8>,
    /// The named keys under which values may be.
    keys: Vec<LocalKey>,
    set_hash: SetHash,
    objects: u64,
    chain: [u8; 32],
    last_audit: Position,
    deliveries: Deliveries,
    /// When the records of notifications were made that have gone by.
    recorded: Vec<i64>,
    pub(super) seen: Verified,
}

impl Inspector {
    /// Begins with the root, and the key file that it must name.
    pub(super) fn begin(
        sealer: Sealer,
        first: &Entry<'_>,
        key_file: &[u8],
    ) -> Result<Self, EngineError> {
        let is_root = first.tree == Tree::System && first.key.first() == Some(&Kind::Root.id());
        let root = open_root(&sealer.ring, &sealer.store_id, first.record);
        let root = root.ok().filter(|_| is_root).ok_or(FORGED)?;
        if !ct_eq(&sha256(&[key_file]), &root.ring_digest) {
            return Err(FORGED);
        }
        Ok(Self {
            sealer,
            section: Section::Objects,
            passing: None,
            last_key: Vec::new(),
            keys: Vec::new(),
            set_hash: SetHash::EMPTY,
            objects: 0,
            chain: root.audit_first_chain,
            last_audit: Position::end_of(root.audit_first_seq.saturating_sub(1)),
            deliveries: Deliveries::default(),
            recorded: Vec::new(),
            seen: Verified::default(),
            root,
        })
    }

    /// Looks at the next entry.
    pub(super) fn look(&mut self, entry: &Entry<'_>) -> Result<(), EngineError> {
        let right = match entry.tree {
            Tree::System => self.object(entry),
            Tree::Secrets => self.secret(entry),
            Tree::Stages => self.stages(entry),
            Tree::Versions => self.value(entry),
            Tree::Audit => self.audit(entry),
            Tree::Notices => self.notice(entry),
        };
        right.ok_or(FORGED)
    }

    /// All of it has gone by: it must be what the root says.
    pub(super) fn end(mut self) -> Result<Verified, EngineError> {
        self.is_complete().ok_or(FORGED)?;
        let (root, seen) = (&self.root, &self.seen);
        let leaves = seen.secrets.checked_mul(LEAVES_PER_SECRET);
        let right = self.set_hash == SetHash::from_bytes(&root.set_hash)
            && leaves.and_then(|leaves| leaves.checked_add(self.objects)) == Some(root.leaves)
            && seen.secrets == root.secrets
            && self.last_audit.commit() == root.seq
            && ct_eq(&self.chain, &root.chain)
            && self.deliveries.are_all_among(self.recorded);
        if right { Ok(self.seen) } else { Err(FORGED) }
    }

    /// Comes to a section, in which keys ascend. The secret before it must be complete.
    fn enter(&mut self, section: Section, key: &[u8]) -> Option<()> {
        self.is_complete()?;
        let follows = section > self.section
            || section == self.section && (self.last_key.is_empty() || key > &self.last_key[..]);
        self.section = section;
        self.last_key = key.to_vec();
        follows.then_some(())
    }

    fn is_complete(&mut self) -> Option<()> {
        match self.passing.take() {
            None => Some(()),
            Some(passing) => passing.values.filter(VecDeque::is_empty).map(drop),
        }
    }

    fn add_leaf(&mut self, entry: &Entry<'_>) {
        self.set_hash.insert(&self.sealer.ring.leaf(entry.tree.id(), entry.key, entry.record));
    }

    fn object(&mut self, entry: &Entry<'_>) -> Option<()> {
        self.enter(Section::Objects, entry.key)?;
        let key = ObjectKey::parse(entry.key)?;
        if key.is(Kind::LocalKey) {
            self.keys.push(open_object(&self.sealer, &key, entry.record).ok()?);
        }
        self.add_leaf(entry);
        self.objects = self.objects.checked_add(1)?;
        Some(())
    }

    fn secret(&mut self, entry: &Entry<'_>) -> Option<()> {
        self.enter(Section::Secrets, entry.key)?;
        let id = NameId::try_from(entry.key).ok()?;
        let (body, _) = SecretBody::open(&self.sealer, &id, entry.record).ok()?;
        self.add_leaf(entry);
        self.passing = Some(Passing { id, sid: body.sid, values: None });
        self.seen.secrets = self.seen.secrets.checked_add(1)?;
        Some(())
    }

    fn stages(&mut self, entry: &Entry<'_>) -> Option<()> {
        let id = NameId::try_from(entry.key).ok()?;
        let (body, _) = Stages::open(&self.sealer, &id, entry.record).ok()?;
        let passing = self.passing.as_mut()?;
        let fits = passing.id == id && passing.sid == body.sid && passing.values.is_none();
        let kept = |entry: &VersionEntry| entry.state != VersionState::Destroyed;
        passing.values = fits.then(|| body.versions.into_iter().filter(kept).collect());
        self.add_leaf(entry);
        fits.then_some(())
    }

    fn value(&mut self, entry: &Entry<'_>) -> Option<()> {
        let passing = self.passing.as_mut()?;
        let row = passing.values.as_mut()?.pop_front()?;
        let fits = entry.key == row.vrec.to_be_bytes();
        let named = row.kms_key_id.as_deref().map(|id| {
            let uuid = id.parse::<KeyId>().ok().and_then(|id| id.to_uuid());
            self.keys.iter().find(|key| Some(key.id) == uuid)
        });
        let joined =
            named.map(|key| key.map(|key| named_value_key(&self.sealer, key, &row.data_key)));
        let key = match &joined {
            None => Some(&*row.data_key),
            // Whose key is gone, that value is lost: it is copied as it is.
            Some(joined) => joined.as_ref(),
        };
        if let Some(key) = key {
            open_value_with(&self.sealer, key, (&passing.sid, &row), entry.record).ok()?;
        }
        self.seen.versions = self.seen.versions.checked_add(1)?;
        fits.then_some(())
    }

    fn audit(&mut self, entry: &Entry<'_>) -> Option<()> {
        self.enter(Section::Audit, entry.key)?;
        let (next, (seq, index)) =
            fold_step(&self.sealer.ring, &self.chain, entry.key, entry.record)?;
        let at = Position::new(seq, index);
        let right = follows(self.last_audit, at);
        (self.chain, self.last_audit) = (next, at);
        let audit = open_audit(&self.sealer, entry.record).ok()?;
        self.deliveries.note(&audit, false);
        self.seen.audit_records = self.seen.audit_records.checked_add(1)?;
        right.then_some(())
    }

    fn notice(&mut self, entry: &Entry<'_>) -> Option<()> {
        self.enter(Section::Notices, entry.key)?;
        let notice = open_notice(&self.sealer, entry.key, entry.record).ok()?;
        self.recorded.push(notice.created.as_millis());
        Some(())
    }
}
