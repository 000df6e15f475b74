//! One secret as a backup: packed under a key of its own, and unpacked again.
//!
//! ```text
//! store id[16] ‖ wrapped key: an envelope of 32 bytes ‖ content: an envelope of a padded `BlobV1`
//! ```
//!
//! The key is new for each backup and wrapped by the store. The content binds all that stands before it,
//! so no byte can be changed unseen, whichever way the key comes.

use std::{collections::BTreeMap, fmt, iter, ops::Range};

use zeroize::Zeroizing;

use crate::{
    commit::EngineError,
    crypto::{BlobKey, Draw, Envelope, Forged, Header, Place, Sealing},
    domain::{SecretName, SecretState, SecretValue, Timestamp, VersionId, VersionState},
    format::{BLOB_PLACE, BlobV1, Kind, Padding, unframe, write_frame},
    records::{Mended, Records, SecretBody, Seen, Stages, VersionEntry, seal::SealError},
};

const STORE_ID_BYTES: usize = 16;

/// Length of the envelope around a key.
const WRAPPED_BYTES: usize = 16 + 24 + BlobKey::LEN + 16;

/// By how much an envelope is longer than what is in it.
const ENVELOPE_BYTES: usize = 16 + 24 + 16;

/// Hides how long the content is, but for some percent.
const PADDING: Padding = Padding::Value;

/// Why a backup could not be unpacked. Nothing was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BlobError {
    /// It was made by another store, and its key was not given.
    #[error("it is of another store")]
    OtherStore,
    /// It is not what was made, or its key is another.
    #[error("it cannot be authenticated")]
    Forged,
}

impl From<Forged> for BlobError {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

/// A secret out of a backup.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Its id is that of nobody.
    pub(crate) mended: Mended,
    content: Content,
    values: BTreeMap<VersionId, Range<usize>>,
}

/// The opened content, wiped on drop.
struct Content(Zeroizing<Vec<u8>>);

/// How many bytes a backup takes, and what of them is the secret without its values.
struct Sizes {
    content: usize,
    sealed: usize,
}

impl Records {
    /// How long the backup of a secret is before it is made text.
    pub(crate) fn blob_len(&self, seen: &Seen, at: Timestamp) -> Result<usize, EngineError> {
        Ok(sizes(&body_of(seen, at), &seen.stages.body)?.sealed)
    }

    /// Packs a secret with all its values. `None` if it was changed meanwhile and a value is gone.
    pub(crate) fn pack(&self, seen: &Seen, at: Timestamp) -> Result<Option<Vec<u8>>, EngineError> {
        let (body, stages) = (body_of(seen, at), &seen.stages.body);
        let Sizes { content, .. } = sizes(&body, stages)?;
        let mut sealing = Sealing::new(PADDING.frame_len(content));
        let frame = write_frame(sealing.plaintext_mut(), content)?;
        let mut rest = body.encode_into(frame)?;
        for entry in stages.versions.iter().filter(|entry| has_value(entry)) {
            let Some(value) = self.value_of(&seen.id, &seen.stages, entry)? else {
                return Ok(None);
            };
            let (room, after) =
                rest.split_at_mut_checked(value.expose().len()).ok_or(EngineError::TooLarge)?;
            room.copy_from_slice(value.expose());
            rest = after;
        }
        if !rest.is_empty() {
            return Err(EngineError::Tampered("a value"));
        }
        let (key, mut draw) = (BlobKey::random()?, Draw::new(2 * 24)?);
        let mut blob = self.sealer.store_id.to_vec();
        let wrapped = self.wrap(&key, &mut draw)?;
        let place = self.blob_place(&wrapped);
        let sealed = sealing.seal(key.key(), &header(Kind::Blob), draw.take()?, &place)?;
        blob.extend_from_slice(&wrapped);
        blob.extend_from_slice(&sealed);
        Ok(Some(blob))
    }

    /// The key of a backup that this store made.
    pub(crate) fn blob_key(&self, blob: &[u8]) -> Result<BlobKey, BlobError> {
        let (store_id, wrapped, _) = split(blob)?;
        if *store_id != self.sealer.store_id {
            return Err(BlobError::OtherStore);
        }
        let envelope = envelope(wrapped, Kind::BlobKey)?;
        let place = blob_place(store_id, &[]);
        let opened = envelope.open(self.sealer.ring.blob_key(), &place)?.into_inner();
        BlobKey::from_slice(&opened).ok_or(BlobError::Forged)
    }

    fn wrap(&self, key: &BlobKey, draw: &mut Draw) -> Result<Vec<u8>, SealError> {
        let mut sealing = Sealing::new(BlobKey::LEN);
        sealing.plaintext_mut().copy_from_slice(key.expose());
        let (sealer, header) = (&self.sealer, header(Kind::BlobKey));
        Ok(sealing.seal(sealer.ring.blob_key(), &header, draw.take()?, &self.blob_place(&[]))?)
    }

    fn blob_place<'a>(&'a self, wrapped: &'a [u8]) -> Place<'a> {
        blob_place(&self.sealer.store_id, wrapped)
    }
}

impl Unpacked {
    /// Opens and checks a backup as a whole.
    pub(crate) fn open(blob: &[u8], key: &BlobKey) -> Result<Self, BlobError> {
        let (store_id, wrapped, sealed) = split(blob)?;
        let envelope = envelope(sealed, Kind::Blob)?;
        let place = blob_place(store_id, wrapped);
        let content = Content(envelope.open(key.key(), &place)?.into_inner());
        let data = content.data()?;
        let (body, values) = BlobV1::decode(data).map_err(|_| Forged)?;
        let mut at = data.len().saturating_sub(values.len());
        let (secret, revision) = (SecretBody::from_wire(body.secret)?, body.revision);
        // Each gets a key of its own once it is sealed again.
        let no_keys = iter::repeat_n(&[0_u8; 32][..], body.stages.versions.len());
        let stages = Stages::from_wire(body.stages, no_keys)?;
        let mut ranges = BTreeMap::new();
        for entry in stages.versions.iter().filter(|entry| has_value(entry)) {
            let len = usize::try_from(entry.len).map_err(|_| Forged)?;
            let next = at.checked_add(len).ok_or(Forged)?;
            ranges.insert(entry.id, at..next);
            at = next;
        }
        if at != data.len() {
            return Err(BlobError::Forged);
        }
        let unpacked =
            Self { mended: Mended { secret, stages, revision }, content, values: ranges };
        let rows = &unpacked.mended.stages.versions;
        rows.iter()
            .filter(|row| has_value(row))
            .try_for_each(|row| unpacked.value(row).map(drop))?;
        Ok(unpacked)
    }

    /// The value of a row.
    pub(crate) fn value(&self, entry: &VersionEntry) -> Result<SecretValue, Forged> {
        let range = self.values.get(&entry.id).cloned().ok_or(Forged)?;
        let bytes = self.content.data()?.get(range).ok_or(Forged)?;
        SecretValue::from_parts(Zeroizing::new(bytes.to_vec()), entry.kind).map_err(|_| Forged)
    }

    pub(crate) fn name(&self) -> &SecretName {
        &self.mended.secret.name
    }
}

/// Whether a version has a value to be packed.
pub(super) fn has_value(entry: &VersionEntry) -> bool {
    entry.state != VersionState::Destroyed
}

/// What is packed of a secret: everything but its tags, and nothing that would happen by itself (csms.md
/// 8.2 row 48).
fn body_of(seen: &Seen, at: Timestamp) -> BlobV1 {
    let (mut secret, mut stages) = (seen.secret.body.clone(), seen.stages.body.clone());
    secret.sid = [0; 16];
    secret.tags = Vec::new();
    // They name events of this store.
    secret.event_subscriptions = Vec::new();
    secret.rotation = secret.rotation.at_rest();
    stages.sid = [0; 16];
    (stages.set_state, stages.deletion) = (SecretState::Enabled, None);
    // Told by a key of this store.
    stages.tokens = Vec::new();
    for entry in &mut stages.versions {
        (entry.vrec, entry.destruction) = (0, None);
    }
    BlobV1 {
        secret: secret.to_wire(),
        stages: stages.to_wire(),
        revision: seen.revision(),
        made_ms: at.as_millis(),
    }
}

fn sizes(body: &BlobV1, stages: &Stages) -> Result<Sizes, EngineError> {
    let values = stages.versions.iter().filter(|entry| has_value(entry));
    let values = values.map(|entry| usize::try_from(entry.len).unwrap_or(usize::MAX));
    let content = body.encoded_len(values.fold(0, usize::saturating_add))?;
    let sealed = [STORE_ID_BYTES, WRAPPED_BYTES, ENVELOPE_BYTES, PADDING.frame_len(content)];
    Ok(Sizes { content, sealed: sealed.into_iter().fold(0, usize::saturating_add) })
}

/// Store id, wrapped key, sealed content.
type Parts<'a> = (&'a [u8; STORE_ID_BYTES], &'a [u8], &'a [u8]);

fn split(blob: &[u8]) -> Result<Parts<'_>, Forged> {
    let (store_id, rest) = blob.split_first_chunk().ok_or(Forged)?;
    let (wrapped, sealed) = rest.split_at_checked(WRAPPED_BYTES).ok_or(Forged)?;
    Ok((store_id, wrapped, sealed))
}

fn header(kind: Kind) -> Header {
    Header { kind: kind.id(), generation: 0, revision: 0 }
}

fn envelope(bytes: &[u8], kind: Kind) -> Result<Envelope<'_>, Forged> {
    let envelope = Envelope::parse(bytes)?;
    if envelope.header() == header(kind) { Ok(envelope) } else { Err(Forged) }
}

fn blob_place<'a>(store_id: &'a [u8; STORE_ID_BYTES], context: &'a [u8]) -> Place<'a> {
    Place { store_id, tree: BLOB_PLACE, key: &[], context }
}

impl Content {
    /// The data in the frame.
    fn data(&self) -> Result<&[u8], Forged> {
        unframe(&self.0, PADDING).map_err(|_| Forged)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(..)")
    }
}
