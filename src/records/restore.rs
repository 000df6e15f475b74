//! Writing a secret that comes out of a backup into a store in use: wholly or not at all.
//!
//! A secret that is too large for one commit comes in several: its values first, the heads that name them
//! last. An object tells of the values as long as nothing names them, so that a crash in between leaves
//! nothing behind: the next opening removes them.

use zeroize::Zeroizing;

use crate::{
    commit::{EngineError, ObjectKey, Plan, value_address},
    crypto::{Draw, Forged},
    domain::{SecretValue, VersionId},
    format::{Kind, Malformed, UnfinishedV1},
    records::{
        Act, Author, Mended, Object, ObjectBody, Operation, Records, VersionEntry,
        blob::has_value,
        fill::{DRAW_BYTES, DRAW_VALUE_BYTES, NewHeads, seal_row},
    },
    storage::Write,
};

/// Randomness of the commits of a secret that comes in several, beside its own: nonces of audit records
/// and of the object.
const DRAW_COMMIT_BYTES: usize = 2 * 24;

/// The details of audit records of commits that are no secret's.
const AHEAD: &str = "values, ahead of their secret";
const GIVEN_UP: &str = "values of a secret that was given up";

impl ObjectBody for UnfinishedV1 {
    const KIND: Kind = Kind::Unfinished;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        Self::encode(self).map(Zeroizing::new)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

impl Records {
    /// Writes a secret that must not be there, with all its values under the key of the ring that it
    /// names, if it names one. [`EngineError::Conflict`] if it is there, or the key was changed meanwhile;
    /// nothing is changed then.
    pub(crate) fn restore(
        &self,
        mut mended: Mended,
        author: Author<'_>,
        value: &dyn Fn(&VersionEntry) -> Result<SecretValue, Forged>,
    ) -> Result<(), EngineError> {
        let bytes = mended.stages.versions.len().saturating_mul(DRAW_VALUE_BYTES);
        let mut draw = Draw::new(bytes.saturating_add(DRAW_BYTES))?;
        let mut values = Vec::new();
        let named =
            mended.secret.kms_key_id.as_deref().map(|id| self.usable_key(id)).transpose()?;
        let key = named.as_ref().map(|named| &named.body);
        for at in 0..mended.stages.versions.len() {
            let Some(entry) = mended.stages.versions.get(at).filter(|entry| has_value(entry))
            else {
                continue;
            };
            let plain = value(entry).map_err(|Forged| EngineError::Tampered("a backup"))?;
            let (entry, record) = seal_row(self, (&mended, key), entry, &plain, &mut draw)?;
            values.push(Write::put(value_address(entry.vrec), record));
            if let Some(row) = mended.stages.versions.get_mut(at) {
                *row = entry;
            }
        }
        let mut last = Plan::at(author.at);
        last.objects.extend(named.as_ref().map(Object::as_it_is));
        NewHeads::seal(self, &mended, &mut draw)?.put_into(&mut last);
        let newest = mended.stages.versions.last().map(|entry| entry.id);
        let act = self.act(author, Some(&mended), newest);
        last.audit.push(act.seal(&self.sealer, &mut draw)?);
        if last.has_room_for(&values) {
            last.writes.extend(values);
            self.engine.commit(last)?;
            return Ok(());
        }
        self.restore_in_parts(last, values, author)
    }

    fn restore_in_parts(
        &self,
        mut last: Plan,
        values: Vec<Write>,
        author: Author<'_>,
    ) -> Result<(), EngineError> {
        if !last.has_room_for(&[]) {
            return Err(EngineError::TooLarge);
        }
        let vrecs = values.iter().filter_map(|write| write.address.key().try_into().ok());
        let body = UnfinishedV1 { vrecs: vrecs.map(u64::from_be_bytes).collect() };
        let number = body.vrecs.first().copied().unwrap_or_default();
        let key = ObjectKey::new(Kind::Unfinished, number.to_be_bytes());
        let bytes = values.len().saturating_add(2).saturating_mul(DRAW_COMMIT_BYTES);
        let mut draw = Draw::new(bytes)?;
        let mut part = Plan::at(author.at);
        self.put_object(&mut part, (key, None), &body, &mut draw)?;
        for write in values {
            if !part.has_room_for(std::slice::from_ref(&write)) {
                let full = std::mem::replace(&mut part, Plan::at(author.at));
                self.commit_part(full, author, AHEAD, &mut draw)?;
            }
            part.writes.push(write);
        }
        self.commit_part(part, author, AHEAD, &mut draw)?;
        let object = self.object::<UnfinishedV1>(&key)?;
        let object = object.ok_or(EngineError::Tampered("an object of the store"))?;
        self.remove_object(&mut last, &object);
        self.engine.commit(last).map(drop).inspect_err(|err| {
            if matches!(err, EngineError::Conflict) {
                // Should this fail too, the next opening does it.
                let _ = self.give_up(&key, author);
            }
        })
    }

    fn commit_part(
        &self,
        mut part: Plan,
        author: Author<'_>,
        detail: &'static str,
        draw: &mut Draw,
    ) -> Result<(), EngineError> {
        let act = Act { detail, ..self.act(author, None, None) };
        part.audit.push(act.seal(&self.sealer, draw)?);
        self.engine.commit(part).map(drop)
    }

    fn act<'a>(
        &self,
        author: Author<'a>,
        mended: Option<&'a Mended>,
        version: Option<VersionId>,
    ) -> Act<'a> {
        let secret = mended.map(|mended| (&mended.secret.name, mended.secret.sid));
        Act { author, operation: Operation::RestoreSecret, secret, version, detail: "" }
    }

    /// Removes the values that an object tells of, and the object.
    fn give_up(&self, key: &ObjectKey, author: Author<'_>) -> Result<(), EngineError> {
        let Some(object) = self.object::<UnfinishedV1>(key)? else { return Ok(()) };
        let mut plan = Plan::at(author.at);
        plan.writes.extend(object.body.vrecs.iter().map(|v| Write::remove(value_address(*v))));
        self.remove_object(&mut plan, &object);
        self.commit_part(plan, author, GIVEN_UP, &mut Draw::new(DRAW_COMMIT_BYTES)?)
    }

    /// Removes what restores left behind that were cut off before the store was opened.
    pub(crate) fn give_up_unfinished(&self, author: Author<'_>) -> Result<(), EngineError> {
        for object in self.objects::<UnfinishedV1>()? {
            if object.body.vrecs.iter().all(|vrec| self.engine.is_of_before(*vrec)) {
                self.give_up(&object.key, author)?;
            }
        }
        Ok(())
    }

    /// Values that are there without a secret that names them, and may be.
    pub(super) fn unfinished(&self) -> Result<Vec<u64>, EngineError> {
        let objects = self.objects::<UnfinishedV1>()?;
        Ok(objects.into_iter().flat_map(|object| object.body.vrecs).collect())
    }
}
