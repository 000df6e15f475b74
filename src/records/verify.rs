//! The full check of an open store: every record that its secrets have, and no other.

use std::{collections::HashSet, convert::Infallible, ops::ControlFlow};

use crate::{
    commit::{EngineError, NameId, fold_step, tag_of, value_address},
    crypto::ct_eq,
    domain::{Position, SecretName, VersionState},
    format::{RootV1, Tree},
    records::{
        Records, audit::open_audit, deliveries::Deliveries, head::HeadBody, log::follows,
        reader::Source,
    },
    records::{SecretBody, Stages, VersionEntry},
};

/// How many names are taken from the index at a time.
const NAMES_AT_A_TIME: usize = 1000;

/// What was checked and found right.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Verified {
    pub(crate) secrets: u64,
    pub(crate) versions: u64,
    pub(crate) audit_records: u64,
}

impl Records {
    /// Opens every head, value and audit record, follows the audit chain to the root, and looks for
    /// records that belong to nothing. Writers go on meanwhile. `progress` is called with the number
    /// of secrets checked so far.
    pub(crate) fn verify(&self, progress: &dyn Fn(u64)) -> Result<Verified, EngineError> {
        self.engine.wait_ready()?;
        let mut verified = Verified::default();
        let mut referenced: HashSet<u64> = self.unfinished()?.into_iter().collect();
        self.each_secret(|name| {
            if let Some(versions) = self.verify_secret(name, &mut referenced)? {
                verified.secrets = verified.secrets.saturating_add(1);
                verified.versions = verified.versions.saturating_add(versions);
                progress(verified.secrets);
            }
            Ok(())
        })?;
        // Those that the log tells of by then are there.
        let (up_to, recorded) = self.verify_notices()?;
        let (count, deliveries) = self.verify_audit(up_to)?;
        verified.audit_records = count;
        if !deliveries.are_all_among(recorded) {
            return Err(EngineError::Tampered("a notification's record"));
        }
        self.verify_objects()?;
        self.verify_no_stray_heads::<SecretBody>(Tree::Secrets)?;
        self.verify_no_stray_heads::<Stages>(Tree::Stages)?;
        self.verify_no_stray_values(referenced)?;
        Ok(verified)
    }

    /// Calls `visit` with the name of every secret, those of secrets that are just made or removed
    /// perhaps too.
    pub(super) fn each_secret(
        &self,
        mut visit: impl FnMut(&SecretName) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.find_secret(|name| visit(name).map(|()| None::<Infallible>)).map(drop)
    }

    /// The same until `visit` gives something.
    pub(crate) fn find_secret<T>(
        &self,
        mut visit: impl FnMut(&SecretName) -> Result<Option<T>, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        let mut after: Option<SecretName> = None;
        loop {
            let names = self.engine.index.names("", after.as_ref(), NAMES_AT_A_TIME);
            let Some(last) = names.last().cloned() else { return Ok(None) };
            for name in &names {
                if let Some(found) = visit(name)? {
                    return Ok(Some(found));
                }
            }
            after = Some(last);
        }
    }

    /// Opens the heads and all values of a secret. `None` if it was deleted meanwhile.
    fn verify_secret(
        &self,
        name: &SecretName,
        referenced: &mut HashSet<u64>,
    ) -> Result<Option<u64>, EngineError> {
        let Some(seen) = self.seen_from(name, Source::Records)? else { return Ok(None) };
        let mut versions = 0_u64;
        let kept = |entry: &&VersionEntry| entry.state != VersionState::Destroyed;
        for entry in seen.stages.body.versions.iter().filter(kept) {
            referenced.insert(entry.vrec);
            // A version that was dropped or destroyed meanwhile is no more to be checked: the choice
            // falls on the current one, which is.
            let opened = self.with_version(
                name,
                |stages| {
                    let now = stages.version(entry.id).filter(kept).or(stages.current());
                    now.ok_or(EngineError::Tampered("a version table"))
                },
                |_, head, entry, record| self.open(&head.body.sid, entry, &record),
            );
            match opened {
                // Its record is there; what is in it nobody may look at as long as the key is disabled.
                Ok(_) | Err(EngineError::Key(..)) => {}
                Err(err) => return Err(err),
            }
            versions = versions.saturating_add(1);
        }
        Ok(Some(versions))
    }

    /// Follows the audit chain from its first kept record to the root, opening every record. Gives how
    /// many there are, and the deliveries up to a commit that they tell of.
    fn verify_audit(&self, up_to: u64) -> Result<(u64, Deliveries), EngineError> {
        loop {
            let root = self.engine.caught_up_root()?;
            match self.follow_chain(&root, up_to)? {
                Some(followed) => return Ok(followed),
                None if self.engine.news().audit_first() == root.audit_first_seq => {
                    return Err(EngineError::Tampered("the audit log"));
                }
                // Cut while it was followed.
                None => {}
            }
        }
    }

    /// The records that lead to a root. `None` if they do not.
    fn follow_chain(
        &self,
        root: &RootV1,
        up_to: u64,
    ) -> Result<Option<(u64, Deliveries)>, EngineError> {
        let (mut chain, mut count, mut sound) = (root.audit_first_chain, 0_u64, true);
        let mut deliveries = Deliveries::default();
        let mut last = Position::end_of(root.audit_first_seq.saturating_sub(1));
        self.engine.state().scan(Tree::Audit.id(), None, &mut |key, record| {
            match fold_step(&self.sealer.ring, &chain, key, record) {
                // Records that came after the root was looked at.
                Some((_, (seq, _))) if seq > root.seq => return ControlFlow::Break(()),
                Some((next, (seq, index))) if follows(last, Position::new(seq, index)) => {
                    (chain, last) = (next, Position::new(seq, index));
                }
                _ => sound = false,
            }
            match open_audit(&self.sealer, record) {
                Ok(audit) => deliveries.note(&audit, last.commit() > up_to),
                Err(_) => sound = false,
            }
            count = count.saturating_add(1);
            if sound { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let whole = sound && last.commit() == root.seq && ct_eq(&chain, &root.chain);
        Ok(whole.then_some((count, deliveries)))
    }

    /// Every object is the record that it was when the store was opened, or that was written since.
    fn verify_objects(&self) -> Result<(), EngineError> {
        self.engine.while_still(|| {
            for (key, tag) in self.engine.objects.all() {
                let record = self.engine.read(&key.address())?;
                if record.as_deref().and_then(tag_of) != Some(tag) {
                    return Err(EngineError::Tampered("an object of the store"));
                }
            }
            Ok(())
        })
    }

    /// Every head in the state belongs to a secret of the index.
    fn verify_no_stray_heads<T: HeadBody>(&self, tree: Tree) -> Result<(), EngineError> {
        let mut suspects: Vec<NameId> = Vec::new();
        let mut sound = true;
        self.engine.caught_up_root()?;
        self.engine.state().scan(tree.id(), None, &mut |key, _| {
            match NameId::try_from(key) {
                Ok(id) if self.engine.index.heads(&id).is_none() => suspects.push(id),
                Ok(_) => {}
                Err(_) => sound = false,
            }
            ControlFlow::Continue(())
        })?;
        for id in suspects {
            // One that was just deleted is removed by the overlay, one just made is in the index.
            let stray = self.engine.while_still(|| {
                let record = self.engine.read(&T::address(&id))?;
                Ok::<_, EngineError>(record.is_some() && self.engine.index.heads(&id).is_none())
            })?;
            sound = sound && !stray;
        }
        if sound { Ok(()) } else { Err(EngineError::Tampered("a record of no secret")) }
    }

    /// Every value in the state is named by a version table.
    fn verify_no_stray_values(&self, mut referenced: HashSet<u64>) -> Result<(), EngineError> {
        let (mut suspects, mut sound) = (Vec::new(), true);
        self.engine.caught_up_root()?;
        self.engine.state().scan(Tree::Versions.id(), None, &mut |key, _| {
            match key.try_into().map(u64::from_be_bytes) {
                Ok(vrec) if referenced.contains(&vrec) => {}
                Ok(vrec) => suspects.push(vrec),
                Err(_) => sound = false,
            }
            ControlFlow::Continue(())
        })?;
        if !suspects.is_empty() {
            // Stored since its secret was checked? Then it is named now.
            // Values that wait for their secret first: it may be there, and they wait no more, by then.
            referenced = self.unfinished()?.into_iter().collect();
            self.each_secret(|name| {
                let stages = self.stages(name)?;
                let versions = stages.iter().flat_map(|head| &head.body.versions);
                let kept = versions.filter(|entry| entry.state != VersionState::Destroyed);
                referenced.extend(kept.map(|entry| entry.vrec));
                Ok(())
            })?;
        }
        for vrec in suspects.iter().filter(|vrec| !referenced.contains(vrec)) {
            // Dropped again meanwhile? Then it is gone.
            sound = sound && self.engine.read(&value_address(*vrec))?.is_none();
        }
        if sound { Ok(()) } else { Err(EngineError::Tampered("a value of no secret")) }
    }
}
