//! Writing whole secrets, with their versions as they are, into a store that nobody uses yet.

use std::sync::Arc;

use crate::{
    commit::{EngineError, HeadChange, Heads, Plan, tag_of, value_address},
    crypto::{Draw, Key, SetHash},
    domain::{SecretValue, Timestamp, VersionId, VersionState},
    records::{
        Act, Author, LocalKey, Mended, Operation, Records, SecretBody, Stages, VersionEntry,
        audit::SALVAGED, head::HeadBody, local_key::named_value_key, value::seal_value,
    },
    storage::{Record, Write},
};

/// Randomness of a secret beside its values: nonces of two heads and two audit records.
pub(super) const DRAW_BYTES: usize = 4 * 24;

/// Randomness of a value: its key, its nonce, and that of an audit record.
pub(super) const DRAW_VALUE_BYTES: usize = 32 + 2 * 24;

/// Fills a store, many secrets in one commit. A secret that is too large for one comes in several: its
/// values first, the heads that name them last.
#[derive(Debug)]
pub(crate) struct Filler<'a> {
    into: &'a Records,
    at: Timestamp,
    plan: Plan,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(into: &'a Records, at: Timestamp) -> Self {
        Self { into, at, plan: Plan::at(at) }
    }

    /// Adds a secret with all its rows, whose values `value` gives. Their records and data keys are new,
    /// everything else stays as it is.
    pub(crate) fn add<E: From<EngineError>>(
        &mut self,
        mended: Mended,
        value: &dyn Fn(&Mended, &VersionEntry) -> Result<SecretValue, E>,
    ) -> Result<(), E> {
        let mut values = Vec::new();
        let bytes = mended.stages.versions.len().saturating_mul(DRAW_VALUE_BYTES);
        let mut draw = Draw::new(bytes.saturating_add(DRAW_BYTES)).map_err(EngineError::from)?;
        for entry in &mended.stages.versions {
            if entry.state == VersionState::Destroyed {
                let vrec = self.into.engine.draw_vrec();
                values.push(VersionEntry { vrec, ..entry.clone() });
                continue;
            }
            // The keys of the ring stay behind: here it is under the default one.
            let to = (&mended, None);
            let sealed = seal_row(self.into, to, entry, &value(&mended, entry)?, &mut draw);
            let (entry, record) = sealed?;
            let write = Write::put(value_address(entry.vrec), record);
            if !self.plan.has_room_for(std::slice::from_ref(&write)) {
                self.commit(&mended, entry.id, &mut draw)?;
            }
            self.plan.writes.push(write);
            values.push(entry);
        }
        let mut mended = mended;
        mended.stages.versions = values;
        mended.secret.kms_key_id = None;
        // Tokens are told by a key of the store that they came from.
        mended.stages.tokens.clear();
        self.add_heads(&mended, &mut draw)?;
        Ok(())
    }

    /// Commits what is left.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        if !self.plan.heads.is_empty() {
            self.into.engine.commit(self.plan)?;
        }
        Ok(())
    }

    fn add_heads(&mut self, mended: &Mended, draw: &mut Draw) -> Result<(), EngineError> {
        let heads = NewHeads::seal(self.into, mended, draw)?;
        let newest = mended.stages.versions.last().map_or(VersionId::FIRST, |entry| entry.id);
        if !self.plan.has_room_for(&heads.writes) {
            self.commit(mended, newest, draw)?;
        }
        heads.put_into(&mut self.plan);
        self.audit(mended, Operation::CreateSecret, Some(newest), draw)
    }

    /// Commits what was gathered. Every commit has an audit record: of the value it ends with, if it
    /// has no heads.
    fn commit(
        &mut self,
        mended: &Mended,
        version: VersionId,
        draw: &mut Draw,
    ) -> Result<(), EngineError> {
        if self.plan.audit.is_empty() {
            self.audit(mended, Operation::CreateVersion, Some(version), draw)?;
        }
        let plan = std::mem::replace(&mut self.plan, Plan::at(self.at));
        self.into.engine.commit(plan)?;
        Ok(())
    }

    fn audit(
        &mut self,
        mended: &Mended,
        operation: Operation,
        version: Option<VersionId>,
        draw: &mut Draw,
    ) -> Result<(), EngineError> {
        let secret = &mended.secret;
        let act = Act {
            author: Author { actor: "", at: self.at },
            operation,
            secret: Some((&secret.name, secret.sid)),
            version,
            detail: SALVAGED,
        };
        self.plan.audit.push(act.seal(&self.into.sealer, draw)?);
        Ok(())
    }
}

/// Both heads of a secret that is not in the store yet, sealed.
#[derive(Debug)]
pub(super) struct NewHeads {
    pub(super) writes: [Write; 2],
    change: HeadChange,
    leaves: SetHash,
}

impl NewHeads {
    pub(super) fn seal(
        into: &Records,
        mended: &Mended,
        draw: &mut Draw,
    ) -> Result<Self, EngineError> {
        let (sealer, id) = (&into.sealer, into.id(&mended.secret.name));
        let secret = mended.secret.seal(sealer, &id, mended.revision, draw)?;
        let stages = mended.stages.seal(sealer, &id, mended.revision, draw)?;
        let tag = |record: &Record| tag_of(record).ok_or(EngineError::TooLarge);
        let heads = Heads { secret: tag(&secret)?, stages: tag(&stages)? };
        let writes = [
            Write::put(SecretBody::address(&id), secret),
            Write::put(Stages::address(&id), stages),
        ];
        let mut leaves = SetHash::EMPTY;
        for write in &writes {
            let (address, record) = (&write.address, write.record.as_deref().unwrap_or_default());
            leaves.insert(&sealer.ring.leaf(address.tree(), address.key(), record));
        }
        let name = mended.secret.name.clone();
        let change = HeadChange { id, name, before: None, after: Some(heads) };
        Ok(Self { writes, change, leaves })
    }

    pub(super) fn put_into(self, plan: &mut Plan) {
        plan.set_hash.merge(&self.leaves);
        plan.writes.extend(self.writes);
        plan.heads.push(self.change);
    }
}

/// Seals a value under a new data key, and a key of the ring if one is given, and gives its row too.
pub(super) fn seal_row(
    into: &Records,
    (mended, named): (&Mended, Option<&LocalKey>),
    entry: &VersionEntry,
    value: &SecretValue,
    draw: &mut Draw,
) -> Result<(VersionEntry, Record), EngineError> {
    let (vrec, data_key): (u64, Key) = (into.engine.draw_vrec(), draw.take_key()?);
    let joined = named.map(|named| named_value_key(&into.sealer, named, &data_key));
    let record = seal_value(
        &into.sealer,
        (joined.as_ref().unwrap_or(&data_key), value),
        (vrec, &mended.stages.sid, entry.id),
        mended.revision,
        draw,
    )?;
    let kms_key_id = mended.secret.kms_key_id.as_deref().filter(|_| named.is_some());
    let (data_key, kms_key_id) = (Arc::new(data_key), kms_key_id.map(Arc::from));
    Ok((VersionEntry { vrec, data_key, kms_key_id, ..entry.clone() }, record))
}
