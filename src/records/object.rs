//! Objects of the store as a whole: read, put, remove. What they say is the business of their kinds.

use zeroize::Zeroizing;

use crate::{
    commit::{EngineError, ObjectChange, ObjectKey, Plan, Tag, tag_of},
    crypto::{Draw, Forged},
    format::{Kind, Malformed, Padding, Tree},
    records::{
        Records, Sealer,
        seal::{SealError, Seat},
    },
    storage::{Record, Write},
};

/// A kind of object.
pub(crate) trait ObjectBody: Sized {
    const KIND: Kind;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed>;
    fn decode(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// An object as it was read: what a change is made from.
#[derive(Debug)]
pub(crate) struct Object<T> {
    pub(crate) key: ObjectKey,
    pub(crate) body: T,
    tag: Tag,
    record: Record,
}

impl Records {
    /// All objects of a kind, in the order of their keys. There are few.
    pub(crate) fn objects<T: ObjectBody>(&self) -> Result<Vec<Object<T>>, EngineError> {
        self.engine.wait_ready()?;
        let keys = self.engine.objects.keys(T::KIND);
        keys.iter().filter_map(|key| self.object(key).transpose()).collect()
    }

    /// The object at `key`, if there is one.
    pub(crate) fn object<T: ObjectBody>(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<Object<T>>, EngineError> {
        self.engine.wait_ready()?;
        let look = || -> Result<(Option<Tag>, Option<Record>), EngineError> {
            Ok((self.engine.objects.tag(key), self.engine.read(&key.address())?))
        };
        let agree = |(tag, record): &(Option<Tag>, Option<Record>)| {
            *tag == record.as_deref().and_then(tag_of) && tag.is_some() == record.is_some()
        };
        let mut found = look()?;
        if !agree(&found) {
            // A writer was just between the two.
            found = self.engine.while_still(look)?;
        }
        match &found {
            (None, None) => Ok(None),
            (Some(tag), Some(record)) if agree(&found) => {
                let body = open_object(&self.sealer, key, record).map_err(|Forged| FORGED)?;
                Ok(Some(Object { key: *key, body, tag: *tag, record: Record::clone(record) }))
            }
            _ => Err(FORGED),
        }
    }

    /// Has `plan` put `body` at `key`, in place of `before`.
    pub(crate) fn put_object<T: ObjectBody>(
        &self,
        plan: &mut Plan,
        (key, before): (ObjectKey, Option<&Object<T>>),
        body: &T,
        draw: &mut Draw,
    ) -> Result<(), EngineError> {
        let record = self.seal_object(&key, body, draw)?;
        let tag = tag_of(&record).ok_or(EngineError::TooLarge)?;
        self.take_out(plan, before);
        let leaf = self.sealer.ring.leaf(Tree::System.id(), key.as_bytes(), &record);
        plan.set_hash.insert(&leaf);
        let before = before.map(|object| object.tag);
        plan.objects.push(ObjectChange { key, before, after: Some(tag) });
        plan.writes.push(Write::put(key.address(), record));
        Ok(())
    }

    /// Has `plan` remove an object.
    pub(crate) fn remove_object<T: ObjectBody>(&self, plan: &mut Plan, object: &Object<T>) {
        self.take_out(plan, Some(object));
        let before = Some(object.tag);
        plan.objects.push(ObjectChange { key: object.key, before, after: None });
        plan.writes.push(Write::remove(object.key.address()));
    }

    fn take_out<T: ObjectBody>(&self, plan: &mut Plan, object: Option<&Object<T>>) {
        if let Some(Object { key, record, .. }) = object {
            let leaf = self.sealer.ring.leaf(Tree::System.id(), key.as_bytes(), record);
            plan.set_hash.remove(&leaf);
        }
    }

    fn seal_object<T: ObjectBody>(
        &self,
        key: &ObjectKey,
        body: &T,
        draw: &mut Draw,
    ) -> Result<Record, SealError> {
        let (sealing_key, generation) = self.sealer.active_meta_key()?;
        let bytes = body.encode()?;
        let fill = |out: &mut [u8]| {
            out.copy_from_slice(&bytes);
            Ok(())
        };
        self.sealer.seal(
            sealing_key,
            &seat(T::KIND, key, generation),
            (0, draw),
            (bytes.len(), fill),
        )
    }
}

/// Opens an object's record.
pub(super) fn open_object<T: ObjectBody>(
    sealer: &Sealer,
    key: &ObjectKey,
    record: &[u8],
) -> Result<T, Forged> {
    let (opening_key, generation) = sealer.meta_key_of(record)?;
    let opened = sealer.open(opening_key, &seat(T::KIND, key, generation), record)?;
    T::decode(opened.data()?).map_err(|_| Forged)
}

impl<T> Object<T> {
    /// A change that only wants it to be the same.
    pub(crate) fn as_it_is(&self) -> ObjectChange {
        let tag = Some(self.tag);
        ObjectChange { key: self.key, before: tag, after: tag }
    }
}

const FORGED: EngineError = EngineError::Tampered("an object of the store");

fn seat(kind: Kind, key: &ObjectKey, generation: u32) -> Seat<'_> {
    Seat {
        kind,
        generation,
        tree: Tree::System,
        tree_key: key.as_bytes(),
        context: &[],
        padding: Padding::Blocks,
    }
}
