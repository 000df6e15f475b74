//! Which secrets there are by the audit log: every creation and deletion is in it, and every change.
//!
//! It knows what heads that are lost can no more tell, and which heads are left-overs of secrets that
//! were deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    commit::{NameId, Remains, parse_audit_key},
    domain::{SecretName, Timestamp, VersionId},
    format::{AuditV1, OperationV1, Tree},
    records::{
        Sealer,
        audit::{Rewrites, SALVAGED, open_audit, rewrites},
    },
    storage::Record,
};

/// What the audit log says of one secret.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) name: SecretName,
    /// The time of its first record, and the commit.
    pub(crate) created: Timestamp,
    born: u64,
    /// How many records it has. Each stands for one revision, if none is lost.
    changes: u64,
    /// The revisions of its two heads, or more: those of the last changes that rewrote them.
    pub(crate) secret_revision: u64,
    pub(crate) stages_revision: u64,
    /// The newest version that was made.
    pub(crate) newest: Option<VersionId>,
}

/// All secrets that the audit log names.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// By secret id; `None` for one that was deleted.
    lives: HashMap<[u8; 16], Option<Life>>,
    /// The commit at which the log begins; what is from before was cut off.
    first: u64,
    /// The living one of each name.
    by_id: HashMap<NameId, [u8; 16]>,
    /// How many commits have a record in it.
    pub(crate) commits: u64,
    /// Records that are there and do not open.
    pub(crate) damaged: u64,
}

impl Census {
    /// Reads the audit records of journal and state.
    pub(crate) fn take(remains: &mut Remains, sealer: &Sealer) -> Self {
        let first = remains.root.as_ref().map_or(0, |root| root.audit_first_seq);
        let mut census = Self { first, ..Self::default() };
        let logged: BTreeMap<(u64, u32), Record> = remains
            .logged_in(Tree::Audit)
            .filter_map(|(address, written)| {
                Some((parse_audit_key(address.key())?, written.record.clone()?))
            })
            .collect();
        let in_journal: BTreeSet<u64> = logged.keys().map(|(seq, _)| *seq).collect();
        let (mut logged, mut last) = (logged.into_iter().peekable(), 0);
        // In the order in which it happened.
        remains.each_in_state(Tree::Audit, &mut |key, record| {
            let Some(at) = parse_audit_key(key) else { return };
            while let Some((at, record)) = logged.next_if(|(next, _)| *next < at) {
                census.record(sealer, (at, &record), &mut last);
            }
            // All records of a commit are in one frame.
            if !in_journal.contains(&at.0) {
                census.record(sealer, (at, record), &mut last);
            }
        });
        for (at, record) in logged {
            census.record(sealer, (at, &record), &mut last);
        }
        census.index(sealer);
        census
    }

    fn record(&mut self, sealer: &Sealer, ((seq, _), record): ((u64, u32), &[u8]), last: &mut u64) {
        let Ok(audit) = open_audit(sealer, record) else {
            self.damaged = self.damaged.saturating_add(1);
            return;
        };
        let is_new = seq != *last && seq >= self.first;
        self.commits = self.commits.saturating_add(u64::from(is_new));
        *last = seq;
        self.count(seq, &audit);
    }

    fn count(&mut self, seq: u64, audit: &AuditV1) {
        // An operation on the store itself has no name.
        let Ok(name) = SecretName::from_stored(&audit.name) else { return };
        let Rewrites { secret, stages } = rewrites(audit.operation);
        let at = Timestamp::from_millis(audit.time_ms);
        // What changes nothing does not prove that there is a secret: it may have been read just before
        // it was deleted, and its deletion be cut off the log.
        let is_change = secret || stages || audit.operation == OperationV1::DeleteSecret;
        if !is_change && !self.lives.contains_key(&audit.sid) {
            return;
        }
        let life = self.lives.entry(audit.sid).or_insert_with(|| {
            Some(Life {
                name,
                created: at,
                born: seq,
                changes: 0,
                secret_revision: 0,
                stages_revision: 0,
                newest: None,
            })
        });
        if audit.operation == OperationV1::DeleteSecret {
            *life = None;
            return;
        }
        let Some(life) = life else { return };
        // What was salvaged came with the revision that it had.
        let counted = u64::from(audit.detail != SALVAGED && (secret || stages));
        life.changes = life.changes.saturating_add(counted);
        if secret {
            life.secret_revision = life.changes;
        }
        if stages {
            life.stages_revision = life.changes;
        }
        life.newest = life.newest.max(VersionId::from_number(audit.version));
    }

    /// Of several of one name, all but the one created last were deleted, though nothing is left that
    /// says so.
    fn index(&mut self, sealer: &Sealer) {
        for (sid, life) in self.lives.iter().filter_map(|(sid, life)| Some((sid, life.as_ref()?))) {
            let id = sealer.ring.name_id(life.name.as_str().as_bytes());
            let born = |sid: &[u8; 16]| {
                self.lives.get(sid).and_then(Option::as_ref).map_or(0, |life| life.born)
            };
            match self.by_id.get(&id) {
                Some(other) if born(other) > life.born => {}
                _ => drop(self.by_id.insert(id, *sid)),
            }
        }
    }

    /// The living secrets, by the ids of their names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &NameId> {
        self.by_id.keys()
    }

    /// The secret that lives under this id, if the log knows one.
    pub(crate) fn living(&self, id: &NameId) -> Option<(&[u8; 16], &Life)> {
        let sid = self.by_id.get(id)?;
        Some((sid, self.lives.get(sid)?.as_ref()?))
    }

    /// What the log says of a secret, if it lives.
    pub(crate) fn life(&self, sid: &[u8; 16]) -> Option<&Life> {
        self.lives.get(sid)?.as_ref()
    }

    /// Whether the secret was deleted, or another one of its name was created after it. One that the
    /// log does not know may live: the log may be damaged.
    pub(crate) fn is_dead(&self, id: &NameId, sid: &[u8; 16]) -> bool {
        match self.lives.get(sid) {
            Some(Some(_)) => self.by_id.get(id).is_some_and(|living| living != sid),
            Some(None) => true,
            None => false,
        }
    }
}
