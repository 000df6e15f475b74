//! The redo journal's bytes: segment header, frames, and the writes in a frame.
//!
//! ```text
//! header block   magic[8] ‖ format u8 ‖ zero[7] ‖ store id[16] ‖ number u64 ‖ salt[16]
//!                ‖ base seq u64 ‖ chain at base[32] ‖ mac[32] ‖ zeros to 4,096
//! frame          len u32 ‖ seq u64 ‖ payload[len] ‖ mac[32] ‖ zeros to the next block
//! end mark       a frame with seq ff..ff and no payload: the next segment was begun
//! payload        (tree u8 ‖ key len u8 ‖ key ‖ record len u32 or ff ff ff ff to remove ‖ record)*
//! ```
//!
//! Integers are big-endian. A frame's mac covers salt, number, seq and payload, so a frame verifies
//! at no other place of the journal and in no other segment. The mac is computed by the caller:
//! this file knows no key.

use crate::format::{Malformed, root::Reader};

/// Length of the header block.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4096;

/// What a frame costs beside its payload, before padding.
const FRAME_OVERHEAD: usize = FRAME_HEAD_BYTES + MAC_BYTES;

const MAGIC: [u8; 8] = *b"SSv1-SEG";
const FORMAT: u8 = 1;
const BLOCK_BYTES: usize = 4096;
const FRAME_HEAD_BYTES: usize = 12;
const MAC_BYTES: usize = 32;
/// Behind magic, format, store id and number.
const SALT_AT: usize = 40;

/// The seq of an end mark.
pub(crate) const END_MARK_SEQ: u64 = u64::MAX;

/// Stands for the length of a record that is removed.
const REMOVED: u32 = u32::MAX;

/// Computes a mac over the concatenation of parts.
pub(crate) type Mac<'a> = &'a dyn Fn(&[&[u8]]) -> [u8; MAC_BYTES];

/// Checks a mac over the concatenation of parts, in constant time.
pub(crate) type Verify<'a> = &'a dyn Fn(&[&[u8]], &[u8; MAC_BYTES]) -> bool;

/// The first block of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) store_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) salt: [u8; 16],
    /// The commit before this segment's first frame.
    pub(crate) base_seq: u64,
    pub(crate) base_chain: [u8; 32],
}

impl SegmentHeader {
    pub(crate) fn encode(&self, mac: Mac<'_>) -> Vec<u8> {
        let body = self.body();
        let mut block = body.clone();
        block.extend_from_slice(&mac(&[&body]));
        block.resize(SEGMENT_HEADER_BYTES, 0);
        block
    }

    /// Reads a header block whose mac verifies and whose rest is all zeros.
    pub(crate) fn parse(block: &[u8], verify: Verify<'_>) -> Result<Self, Malformed> {
        let mut reader = Reader(block);
        if reader.take()? != MAGIC || reader.take()? != [FORMAT, 0, 0, 0, 0, 0, 0, 0] {
            return Err(Malformed);
        }
        let header = Self {
            store_id: reader.take()?,
            number: u64::from_be_bytes(reader.take()?),
            salt: reader.take()?,
            base_seq: u64::from_be_bytes(reader.take()?),
            base_chain: reader.take()?,
        };
        let mac = reader.take()?;
        let sound = verify(&[&header.body()], &mac)
            && block.len() == SEGMENT_HEADER_BYTES
            && is_zero(reader.0);
        if sound { Ok(header) } else { Err(Malformed) }
    }

    /// The salt that stands in a header block, of which nothing is checked.
    pub(crate) fn unchecked_salt(block: &[u8]) -> Option<[u8; 16]> {
        block.get(SALT_AT..)?.first_chunk().copied()
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        body.extend_from_slice(&MAGIC);
        body.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0, 0, 0]);
        body.extend_from_slice(&self.store_id);
        body.extend_from_slice(&self.number.to_be_bytes());
        body.extend_from_slice(&self.salt);
        body.extend_from_slice(&self.base_seq.to_be_bytes());
        body.extend_from_slice(&self.base_chain);
        body
    }
}

/// A frame under construction: one buffer, which becomes the bytes on disk.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
}

impl FrameBuilder {
    /// For a payload of about `payload_len` bytes.
    pub(crate) fn with_capacity(payload_len: usize) -> Self {
        let len = payload_len.saturating_add(FRAME_OVERHEAD).saturating_add(BLOCK_BYTES);
        let mut bytes = Vec::with_capacity(len);
        bytes.resize(FRAME_HEAD_BYTES, 0);
        Self { bytes }
    }

    /// Appends one write; `None` removes.
    pub(crate) fn push(
        &mut self,
        tree: u8,
        key: &[u8],
        record: Option<&[u8]>,
    ) -> Result<(), Malformed> {
        self.bytes.push(tree);
        self.bytes.push(u8::try_from(key.len()).map_err(|_| Malformed)?);
        self.bytes.extend_from_slice(key);
        let len = match record {
            Some(record) => u32::try_from(record.len()).map_err(|_| Malformed)?,
            None => REMOVED,
        };
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(record.unwrap_or_default());
        Ok(())
    }

    /// Length of the frame that [`FrameBuilder::finish`] would give now.
    pub(crate) fn padded_len(&self) -> usize {
        self.bytes.len().saturating_add(MAC_BYTES).next_multiple_of(BLOCK_BYTES)
    }

    /// The finished frame, padded to whole blocks.
    pub(crate) fn finish(
        mut self,
        seq: u64,
        header: &SegmentHeader,
        mac: Mac<'_>,
    ) -> Result<Vec<u8>, Malformed> {
        let payload = self.bytes.get(FRAME_HEAD_BYTES..).ok_or(Malformed)?;
        let len = u32::try_from(payload.len()).map_err(|_| Malformed)?.to_be_bytes();
        let seq = seq.to_be_bytes();
        let mac = mac(&[&header.salt, &header.number.to_be_bytes(), &seq, payload]);
        let head = self.bytes.first_chunk_mut::<FRAME_HEAD_BYTES>().ok_or(Malformed)?;
        for (to, from) in head.iter_mut().zip(len.iter().chain(&seq)) {
            *to = *from;
        }
        self.bytes.extend_from_slice(&mac);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        Ok(self.bytes)
    }
}

/// A frame that verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Frame<'a> {
    pub(crate) seq: u64,
    pub(crate) payload: &'a [u8],
    /// Length on disk, padding included.
    pub(crate) padded_len: usize,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `bytes`, the rest of a segment.
    pub(crate) fn parse(
        bytes: &'a [u8],
        header: &SegmentHeader,
        verify: Verify<'_>,
    ) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let len = usize::try_from(u32::from_be_bytes(reader.take()?)).map_err(|_| Malformed)?;
        let seq: [u8; 8] = reader.take()?;
        let payload = reader.slice(len)?;
        let mac = reader.take()?;
        let padded_len = len.saturating_add(FRAME_OVERHEAD).next_multiple_of(BLOCK_BYTES);
        let padding = padded_len.saturating_sub(len.saturating_add(FRAME_OVERHEAD));
        if !is_zero(reader.slice(padding)?) {
            return Err(Malformed);
        }
        if !verify(&[&header.salt, &header.number.to_be_bytes(), &seq, payload], &mac) {
            return Err(Malformed);
        }
        Ok(Self { seq: u64::from_be_bytes(seq), payload, padded_len })
    }
}

/// How far a frame that does not verify may reach, from what stands at its beginning.
///
/// The first sector of a frame is written whole or not at all, so if it is not all zeros, length and
/// seq in it are what was meant, if they can be at all.
pub(crate) fn torn_reach(bytes: &[u8], next_seq: u64) -> Option<usize> {
    let mut reader = Reader(bytes);
    let len = usize::try_from(u32::from_be_bytes(reader.take().ok()?)).ok()?;
    let seq = u64::from_be_bytes(reader.take().ok()?);
    let padded_len = len.checked_add(FRAME_OVERHEAD)?.next_multiple_of(BLOCK_BYTES);
    (seq == next_seq && padded_len <= bytes.len()).then_some(padded_len)
}

/// One write of a payload: tree, key, and the record or `None` to remove.
pub(crate) type PayloadEntry<'a> = (u8, &'a [u8], Option<&'a [u8]>);

/// Takes a payload apart.
pub(crate) fn parse_payload(payload: &[u8]) -> Result<Vec<PayloadEntry<'_>>, Malformed> {
    let mut reader = Reader(payload);
    let mut entries = Vec::new();
    while !reader.0.is_empty() {
        let [tree, key_len] = reader.take()?;
        let key = reader.slice(usize::from(key_len))?;
        let record = match u32::from_be_bytes(reader.take()?) {
            REMOVED => None,
            len => Some(reader.slice(usize::try_from(len).map_err(|_| Malformed)?)?),
        };
        entries.push((tree, key, record));
    }
    Ok(entries)
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands in for the keyed mac; what is tested here is which bytes it covers.
    fn sum(parts: &[&[u8]]) -> [u8; 32] {
        let mut out = [0_u8; 32];
        for (at, byte) in parts.iter().flat_map(|part| part.iter()).enumerate() {
            out[at % 32] = out[at % 32].rotate_left(3) ^ byte ^ at.to_le_bytes()[0];
        }
        out
    }

    fn same(parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        sum(parts) == *mac
    }

    fn header() -> SegmentHeader {
        SegmentHeader {
            store_id: [1; 16],
            number: 2,
            salt: [3; 16],
            base_seq: 4,
            base_chain: [5; 32],
        }
    }

    fn frame(seq: u64, record_len: usize) -> Vec<u8> {
        let mut builder = FrameBuilder::with_capacity(record_len);
        builder.push(0x10, &[8; 16], Some(&vec![9; record_len])).unwrap();
        builder.push(0x20, &[7; 8], None).unwrap();
        builder.finish(seq, &header(), &sum).unwrap()
    }

    #[test]
    fn a_header_reads_back_and_no_byte_of_it_may_change() {
        let block = header().encode(&sum);
        assert_eq!(SegmentHeader::parse(&block, &same), Ok(header()));
        for at in 0..block.len() {
            let mut other = block.clone();
            other[at] ^= 1;
            assert_eq!(SegmentHeader::parse(&other, &same), Err(Malformed), "byte {at}");
        }
        assert_eq!(SegmentHeader::parse(&block[..4095], &same), Err(Malformed));
    }

    #[test]
    fn a_frame_reads_back_fills_whole_blocks_and_no_byte_of_it_may_change() {
        for len in [0, 1, 4000, 4011, 4012, 4013, 9000] {
            let bytes = frame(6, len);
            assert_eq!(bytes.len() % BLOCK_BYTES, 0);
            let found = Frame::parse(&bytes, &header(), &same).unwrap();
            assert_eq!((found.seq, found.padded_len), (6, bytes.len()));
            let entries = parse_payload(found.payload).unwrap();
            assert_eq!(entries[0], (0x10, &[8; 16][..], Some(&vec![9; len][..])));
            assert_eq!(entries[1], (0x20, &[7; 8][..], None));
        }
        let bytes = frame(6, 100);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Frame::parse(&other, &header(), &same), Err(Malformed), "byte {at}");
        }
    }

    #[test]
    fn a_frame_verifies_in_no_other_segment() {
        let bytes = frame(6, 100);
        for other in
            [SegmentHeader { number: 3, ..header() }, SegmentHeader { salt: [4; 16], ..header() }]
        {
            assert_eq!(Frame::parse(&bytes, &other, &same), Err(Malformed));
        }
    }

    #[test]
    fn a_payload_cut_anywhere_inside_an_entry_is_malformed() {
        let bytes = frame(6, 20);
        let payload = Frame::parse(&bytes, &header(), &same).unwrap().payload;
        let first = 2 + 16 + 4 + 20;
        for cut in 1..payload.len() {
            assert_eq!(parse_payload(&payload[..cut]).is_ok(), cut == first, "cut at {cut}");
        }
    }
}
