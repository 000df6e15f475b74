//! Records of a made-up store, sealed under keys that everybody knows; and which layer refuses a bad one.
//!
//! Vectors were made of what stands here, so it never changes.

use std::sync::Arc;

use super::{
    must::Must as _,
    plaintexts::{data, data_key, entry, name, root, sid, vrec},
};
use crate::{
    commit::{fold_step, open_root, tag_of},
    crypto::{Envelope, Header, Key, KeyRing, Place, Sealing, SetHash},
    format::{AuditV1, Padding, RootV1, SecretV1, StagesV1, unframe, write_frame},
    records::{HeadBody as _, Sealer, SecretBody, Stages, open_audit, open_value},
};

/// A kind of sealed record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "named for the records of the format")]
pub enum Sealed {
    Audit,
    Root,
    Secret,
    Stages,
    Value,
}

impl Sealed {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Audit, Self::Root, Self::Secret, Self::Stages, Self::Value];

    fn padding(self) -> Padding {
        match self {
            Self::Audit | Self::Secret | Self::Stages => Padding::Blocks,
            Self::Root => Padding::Exactly(256),
            Self::Value => Padding::Value,
        }
    }
}

/// Which check refuses bytes, from the outside in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Layer {
    /// They are too short, or format, suite, flags, magic or lengths are none of ours.
    Shape,
    /// A record of another kind, or of a generation that there is not.
    Header,
    /// A key file without a slot for the key.
    Key,
    /// They were not sealed with this key for this place.
    Seal,
    /// The length in front or the padding is wrong.
    Frame,
    /// The plaintext does not decode.
    Body,
    /// It decodes to what no honest writer writes.
    Words,
    /// It is authentic and belongs here, and is not the one that was written last.
    Order,
}

/// Everything that is sealed into a record or bound to it, to be changed at will.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named for the fields of the format")]
pub struct Blueprint {
    pub kind: u8,
    pub generation: u32,
    pub revision: u64,
    pub nonce: [u8; 24],
    pub frame: Vec<u8>,
    pub store_id: [u8; 16],
    pub tree: u8,
    pub key: Vec<u8>,
    pub context: Vec<u8>,
}

/// The records of one made-up store. Each kind has one for every number `which`.
#[derive(Debug)]
pub struct Specimens {
    pub(super) sealer: Sealer,
}

impl Specimens {
    /// A store with an id and keys made of one byte each.
    #[must_use]
    pub fn new(store: u8, keys: u8) -> Self {
        let store_id = [store; 16];
        let ring = KeyRing::decode(&store_id, &ring_bytes(keys)).must("the ring is well made");
        Self { sealer: Sealer { ring: Arc::new(ring), store_id } }
    }

    /// What the record number `which` of this kind is made of.
    #[must_use]
    pub fn blueprint(&self, kind: Sealed, which: u8) -> Blueprint {
        let number = u64::from(which);
        let name_id = self.name_id(which).to_vec();
        let (id, tree, generation, revision, key) = match kind {
            Sealed::Audit => (0x30, 0x30, 0, 0, Vec::new()),
            Sealed::Root => (0x01, 0x01, 0, root(which).seq, vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
            Sealed::Secret => (0x10, 0x10, 1, number.saturating_add(1), name_id),
            Sealed::Stages => (0x11, 0x11, 1, number.saturating_add(2), name_id),
            Sealed::Value => {
                (0x20, 0x20, 0, number.saturating_add(2), vrec(which).to_be_bytes().to_vec())
            }
        };
        let context = match kind {
            Sealed::Value => [&sid(which)[..], &2_u64.to_be_bytes()].concat(),
            Sealed::Audit | Sealed::Root | Sealed::Secret | Sealed::Stages => Vec::new(),
        };
        let mut blueprint = Blueprint {
            kind: id,
            generation,
            revision,
            nonce: [id ^ which; 24],
            frame: Vec::new(),
            store_id: self.sealer.store_id,
            tree,
            key,
            context,
        };
        blueprint.set_data(kind, &data(kind, which));
        blueprint
    }

    /// Seals a blueprint under the key of the record number `which` of this kind.
    #[must_use]
    pub fn seal(&self, (kind, which): (Sealed, u8), blueprint: &Blueprint) -> Vec<u8> {
        let mut sealing = Sealing::new(blueprint.frame.len());
        sealing.plaintext_mut().copy_from_slice(&blueprint.frame);
        let Blueprint { kind: id, generation, revision, nonce, .. } = *blueprint;
        let header = Header { kind: id, generation, revision };
        let place = Place {
            store_id: &blueprint.store_id,
            tree: blueprint.tree,
            key: &blueprint.key,
            context: &blueprint.context,
        };
        let generation = blueprint.generation.max(1);
        let key = self.key(kind, which, generation);
        let key = key.or_else(|| self.key(kind, which, 1)).must("generation 1 is in the ring");
        sealing.seal(&key, &header, nonce, &place).must("the place fits its fields")
    }

    /// The record number `which` of this kind.
    #[must_use]
    pub fn record(&self, kind: Sealed, which: u8) -> Vec<u8> {
        self.seal((kind, which), &self.blueprint(kind, which))
    }

    /// Takes `record` for the one number `which` of this kind, as the store does: opens it, and
    /// compares it with what the rest of the store knows of that place. Gives what is in it.
    ///
    /// # Errors
    ///
    /// The layer that refuses it.
    ///
    /// # Panics
    ///
    /// If the store's own way of opening and the layers one by one disagree.
    pub fn check(&self, kind: Sealed, which: u8, record: &[u8]) -> Result<String, Layer> {
        let opened = self.open(kind, which, record);
        let refused = self.refused_by(kind, which, record);
        assert_eq!(opened.is_none(), refused.is_some(), "{kind:?} {which}: {refused:?}");
        match (opened, refused) {
            (Some(text), None) if self.is_latest(kind, which, record) => Ok(text),
            (Some(_), None) => Err(Layer::Order),
            (_, layer) => Err(layer.unwrap_or(Layer::Words)),
        }
    }

    /// The functions that the store opens its records with.
    fn open(&self, kind: Sealed, which: u8, record: &[u8]) -> Option<String> {
        let sealer = &self.sealer;
        let id = self.name_id(which);
        match kind {
            Sealed::Audit => open_audit(sealer, record).ok().map(|it| format!("{it:?}")),
            Sealed::Root => {
                let root = open_root(&sealer.ring, &sealer.store_id, record);
                root.ok().map(|it| format!("{it:?}"))
            }
            Sealed::Secret => {
                SecretBody::open(sealer, &id, record).ok().map(|it| format!("{it:?}"))
            }
            Sealed::Stages => Stages::open(sealer, &id, record).ok().map(|it| format!("{it:?}")),
            Sealed::Value => {
                let value = open_value(sealer, &sid(which), &entry(which), record);
                value.ok().map(|it| format!("{:?} {:02x?}", it.kind(), it.expose()))
            }
        }
    }

    /// The same layer by layer. `None` if all of them let it pass.
    fn refused_by(&self, kind: Sealed, which: u8, record: &[u8]) -> Option<Layer> {
        let Ok(envelope) = Envelope::parse(record) else { return Some(Layer::Shape) };
        let (header, wanted) = (envelope.header(), self.blueprint(kind, which));
        let key = match kind {
            Sealed::Secret | Sealed::Stages => self.key(kind, which, header.generation),
            Sealed::Audit | Sealed::Root | Sealed::Value if header.generation != 0 => None,
            Sealed::Audit | Sealed::Root | Sealed::Value => self.key(kind, which, 0),
        };
        let Some(key) = key.filter(|_| header.kind == wanted.kind) else {
            return Some(Layer::Header);
        };
        let place = Place {
            store_id: &wanted.store_id,
            tree: wanted.tree,
            key: &wanted.key,
            context: &wanted.context,
        };
        let Ok(frame) = envelope.open(&key, &place) else { return Some(Layer::Seal) };
        let Ok(data) = unframe(&frame, kind.padding()) else { return Some(Layer::Frame) };
        let decodes = match kind {
            Sealed::Audit => AuditV1::decode(data).is_ok(),
            Sealed::Root => RootV1::decode(data).is_ok(),
            Sealed::Secret => SecretV1::decode(data).is_ok(),
            Sealed::Stages => StagesV1::decode(data).is_ok(),
            Sealed::Value => true,
        };
        if !decodes {
            return Some(Layer::Body);
        }
        self.open(kind, which, record).is_none().then_some(Layer::Words)
    }

    /// Whether an authentic record is the one that the rest of the store tells of: heads by their tags
    /// and the set hash, audit records by the chain, the root by its commit. Values need nothing more:
    /// a data key seals one value.
    fn is_latest(&self, kind: Sealed, which: u8, record: &[u8]) -> bool {
        let (ring, last) = (&self.sealer.ring, self.record(kind, which));
        let blueprint = self.blueprint(kind, which);
        match kind {
            Sealed::Audit => {
                let first = ring.chain_first(&self.sealer.store_id);
                let key = [&u64::from(which).to_be_bytes()[..], &[0; 4]].concat();
                let chain = |record: &[u8]| fold_step(ring, &first, &key, record);
                chain(record) == chain(&last)
            }
            Sealed::Root => {
                let seq = |record: &[u8]| {
                    open_root(ring, &self.sealer.store_id, record).map(|root| root.seq)
                };
                seq(record) == seq(&last)
            }
            Sealed::Secret | Sealed::Stages => {
                let set = |record: &[u8]| {
                    let mut set = SetHash::EMPTY;
                    set.insert(&ring.leaf(blueprint.tree, &blueprint.key, record));
                    set
                };
                let (same_tag, same_set) =
                    (tag_of(record) == tag_of(&last), set(record) == set(&last));
                assert!(same_tag || !same_set, "the set hash overlooks another record");
                same_tag && same_set
            }
            Sealed::Value => true,
        }
    }

    fn key(&self, kind: Sealed, which: u8, generation: u32) -> Option<Key> {
        let ring = &self.sealer.ring;
        let key = match kind {
            Sealed::Audit => ring.log_key(),
            Sealed::Root => ring.root_key(),
            Sealed::Secret | Sealed::Stages => ring.meta_key(generation)?,
            Sealed::Value => return Some(data_key(which)),
        };
        Key::from_slice(key.expose())
    }

    fn name_id(&self, which: u8) -> [u8; 16] {
        self.sealer.ring.name_id(name(which).as_bytes())
    }
}

impl Blueprint {
    /// Frames `data` as a record of this kind is framed.
    pub fn set_data(&mut self, kind: Sealed, data: &[u8]) {
        self.frame = vec![0; kind.padding().frame_len(data.len())];
        write_frame(&mut self.frame, data.len()).must("the frame fits").copy_from_slice(data);
    }

    /// The data in the frame.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        let len = self.frame.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
        let end = usize::try_from(len).unwrap_or(usize::MAX).saturating_add(4);
        self.frame.get(4..end).unwrap_or_default()
    }
}

/// A ring of generations 1 and 2, 1 being the active one.
fn ring_bytes(keys: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 2];
    for generation in [1_u8, 2] {
        bytes.extend_from_slice(&[0, 0, 0, generation, 1]);
        bytes.extend_from_slice(&[keys ^ generation; 32]);
    }
    bytes.extend_from_slice(&[keys ^ 3; 32]);
    bytes.extend_from_slice(&[keys ^ 4; 32]);
    bytes.push(0);
    bytes
}
