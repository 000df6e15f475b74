//! Any bytes at all, taken for what stands on disk or for a text from outside.
//!
//! What is looked for: a panic, an allocation that the input does not justify, and two texts for one
//! thing, which would let an attacker change bytes unseen. Each function tells what the bytes were,
//! so that a test can see that its valid inputs are valid.
#![expect(clippy::must_use_candidate, reason = "called for the panics as well")]

use std::{cell::Cell, fmt::Display, str::FromStr};

use super::{
    must::Must as _,
    parts::{Plaintext, RecordKind, Seals, sample_segment},
};
use crate::{
    crypto::{Envelope, KeyRing, nonce_of},
    domain::{
        Anchor, Description, NameSyntax, SecretName, SecretType, Stage, VersionId, VersionRef,
    },
    format::{
        Frame, FrameBuilder, KeyFile, KeyFileError, Padding, ROOT_LEN, SEGMENT_HEADER_BYTES,
        SegmentHeader, parse_payload, unframe, write_frame,
    },
    store::RequestToken,
};

/// Taken for a sealed record, a framed plaintext and a plaintext of each kind.
///
/// # Panics
///
/// If something decodes and does not encode to the same bytes, or a changed record opens.
pub fn fuzz_record(bytes: &[u8]) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    if let Ok(envelope) = Envelope::parse(bytes) {
        let header = envelope.header();
        let mut front = vec![1, 1, header.kind, 0];
        front.extend_from_slice(&header.generation.to_be_bytes());
        front.extend_from_slice(&header.revision.to_be_bytes());
        front.extend_from_slice(&envelope.nonce());
        assert!(bytes.starts_with(&front), "an envelope's front has two texts");
        assert_eq!(nonce_of(bytes), Some(envelope.nonce()));
        kinds.push("envelope");
    }
    for padding in [Padding::Blocks, Padding::Value, Padding::Exactly(ROOT_LEN.saturating_add(4))] {
        let Ok(data) = unframe(bytes, padding) else { continue };
        let mut again = vec![0; padding.frame_len(data.len())];
        let room = write_frame(&mut again, data.len());
        room.must("a frame's data fits").copy_from_slice(data);
        assert_eq!(again, bytes, "a frame has two texts");
        kinds.push("frame");
        plaintexts(data, &mut kinds);
    }
    plaintexts(bytes, &mut kinds);
    sealed(bytes);
    kinds
}

fn plaintexts(bytes: &[u8], kinds: &mut Vec<&'static str>) {
    for kind in RecordKind::ALL {
        if let Some(plaintext) = Plaintext::decode(kind, bytes) {
            assert_eq!(plaintext.encode().as_deref(), Some(bytes), "{kind:?} has two texts");
            kinds.push(kind.name());
        }
    }
}

/// Seals the bytes, then changes a bit that the bytes choose: it must not open any more.
fn sealed(bytes: &[u8]) {
    let seals = Seals::new();
    assert!(seals.open(bytes).is_none_or(|value| seals.seal(&value).is_some()));
    let mut record = seals.seal_with(bytes, [0x4e; 24]).must("any value can be sealed");
    assert_eq!(seals.open(&record).as_deref(), Some(bytes));
    let sum = bytes
        .iter()
        .fold(bytes.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = sum.checked_rem(record.len()).unwrap_or(0);
    if let Some(byte) = record.get_mut(at) {
        *byte ^= 1_u8.rotate_left(u32::try_from(sum & 7).unwrap_or(0));
    }
    assert_eq!(seals.open(&record), None, "a changed record opens");
}

/// Taken for a key file, and for the ring inside one. Tells whether it has the shape of a key file.
///
/// # Panics
///
/// If it parses and does not encode to the same bytes.
pub fn fuzz_key_file(bytes: &[u8]) -> bool {
    if let Ok(ring) = KeyRing::decode(&[0x51; 16], bytes) {
        assert_eq!(**ring.encode(), *bytes, "a key ring has two texts");
    }
    match KeyFile::parse(bytes) {
        Ok(file) => {
            assert_eq!(file.encode().as_deref(), Ok(bytes), "a key file has two texts");
            true
        }
        Err(KeyFileError::Foreign | KeyFileError::Format(_) | KeyFileError::Malformed) => false,
    }
}

/// Taken for a segment, for a header block, for a frame and for a payload. Macs are taken as right,
/// so that what lies behind them is reached.
///
/// # Panics
///
/// If something parses and does not encode to the same bytes.
pub fn fuzz_journal(bytes: &[u8]) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let mut block = bytes.to_vec();
    block.resize(SEGMENT_HEADER_BYTES, 0);
    if let Some(header) = header(&block) {
        kinds.push("header");
        frames(bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default(), &header, &mut kinds);
    }
    let mut rest = bytes.to_vec();
    rest.resize(bytes.len().next_multiple_of(SEGMENT_HEADER_BYTES), 0);
    frames(&rest, &sample_segment(), &mut kinds);
    if payload(bytes) {
        kinds.push("payload");
    }
    kinds
}

fn header(block: &[u8]) -> Option<SegmentHeader> {
    let found = Cell::new([0; 32]);
    let verify = |_: &[&[u8]], mac: &[u8; 32]| {
        found.set(*mac);
        true
    };
    let header = SegmentHeader::parse(block, &verify).ok()?;
    assert_eq!(header.encode(&|_| found.get()), block, "a segment header has two texts");
    Some(header)
}

fn frames(mut rest: &[u8], segment: &SegmentHeader, kinds: &mut Vec<&'static str>) {
    let found = Cell::new([0; 32]);
    let verify = |_: &[&[u8]], mac: &[u8; 32]| {
        found.set(*mac);
        true
    };
    while let Ok(frame) = Frame::parse(rest, segment, &verify) {
        kinds.push("frame");
        if payload(frame.payload) {
            let builder = rebuilt(frame.payload);
            let again = builder.finish(frame.seq, segment, &|_| found.get());
            assert_eq!(again.as_deref().ok(), rest.get(..frame.padded_len), "two texts of a frame");
        }
        rest = rest.get(frame.padded_len..).unwrap_or_default();
    }
}

fn payload(bytes: &[u8]) -> bool {
    if parse_payload(bytes).is_err() {
        return false;
    }
    let segment = sample_segment();
    let frame = rebuilt(bytes).finish(1, &segment, &|_| [0; 32]);
    let frame = frame.must("a payload that was parsed fits");
    let again = Frame::parse(&frame, &segment, &|_, _| true).map(|frame| frame.payload);
    assert_eq!(again, Ok(bytes), "a payload has two texts");
    true
}

fn rebuilt(payload: &[u8]) -> FrameBuilder {
    let mut builder = FrameBuilder::with_capacity(payload.len());
    for (tree, key, record) in parse_payload(payload).unwrap_or_default() {
        builder.push(tree, key, record).must("an entry that was parsed fits");
    }
    builder
}

/// Taken for the text of a secret's name, a label, a version, a type, an anchor, a request token and
/// a description. Tells what it can be.
///
/// # Panics
///
/// If something is read from the text and written as another one.
pub fn fuzz_secret_name(bytes: &[u8]) -> Vec<&'static str> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    let mut kinds = Vec::new();
    let current = SecretName::from_str(text).is_ok();
    if let Ok(name) = SecretName::with_syntax(text, NameSyntax::WithDots) {
        assert_eq!((name.as_str(), name.to_string().as_str()), (text, text));
        assert!((1..=64).contains(&text.len()) && current != text.contains('.'));
        kinds.push("name");
    } else {
        assert!(!current, "the wider syntax refuses what the narrow one takes");
    }
    written_as_read::<Stage>(text, "stage", &mut kinds);
    written_as_read::<VersionId>(text, "version", &mut kinds);
    written_as_read::<VersionRef>(text, "reference", &mut kinds);
    written_as_read::<SecretType>(text, "type", &mut kinds);
    written_as_read::<Anchor>(text, "anchor", &mut kinds);
    written_as_read::<Description>(text, "description", &mut kinds);
    if let Ok(custom) = SecretType::rotatable(text) {
        assert_eq!(custom.as_str(), text);
        assert_eq!(SecretType::from_stored(text), Ok(custom));
        kinds.push("custom type");
    }
    if let Ok(token) = RequestToken::from_str(text) {
        assert_eq!(token.as_str(), text);
        kinds.push("token");
    }
    kinds
}

fn written_as_read<T: FromStr + Display>(
    text: &str,
    kind: &'static str,
    kinds: &mut Vec<&'static str>,
) {
    if let Ok(word) = text.parse::<T>() {
        assert_eq!(word.to_string(), text, "a {kind} has two texts");
        kinds.push(kind);
    }
}
