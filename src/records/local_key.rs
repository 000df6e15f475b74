//! Keys of the local key ring: the objects that hold them, and what they seal.

use zeroize::Zeroizing;

use crate::{
    commit::{EngineError, ObjectKey},
    crypto::{Draw, Envelope, Header, Join, Key, Place, Sealing, join},
    domain::{KeyId, KeyState, KeyTrouble, SecretValue, Timestamp, ValueKind},
    format::{Kind, LocalKeyV1, Malformed, Tree},
    records::{Object, ObjectBody, Records, Sealer, VersionEntry, seal::SealError},
};

/// A key of the local key ring, its bytes wiped when it is dropped.
#[derive(Debug)]
pub(crate) struct LocalKey {
    pub(crate) id: [u8; 16],
    pub(crate) alias: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) created: Timestamp,
    pub(crate) key: Key,
}

impl LocalKey {
    /// Where the key of an id stands, if that can be the id of one.
    pub(crate) fn place(id: &[u8; 16]) -> ObjectKey {
        let [a, b, c, d, e, f, g, h, ..] = *id;
        ObjectKey::new(Kind::LocalKey, [a, b, c, d, e, f, g, h])
    }

    pub(crate) fn state(&self) -> KeyState {
        if self.enabled { KeyState::Enabled } else { KeyState::Disabled }
    }
}

impl ObjectBody for LocalKey {
    const KIND: Kind = Kind::LocalKey;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let wire = LocalKeyV1 {
            id: self.id,
            alias: self.alias.clone().unwrap_or_default(),
            state: u8::from(!self.enabled),
            created_ms: self.created.as_millis(),
        };
        let mut bytes = Zeroizing::new(vec![0; wire.encoded_len()?]);
        wire.encode_into(self.key.expose(), &mut bytes)?;
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (wire, key) = LocalKeyV1::decode(bytes)?;
        Ok(Self {
            id: wire.id,
            alias: Some(wire.alias).filter(|alias| !alias.is_empty()),
            enabled: match wire.state {
                0 => true,
                1 => false,
                _ => return Err(Malformed),
            },
            created: Timestamp::from_millis(wire.created_ms),
            key: Key::from_slice(key).ok_or(Malformed)?,
        })
    }
}

impl Records {
    /// The key of an id, whatever its state.
    pub(crate) fn local_key(&self, id: &str) -> Result<Object<LocalKey>, EngineError> {
        let missing = || EngineError::Key(id.into(), KeyTrouble::Missing);
        let uuid = id.parse::<KeyId>().ok().and_then(|id| id.to_uuid()).ok_or_else(missing)?;
        let found = self.object::<LocalKey>(&LocalKey::place(&uuid))?;
        found.filter(|object| object.body.id == uuid).ok_or_else(missing)
    }

    /// The key of an id, to be used. Read anew each time: what is disabled is so at once.
    pub(crate) fn usable_key(&self, id: &str) -> Result<Object<LocalKey>, EngineError> {
        let object = self.local_key(id)?;
        match object.body.enabled {
            true => Ok(object),
            false => Err(EngineError::Key(id.into(), KeyTrouble::Disabled)),
        }
    }

    /// The key that a version's value is sealed under, if its own data key is not enough.
    pub(crate) fn joined_key(&self, entry: &VersionEntry) -> Result<Option<Key>, EngineError> {
        let Some(id) = &entry.kms_key_id else { return Ok(None) };
        let named = self.usable_key(id)?;
        Ok(Some(named_value_key(&self.sealer, &named.body, &entry.data_key)))
    }

    /// A data key of `len` random bytes, and the same wrapped under `id`; none: the default key.
    pub(crate) fn create_data_key(
        &self,
        id: Option<&str>,
        len: usize,
        context: &[u8],
    ) -> Result<(SecretValue, Vec<u8>), EngineError> {
        let mut draw = Draw::new(24)?;
        let mut plain = Zeroizing::new(vec![0; len]);
        crate::crypto::random::fill(&mut plain)?;
        let (key, generation) = self.wrapping_key(id, None)?;
        let mut sealing = Sealing::new(len);
        sealing.plaintext_mut().copy_from_slice(&plain);
        let header = Header { kind: Kind::DataKey.id(), generation, revision: 0 };
        let place = data_key_place(&self.sealer, id.unwrap_or_default(), context);
        let wrapped = sealing.seal(&key, &header, draw.take()?, &place);
        let wrapped = wrapped.map_err(|err| EngineError::from(SealError::from(err)))?;
        let plain = SecretValue::from_parts(plain, ValueKind::Binary);
        Ok((plain.map_err(|_| EngineError::TooLarge)?, wrapped))
    }

    /// The data key in what [`create_data_key`](Self::create_data_key) wrapped. `None` if this is not it.
    pub(crate) fn decrypt_data_key(
        &self,
        id: Option<&str>,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<Option<SecretValue>, EngineError> {
        let Ok(envelope) = Envelope::parse(wrapped) else { return Ok(None) };
        let header = envelope.header();
        let (key, generation) = match self.wrapping_key(id, Some(header.generation)) {
            Err(EngineError::Tampered(_)) => return Ok(None),
            other => other?,
        };
        if header != (Header { kind: Kind::DataKey.id(), generation, revision: 0 }) {
            return Ok(None);
        }
        let place = data_key_place(&self.sealer, id.unwrap_or_default(), context);
        let plain = envelope.open(&key, &place).ok().map(|opened| opened.into_inner());
        Ok(plain.and_then(|plain| SecretValue::from_parts(plain, ValueKind::Binary).ok()))
    }

    /// The key that wraps data keys under `id`, and its generation: 0 for a key of the ring.
    fn wrapping_key(
        &self,
        id: Option<&str>,
        generation: Option<u32>,
    ) -> Result<(Key, u32), EngineError> {
        let store_id = &self.sealer.store_id;
        let wrapping = |key: &Key| join(key, &[0; 32], store_id, Join::DataKey);
        match id {
            Some(id) => Ok((wrapping(&self.usable_key(id)?.body.key), 0)),
            None => {
                let generation = generation.unwrap_or(self.sealer.ring.active());
                let key = self.sealer.ring.meta_key(generation);
                let key = key.ok_or(EngineError::Tampered("a data key"))?;
                Ok((wrapping(key), generation))
            }
        }
    }
}

/// The key of a value that takes both its data key and a key of the ring.
pub(crate) fn named_value_key(sealer: &Sealer, named: &LocalKey, data_key: &Key) -> Key {
    join(&named.key, data_key.expose(), &sealer.store_id, Join::Value)
}

fn data_key_place<'a>(sealer: &'a Sealer, id: &'a str, context: &'a [u8]) -> Place<'a> {
    Place { store_id: &sealer.store_id, tree: Tree::System.id(), key: id.as_bytes(), context }
}
