//! Framing, sealing and opening, the same for every kind of record.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    commit::EngineError,
    crypto::{Draw, Envelope, Forged, Header, Key, KeyRing, Place, Sealing},
    format::{Kind, Malformed, Padding, Tree, unframe, write_frame},
    storage::Record,
};

/// Seals and opens the records of one store.
#[derive(Clone)]
pub(crate) struct Sealer {
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) store_id: [u8; 16],
}

/// What a record is and where it belongs, all of it authenticated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    pub(crate) kind: Kind,
    pub(crate) generation: u32,
    pub(crate) tree: Tree,
    /// The key in the tree; empty for audit records, which a chain puts in their place.
    pub(crate) tree_key: &'a [u8],
    pub(crate) context: &'a [u8],
    pub(crate) padding: Padding,
}

impl Sealer {
    /// Seals `data_len` bytes that `fill` writes into place.
    pub(crate) fn seal(
        &self,
        key: &Key,
        seat: &Seat<'_>,
        (revision, draw): (u64, &mut Draw),
        (data_len, fill): (usize, impl FnOnce(&mut [u8]) -> Result<(), Malformed>),
    ) -> Result<Record, SealError> {
        let mut sealing = Sealing::new(seat.padding.frame_len(data_len));
        fill(write_frame(sealing.plaintext_mut(), data_len)?)?;
        let header = Header { kind: seat.kind.id(), generation: seat.generation, revision };
        let record = sealing.seal(key, &header, draw.take()?, &self.place(seat))?;
        Ok(Record::from(record))
    }

    /// Opens a record whose header must say what the seat says.
    pub(crate) fn open(&self, key: &Key, seat: &Seat<'_>, record: &[u8]) -> Result<Opened, Forged> {
        let envelope = Envelope::parse(record)?;
        let header = envelope.header();
        if header.kind != seat.kind.id() || header.generation != seat.generation {
            return Err(Forged);
        }
        let frame = envelope.open(key, &self.place(seat))?.into_inner();
        unframe(&frame, seat.padding).map_err(|_| Forged)?;
        Ok(Opened { frame, padding: seat.padding, revision: header.revision })
    }

    /// The key of the generation that a record names.
    pub(crate) fn meta_key_of(&self, record: &[u8]) -> Result<(&Key, u32), Forged> {
        let generation = Envelope::parse(record)?.header().generation;
        Ok((self.ring.meta_key(generation).ok_or(Forged)?, generation))
    }

    /// The key that seals heads now.
    pub(crate) fn active_meta_key(&self) -> Result<(&Key, u32), Forged> {
        let generation = self.ring.active();
        Ok((self.ring.meta_key(generation).ok_or(Forged)?, generation))
    }

    fn place<'a>(&'a self, seat: &Seat<'a>) -> Place<'a> {
        Place {
            store_id: &self.store_id,
            tree: seat.tree.id(),
            key: seat.tree_key,
            context: seat.context,
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// The plaintext of an opened record, wiped on drop.
pub(crate) struct Opened {
    frame: Zeroizing<Vec<u8>>,
    padding: Padding,
    pub(crate) revision: u64,
}

impl Opened {
    /// The data in the frame.
    pub(crate) fn data(&self) -> Result<&[u8], Forged> {
        unframe(&self.frame, self.padding).map_err(|_| Forged)
    }

    /// The data, in the buffer it was opened in: moved to its front, and the rest wiped.
    pub(crate) fn into_data(mut self) -> Result<Zeroizing<Vec<u8>>, Forged> {
        let len = self.data()?.len();
        let end = len.saturating_add(self.frame.len().min(4)).min(self.frame.len());
        self.frame.copy_within(end.saturating_sub(len)..end, 0);
        // Truncation leaves the bytes behind the end in the buffer: wipe what the move left there.
        self.frame.get_mut(len..).unwrap_or_default().fill(0);
        self.frame.truncate(len);
        Ok(self.frame)
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(..)")
    }
}

/// Why a record could not be sealed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Random(#[from] crate::crypto::RandomError),
    #[error("too large for a record")]
    TooLarge,
}

impl From<Malformed> for SealError {
    fn from(_: Malformed) -> Self {
        Self::TooLarge
    }
}

impl From<Forged> for SealError {
    fn from(_: Forged) -> Self {
        Self::TooLarge
    }
}

impl From<SealError> for EngineError {
    fn from(err: SealError) -> Self {
        match err {
            SealError::Random(err) => err.into(),
            SealError::TooLarge => Self::TooLarge,
        }
    }
}
