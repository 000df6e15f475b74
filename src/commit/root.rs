//! Sealing and opening of the root record.

use crate::{
    commit::{EngineError, address::root_address},
    crypto::{Draw, Envelope, Forged, Header, KeyRing, Place, Sealing},
    format::{Kind, Padding, ROOT_LEN, RootV1, unframe, write_frame},
};

/// The root's frame never changes its length, so it tells nothing.
const PADDING: Padding = Padding::Exactly(256);

/// Seals the root of commit `root.seq`, which is also the record's revision.
pub(crate) fn seal_root(
    ring: &KeyRing,
    store_id: &[u8; 16],
    root: &RootV1,
) -> Result<Vec<u8>, EngineError> {
    let mut sealing = Sealing::new(PADDING.frame_len(ROOT_LEN));
    write_frame(sealing.plaintext_mut(), ROOT_LEN)?.copy_from_slice(&root.encode());
    let header = Header { kind: Kind::Root.id(), generation: 0, revision: root.seq };
    let nonce = Draw::new(24)?.take()?;
    let address = root_address();
    let place = Place { store_id, tree: address.tree(), key: address.key(), context: &[] };
    Ok(sealing.seal(ring.root_key(), &header, nonce, &place)?)
}

/// Opens a root record.
pub(crate) fn open_root(
    ring: &KeyRing,
    store_id: &[u8; 16],
    record: &[u8],
) -> Result<RootV1, Forged> {
    let envelope = Envelope::parse(record)?;
    let address = root_address();
    let place = Place { store_id, tree: address.tree(), key: address.key(), context: &[] };
    let opened = envelope.open(ring.root_key(), &place)?;
    let root =
        RootV1::decode(unframe(&opened, PADDING).map_err(|_| Forged)?).map_err(|_| Forged)?;
    let header = envelope.header();
    let right = header.kind == Kind::Root.id() && header.generation == 0;
    if right && header.revision == root.seq { Ok(root) } else { Err(Forged) }
}
