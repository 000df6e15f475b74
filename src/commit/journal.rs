//! The redo journal as it is written: one frame a commit, one sync a frame.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    commit::EngineError,
    crypto::{KeyRing, random},
    format::{END_MARK_SEQ, FrameBuilder, SEGMENT_HEADER_BYTES, SegmentHeader},
    storage::{BLOCK_BYTES, SEGMENT_BYTES, Segment, SegmentDir, Write},
};

/// A segment made in advance, all zeros, for whoever needs the next one.
pub(crate) type Spare = Arc<Mutex<Option<Segment>>>;

/// Where the next frame goes.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: SegmentDir,
    store_id: [u8; 16],
    segment: Segment,
    header: SegmentHeader,
    offset: usize,
    spare: Spare,
}

/// What an append did beside appending.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Appended {
    /// A new segment was begun: its number and the commit before its first frame.
    pub(crate) began: Option<(u64, u64)>,
    /// The segment is half full and this frame made it so: time to make the next one.
    pub(crate) half_full: bool,
}

impl Journal {
    /// Goes on in `segment`, whose header is `header` and whose next free byte is at `offset`.
    pub(crate) fn resume(
        dir: SegmentDir,
        store_id: [u8; 16],
        (segment, header, offset): (Segment, SegmentHeader, usize),
        spare: Spare,
    ) -> Self {
        Self { dir, store_id, segment, header, offset, spare }
    }

    /// Begins the journal's first segment.
    pub(crate) fn begin(
        dir: &SegmentDir,
        ring: &KeyRing,
        header: &SegmentHeader,
    ) -> Result<(), EngineError> {
        let segment = dir.create(header.number)?;
        write_header(&segment, ring, header)
    }

    /// Appends commit `seq` and syncs. `chain` is the audit chain before it.
    ///
    /// [`EngineError::TooLarge`] is found out before anything is written; after any other error it is
    /// not known what is on disk.
    pub(crate) fn append(
        &mut self,
        ring: &KeyRing,
        seq: u64,
        chain: [u8; 32],
        writes: &[Write],
    ) -> Result<Appended, EngineError> {
        let payload_len = writes.iter().map(Write::logical_bytes).sum();
        let mut frame = FrameBuilder::with_capacity(payload_len);
        for write in writes {
            frame.push(write.address.tree(), write.address.key(), write.record.as_deref())?;
        }
        let padded_len = frame.padded_len();
        if padded_len > FRAMES_END.saturating_sub(SEGMENT_HEADER_BYTES) {
            return Err(EngineError::TooLarge);
        }
        let mut appended = Appended::default();
        let mut end = self.offset.saturating_add(padded_len);
        if end > FRAMES_END {
            let base_seq = seq.saturating_sub(1);
            self.begin_segment(ring, base_seq, chain)?;
            appended.began = Some((self.segment.number(), base_seq));
            end = self.offset.saturating_add(padded_len);
        }
        let mac = |parts: &[&[u8]]| ring.journal_mac().mac(parts);
        let bytes = frame.finish(seq, &self.header, &mac)?;
        self.segment.write(&bytes, self.offset)?;
        self.segment.sync()?;
        appended.half_full = self.offset < SEGMENT_BYTES / 2 && end >= SEGMENT_BYTES / 2;
        self.offset = end;
        Ok(appended)
    }

    /// Begins a new segment, so that a checkpoint can let go of the old ones. Without effect, and
    /// `None`, if the present one has no frame yet.
    pub(crate) fn switch(
        &mut self,
        ring: &KeyRing,
        seq: u64,
        chain: [u8; 32],
    ) -> Result<Option<(u64, u64)>, EngineError> {
        if self.offset == SEGMENT_HEADER_BYTES {
            return Ok(None);
        }
        self.begin_segment(ring, seq, chain)?;
        Ok(Some((self.segment.number(), seq)))
    }

    pub(crate) fn segment_number(&self) -> u64 {
        self.segment.number()
    }

    fn begin_segment(
        &mut self,
        ring: &KeyRing,
        base_seq: u64,
        base_chain: [u8; 32],
    ) -> Result<(), EngineError> {
        let number = self.segment.number().saturating_add(1);
        // Held while a missing segment is made, so that it is not made twice.
        let segment = match self.spare.lock().take().filter(|spare| spare.number() == number) {
            Some(spare) => spare,
            None => self.dir.create(number)?,
        };
        let mut salt = [0; 16];
        random::fill(&mut salt)?;
        let header = SegmentHeader { store_id: self.store_id, number, salt, base_seq, base_chain };
        write_header(&segment, ring, &header)?;
        self.write_end_mark(ring)?;
        (self.segment, self.header, self.offset) = (segment, header, SEGMENT_HEADER_BYTES);
        Ok(())
    }

    /// Says in the old segment that there is a next one, so that it is missed if it is gone.
    fn write_end_mark(&self, ring: &KeyRing) -> Result<(), EngineError> {
        let mac = |parts: &[&[u8]]| ring.journal_mac().mac(parts);
        let mark = FrameBuilder::with_capacity(0).finish(END_MARK_SEQ, &self.header, &mac)?;
        self.segment.write(&mark, self.offset)?;
        Ok(self.segment.sync()?)
    }
}

/// Frames end here at the latest; the last block is for the end mark.
const FRAMES_END: usize = SEGMENT_BYTES - BLOCK_BYTES;

/// A segment's header is durable before its first frame is written.
fn write_header(
    segment: &Segment,
    ring: &KeyRing,
    header: &SegmentHeader,
) -> Result<(), EngineError> {
    let mac = |parts: &[&[u8]]| ring.journal_mac().mac(parts);
    segment.write(&header.encode(&mac), 0)?;
    segment.sync()?;
    Ok(())
}

const _: () = assert!(SEGMENT_HEADER_BYTES == BLOCK_BYTES);
