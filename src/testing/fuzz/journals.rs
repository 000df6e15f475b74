//! The journal of the made-up store of the specimens: one segment and its frames, with right macs.

use super::specimens::{Layer, Specimens};
use crate::format::{
    END_MARK_SEQ, Frame, FrameBuilder, Malformed, SEGMENT_HEADER_BYTES, SegmentHeader,
    parse_payload,
};

/// The segment's number.
const NUMBER: u64 = 5;

/// The commit before its first frame.
const BASE: u64 = 39;

impl Specimens {
    /// The header block of the segment.
    #[must_use]
    pub fn segment(&self) -> Vec<u8> {
        self.segment_header().encode(&|parts| self.mac(parts))
    }

    /// The first 96 bytes of a header block, with the right mac behind them and zeros to the end.
    #[must_use]
    pub fn segment_of(&self, body: &[u8]) -> Vec<u8> {
        let mut block = [body, &self.mac(&[body])].concat();
        block.resize(SEGMENT_HEADER_BYTES, 0);
        block
    }

    /// The first frame of the segment: a record is put, another one removed. `None` if it does not
    /// fit.
    #[must_use]
    pub fn frame(&self) -> Option<Vec<u8>> {
        let build = || -> Result<Vec<u8>, Malformed> {
            let mut frame = FrameBuilder::with_capacity(512);
            frame.push(0x20, &[0, 0, 0, 0, 0, 0, 0, 9], Some(&[0x99; 120]))?;
            frame.push(0x20, &[0, 0, 0, 0, 0, 0, 0, 8], None)?;
            let first = BASE.saturating_add(1);
            frame.finish(first, &self.segment_header(), &|parts| self.mac(parts))
        };
        build().ok()
    }

    /// A frame of any payload, with the right mac behind it and zeros to the end of the block.
    #[must_use]
    pub fn frame_of(&self, seq: u64, payload: &[u8]) -> Vec<u8> {
        let header = self.segment_header();
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let seq = seq.to_be_bytes();
        let mac = self.mac(&[&header.salt, &header.number.to_be_bytes(), &seq, payload]);
        let mut frame = [&len, &seq[..], payload, &mac].concat();
        frame.resize(frame.len().next_multiple_of(SEGMENT_HEADER_BYTES), 0);
        frame
    }

    /// Takes `block` for the segment's header.
    ///
    /// # Errors
    ///
    /// The layer that refuses it.
    pub fn check_segment(&self, block: &[u8]) -> Result<(), Layer> {
        SegmentHeader::parse(block, &|_, _| true).map_err(|_| Layer::Shape)?;
        let header = SegmentHeader::parse(block, &|parts, mac| self.verifies(parts, mac));
        let header = header.map_err(|_| Layer::Seal)?;
        let own = self.segment_header();
        let in_place = header.number == own.number && header.store_id == own.store_id;
        if in_place { Ok(()) } else { Err(Layer::Order) }
    }

    /// Takes `bytes` for the first frame of the segment, or for its end mark.
    ///
    /// # Errors
    ///
    /// The layer that refuses it.
    pub fn check_frame(&self, bytes: &[u8]) -> Result<(), Layer> {
        let header = self.segment_header();
        Frame::parse(bytes, &header, &|_, _| true).map_err(|_| Layer::Shape)?;
        let frame = Frame::parse(bytes, &header, &|parts, mac| self.verifies(parts, mac));
        let frame = frame.map_err(|_| Layer::Seal)?;
        parse_payload(frame.payload).map_err(|_| Layer::Body)?;
        let next = Some(frame.seq) == BASE.checked_add(1) || frame.seq == END_MARK_SEQ;
        if next { Ok(()) } else { Err(Layer::Order) }
    }

    fn segment_header(&self) -> SegmentHeader {
        SegmentHeader {
            store_id: self.sealer.store_id,
            number: NUMBER,
            salt: [0x5a; 16],
            base_seq: BASE,
            base_chain: [0xca; 32],
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.sealer.ring.journal_mac().mac(parts)
    }

    fn verifies(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.sealer.ring.journal_mac().verify(parts, mac)
    }
}
