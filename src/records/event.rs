//! Events as objects of the store, and how far their notifications have come.

use zeroize::Zeroizing;

use crate::{
    commit::{EngineError, ObjectKey},
    domain::{
        EventName, EventState, EventType, NotificationTarget, Position, Timestamp, uuid_text,
    },
    format::{CursorV1, EventV1, Kind, Malformed},
    records::{Object, ObjectBody, Records},
};

/// A rule that says which changes of the secrets that subscribe to it are told, and to whom (csms.md
/// 1.7).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub(crate) id: [u8; 16],
    pub(crate) name: EventName,
    pub(crate) types: Vec<EventType>,
    pub(crate) state: EventState,
    pub(crate) target: NotificationTarget,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &EventName {
        &self.name
    }

    /// Its id, random and in the form of a UUID.
    #[must_use]
    pub fn id(&self) -> String {
        uuid_text(&self.id)
    }

    /// What it fires for, in the order in which it was asked for.
    #[must_use]
    pub fn event_types(&self) -> &[EventType] {
        &self.types
    }

    /// Whether it fires.
    #[must_use]
    pub fn state(&self) -> EventState {
        self.state
    }

    /// Whom it tells.
    #[must_use]
    pub fn target(&self) -> &NotificationTarget {
        &self.target
    }

    /// When it was created, a whole second.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created.whole_seconds()
    }

    /// When it was changed last, a whole second.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.updated.whole_seconds()
    }
}

impl ObjectBody for Event {
    const KIND: Kind = Kind::Event;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let wire = EventV1 {
            id: self.id,
            name: self.name.as_str().to_owned(),
            types: self.types.iter().map(|kind| kind.as_str().to_owned()).collect(),
            enabled: self.state == EventState::Enabled,
            target_id: self.target.id().to_owned(),
            target_name: self.target.name().to_owned(),
            created_ms: self.created.as_millis(),
            updated_ms: self.updated.as_millis(),
        };
        let mut out = Zeroizing::new(vec![0; wire.encoded_len()?]);
        wire.encode_into(&mut out)?;
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let wire = EventV1::decode(bytes)?;
        let types = wire.types.iter().map(|kind| kind.parse().map_err(|_| Malformed));
        Ok(Self {
            id: wire.id,
            name: wire.name.parse().map_err(|_| Malformed)?,
            types: types.collect::<Result<_, _>>()?,
            state: if wire.enabled { EventState::Enabled } else { EventState::Disabled },
            target: NotificationTarget::new(&wire.target_id, &wire.target_name)
                .map_err(|_| Malformed)?,
            created: Timestamp::from_millis(wire.created_ms),
            updated: Timestamp::from_millis(wire.updated_ms),
        })
    }
}

/// The position up to which every notification was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cursor(pub(crate) Position);

/// There is one, from the first event on.
pub(crate) const CURSOR_KEY: ObjectKey = ObjectKey::new(Kind::Cursor, [0; 8]);

impl ObjectBody for Cursor {
    const KIND: Kind = Kind::Cursor;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let wire = CursorV1 { seq: self.0.commit(), index: self.0.index() };
        let mut out = Zeroizing::new(vec![0; wire.encoded_len()?]);
        wire.encode_into(&mut out)?;
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let CursorV1 { seq, index } = CursorV1::decode(bytes)?;
        Ok(Self(Position::new(seq, index)))
    }
}

impl Records {
    /// Where an event of this name stands. Nobody learns from it whether a secret has the same name.
    pub(crate) fn event_key(&self, name: &EventName) -> ObjectKey {
        let tag = self.sealer.ring.token_tag(&[b"event", name.as_str().as_bytes()]);
        let number = tag.first_chunk().copied().unwrap_or_default();
        ObjectKey::new(Kind::Event, number)
    }

    pub(crate) fn event(&self, name: &EventName) -> Result<Option<Object<Event>>, EngineError> {
        let found = self.object::<Event>(&self.event_key(name))?;
        Ok(found.filter(|event| event.body.name == *name))
    }

    pub(crate) fn cursor(&self) -> Result<Option<Object<Cursor>>, EngineError> {
        self.object(&CURSOR_KEY)
    }
}
