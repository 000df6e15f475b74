//! Events and keys of the local key ring in a store's remains, and put into a new store.

use std::collections::BTreeSet;

use crate::{
    commit::{Damage, EngineError, ObjectKey, Plan, Remains},
    crypto::{Draw, SetHash},
    domain::{KeyId, Position},
    format::{Kind, Tree},
    records::{
        Act, Author, CURSOR_KEY, Cursor, Event, LocalKey, ObjectBody, Operation, Records, Sealer,
        audit::SALVAGED, object::open_object,
    },
    storage::Record,
};

/// Randomness of an object that is put: nonces of its record, of the cursor and of an audit record.
const DRAW_OBJECT_BYTES: usize = 3 * 24;

/// The objects that a new store takes over. What else there is tells of the old one's own history.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// By name.
    pub(crate) events: Vec<Event>,
    /// By id.
    pub(crate) keys: Vec<LocalKey>,
}

/// The records of an object that there are, the one first that counts.
struct Copies {
    newest: Option<Record>,
    other: Option<Record>,
}

impl Leftovers {
    /// Looks at every object. Gives what they add to the set hash too: of each its newest record.
    pub(super) fn find(remains: &mut Remains, sealer: &Sealer) -> (Self, SetHash) {
        let mut keys: BTreeSet<ObjectKey> = BTreeSet::new();
        remains.each_in_state(Tree::System, &mut |key, _| keys.extend(ObjectKey::parse(key)));
        let logged = remains.logged_in(Tree::System);
        keys.extend(logged.filter_map(|(address, _)| ObjectKey::parse(address.key())));
        let (mut found, mut sum) = (Self::default(), SetHash::EMPTY);
        for key in keys {
            let copies = Copies::of(remains, &key);
            if let Some(record) = &copies.newest {
                sum.insert(&sealer.ring.leaf(Tree::System.id(), key.as_bytes(), record));
            }
            remains.damage.extend(found.take(sealer, &key, &copies));
        }
        found.events.sort_by(|a, b| a.name.cmp(&b.name));
        found.keys.sort_by_key(|key| key.id);
        (found, sum)
    }

    /// Takes an object in. Says so if it is damaged.
    fn take(&mut self, sealer: &Sealer, key: &ObjectKey, copies: &Copies) -> Option<Damage> {
        if key.is(Kind::Event) {
            let (event, damage) = copies.open::<Event>(sealer, key, "an event");
            self.events.extend(event);
            damage
        } else if key.is(Kind::LocalKey) {
            let (key, damage) = copies.open::<LocalKey>(sealer, key, "a key of the key ring");
            self.keys.extend(key);
            damage
        } else {
            None
        }
    }

    /// The key of an id, whatever its state: disabling is a rule of an open store, which this is not, and
    /// what is left behind would be lost.
    pub(super) fn key(&self, id: &str) -> Option<&LocalKey> {
        let uuid = id.parse::<KeyId>().ok()?.to_uuid()?;
        self.keys.iter().find(|key| key.id == uuid)
    }

    pub(super) fn has_event(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.name.as_str() == name)
    }

    /// Puts all of it into a store that has none of it, each in a commit of its own.
    pub(super) fn put(&self, into: &Records, author: Author<'_>) -> Result<(), EngineError> {
        for (n, event) in self.events.iter().enumerate() {
            let (mut plan, mut draw) = (Plan::at(author.at), draw()?);
            if n == 0 {
                // What happened before is nothing to be told.
                let cursor = Cursor(Position::end_of(into.engine.news().seq()));
                into.put_object::<Cursor>(&mut plan, (CURSOR_KEY, None), &cursor, &mut draw)?;
            }
            let place = (into.event_key(&event.name), None);
            into.put_object::<Event>(&mut plan, place, event, &mut draw)?;
            let detail = format!("{} {SALVAGED}", event.name);
            audit(into, &mut plan, (author, Operation::CreateEvent, &detail), &mut draw)?;
            into.engine.commit(plan)?;
        }
        for key in &self.keys {
            let (mut plan, mut draw) = (Plan::at(author.at), draw()?);
            into.put_object(&mut plan, (LocalKey::place(&key.id), None), key, &mut draw)?;
            let detail = format!("{} {SALVAGED}", KeyId::of_uuid(&key.id));
            audit(into, &mut plan, (author, Operation::CreateKey, &detail), &mut draw)?;
            into.engine.commit(plan)?;
        }
        Ok(())
    }
}

impl Copies {
    fn of(remains: &Remains, key: &ObjectKey) -> Self {
        let stored = remains.stored(&key.address());
        let in_state = stored.state.unwrap_or_default();
        match stored.journal {
            // It was removed.
            Some(logged) if stored.journal_is_newer && logged.record.is_none() => {
                Self { newest: None, other: None }
            }
            Some(logged) if stored.journal_is_newer => {
                Self { newest: logged.record.clone(), other: in_state }
            }
            logged => Self { newest: in_state, other: logged.and_then(|it| it.record.clone()) },
        }
    }

    /// The object as the newest record says that opens, and what is damaged.
    fn open<T: ObjectBody>(
        &self,
        sealer: &Sealer,
        key: &ObjectKey,
        what: &str,
    ) -> (Option<T>, Option<Damage>) {
        let open = |record: &Record| open_object::<T>(sealer, key, record).ok();
        if let Some(body) = self.newest.as_ref().and_then(open) {
            return (Some(body), None);
        }
        let older = self.other.as_ref().and_then(open);
        let become_of = match (&self.newest, &older) {
            (None, None) => return (None, None),
            (_, Some(_)) => {
                "is damaged or missing; an earlier record of it is used, \
                              and it may have been disabled or removed since"
            }
            (Some(_), None) => "is damaged, and lost",
        };
        (older, Some(Damage::new("db", format!("{what} {become_of}"))))
    }
}

fn audit(
    into: &Records,
    plan: &mut Plan,
    (author, operation, detail): (Author<'_>, Operation, &str),
    draw: &mut Draw,
) -> Result<(), EngineError> {
    let act = Act { author, operation, secret: None, version: None, detail };
    plan.audit.push(act.seal(&into.sealer, draw)?);
    Ok(())
}

fn draw() -> Result<Draw, EngineError> {
    Ok(Draw::new(DRAW_OBJECT_BYTES)?)
}
